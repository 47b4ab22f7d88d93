"""Which joints the body itself hides from the camera.

From each joint a ray goes to the camera. If it leaves the body further from the joint than the joint's own
flesh is thick, something is in front. The body is a set of balls (`Body.ball_offsets`).
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from posegen.poses.body import Body
from posegen.skeletons import OPENPOSE_18

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]

FLESH_M: dict[str, float] = {
    "nose": 0.05, "eye": 0.05, "ear": 0.05, "neck": 0.14, "shoulder": 0.12, "elbow": 0.08,
    "wrist": 0.07, "hip": 0.17, "knee": 0.11, "ankle": 0.08,
}  # fmt: skip
"""How far the skin may be in front of a visible joint; tuned against a z-buffer of the skinned mesh."""

OWN_PARTS: dict[str, tuple[str, ...]] = {
    "neck": ("neck", "torso", "left_upper_arm", "right_upper_arm"),
    "shoulder": ("upper_arm",),
    "elbow": ("upper_arm", "forearm"),
    "wrist": ("forearm", "hand"),
    "hip": ("thigh",),
    "knee": ("thigh", "shank"),
    "ankle": ("shank", "foot"),
}
"""Parts that never hide a joint: looking along a thigh, the hip is still where the thigh is seen."""

_PARTS = {
    "head": "head", "eye": "head", "neck": "neck", "spine": "torso", "root": "torso", "pelvis": "torso",
    "clavicle": "torso", "shoulder": "torso", "upperarm": "upper_arm", "lowerarm": "forearm",
    "wrist": "hand", "finger": "hand", "metacarpal": "hand", "upperleg": "thigh", "lowerleg": "shank",
    "foot": "foot", "toe": "foot",
}  # fmt: skip


def part_of_bone(bone_name: str) -> str:
    """Return the body part a bone belongs to: ``"torso"``, ``"left_forearm"`` ..."""
    part = next(part for prefix, part in _PARTS.items() if bone_name.startswith(prefix))
    side = {"L": "left_", "R": "right_"}.get(bone_name.partition(".")[2], "")
    return part if part in ("head", "neck", "torso") else side + part


def own_parts(keypoint: str) -> frozenset[str]:
    """Return the body parts that never hide an OPENPOSE_18 keypoint."""
    side, _, joint = keypoint.rpartition("_")
    parts = OWN_PARTS.get(joint, ())
    return frozenset(f"{side}_{part}" if side else part for part in parts)


def flesh_m(keypoint: str) -> float:
    """Return how far the skin may be in front of a visible keypoint, metres."""
    return FLESH_M[keypoint.rpartition("_")[2]]


@lru_cache(maxsize=16)
def _hiders(body: Body) -> BoolArray:
    """Return which ball may hide which keypoint, shape (18, N)."""
    parts = [part_of_bone(body.bone_names[bone]) for bone in body.ball_bones]
    return np.array([[part not in own_parts(name) for part in parts] for name in OPENPOSE_18.keypoints])


def visible(joints: FloatArray, balls: FloatArray, cameras: FloatArray, body: Body) -> BoolArray:
    """Return which joints the camera sees.

    Parameters
    ----------
    joints : float array, shape (M, 18, 3)
        OPENPOSE_18 keypoints of M postures, metres.
    balls : float array, shape (M, N, 3)
        `Postures.balls`.
    cameras : float array, shape (M, V, 3)
        Where the cameras of V views of each posture stand.
    body : Body

    Returns
    -------
    bool array, shape (M, V, 18)
    """
    ray = cameras[:, :, None, :] - joints[:, None, :, :]
    ray /= np.linalg.norm(ray, axis=-1, keepdims=True)
    to_ball = balls[:, None, :, :] - joints[:, :, None, :]
    # As a batched matrix product: einsum is four times slower here.
    along = (to_ball @ ray.transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2)
    inside = (body.ball_radii**2 - (to_ball**2).sum(axis=-1))[:, None] + along**2
    leaves = along + np.sqrt(np.maximum(inside, 0.0))
    flesh = np.array([flesh_m(name) for name in OPENPOSE_18.keypoints])
    hidden = (inside > 0) & (leaves > flesh[:, None]) & _hiders(body)
    return np.asarray(~hidden.any(axis=-1))
