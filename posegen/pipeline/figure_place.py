"""Where the figure is in a stored image: as measured, else by its target, else by its outline."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from posegen.exports.crop import Box, Figure, facing, keypoints_box
from posegen.exports.foreground import foreground_box
from posegen.poses.camera import fit_camera
from posegen.poses.library import Pose
from posegen.poses.targets import extents, keypoints, solve_poses
from posegen.records import ImageRecord, ImageTask


def figure_of(
    task: ImageTask,
    record: ImageRecord,
    pixels: NDArray[np.uint8],
    measured: NDArray[np.float64] | None = None,
) -> Figure | None:
    """Return where the figure is, by the best that is known; None where nothing is.

    Parameters
    ----------
    task, record : ImageTask, ImageRecord
    pixels : uint8 array, shape (H, W, 3)
        The image.
    measured : float array, shape (18, 3), optional
        OPENPOSE_18 keypoints that were found in it, in pixels; NaN is a joint that was not found.
    """
    if measured is not None:
        box = keypoints_box(measured)
        if box is not None:
            return Figure(box, facing(measured), "measured", _all_inside(measured, pixels))
    box = figure_box(task, record)
    if box is not None and task.pose is not None:
        target = keypoints(Pose.from_content(task.pose), task.view, task.width, task.height)
        return Figure(box, facing(target), "target")
    box = foreground_box(pixels)
    return None if box is None else Figure(box, 0.0, "mask")


def _all_inside(measured: NDArray[np.float64], pixels: NDArray[np.uint8]) -> bool:
    """Return whether no joint that was found lies at or beyond the image's edge."""
    places = measured[np.isfinite(measured[:, :2]).all(axis=1), :2]
    height, width = pixels.shape[:2]
    return bool((places > 1).all() and (places < (width - 2, height - 2)).all())


def figure_box(task: ImageTask, record: ImageRecord) -> Box | None:
    """Return where a task's pose puts the whole body in its image; None where nothing put it there.

    Only a control map fixes the place: with words alone, a backend puts the figure where it likes.
    """
    if task.pose is None or record.conditioning != "control":
        return None
    posture = solve_poses([Pose.from_content(task.pose)])
    camera = fit_camera(posture.samples()[0], task.view.yaw, task.width, task.height)
    mirrored_width = task.width if task.view.mirrored else None
    left, top, right, bottom = extents(posture, 0, camera, mirrored_width=mirrored_width)["body"]
    # A backend may answer in another size than it was asked for.
    across, down = record.width / task.width, record.height / task.height
    return (
        (left + 0.5) * across - 0.5,
        (top + 0.5) * down - 0.5,
        (right + 0.5) * across - 0.5,
        (bottom + 0.5) * down - 0.5,
    )
