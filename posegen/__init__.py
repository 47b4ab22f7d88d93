"""Batches of pictures of people in chosen poses, and how well they came out.

The names below are what notebooks use; each is loaded when it is first asked for.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from posegen.parameters import batch_parameters, recovery_parameters
    from posegen.pipeline.plan import build_plan
    from posegen.pipeline.run import open_run, resume, start
    from posegen.poses.library import PoseLibrary
    from posegen.records import Avatar, View
    from posegen.recovery import found_runs, recover

_WHERE = {
    "Avatar": "posegen.records",
    "PoseLibrary": "posegen.poses.library",
    "View": "posegen.records",
    "batch_parameters": "posegen.parameters",
    "build_plan": "posegen.pipeline.plan",
    "found_runs": "posegen.recovery",
    "open_run": "posegen.pipeline.run",
    "recover": "posegen.recovery",
    "recovery_parameters": "posegen.parameters",
    "resume": "posegen.pipeline.run",
    "start": "posegen.pipeline.run",
}

__all__ = [
    "Avatar", "PoseLibrary", "View", "batch_parameters", "build_plan", "found_runs", "open_run", "recover",
    "recovery_parameters", "resume", "start",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    if name not in _WHERE:
        raise AttributeError(f"module 'posegen' has no attribute {name!r}")
    return getattr(importlib.import_module(_WHERE[name]), name)
