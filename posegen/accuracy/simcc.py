"""SimCC: a keypoint's place as two distributions, one over columns and one over rows."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]


def decode_simcc(columns: NDArray[np.floating], rows: NDArray[np.floating], ratio: float) -> FloatArray:
    """Return each keypoint's most likely place and its score.

    Parameters
    ----------
    columns, rows : float array, shape (N, K, bins)
        A response per bin, for K keypoints of N people. Finite.
    ratio : float
        Bins per pixel of the model's input.

    Returns
    -------
    float array, shape (N, K, 3)
        x and y in pixels of the model's input, and the score: the lower of the two greatest responses, as in
        MMPose and DWPose (rtmlib takes their mean). It has no upper bound; SimCC is not normalised.

    Raises
    ------
    ValueError
        The shapes do not fit together, or a response is not finite.

    References
    ----------
    Li et al., "SimCC: a Simple Coordinate Classification Perspective for Human Pose Estimation", ECCV 2022.
    """
    if columns.ndim != 3 or rows.ndim != 3 or columns.shape[:2] != rows.shape[:2]:
        raise ValueError(f"responses of shape {columns.shape} and {rows.shape} do not fit together")
    if not (np.isfinite(columns).all() and np.isfinite(rows).all()):
        raise ValueError("a response is not finite")
    score = np.minimum(columns.max(axis=2), rows.max(axis=2))
    return np.stack([columns.argmax(axis=2) / ratio, rows.argmax(axis=2) / ratio, score], axis=2)
