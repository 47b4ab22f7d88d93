"""Errors of posture: angles at joints, left taken for right, people too many or too few."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from posegen.skeletons import COCO_17

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]

ANGLES: dict[str, tuple[str, str, str]] = {
    f"{side}_{joint}": (f"{side}_{before}", f"{side}_{joint}", f"{side}_{after}")
    for side in ("left", "right")
    for joint, before, after in (
        ("elbow", "shoulder", "wrist"),
        ("shoulder", "elbow", "hip"),
        ("hip", "shoulder", "knee"),
        ("knee", "hip", "ankle"),
    )
}
"""The angles that are compared: at the middle keypoint, between the lines to the two others."""

SHORTEST_PX = 2.0
"""A line shorter than this in the picture has no direction to speak of."""


def joint_angles(keypoints: FloatArray) -> FloatArray:
    """Return the angles in the picture at elbows, shoulders, hips and knees.

    Parameters
    ----------
    keypoints : float array, shape (..., 17, 2)
        COCO_17, in pixels; NaN is "not found".

    Returns
    -------
    float array, shape (..., 8)
        Degrees in [0, 180], in the order of `ANGLES`; NaN where a keypoint is missing or a line too short.

    Raises
    ------
    ValueError
        Another shape.
    """
    if keypoints.shape[-2:] != (17, 2):
        raise ValueError(f"expected keypoints of shape (..., 17, 2), not {keypoints.shape}")
    index = {name: place for place, name in enumerate(COCO_17.keypoints)}
    before, middle, after = (
        keypoints[..., [index[names[i]] for names in ANGLES.values()], :] for i in range(3)
    )
    first, second = before - middle, after - middle
    lengths = np.hypot(*np.moveaxis(first, -1, 0)), np.hypot(*np.moveaxis(second, -1, 0))
    cross = first[..., 0] * second[..., 1] - first[..., 1] * second[..., 0]
    angle = np.degrees(np.abs(np.arctan2(cross, (first * second).sum(axis=-1))))
    with np.errstate(invalid="ignore"):
        return np.asarray(np.where((lengths[0] >= SHORTEST_PX) & (lengths[1] >= SHORTEST_PX), angle, np.nan))


def joint_angle_errors(predicted: FloatArray, target: FloatArray, counted: BoolArray) -> FloatArray:
    """Return by how many degrees the angles in the picture differ.

    Parameters
    ----------
    predicted, target : float array, shape (..., 17, 2)
        COCO_17, in pixels; NaN in `predicted` is "not found".
    counted : bool array, shape (..., 17)
        An angle counts if its three keypoints do.

    Returns
    -------
    float array, shape (..., 8)
        In the order of `ANGLES`; NaN where it cannot be told.

    Raises
    ------
    ValueError
        Another shape.
    """
    index = {name: place for place, name in enumerate(COCO_17.keypoints)}
    triples = np.array([[index[name] for name in names] for names in ANGLES.values()])
    if counted.shape != target.shape[:-1]:
        raise ValueError(f"shapes disagree: target {target.shape}, counted {counted.shape}")
    difference = np.abs(joint_angles(predicted) - joint_angles(target))
    return np.asarray(np.where(counted[..., triples].all(axis=-1), difference, np.nan))


def is_swapped(predicted: FloatArray, target: FloatArray, counted: BoolArray) -> BoolArray:
    """Return whether left and right were taken for each other.

    That is so where the keypoints below the head lie nearer to the target once left and right are exchanged.

    Parameters
    ----------
    predicted, target : float array, shape (N, 17, 2)
        COCO_17, in pixels; NaN in `predicted` is "not found".
    counted : bool array, shape (N, 17)
        Keypoints that are compared; a pair counts if both of it do.

    Returns
    -------
    bool array, shape (N,)
        False where nothing can be compared.

    Raises
    ------
    ValueError
        Shapes disagree.
    """
    if predicted.shape != target.shape or target.shape[1:] != (17, 2) or counted.shape != target.shape[:2]:
        raise ValueError(
            f"shapes disagree: predicted {predicted.shape}, target {target.shape}, counted {counted.shape}"
        )
    flip = np.array(COCO_17.flip)
    below = np.arange(17) >= COCO_17.keypoints.index("left_shoulder")
    found = np.asarray(np.isfinite(predicted).all(axis=-1))
    usable = counted & counted[:, flip] & found & found[:, flip] & below
    straight = ((predicted - target) ** 2).sum(axis=-1)
    crossed = ((predicted[:, flip] - target) ** 2).sum(axis=-1)
    total = [np.where(usable, squared, 0.0).sum(axis=1) for squared in (straight, crossed)]
    return np.asarray(total[1] < total[0])


def people_count_error(detected: NDArray[np.int_], expected: NDArray[np.int_]) -> float:
    """Return the mean absolute difference between people found and people asked for; NaN without images.

    Raises
    ------
    ValueError
        Shapes disagree, or a count is negative.

    References
    ----------
    Ju et al., "HumanSD", ICCV 2023 (PCE).
    """
    if detected.shape != expected.shape:
        raise ValueError(f"shapes disagree: {detected.shape} and {expected.shape}")
    if (detected < 0).any() or (expected < 0).any():
        raise ValueError("counts of people must be 0 or more")
    return float(np.abs(detected - expected).mean()) if detected.size else float("nan")


def detection_rate(found: BoolArray) -> float:
    """Return the share of images in which the person was found; NaN without images."""
    return float(found.mean()) if found.size else float("nan")
