"""What the embedded renderer really drew: where the joints are, without an estimator."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache

import msgspec
import numpy as np
from numpy.typing import NDArray

from posegen import figure
from posegen.backends import ImageRequest
from posegen.backends.figure import drawn_keypoints
from posegen.pipeline.control import control_target
from posegen.poses.library import Pose
from posegen.records import ImageTask, View
from posegen.settings import usable_cores
from posegen.skeletons import COCO_FROM_OPENPOSE

FloatArray = NDArray[np.float64]


def is_known(task: ImageTask) -> bool:
    """Return whether this version of the renderer draws what the task's image shows."""
    return task.backend == "figure" and task.renderer_version == figure.RENDERER_VERSION


def true_keypoints(task: ImageTask) -> FloatArray | None:
    """Return where the joints are that a task's image was drawn from; None if that is not known.

    Returns
    -------
    float array, shape (17, 2), or None
        COCO_17 in pixels of the task's size, hidden joints too.
    """
    if not is_known(task):
        return None
    points = None
    if task.conditioning == "control" and task.pose is not None:
        points = _control_points(msgspec.json.encode(task.pose), task.view, task.width, task.height)
    return np.asarray(drawn_keypoints(ImageRequest(task, points))[list(COCO_FROM_OPENPOSE)])


@lru_cache(maxsize=4096)  # the arms of a cell share them
def _control_points(content: bytes, view: View, width: int, height: int) -> FloatArray:
    return control_target(Pose.from_content(msgspec.json.decode(content)), view, width, height)


def all_true_keypoints(tasks: Sequence[ImageTask]) -> list[FloatArray | None]:
    """Return `true_keypoints` of many tasks, on all cores."""
    with ThreadPoolExecutor(usable_cores()) as pool:
        return list(pool.map(true_keypoints, tasks))
