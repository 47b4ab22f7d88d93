"""A person's outline on a plain ground, found by colour, where nobody told where the figure is."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from posegen.exports.crop import Box
from posegen.exports.silhouette import enlarged

_SIDE = 160
"""The picture is looked at so small: longer side in pixels."""
_BORDER = 0.06
"""What lies so near to the edge is taken for ground, as a share of the longer side."""
_LEAST_STEP = 14.0
"""Levels of 255 by which a colour must differ from the ground's at least."""
_GRAIN_TIMES = 6.0
"""And how many times more than the ground's colours differ among themselves."""
_MOST_GRAIN = 9.0
"""A ground of more grain than this is not plain: nothing is said."""
_AREA = (0.015, 0.75)
"""Share of the picture that a figure takes."""
_LEAST_LENGTH = 0.2
"""Its longer side at least, as a share of the picture's."""


def foreground(pixels: NDArray[np.uint8]) -> tuple[Box, NDArray[np.bool_]] | None:
    """Return what stands out from a plain or evenly shaded ground; None where that cannot be told.

    The ground is a surface of second degree through the picture's border, for each channel, fitted twice: the
    second time without what stands out at the border. What differs from it by much more than its grain is the
    figure, if that is one large piece.

    Parameters
    ----------
    pixels : uint8 array, shape (H, W, 3)

    Returns
    -------
    (left, top, right, bottom), bool array of shape (H, W); or None
        Its box, pixel centres at whole numbers, and its outline.
    """
    height, width = pixels.shape[:2]
    scale = min(1.0, _SIDE / max(height, width))
    size = max(1, round(width * scale)), max(1, round(height * scale))
    if min(size) < 16:
        return None
    small = np.asarray(Image.fromarray(pixels).resize(size, Image.Resampling.BOX), np.float32)
    off = _off_ground(small)
    if off is None:
        return None
    piece = _largest(off)
    rows, columns = np.nonzero(piece)
    share = piece.mean()
    if not _AREA[0] <= share <= _AREA[1]:
        return None
    left, right, top, bottom = columns.min(), columns.max(), rows.min(), rows.max()
    if max((right - left + 1) / size[0], (bottom - top + 1) / size[1]) < _LEAST_LENGTH:
        return None
    across, down = width / size[0], height / size[1]
    box = (
        float(left * across),
        float(top * down),
        float((right + 1) * across - 1),
        float((bottom + 1) * down - 1),
    )
    return box, enlarged(piece, width, height)


def _off_ground(small: NDArray[np.float32]) -> NDArray[np.bool_] | None:
    """Return which pixels are no ground, shape (H, W); None if the ground is not plain."""
    height, width = small.shape[:2]
    y, x = np.mgrid[-1 : 1 : complex(0, height), -1 : 1 : complex(0, width)]
    terms = np.stack([np.ones_like(x), x, y, x * y, x * x, y * y], axis=-1)
    depth = max(2, round(_BORDER * max(height, width)))
    border = np.ones((height, width), bool)
    border[depth:-depth, depth:-depth] = False
    ground = border
    for _ in range(2):
        surface, *_rest = np.linalg.lstsq(terms[ground], small[ground], rcond=None)
        away = np.abs(small - terms @ surface).max(axis=2)
        grain = float(np.median(away[ground])) / 0.6745
        limit = max(_LEAST_STEP, _GRAIN_TIMES * grain)
        ground = border & (away < limit)
        if ground.sum() < 0.6 * border.sum():
            return None
    return None if grain > _MOST_GRAIN else np.asarray(away >= limit)


def _largest(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return the largest connected piece of a mask (4 neighbours)."""
    labels = np.where(mask, np.arange(1, mask.size + 1).reshape(mask.shape), 0)
    while True:
        padded = np.pad(labels, 1)
        grown = np.max(
            [padded[1:-1, 1:-1], padded[:-2, 1:-1], padded[2:, 1:-1], padded[1:-1, :-2], padded[1:-1, 2:]],
            axis=0,
        )
        grown = np.where(mask, grown, 0)
        if np.array_equal(grown, labels):
            break
        labels = grown
    if not mask.any():
        return mask
    names, sizes = np.unique(labels[mask], return_counts=True)
    return np.asarray(labels == names[sizes.argmax()])
