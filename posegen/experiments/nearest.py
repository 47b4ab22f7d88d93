"""Which pose of the library a skeleton found in a picture is most like."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import numpy as np
from numpy.typing import NDArray

from posegen.accuracy.oks import keypoint_area, oks
from posegen.poses.library import Pose
from posegen.poses.targets import keypoints_many
from posegen.records import ImageRecord, ImageTask, View
from posegen.skeletons import COCO_FROM_OPENPOSE

FloatArray = NDArray[np.float64]


class Nearest:
    """The targets of many poses, by view and size.

    Parameters
    ----------
    poses : sequence of Pose
    """

    def __init__(self, poses: Sequence[Pose]) -> None:
        self._poses = poses
        self._targets = cache(self._draw)

    def to(self, found: FloatArray | None, task: ImageTask, record: ImageRecord) -> str | None:
        """Return the id of the pose whose target in the task's view has the highest OKS with what was found.

        Parameters
        ----------
        found : float array, shape (17, 3), or None
            COCO_17 in pixels of the image; None if nobody was found.

        Returns
        -------
        str or None
            None too if what was found is so far from every pose that all similarities are 0.
        """
        if found is None or not np.isfinite(found).any():
            return None
        targets, areas = self._targets(task.view, task.width, task.height)
        scale = np.array([task.width / record.width, task.height / record.height])
        points = (found[:, :2] + 0.5) * scale - 0.5
        similarity = oks(points[None], targets[..., :2], targets[..., 2] > 0, areas)
        best = int(np.argmax(np.nan_to_num(similarity)))
        return self._poses[best].id if similarity[best] > 0 else None

    def _draw(self, view: View, width: int, height: int) -> tuple[FloatArray, FloatArray]:
        points = keypoints_many(self._poses, [view], width, height)[:, 0]
        targets = np.asarray(points[:, list(COCO_FROM_OPENPOSE)])
        return targets, keypoint_area(targets[..., :2], np.ones(targets.shape[:2], bool))
