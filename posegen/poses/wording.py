"""Words for a body's posture, from its joints: what a pose says of itself that nobody has described."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from posegen.poses.joints import ANGLE_INDEX
from posegen.poses.kinematics import forward

FloatArray = NDArray[np.float64]

LEVEL_DEG = 30.0
"""A line that is less steep than this is called level."""
BENT_DEG = 40.0
SEAT_FEET_AHEAD_M = 0.22
SEAT_HEIGHT_M = (0.18, 0.55)
"""How far the hips are above the ankles of somebody on a chair; less is the floor, more stands."""


def rests_on(angles: FloatArray) -> str:
    """Return what a body with these angles, shape (D,), rests on: "seat" if it sits on a chair, else "floor".

    It sits on a chair if both thighs are nearly level, the trunk is up, the hips are as high above the ankles
    as a chair puts them, and the feet are so far before the trunk that nobody could crouch so.
    """
    joints = _joints(angles)
    trunk = joints["neck"] - joints["hips"]
    height = joints["hips"][2] - joints["ankles"][2]
    middle = (joints["neck"] + joints["hips"]) / 2
    ahead = float(np.hypot(*(joints["ankles"] - middle)[:2]))
    level = all(
        -35 < _elevation(joints[f"{side}_knee"] - joints[f"{side}_hip"]) < 40 for side in ("left", "right")
    )
    low, high = SEAT_HEIGHT_M
    sits = level and _elevation(trunk) > 40 and low < height < high and ahead > SEAT_FEET_AHEAD_M
    return "seat" if sits else "floor"


def describe(angles: FloatArray, support: str = "floor") -> str:
    """Return a description of the trunk, the arms and the legs, for people and for text-to-image models.

    Parameters
    ----------
    angles : float array, shape (D,)
        Degrees in the order of `joints.ANGLE_NAMES`.
    support : {"floor", "air", "seat"}
    """
    joints = _joints(angles)
    parts = [_trunk(joints)]
    arms = [_arm(joints, angles, side) for side in ("left", "right")]
    legs = [_leg(joints, angles, side) for side in ("left", "right")]
    if support == "seat":
        parts[0] = f"sitting on a chair, {parts[0]}"
    return ", ".join(parts + _paired("arm", *arms) + _paired("leg", *legs))


def _joints(angles: FloatArray) -> dict[str, FloatArray]:
    postures = forward(angles[None])
    joints = dict(zip(postures.body.keypoint_names, postures.keypoints()[0], strict=True))
    for middle, of in (("hips", "hip"), ("neck", "shoulder"), ("ankles", "ankle")):
        joints[middle] = (joints[f"left_{of}"] + joints[f"right_{of}"]) / 2
    return joints


def _elevation(line: FloatArray) -> float:
    """Return how far a line rises, degrees in [-90, 90]."""
    return float(np.degrees(np.arctan2(line[2], np.hypot(*line[:2]))))


def _trunk(joints: dict[str, FloatArray]) -> str:
    line = joints["neck"] - joints["hips"]
    rise = _elevation(line)
    if rise > 72:
        return "trunk upright"
    if rise < -LEVEL_DEG:
        return "trunk upside down"
    if rise < LEVEL_DEG:
        return "trunk level with the floor"
    hips = joints["left_hip"] - joints["right_hip"]
    front = np.array([hips[1], -hips[0]])
    ahead, aside = float(line[:2] @ front), float(line[:2] @ hips[:2])
    if abs(aside) > abs(ahead):
        return f"trunk bent to the {'left' if aside > 0 else 'right'}"
    return f"trunk leaning {'forward' if ahead > 0 else 'back'}"


def _arm(joints: dict[str, FloatArray], angles: FloatArray, side: str) -> str:
    rise = _elevation(joints[f"{side}_elbow"] - joints[f"{side}_shoulder"])
    where = "raised overhead" if rise > 40 else "hanging" if rise < -55 else ""
    if not where:
        plane = angles[ANGLE_INDEX[f"{side}_shoulder.plane"]]
        where = "held out to the side" if -30 < plane < 45 else "held forward" if plane >= 45 else "held back"
    return f"{where}{_bend(angles, f'{side}_elbow.flexion', 'elbow')}"


def _leg(joints: dict[str, FloatArray], angles: FloatArray, side: str) -> str:
    rise = _elevation(joints[f"{side}_knee"] - joints[f"{side}_hip"])
    bend = _bend(angles, f"{side}_knee.flexion", "knee")
    if rise < -60:
        return bend.strip() or "straight"
    flexion, opened = (angles[ANGLE_INDEX[f"{side}_hip.{name}"]] for name in ("flexion", "abduction"))
    where = "back" if flexion < 0 else "to the side" if opened > flexion else "forward"
    return f"{where}{bend}"


def _bend(angles: FloatArray, name: str, joint: str) -> str:
    flexion = angles[ANGLE_INDEX[name]]
    if flexion < BENT_DEG:
        return ""
    return f" with a {'sharply ' if flexion > 100 else ''}bent {joint}"


def _paired(limb: str, left: str, right: str) -> list[str]:
    return [f"both {limb}s {left}"] if left == right else [f"left {limb} {left}", f"right {limb} {right}"]
