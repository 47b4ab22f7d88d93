"""What kinds of poses and views there are: results are told apart by them, and none is left out."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from posegen.poses.library import Pose
from posegen.poses.targets import solve_poses
from posegen.records import View
from posegen.skeletons import OPENPOSE_18

FloatArray = NDArray[np.float64]

SIDES = ("front", "side", "back")
POSTURES = ("upright", "on the floor", "lying", "inverted")

LYING_BELOW_DEG = 25.0
"""A trunk that rises less than this from hips to neck lies (or is held level, as in a push-up)."""
INVERTED_BELOW_DEG = -20.0
"""One that falls by more stands on its head."""
FLOOR_BELOW = 0.5
"""Hips lower than this share of their height in standing are on or near the floor."""

_NECK, _LEFT_HIP, _RIGHT_HIP = (
    OPENPOSE_18.keypoints.index(name) for name in ("neck", "left_hip", "right_hip")
)


def side_of(view: View) -> str:
    """Return whether a person is seen from the front, the side or the back.

    >>> side_of(View(yaw=35)), side_of(View(yaw=-90)), side_of(View(yaw=135))
    ('front', 'side', 'back')
    """
    turned = abs(view.yaw)
    return "front" if turned <= 60 else "side" if turned < 120 else "back"


def posture_of(pose: Pose) -> str:
    """Return how the body is held: one of `POSTURES`, by the trunk's slope and the hips' height.

    >>> from posegen.poses.library import PoseLibrary
    >>> library = PoseLibrary.builtin()
    >>> [posture_of(library.get(pose)) for pose in ("waving_hello", "lying_on_back", "yoga_downward_dog")]
    ['upright', 'lying', 'inverted']
    """
    joints, standing = (solve_poses([entry]).openpose()[0] for entry in (pose, _STANDING))
    hips = (joints[_LEFT_HIP] + joints[_RIGHT_HIP]) / 2
    trunk = joints[_NECK] - hips
    slope = float(np.degrees(np.arcsin(trunk[2] / np.linalg.norm(trunk))))
    if slope < INVERTED_BELOW_DEG:
        return "inverted"
    if slope < LYING_BELOW_DEG:
        return "lying"
    low = hips[2] < FLOOR_BELOW * standing[[_LEFT_HIP, _RIGHT_HIP], 2].mean()
    return "on the floor" if low and pose.support == "floor" else "upright"


_STANDING = Pose(id="upright", name="", category="", description="")
