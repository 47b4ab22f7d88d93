"""Batches of pictures of people in chosen poses, and how well they came out.

The names below are what notebooks use; each is loaded when it is first asked for.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from posegen.parameters import batch_parameters
    from posegen.pipeline.plan import build_plan
    from posegen.pipeline.run import open_run, start
    from posegen.poses.library import PoseLibrary
    from posegen.records import Avatar, View

_WHERE = {
    "Avatar": "posegen.records",
    "PoseLibrary": "posegen.poses.library",
    "View": "posegen.records",
    "batch_parameters": "posegen.parameters",
    "build_plan": "posegen.pipeline.plan",
    "open_run": "posegen.pipeline.run",
    "start": "posegen.pipeline.run",
}

__all__ = ["Avatar", "PoseLibrary", "View", "batch_parameters", "build_plan", "open_run", "start"]


def __getattr__(name: str) -> Any:
    if name not in _WHERE:
        raise AttributeError(f"module 'posegen' has no attribute {name!r}")
    return getattr(importlib.import_module(_WHERE[name]), name)
