"""One score for each arm and cell: what the journal's measurement says of the image there."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from posegen.accuracy.estimator import EstimatorInfo, Person
from posegen.accuracy.measure import Target, measure, measured_keypoints
from posegen.accuracy.oks import THRESHOLDS
from posegen.accuracy.pck import keypoint_errors, torso_diameter
from posegen.experiments.design import Design
from posegen.experiments.nearest import Nearest
from posegen.experiments.strata import posture_of, side_of
from posegen.experiments.truth import all_true_keypoints
from posegen.journal import RunState
from posegen.parameters import Arm
from posegen.pipeline.measure_step import accuracy_target
from posegen.pipeline.sheet import view_label
from posegen.poses.library import Pose, PoseLibrary
from posegen.records import ImageRecord, ImageTask, Measurement

FloatArray = NDArray[np.float64]

Numbers = tuple[float | None, ...]


class Score(msgspec.Struct, frozen=True, kw_only=True):
    """How well one image shows the pose that its arm asked for in its cell.

    What cannot be told is None: an image that failed has no figures, one in which nobody was found no errors.

    Attributes
    ----------
    arm : str
    cell : int
        The pair: scores of one cell share pose, view, avatar, prompt and seed.
    task_id : str
        The image's.
    pose, category, posture, view, side, prompt : str
    repeat, seed : int
    scored_against : str
        Pose of the target: another than `pose` for arm `shuffled`.
    status : str
        "scored", "failed" (no image), "unmeasured" or "pending".
    detected : bool or None
        Whether the estimator found anybody.
    people : int or None
    oks, ar, pck_10, pck_20 : float or None
        0 where nobody was found. `ar` is the share of COCO's thresholds that the OKS reaches.
    mean_error : float or None
        By body height.
    angle_error_deg : float or None
    swapped : bool or None
    nearest_pose : str or None
        The library's pose whose target in this view is most like what was found.
    nearest_is_right : bool or None
    true_oks : float or None
        Of the joints that were drawn, where the embedded renderer drew them.
    joint_errors : tuple
        By COCO_17 keypoint, in torso diameters; infinity is not found (null in Parquet), None not counted.
    joint_rise : tuple
        How much higher than the target each keypoint was found, by body height.
    seconds : float or None
    synthetic : bool or None
    estimator : str or None
        Name, version and weights hash of what measured it: scores of different ones are not compared.
    """

    arm: str
    cell: int
    task_id: str
    pose: str
    category: str
    posture: str
    view: str
    side: str
    prompt: str
    repeat: int
    seed: int
    scored_against: str
    status: str
    detected: bool | None = None
    people: int | None = None
    oks: float | None = None
    ar: float | None = None
    pck_10: float | None = None
    pck_20: float | None = None
    mean_error: float | None = None
    angle_error_deg: float | None = None
    swapped: bool | None = None
    nearest_pose: str | None = None
    nearest_is_right: bool | None = None
    true_oks: float | None = None
    joint_errors: Numbers = ()
    joint_rise: Numbers = ()
    seconds: float | None = None
    synthetic: bool | None = None
    estimator: str | None = None


def score_run(state: RunState, design: Design) -> list[Score]:
    """Return the scores of an experiment, cell by cell and arm by arm.

    Parameters
    ----------
    state : RunState
        The fold of the run's journal.
    design : Design
    """
    names = _Names(design)
    truths = dict(zip([task.task_id for task in design.tasks], all_true_keypoints(design.tasks), strict=True))
    nearest = Nearest(names.poses)
    return [
        _score(state, design, arm, cell, names, truths, nearest)
        for cell in range(design.cells)
        for arm in design.arms
    ]


def _score(
    state: RunState,
    design: Design,
    arm: Arm,
    cell: int,
    names: _Names,
    truths: dict[str, FloatArray | None],
    nearest: Nearest,
) -> Score:
    task = design.task(arm, cell)
    asked = task if arm.makes_images else design.task(arm, design.partners[cell])
    record, measurement = state.records.get(task.task_id), state.measurements.get(task.task_id)
    score = Score(
        arm=arm.name,
        cell=cell,
        task_id=task.task_id,
        pose=task.pose_id or "",
        category=names.categories.get(task.pose_id or "", "own"),
        posture=names.postures[task.pose_id or ""],
        view=view_label(task),
        side=side_of(task.view),
        prompt=task.user_prompt,
        repeat=design.repeats[cell],
        seed=task.seed,
        scored_against=asked.pose_id or "",
        status=_status(state, task, record, measurement),
    )
    if record is None or measurement is None:
        return score
    target = target_of(asked, record)
    if asked is not task:
        measurement = _against(measurement, target)
    figures = {
        **_figures(measurement),
        **_by_joint(measurement, target),
        "true_oks": _true_oks(truths[task.task_id], task, record, target),
        "seconds": round(record.duration_ms / 1000, 3),
        "synthetic": record.synthetic,
        "estimator": f"{measurement.estimator} {measurement.estimator_version} {measurement.weights_sha256}",
    }
    found = nearest.to(measured_keypoints(measurement), task, record)
    figures |= {"nearest_pose": found, "nearest_is_right": found == asked.pose_id}
    return msgspec.structs.replace(score, **figures)


def _status(
    state: RunState, task: ImageTask, record: ImageRecord | None, measurement: Measurement | None
) -> str:
    if record is None:
        return "failed" if task.task_id in state.failures else "pending"
    return "scored" if measurement is not None else "unmeasured"


def target_of(task: ImageTask, record: ImageRecord) -> Target:
    """Return where a task's pose puts the joints in an image of its cell.

    Raises
    ------
    ValueError
        The task has no pose.
    """
    target = accuracy_target(task, record.width, record.height)
    if target is None:
        raise ValueError(f"task {task.task_id} has no pose")
    return target


def _against(measurement: Measurement, target: Target) -> Measurement:
    """Return what a measurement would have been beside another target."""
    points = measured_keypoints(measurement)
    info = EstimatorInfo(measurement.estimator, measurement.estimator_version, measurement.weights_sha256)
    again = measure([] if points is None else [Person(points)], target, info)
    return msgspec.structs.replace(again, people=measurement.people)


def _figures(measurement: Measurement) -> dict[str, Any]:
    return {
        "detected": measurement.detected,
        "people": measurement.people,
        "oks": measurement.oks,
        "ar": float((measurement.oks >= THRESHOLDS).mean()),
        "pck_10": measurement.pck_10,
        "pck_20": measurement.pck_20,
        "mean_error": measurement.mean_error,
        "angle_error_deg": measurement.angle_error_deg,
        "swapped": measurement.swapped if measurement.detected else None,
    }


def _by_joint(measurement: Measurement, target: Target) -> dict[str, Any]:
    """Return each keypoint's error in torso diameters, and how much too high it is by body height."""
    found = measured_keypoints(measurement)
    points = np.full((17, 2), np.nan) if found is None else found[:, :2]
    torso_px = torso_diameter(target.keypoints[:, :2])
    errors = keypoint_errors(
        points[None], target.keypoints[None, :, :2], target.counted[None], scale_px=np.array([torso_px])
    )[0]
    rise = np.where(target.counted, target.keypoints[:, 1] - points[:, 1], np.nan) / target.body_height_px
    return {"joint_errors": _numbers(errors), "joint_rise": _numbers(rise)}


def _numbers(values: FloatArray) -> Numbers:
    return tuple(None if np.isnan(value) else round(value, 4) for value in values.tolist())


def _true_oks(
    points: FloatArray | None, task: ImageTask, record: ImageRecord, target: Target
) -> float | None:
    if points is None:
        return None
    scale = np.array([record.width / task.width, record.height / task.height])
    return round(target.similarity((points + 0.5) * scale - 0.5), 4)


class _Names:
    """What is known of the run's poses: from its plan, and of the built-in ones their categories.

    A user's library is not read again: it may have changed since.
    """

    def __init__(self, design: Design) -> None:
        library = PoseLibrary.builtin()
        self.categories = {pose.id: pose.category for pose in library}
        asked = {
            task.pose_id: Pose.from_content(task.pose, pose_id=task.pose_id)
            for task in design.tasks
            if task.pose_id is not None and task.pose is not None
        }
        self.postures = {name: posture_of(pose) for name, pose in asked.items()}
        self.poses: Sequence[Pose] = list(({pose.id: pose for pose in library} | asked).values())
