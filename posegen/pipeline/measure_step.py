"""How well a stored image shows its pose: find the people in it, and compare them with the target."""

from __future__ import annotations

import hashlib
from functools import lru_cache

import msgspec
import numpy as np

from posegen.accuracy.measure import Target, measure
from posegen.accuracy.process import Estimate, EstimatorPool
from posegen.journal import ImageMeasured, MeasureFailed, RunState
from posegen.poses.body import load_body
from posegen.poses.camera import fit_camera
from posegen.poses.library import Pose
from posegen.poses.targets import keypoints_of, mirrored_keypoints, solve_poses
from posegen.records import ImageRecord, ImageTask, View
from posegen.skeletons import COCO_FROM_OPENPOSE
from posegen.telemetry import logger

log = logger("accuracy")

Outcome = ImageMeasured | MeasureFailed


def accuracy_target(task: ImageTask, width: int, height: int) -> Target | None:
    """Return where a task's pose puts the joints in an image; None for an image from text alone.

    Parameters
    ----------
    task : ImageTask
    width, height : int
        Pixels of the image, which may be another size than was asked for.
    """
    if task.pose is None:
        return None
    content = msgspec.json.encode(task.pose, order="deterministic")
    return _target(content, task.view, (task.width, task.height), (width, height))


@lru_cache(maxsize=4096)  # seeds, prompts and arms share a target; the contact sheet draws it again
def _target(content: bytes, view: View, asked: tuple[int, int], got: tuple[int, int]) -> Target:
    postures = solve_poses([Pose.from_content(msgspec.json.decode(content))])
    points = keypoints_of(postures, [view.yaw], *asked)[0, 0]
    if view.mirrored:
        points = mirrored_keypoints(points, asked[0])
    points = points[list(COCO_FROM_OPENPOSE)]
    scale = np.array(got) / asked
    points[:, :2] = (points[:, :2] + 0.5) * scale - 0.5
    points.flags.writeable = False
    camera = fit_camera(postures.samples()[0], view.yaw, *asked)
    return Target(points, _stature_m() * camera.focal_px / camera.distance_m * float(scale[1]))


@lru_cache(maxsize=1)
def _stature_m() -> float:
    """Return the body's height, standing upright, in metres."""
    body = load_body("female")
    upright = solve_poses([Pose(id="upright", name="", category="", description="")], body)
    return float(np.ptp(upright.samples()[0, :, 2]))


def unmeasured(state: RunState) -> tuple[tuple[ImageTask, ImageRecord], ...]:
    """Return the images of a run that have a pose and no measurement, in the plan's order."""
    return tuple(
        (task, record)
        for task in state.tasks
        if task.pose is not None
        and (record := state.records.get(task.task_id))
        and task.task_id not in state.measurements
    )


def estimate_stored(data: bytes, record: ImageRecord, pool: EstimatorPool) -> Estimate:
    """Return who is in a stored image.

    Raises
    ------
    ValueError
        It is not the image that was journalled.
    EstimatorError
        The estimator cannot be opened, or gave up.
    """
    if hashlib.sha256(data).hexdigest() != record.sha256:
        raise ValueError(f"{record.key!r} is not the image that was journalled")
    return pool.estimate_file(data)


def measured(task: ImageTask, record: ImageRecord, data: bytes, pool: EstimatorPool) -> ImageMeasured:
    """Return the measurement of a stored image of a task with a pose.

    Raises
    ------
    ValueError, EstimatorError
        As `estimate_stored`; and the target shows nothing to compare.
    """
    found = estimate_stored(data, record, pool)
    target = accuracy_target(task, record.width, record.height)
    if target is None:
        raise ValueError("the image was made from text alone")
    result = measure(found.people, target, pool.open(), duration_ms=found.duration_ms)
    return ImageMeasured(task_id=task.task_id, measurement=result)


def measure_failed(task: ImageTask, error: Exception) -> MeasureFailed:
    """Return the event that an image is journalled with that could not be measured."""
    code = {"EstimatorError": "ESTIMATOR_FAILED", "ObjectNotFoundError": "SOURCE_MISSING"}.get(
        type(error).__name__, "MEASURE_ERROR"
    )
    message = str(error) if code != "MEASURE_ERROR" else f"{type(error).__name__}: {error}"
    log.warning("%s could not be measured: %s", task.task_id, message)
    return MeasureFailed(task_id=task.task_id, code=code, message=message)
