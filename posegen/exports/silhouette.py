"""Where a figure covers a picture, roughly and a little too large: nothing there is background."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from posegen.skeletons import OPENPOSE_18

Bool = NDArray[np.bool_]

_CELL_PX = 128
"""Silhouettes are made so large, longer side, and enlarged."""


def around(points: NDArray[np.float64], radius_px: float, width: int, height: int) -> Bool:
    """Return the pixels near points.

    Parameters
    ----------
    points : float array, shape (N, 2)
        In pixels; those that are not finite are left out.
    radius_px : float
    width, height : int
        Of the picture.

    Returns
    -------
    bool array, shape (height, width)
    """
    cell = max(1.0, max(width, height) / _CELL_PX)
    columns, rows = max(1, round(width / cell)), max(1, round(height / cell))
    x = (np.arange(columns) + 0.5) * width / columns - 0.5
    y = (np.arange(rows) + 0.5) * height / rows - 0.5
    near = np.zeros((rows, columns), np.bool_)
    reach = (radius_px + cell) ** 2
    for px, py in points[np.isfinite(points).all(axis=1)]:
        near |= (y[:, None] - py) ** 2 + (x - px) ** 2 <= reach
    return enlarged(near, width, height)


def along_limbs(keypoints: NDArray[np.float64], width: int, height: int) -> Bool:
    """Return the pixels near the limbs of a person of whom only joints are known.

    Parameters
    ----------
    keypoints : float array, shape (18, 2) or (18, 3)
        OPENPOSE_18, in pixels; NaN is a joint that was not found.
    width, height : int
        Of the picture.

    Returns
    -------
    bool array, shape (height, width)
    """
    places = keypoints[:, :2]
    limbs = [(places[a], places[b]) for a, b in (*OPENPOSE_18.limbs, (2, 8), (5, 11), (8, 11))]
    share = np.linspace(-0.15, 1.15, 14)[:, None]  # hands and feet reach beyond wrists and ankles
    points = np.concatenate([first + (second - first) * share for first, second in limbs])
    known = places[np.isfinite(places).all(axis=1)]
    side = float(np.ptp(known, axis=0).max()) if len(known) else 0.0
    return around(points, 0.09 * side, width, height)


def widened(mask: Bool, radius_px: float) -> Bool:
    """Return a mask with all that is near it, by squares."""
    height, width = mask.shape
    cell = max(1.0, max(width, height) / _CELL_PX)
    size = max(1, round(width / cell)), max(1, round(height / cell))
    small = Image.fromarray(mask.astype(np.uint8) * 255).resize(size, Image.Resampling.BOX)
    near = small.point(lambda level: 255 if level else 0).filter(
        ImageFilter.MaxFilter(2 * round(radius_px / cell) + 1)
    )
    return enlarged(np.asarray(near) > 0, width, height)


def enlarged(mask: Bool, width: int, height: int) -> Bool:
    """Return a mask in another size, without smoothing."""
    picture = Image.fromarray(mask.astype(np.uint8) * 255)
    return np.asarray(picture.resize((width, height), Image.Resampling.NEAREST)) > 0
