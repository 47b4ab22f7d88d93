"""Which part of a picture an export shows: the whole figure, as little enlarged as the shape allows."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from posegen.skeletons import OPENPOSE_18

Box = tuple[float, float, float, float]
"""Left, top, right and bottom in pixels; the centre of the top-left pixel is (0, 0)."""

MARGIN = 0.07
"""Free border round the figure's box, as a share of the box's longer side: hair, shoes and garments stand out
from the body, and a figure at the very edge looks cut."""

BEYOND_JOINTS_OF_BOX = 0.34
BEYOND_JOINTS_OF_LIMB = 0.68
"""How far the body's surface lies beyond the box of its joints, at most: as a share of the box's longer side,
and of the longest limb as it appears. Measured on the library from 8 sides: 0.329 and 0.670 (medians 0.11
and 0.29). Head, hands and feet count; in a foreshortened figure they are much of it."""


@dataclass(frozen=True)
class Crop:
    """A rectangle of the picture, in pixels from its top-left corner (not from a pixel's centre).

    It may reach beyond the picture: there the background has to be continued.
    """

    left: float
    top: float
    width: float
    height: float

    @property
    def right(self) -> float:
        """Its right edge."""
        return self.left + self.width

    @property
    def bottom(self) -> float:
        """Its lower edge."""
        return self.top + self.height

    def overhang(self, width: int, height: int) -> tuple[float, float, float, float]:
        """Return by how many pixels it reaches beyond a picture: left, top, right, bottom."""
        return (
            max(0.0, -self.left),
            max(0.0, -self.top),
            max(0.0, self.right - width),
            max(0.0, self.bottom - height),
        )


def choose_crop(
    image_size: tuple[int, int], format_size: tuple[int, int], figure: Box | None, *, margin: float = MARGIN
) -> Crop:
    """Return the part of a picture that fills a format, with the whole figure in it.

    The crop is the largest of the format's shape that lies in the picture, moved so that the figure stands in
    its middle. Where the figure with its margin does not fit into that, the crop grows until it does and
    reaches beyond the picture, no further than that takes.

    Parameters
    ----------
    image_size, format_size : (int, int)
        Width and height in pixels.
    figure : (left, top, right, bottom) or None
        What has to stay visible, pixel centres at whole numbers; what of it lies outside the picture does not
        count. None takes the middle.
    margin : float
        Free border, as a share of the box's longer side. It gives way before the picture ends.

    Returns
    -------
    Crop
        Of exactly the format's shape.

    Raises
    ------
    ValueError
        A size under 1, a negative margin, or a box that is not finite or is inside out.
    """
    width, height = image_size
    shape = _shape(image_size, format_size)
    if not 0 <= margin < np.inf:
        raise ValueError(f"margin must be 0 or more, not {margin!r}")
    seen = None if figure is None else _visible(figure, width, height)
    if seen is None:
        seen, margin = (width / 2, height / 2, width / 2, height / 2), 0.0
    border = margin * max(seen[2] - seen[0], seen[3] - seen[1])
    # Beyond the picture's edge there is nothing to keep: a border there would be continued for nothing.
    left, top = max(0.0, seen[0] - border), max(0.0, seen[1] - border)
    right, bottom = min(float(width), seen[2] + border), min(float(height), seen[3] + border)
    crop_width = max(min(width, height * shape), right - left, (bottom - top) * shape)
    crop_height = crop_width / shape
    return Crop(
        _placed(left, right, crop_width, width),
        _placed(top, bottom, crop_height, height),
        crop_width,
        crop_height,
    )


def _shape(image_size: tuple[int, int], format_size: tuple[int, int]) -> float:
    """Return the format's width over its height."""
    if min(*image_size, *format_size) < 1:
        raise ValueError(f"sizes must be at least 1 pixel, not {image_size} and {format_size}")
    return format_size[0] / format_size[1]


def _visible(figure: Box, width: int, height: int) -> Box | None:
    """Return the part of a box that lies in the picture, from pixels' centres to their edges."""
    left, top, right, bottom = figure
    if not np.isfinite(figure).all() or left > right or top > bottom:
        raise ValueError(f"not a box (left, top, right, bottom): {figure!r}")
    # A pixel's square reaches half a pixel to all sides of its centre.
    box = (max(0.0, left), max(0.0, top), min(float(width), right + 1), min(float(height), bottom + 1))
    return box if box[0] < box[2] and box[1] < box[3] else None


def _placed(first: float, last: float, length: float, available: int) -> float:
    """Return where a stretch of `length` starts: the figure in its middle, on the picture as far as it can.

    A stretch longer than the picture covers all of it; a shorter one stays inside.
    """
    wanted = (first + last - length) / 2
    low, high = min(0.0, available - length), max(0.0, available - length)
    return float(min(max(wanted, low), high))


def keypoints_box(keypoints: NDArray[np.float64]) -> Box | None:
    """Return a box for the whole figure where only its joints are known.

    Parameters
    ----------
    keypoints : float array, shape (18, 2) or (18, 3)
        OPENPOSE_18: x, y in pixels and, if given, visibility. Joints hidden behind the body count too; NaN is
        a joint that was not found.

    Returns
    -------
    (left, top, right, bottom) or None
        With room for head, hands and feet. None if no limb has both its joints.

    Raises
    ------
    ValueError
        Another shape.
    """
    if keypoints.shape not in ((18, 2), (18, 3)):
        raise ValueError(f"expected keypoints of shape (18, 2) or (18, 3), got {keypoints.shape}")
    places = keypoints[:, :2]
    first, second = (list(ends) for ends in zip(*OPENPOSE_18.limbs, strict=True))
    lengths = np.hypot(*(places[first] - places[second]).T)
    lengths = lengths[np.isfinite(lengths)]
    if not lengths.size:
        return None
    known = places[np.isfinite(places).all(axis=1)]
    least, most = known.min(axis=0), known.max(axis=0)
    side = float((most - least).max())
    border = min(BEYOND_JOINTS_OF_BOX * side, BEYOND_JOINTS_OF_LIMB * float(lengths.max()))
    left, top, right, bottom = (float(value) for value in (*least - border, *most + border))
    return left, top, right, bottom
