"""Percentage of correct keypoints, and how far off keypoints are beside the body's size."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]

COCO_TORSO = (5, 12)
"""COCO_17 indices of the left shoulder and the right hip."""
COCO_TORSO_OTHER = (6, 11)
"""And of the right shoulder and the left hip."""


def torso_diameter(target: FloatArray) -> FloatArray:
    """Return the torso's diameter: from a shoulder to the opposite hip, the longer of both.

    Parameters
    ----------
    target : float array, shape (..., 17, 2)
        COCO_17, in pixels.

    Returns
    -------
    float array, shape (...)
        Pixels.

    References
    ----------
    Sapp & Taskar, "MODEC", CVPR 2013 (left hip to right shoulder; both diagonals here, so that mirroring a
    person changes nothing).
    """
    diagonals = [target[..., a, :] - target[..., b, :] for a, b in (COCO_TORSO, COCO_TORSO_OTHER)]
    return np.asarray(np.hypot(*np.moveaxis(np.stack(diagonals), -1, 0)).max(axis=0))


def pck(
    predicted: FloatArray, target: FloatArray, counted: BoolArray, *, scale_px: FloatArray, alpha: float = 0.2
) -> float:
    """Return the share of counted keypoints placed within `alpha` body scales.

    Parameters
    ----------
    predicted, target : float array, shape (N, K, 2)
        K keypoints of N people: (x, y) in pixels of one image, origin top left.
    counted : bool array, shape (N, K)
        Keypoints to score. NaN in `predicted` means "not found" and is a miss.
    scale_px : float array, shape (N,)
        Pixels the error is divided by, e.g. the torso diameter.
    alpha : float
        Tolerance as a fraction of `scale_px`; the bound is inclusive.

    Returns
    -------
    float
        In [0, 1], higher is better; NaN if nothing is counted.

    Raises
    ------
    ValueError
        Shapes disagree, a scale is not finite and positive, or a counted target is NaN.

    References
    ----------
    Yang & Ramanan, "Articulated Human Detection with Flexible Mixtures of Parts", TPAMI 2013.
    """
    errors = keypoint_errors(predicted, target, counted, scale_px=scale_px)
    if not counted.any():
        return float("nan")
    return float((errors[counted] <= alpha).mean())


def keypoint_errors(
    predicted: FloatArray, target: FloatArray, counted: BoolArray, *, scale_px: FloatArray
) -> FloatArray:
    """Return how far each keypoint is off, in body scales; infinite if not found, NaN if not counted.

    Parameters
    ----------
    predicted, target, counted, scale_px
        As `pck`.

    Returns
    -------
    float array, shape (N, K)

    Raises
    ------
    ValueError
        As `pck`.
    """
    if predicted.shape != target.shape or target.ndim != 3 or target.shape[:2] != counted.shape:
        raise ValueError(
            f"shapes disagree: predicted {predicted.shape}, target {target.shape}, counted {counted.shape}"
        )
    scale = np.asarray(scale_px, dtype=np.float64)
    if scale.shape != target.shape[:1] or not (np.isfinite(scale) & (scale > 0)).all():
        raise ValueError(f"scales must be finite and positive, one a person, not {scale!r}")
    if not np.isfinite(target[counted]).all():
        raise ValueError("a counted keypoint of the target is not finite")
    away = np.hypot(*np.moveaxis(predicted - target, -1, 0)) / scale[:, None]
    return np.asarray(np.where(counted, np.where(np.isnan(away), np.inf, away), np.nan))


def mean_error(
    predicted: FloatArray, target: FloatArray, counted: BoolArray, *, scale_px: FloatArray
) -> float:
    """Return the mean distance of the keypoints that were found, in body scales; NaN if none was.

    What was not found does not count here: read it beside the detection rate.

    Parameters
    ----------
    predicted, target, counted, scale_px
        As `pck`; with the body's height in pixels it is the mean error by body height.

    Raises
    ------
    ValueError
        As `pck`.
    """
    errors = keypoint_errors(predicted, target, counted, scale_px=scale_px)
    found = errors[np.isfinite(errors)]
    return float(found.mean()) if found.size else float("nan")
