"""From poses and views to OPENPOSE_18 keypoints in pixels, many at a time."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from posegen.poses.body import Body, load_body
from posegen.poses.camera import MARGIN, Camera, fit_camera
from posegen.poses.joints import angle_vector
from posegen.poses.kinematics import Postures, solve_many
from posegen.poses.pose import Pose
from posegen.poses.visibility import part_of_bone, visible
from posegen.records import View
from posegen.skeletons import OPENPOSE_18

FloatArray = NDArray[np.float64]

YAWS: tuple[float, ...] = (0.0, 45.0, 90.0, 135.0, 180.0, -135.0, -90.0, -45.0)
"""Eight views around the body."""
ALL_VIEWS: tuple[View, ...] = tuple(View(yaw, mirrored) for mirrored in (False, True) for yaw in YAWS)


Box = tuple[float, float, float, float]
"""Left, top, right and bottom in pixels."""
_POSES_AT_ONCE = 64
"""Keeps the visibility's arrays under some 20 MB."""


def angle_matrix(poses: Iterable[Pose]) -> FloatArray:
    """Return the poses' angles in degrees, shape (M, D), in the order of `joints.ANGLE_NAMES`."""
    return np.array([angle_vector(pose.angles) for pose in poses]).reshape(-1, len(angle_vector({})))


def solve_poses(poses: Sequence[Pose], body: str | Body = "female") -> Postures:
    """Return the postures of library poses, each on its support."""
    return solve_many(
        angle_matrix(poses),
        load_body(body) if isinstance(body, str) else body,
        hands=[pose.hands for pose in poses],
        supports=[pose.support for pose in poses],
        lifts_m=[pose.lift_m for pose in poses],
        seat_heights_m=[pose.seat_height_m for pose in poses],
    )


def keypoints(
    pose: Pose,
    view: View,
    width: int,
    height: int,
    body: str | Body = "female",
    margin: float = MARGIN,
) -> FloatArray:
    """Return where the joints of a pose appear in the picture.

    Parameters
    ----------
    pose : Pose
    view : View
    width, height : int
        Pixels, each in `camera.SIZE_RANGE`.
    body : {"female", "male"} or Body
    margin : float
        Free border around the body's surface, as a share of the shorter side.

    Returns
    -------
    float array, shape (18, 3)
        OPENPOSE_18: x and y in pixels, the centre of the top-left pixel being (0, 0), and visibility: 1, or 0
        behind another part of the body (x and y are right all the same).

    Raises
    ------
    UnknownNameError
        No such body.
    ValueError
        Size or margin out of range.
    """
    return np.asarray(keypoints_many([pose], [view], width, height, body, margin)[0, 0])


def keypoints_many(
    poses: Sequence[Pose],
    views: Sequence[View],
    width: int,
    height: int,
    body: str | Body = "female",
    margin: float = MARGIN,
) -> FloatArray:
    """Return the keypoints of M poses seen in V views each; see `keypoints`.

    Returns
    -------
    float array, shape (M, V, 18, 3)
    """
    postures = solve_poses(poses, body)
    yaws = list(dict.fromkeys(view.yaw for view in views))
    seen = keypoints_of(postures, yaws, width, height, margin)
    out = np.empty((len(poses), len(views), 18, 3))
    for i, view in enumerate(views):
        plain = seen[:, yaws.index(view.yaw)]
        out[:, i] = mirrored_keypoints(plain, width) if view.mirrored else plain
    return out


def keypoints_of(
    postures: Postures, yaws: Sequence[float], width: int, height: int, margin: float = MARGIN
) -> FloatArray:
    """Return the keypoints of M postures from V yaws, not mirrored, shape (M, V, 18, 3)."""
    joints, samples = postures.openpose(), postures.samples()
    out = np.ones((len(postures), len(yaws), 18, 3))
    cameras = np.empty((len(postures), len(yaws), 3))
    for m in range(len(postures)):
        for v, yaw in enumerate(yaws):
            camera = fit_camera(samples[m], yaw, width, height, margin)
            out[m, v, :, :2] = camera.project(joints[m])[:, :2]
            cameras[m, v] = camera.position
    balls = postures.balls()
    for first in range(0, len(postures), _POSES_AT_ONCE):
        part = slice(first, first + _POSES_AT_ONCE)
        out[part, ..., 2] = visible(joints[part], balls[part], cameras[part], postures.body)
    return out


def mirrored_keypoints(points: FloatArray, width: int) -> FloatArray:
    """Return the keypoints of the picture flipped left to right, sides swapped; shape (..., 18, 3)."""
    flipped = np.array(points[..., list(OPENPOSE_18.flip), :], dtype=np.float64)
    flipped[..., 0] = (width - 1) - flipped[..., 0]
    return flipped


def extents(
    postures: Postures, index: int, camera: Camera, *, mirrored_width: int | None = None
) -> dict[str, Box]:
    """Return the boxes of the body and its parts in the picture, from the surface samples.

    Parameters
    ----------
    postures : Postures
    index : int
        Which of them.
    camera : Camera
    mirrored_width : int, optional
        Width of the picture if it is mirrored.

    Returns
    -------
    dict of str to (left, top, right, bottom)
        By part: ``"body"``, ``"head"``, ``"torso"``, ``"left_hand"``, ``"right_foot"`` ...; in a mirrored
        picture left and right are those of the person one sees.
    """
    seen = camera.project(postures.samples()[index])[:, :2]
    swap: dict[str, str] = {}
    if mirrored_width is not None:
        seen[:, 0] = (mirrored_width - 1) - seen[:, 0]
        swap = {"left": "right", "right": "left"}
    body = postures.body
    groups: dict[str, list[int]] = {"body": list(range(len(seen)))}
    for sample, bone in enumerate(body.sample_bones):
        part = part_of_bone(body.bone_names[bone])
        side, _, rest = part.partition("_")
        groups.setdefault(f"{swap[side]}_{rest}" if side in swap else part, []).append(sample)
    return {part: _box(seen[members]) for part, members in groups.items()}


def _box(points: FloatArray) -> Box:
    (left, top), (right, bottom) = points.min(axis=0), points.max(axis=0)
    return float(left), float(top), float(right), float(bottom)
