"""Where the figure is in a stored image: as measured, else by its target, else by its outline."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from posegen.accuracy.measure import measured_keypoints
from posegen.exports.crop import Box, Figure, facing, keypoints_box
from posegen.exports.foreground import foreground
from posegen.exports.silhouette import along_limbs, around, widened
from posegen.poses.camera import fit_camera
from posegen.poses.library import Pose
from posegen.poses.targets import keypoints, solve_poses
from posegen.records import ImageRecord, ImageTask, Measurement
from posegen.skeletons import openpose_from_coco

SURE = 0.5
"""Least mean confidence of keypoints that a picture is cut round."""

COVERED = 0.05
"""Hair, garments and the shadow at the feet cover so much beyond the body, as a share of its longer side."""


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
    height, width = pixels.shape[:2]
    if measured is not None:
        box = keypoints_box(measured)
        if box is not None:
            covered = along_limbs(measured, width, height)
            inside = _all_inside(measured, width, height)
            return Figure(box, facing(measured), "measured", inside, covered)
    known = _surface(task, record)
    if known is not None and task.pose is not None:
        target = keypoints(Pose.from_content(task.pose), task.view, task.width, task.height)
        box = _box(known)
        covered = around(known, COVERED * max(box[2] - box[0], box[3] - box[1]), width, height)
        return Figure(box, facing(target), "target", silhouette=covered)
    found = foreground(pixels)
    if found is None:
        return None
    box, outline = found
    return Figure(box, 0.0, "mask", silhouette=widened(outline, COVERED * max(width, height)))


def figure_keypoints(
    task: ImageTask, record: ImageRecord, measurement: Measurement | None
) -> NDArray[np.float64] | None:
    """Return the keypoints that tell where the figure is in an image, OPENPOSE_18 of shape (18, 3).

    None where nobody was surely found, and where the embedded renderer drew the pose as it was asked for:
    then its target says it better.
    """
    drawn = record.synthetic and record.conditioning == "control" and not task.options.get("joint_noise_deg")
    found = None if drawn or measurement is None else measured_keypoints(measurement)
    if found is None or np.nanmean(found[:, 2]) < SURE:
        return None
    return openpose_from_coco(found)


def _all_inside(measured: NDArray[np.float64], width: int, height: int) -> bool:
    """Return whether no joint that was found lies at or beyond the image's edge."""
    places = measured[np.isfinite(measured[:, :2]).all(axis=1), :2]
    return bool((places > 1).all() and (places < (width - 2, height - 2)).all())


def figure_box(task: ImageTask, record: ImageRecord) -> Box | None:
    """Return where a task's pose puts the whole body in its image; None where nothing put it there."""
    known = _surface(task, record)
    return None if known is None else _box(known)


def _box(points: NDArray[np.float64]) -> Box:
    (left, top), (right, bottom) = points.min(axis=0), points.max(axis=0)
    return float(left), float(top), float(right), float(bottom)


def _surface(task: ImageTask, record: ImageRecord) -> NDArray[np.float64] | None:
    """Return points all over the body's surface in the image, shape (N, 2); None where nothing put it there.

    Only a control map fixes the place: with words alone, a backend puts the figure where it likes.
    """
    if task.pose is None or record.conditioning != "control":
        return None
    samples = solve_poses([Pose.from_content(task.pose)]).samples()[0]
    points = fit_camera(samples, task.view.yaw, task.width, task.height).project(samples)[:, :2]
    if task.view.mirrored:
        points[:, 0] = (task.width - 1) - points[:, 0]
    # A backend may answer in another size than it was asked for.
    return np.asarray((points + 0.5) * (record.width / task.width, record.height / task.height) - 0.5)
