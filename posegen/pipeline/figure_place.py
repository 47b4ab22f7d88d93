"""Where the figure is in a stored image."""

from __future__ import annotations

from posegen.exports.crop import Box
from posegen.poses.camera import fit_camera
from posegen.poses.library import Pose
from posegen.poses.targets import extents, solve_poses
from posegen.records import ImageRecord, ImageTask


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
