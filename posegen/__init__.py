"""Batches of pictures of people in chosen poses, and how well they came out.

The names below are what notebooks use; each is loaded when it is first asked for.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from posegen.experiments.experiment import open_experiment
    from posegen.experiments.plan import plan_experiment
    from posegen.parameters import accuracy_parameters, batch_parameters, recovery_parameters
    from posegen.picture_poses import pose_from_picture
    from posegen.pipeline.export_run import export_run
    from posegen.pipeline.measure_run import measure_run
    from posegen.pipeline.plan import build_plan
    from posegen.pipeline.run import open_run, resume, start
    from posegen.poses.library import PoseLibrary
    from posegen.records import Avatar, View
    from posegen.recovery import found_runs, recover

_WHERE = {
    "experiments.experiment": ("open_experiment",), "experiments.plan": ("plan_experiment",),
    "parameters": ("accuracy_parameters", "batch_parameters", "recovery_parameters"),
    "picture_poses": ("pose_from_picture",), "pipeline.export_run": ("export_run",),
    "pipeline.measure_run": ("measure_run",), "pipeline.plan": ("build_plan",),
    "pipeline.run": ("open_run", "resume", "start"), "poses.library": ("PoseLibrary",),
    "records": ("Avatar", "View"), "recovery": ("found_runs", "recover"),
}  # fmt: skip

__all__ = [
    "Avatar", "PoseLibrary", "View", "accuracy_parameters", "batch_parameters", "build_plan", "export_run",
    "found_runs", "measure_run", "open_experiment", "open_run", "plan_experiment", "pose_from_picture",
    "recover", "recovery_parameters", "resume", "start",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    for module, names in _WHERE.items():
        if name in names:
            return getattr(importlib.import_module(f"posegen.{module}"), name)
    raise AttributeError(f"module 'posegen' has no attribute {name!r}")
