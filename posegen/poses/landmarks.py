"""The body's BLAZEPOSE_33 landmarks, and the directions between them that say how a body is posed."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from posegen.poses.camera import view_axes
from posegen.poses.kinematics import Postures
from posegen.skeletons import BLAZEPOSE_33

FloatArray = NDArray[np.float64]

_KNUCKLES = {"thumb": "finger1-2", "index": "finger2-1", "pinky": "finger5-1"}
"""Bones whose heads are MediaPipe's landmarks of the hand ("Pose landmarker model": knuckles 1, 1 and 2)."""

_BOTH_SIDES: tuple[tuple[str, str, str, float], ...] = (
    ("upper_arm", "{}_shoulder", "{}_elbow", 1.0),
    ("forearm", "{}_elbow", "{}_wrist", 1.0),
    ("hand", "{}_wrist", "{}_index+{}_pinky", 0.35),
    ("palm", "{}_pinky", "{}_index", 0.25),
    ("flank", "{}_hip", "{}_shoulder", 0.5),
    ("thigh", "{}_hip", "{}_knee", 1.0),
    ("shin", "{}_knee", "{}_ankle", 1.0),
    ("foot", "{}_heel", "{}_foot_index", 0.5),
)
SEGMENTS: tuple[tuple[str, str, str, float], ...] = (
    ("hips", "right_hip", "left_hip", 1.0),
    ("shoulders", "right_shoulder", "left_shoulder", 1.0),
    ("trunk", "left_hip+right_hip", "left_shoulder+right_shoulder", 1.0),
    ("neck", "left_shoulder+right_shoulder", "left_ear+right_ear", 0.5),
    ("face", "left_ear+right_ear", "nose", 0.6),
    ("ears", "right_ear", "left_ear", 0.6),
    *(
        (f"{side}_{name}", start.format(side), end.replace("{}", side), weight)
        for side in ("left", "right")
        for name, start, end, weight in _BOTH_SIDES
    ),
)
"""Name, where it starts, where it ends ("+": in the middle of), and how much it is trusted."""

SEGMENT_NAMES: tuple[str, ...] = tuple(name for name, *_ in SEGMENTS)
SEGMENT_WEIGHTS: FloatArray = np.array([weight for *_, weight in SEGMENTS])

SHORTEST_M = 0.01
"""Two landmarks closer than this have no direction between them."""


def landmarks(postures: Postures) -> FloatArray:
    """Return the BLAZEPOSE_33 landmarks of M postures, shape (M, 33, 3), world metres.

    NaN where the body has no such point: the corners of eyes and mouth.
    """
    body = postures.body
    points = dict(zip(body.keypoint_names, postures.keypoints().transpose(1, 0, 2), strict=True))
    for side in ("left", "right"):
        points[f"{side}_foot_index"] = (points[f"{side}_big_toe"] + points[f"{side}_small_toe"]) / 2
        for name, bone in _KNUCKLES.items():
            points[f"{side}_{name}"] = postures.positions[:, body.bone(f"{bone}.{side[0].upper()}")]
    unknown = np.full((len(postures), 3), np.nan)
    return np.stack([points.get(name, unknown) for name in BLAZEPOSE_33], axis=1)


def in_picture_axes(points: FloatArray, yaw: float = 0.0) -> FloatArray:
    """Return world points as a camera sees them: x to the picture's right, y down, z away; shape (..., 3)."""
    return np.asarray(points @ view_axes(yaw).T)


def directions(points: FloatArray) -> FloatArray:
    """Return the unit directions of `SEGMENTS`, shape (..., S, 3); NaN where an end is unknown or too near.

    Parameters
    ----------
    points : float array, shape (..., 33, 3)
        BLAZEPOSE_33 in metres, in any axes.

    Raises
    ------
    ValueError
        Another shape.
    """
    if points.shape[-2:] != (33, 3):
        raise ValueError(f"expected landmarks of shape (..., 33, 3), got {points.shape}")
    shares = _shares()
    known = np.asarray(np.isfinite(points).all(axis=-1))
    lines = shares @ np.where(known[..., None], points, 0.0)
    lengths = np.linalg.norm(lines, axis=-1)
    whole = ((shares != 0) <= known[..., None, :]).all(axis=-1) & (lengths >= SHORTEST_M)
    units = lines / np.maximum(lengths, SHORTEST_M)[..., None]
    return np.asarray(np.where(whole[..., None], units, np.nan))


@lru_cache(maxsize=1)
def _shares() -> FloatArray:
    """Return how much of each landmark each segment's line takes, shape (S, 33)."""
    shares = np.zeros((len(SEGMENTS), 33))
    for row, (_, start, end, _) in zip(shares, SEGMENTS, strict=True):
        for sign, names in ((-1.0, start.split("+")), (1.0, end.split("+"))):
            for name in names:
                row[BLAZEPOSE_33.index(name)] += sign / len(names)
    return shares
