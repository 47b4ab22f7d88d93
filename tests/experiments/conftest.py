"""Experiments whose images are never drawn: the estimator's keypoints are the drawn ones, with an error."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from posegen.accuracy.estimator import EstimatorInfo, Person
from posegen.accuracy.measure import measure
from posegen.experiments.design import Design
from posegen.experiments.plan import ExperimentPlan, plan_experiment
from posegen.experiments.scores import Score, score_run, target_of
from posegen.experiments.truth import true_keypoints
from posegen.journal import RunState
from posegen.parameters import AccuracyParameters
from posegen.records import ImageRecord, ImageTask

POSES = ["standing_relaxed", "walking_stride", "yoga_downward_dog", "lying_on_back", "waving_hello"]
ARMS: list[Any] = ["none", "control~20", "control~3", "shuffled", "direct"]
SIZE = 256


def planned(**values: Any) -> ExperimentPlan:
    given: dict[str, Any] = {"poses": POSES, "arms": ARMS, "width": SIZE, "height": SIZE, "run_id": "e"}
    return plan_experiment(AccuracyParameters(**{**given, **values}))


def record_of(task: ImageTask) -> ImageRecord:
    return ImageRecord(
        task_id=task.task_id, key=f"runs/e/images/{task.task_id}.png", thumbnail_key="t", sha256="0" * 64,
        size_bytes=1, thumbnail_bytes=1, width=task.width, height=task.height, duration_ms=100.0,
        conditioning=task.conditioning, model="figure 1", synthetic=task.backend == "figure",
    )  # fmt: skip


def finished(plan: ExperimentPlan, error_px: float = 1.0) -> RunState:
    """Return the state of a run whose estimator errs by so many pixels."""
    state = RunState(run_id="e", spec=plan.spec, spec_hash=plan.spec_hash, tasks=plan.tasks)
    info, rng = EstimatorInfo("fake", "1", "abc"), np.random.default_rng(0)
    for task in plan.tasks:
        record, true = record_of(task), true_keypoints(task)
        assert true is not None
        points = np.column_stack([true + rng.normal(0, error_px, (17, 2)), np.ones(17)])
        state.records[task.task_id] = record
        state.measurements[task.task_id] = measure([Person(points)], target_of(task, record), info)
    return state


@pytest.fixture(scope="session")
def plan() -> ExperimentPlan:
    return planned()


@pytest.fixture(scope="session")
def state(plan: ExperimentPlan) -> RunState:
    return finished(plan)


@pytest.fixture(scope="session")
def scores(state: RunState) -> list[Score]:
    return score_run(state, Design.of_run(state))


Make = Callable[..., list[Score]]


def a_score(arm: str, cell: int, **values: Any) -> Score:
    """Return a score of made-up figures: OKS alone, unless more is given."""
    oks = values.pop("oks", 0.5)
    error = None if oks is None else 1 - oks
    given: dict[str, Any] = {
        "pose": f"p{cell}", "category": "standing", "posture": "upright", "view": "yaw 0", "side": "front",
        "prompt": "x", "repeat": 0, "seed": cell, "scored_against": f"p{cell}", "status": "scored",
        "detected": True, "people": 1, "oks": oks, "ar": oks, "pck_10": oks, "pck_20": oks,
        "mean_error": error, "angle_error_deg": error, "swapped": False, "nearest_pose": "p0",
        "nearest_is_right": cell == 0, "synthetic": False,
    }  # fmt: skip
    return Score(arm=arm, cell=cell, task_id=f"{arm}{cell}", **{**given, **values})
