"""From a person's box to the input of a pose model, and back.

The standard transform of top-down models (MMPose `TopdownAffine`): no rotation, one scale for both axes. The
centre of the top-left pixel is (0, 0) in the picture and in the model's input.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]

PADDING = 1.25
"""What a box is enlarged by, the same on both sides (MMPose `GetBBoxCenterScale`)."""

MEAN = np.array([123.675, 116.28, 103.53], dtype=np.float32)
DEVIATION = np.array([58.395, 57.12, 57.375], dtype=np.float32)
"""Of ImageNet's R, G and B. RTMPose's and DWPose's configurations say `bgr_to_rgb=True`: RGB goes in."""


@dataclass(frozen=True)
class Crop:
    """Where a model's input lies in the picture.

    Attributes
    ----------
    scale : float
        Input pixels per picture pixel.
    shift_x, shift_y : float
        Where the picture's (0, 0) falls in the input, in its pixels.
    width, height : int
        Of the input.
    """

    scale: float
    shift_x: float
    shift_y: float
    width: int
    height: int

    def to_picture(self, points: FloatArray) -> FloatArray:
        """Return points of the input, shape (..., 2), as points of the picture."""
        placed: FloatArray = (points - (self.shift_x, self.shift_y)) / self.scale
        return placed


def crop_around(box: FloatArray, width: int, height: int, *, padding: float = PADDING) -> Crop:
    """Return the smallest crop of the input's shape that holds a padded box, centred on it.

    Parameters
    ----------
    box : float array, shape (4,)
        Left, top, right and bottom in pixels of the picture. May reach beyond it.
    width, height : int
        Of the model's input.
    padding : float

    Raises
    ------
    ValueError
        The box is empty or not finite.
    """
    left, top, right, bottom = (float(value) for value in box)
    if not (np.isfinite(box).all() and right > left and bottom > top):
        raise ValueError(f"a box from ({left}, {top}) to ({right}, {bottom}) holds nothing")
    scale = min(width / (right - left), height / (bottom - top)) / padding
    shift_x = width / 2 - scale * (left + right) / 2
    shift_y = height / 2 - scale * (top + bottom) / 2
    return Crop(scale, shift_x, shift_y, width, height)


def cut(pixels: NDArray[np.uint8], crop: Crop) -> NDArray[np.uint8]:
    """Return the model's input before it is normalised, bilinear, black beyond the picture.

    Parameters
    ----------
    pixels : uint8 array, shape (H, W, 3)
    crop : Crop

    Returns
    -------
    uint8 array, shape (crop.height, crop.width, 3)
    """
    import cv2

    matrix = np.array([[crop.scale, 0.0, crop.shift_x], [0.0, crop.scale, crop.shift_y]])
    size = crop.width, crop.height
    return np.asarray(cv2.warpAffine(pixels, matrix, size, flags=cv2.INTER_LINEAR), dtype=np.uint8)


def normalised(crops: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Return RGB crops, shape (N, H, W, 3), as the model takes them: float32, shape (N, 3, H, W)."""
    return np.ascontiguousarray(((crops - MEAN) / DEVIATION).transpose(0, 3, 1, 2), dtype=np.float32)
