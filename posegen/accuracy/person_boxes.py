"""Numbers of a person detector: its input, YOLOX's raw output, and which of two boxes stays."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]

STRIDES = (8, 16, 32)
"""Pixels between the anchors of YOLOX's three levels (Ge et al., "YOLOX", 2021; `yolox_head.py`)."""

GREY = 114
"""What YOLOX and RTMDet were trained to see beyond the picture."""


def letterbox(pixels: NDArray[np.uint8], width: int, height: int) -> tuple[NDArray[np.uint8], float]:
    """Return a picture made to fit, at the top left, grey right of it or below.

    Parameters
    ----------
    pixels : uint8 array, shape (H, W, 3)
    width, height : int
        Of the result.

    Returns
    -------
    uint8 array, shape (height, width, 3)
    float
        Pixels of the result per pixel of the picture.
    """
    import cv2

    ratio = min(height / pixels.shape[0], width / pixels.shape[1])
    size = max(1, int(pixels.shape[1] * ratio)), max(1, int(pixels.shape[0] * ratio))
    framed = np.full((height, width, 3), GREY, dtype=np.uint8)
    framed[: size[1], : size[0]] = cv2.resize(pixels, size, interpolation=cv2.INTER_LINEAR)
    return framed, ratio


def anchors(width: int, height: int) -> FloatArray:
    """Return column, row and stride of each of YOLOX's anchors for an input, shape (A, 3), level by level."""
    levels = []
    for stride in STRIDES:
        rows, columns = np.mgrid[: height // stride, : width // stride]
        levels.append(np.stack([columns, rows, np.full_like(rows, stride)], axis=-1).reshape(-1, 3))
    return np.concatenate(levels).astype(np.float64)


def yolox_people(
    raw: NDArray[np.floating], width: int, height: int, threshold: float
) -> tuple[FloatArray, FloatArray]:
    """Return what YOLOX's output says of people.

    Parameters
    ----------
    raw : float array, shape (A, 5 + classes)
        Per anchor: the centre's offset from it and the logarithm of width and height, in strides; how sure it
        is of an object; how sure of each class, people being the first (COCO).
    width, height : int
        Of the model's input.
    threshold : float
        Least score, object times person, inclusive.

    Returns
    -------
    boxes : float array, shape (N, 4)
        Left, top, right and bottom in pixels of the model's input; many for each person.
    scores : float array, shape (N,)

    Raises
    ------
    ValueError
        Another number of anchors, or a value is not finite.
    """
    grid = anchors(width, height)
    if raw.ndim != 2 or len(raw) != len(grid) or raw.shape[1] < 6:
        raise ValueError(f"an output of shape {raw.shape}, not ({len(grid)}, 6 or more)")
    if not np.isfinite(raw).all():
        raise ValueError("an output is not finite")
    scores = raw[:, 4].astype(np.float64) * raw[:, 5]
    sure = scores >= threshold
    found, places = raw[sure].astype(np.float64), grid[sure]
    centre = (found[:, :2] + places[:, :2]) * places[:, 2:]
    half = np.exp(np.minimum(found[:, 2:4], 20.0)) * places[:, 2:] / 2  # e^20 strides are no person
    return np.hstack([centre - half, centre + half]), scores[sure]


def keep_apart(boxes: FloatArray, scores: FloatArray, overlap: float) -> NDArray[np.intp]:
    """Return which boxes stay when of two that overlap the surer one does (non-maximum suppression).

    Parameters
    ----------
    boxes : float array, shape (N, 4)
        Left, top, right and bottom.
    scores : float array, shape (N,)
    overlap : float
        Greatest intersection over union that two boxes may have and both stay, inclusive.

    Returns
    -------
    int array, shape (M,)
        Their indices, the surest first; of equal scores the earlier first.
    """
    areas = np.prod(boxes[:, 2:] - boxes[:, :2], axis=1)
    left = np.argsort(-scores, kind="stable")
    kept: list[int] = []
    while left.size:
        best, rest = left[0], left[1:]
        kept.append(int(best))
        low = np.maximum(boxes[best, :2], boxes[rest, :2])
        high = np.minimum(boxes[best, 2:], boxes[rest, 2:])
        common = np.prod(np.maximum(high - low, 0.0), axis=1)
        left = rest[common <= overlap * (areas[best] + areas[rest] - common)]
    return np.array(kept, dtype=np.intp)
