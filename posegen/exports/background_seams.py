"""How patches of texture are joined, so that no seam shows.

References
----------
Efros & Freeman, "Image Quilting for Texture Synthesis and Transfer", SIGGRAPH 2001: cuts where two
overlapping patches differ least. Perez, Gangnet & Blake, "Poisson Image Editing", SIGGRAPH 2003: a difference
that is left at a seam dies away from it, the faster the finer it is.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Float = NDArray[np.float32]
Int = NDArray[np.intp]

_FEATHER_PX = 2.0
"""Width over which one patch gives way to the next."""
_PIECE_PX = 64
"""Long seams are cut in pieces of this length, all at once."""


def stacked(patches: list[Float], rows: Int, overlap: int) -> Float:
    """Return patches joined one below the other.

    Parameters
    ----------
    patches : list of N float arrays, shape (S, S, 3)
    rows : int array, shape (N,)
        First row of each, ascending by at most S - overlap.
    overlap : int
        Rows of each that lie over the one before.

    Returns
    -------
    float array, shape (rows[-1] + S, S, 3)
    """
    side = len(patches[0])
    strip = np.empty((int(rows[-1]) + side, side, 3), np.float32)
    strip[:side] = patches[0]
    if len(patches) == 1:
        return strip
    gaps = np.diff(rows)
    patches = _levelled(patches, gaps, overlap)
    upper = np.stack([patch[gap : gap + overlap] for patch, gap in zip(patches, gaps, strict=False)])
    lower = np.stack([patch[:overlap] for patch in patches[1:]])
    share = _shares(_squares(upper - lower).swapaxes(1, 2)).swapaxes(1, 2)[..., None]
    seams = upper + (lower - upper) * share
    strip[:side] = patches[0]
    for row, patch, seam in zip(rows[1:], patches[1:], seams, strict=True):
        strip[row : row + overlap] = seam
        strip[row + overlap : row + side] = patch[overlap:]
    return strip


def _levelled(patches: list[Float], gaps: Int, overlap: int) -> list[Float]:
    """Return the patches, each bent by half of what its overlaps differ by on average."""
    side = len(patches[0])
    pairs = zip(patches, patches[1:], gaps, strict=False)
    steps = [(upper[gap : gap + overlap] - lower[:overlap]).mean(axis=0) for upper, lower, gap in pairs]
    halves = [box_blurred(step, max(2, side // 8)) / 2 for step in steps]
    ramp = np.clip(np.arange(side, dtype=np.float32) / np.float32(side - overlap), 0, 1)[:, None, None]
    none = np.zeros_like(halves[0])
    bends = zip(patches, [none, *halves], [*halves, none], strict=True)
    return [patch + above * ramp[::-1] - below * ramp for patch, above, below in bends]


def joined(first: Float, second: Float) -> Float:
    """Return two strips of shape (H, W, 3), cut lengthwise where they differ least: `first` on the left."""
    height, width = first.shape[:2]
    pieces = -(-height // _PIECE_PX)
    error = np.pad(_squares(first - second), ((0, pieces * _PIECE_PX - height), (0, 0)))
    share = _shares(error.reshape(pieces, _PIECE_PX, width)).reshape(-1, width)[:height, :, None]
    return np.asarray(first + (second - first) * share)


def _shares(error: Float) -> Float:
    """Return the second one's share in N overlaps, cut along L where their errors (N, L, W) are least."""
    whole = error.shape[1]
    # Two rows at a time.
    error = np.pad(error, ((0, 0), (0, whole % 2), (0, 0)))
    error = error[:, ::2] + error[:, 1::2]
    count, length, width = error.shape
    sums = np.full((length, count, width + 2), np.inf, np.float32)
    sums[0, :, 1:-1] = error[:, 0]
    for i in range(1, length):
        here, before = sums[i, :, 1:-1], sums[i - 1]
        np.minimum(before[:, :-2], before[:, 1:-1], out=here)
        np.minimum(here, before[:, 2:], out=here)
        here += error[:, i]
    cut = np.empty((count, length, 1), np.intp)
    cut[:, -1, 0] = sums[-1].argmin(axis=1)
    each, near = np.arange(count)[:, None], np.arange(-1, 2)
    for i in range(length - 2, -1, -1):
        around = cut[:, i + 1] + near
        cut[:, i, 0] = around[:, 0] + sums[i][each, around].argmin(axis=1)
    beyond = np.arange(width, dtype=np.float32) - (cut - 1).astype(np.float32)
    share = np.clip(beyond / np.float32(_FEATHER_PX) + np.float32(0.5), 0, 1)
    return np.asarray(share.repeat(2, axis=1)[:, :whole])


def bridge(gap: Float, reach: int, *, finest: int, start: int = 0) -> Float:
    """Return what takes up a difference along a seam.

    Parameters
    ----------
    gap : float array, shape (H, 3)
        The difference.
    reach : int
        Columns.
    finest : int
        What is finer than so many pixels along the seam is left.
    start : int
        Columns before it starts to die away.

    Returns
    -------
    float array, shape (H, reach, 3)
        The difference at first, ever softer and less, and nothing at last.
    """
    away = np.maximum(np.arange(reach, dtype=np.float32) - start, 0)
    layers, decays, width = [], [], finest
    left = box_blurred(gap, width)
    while 2 * width < reach:
        softer = box_blurred(left, 2 * width)
        layers.append(left - softer)
        decays.append(np.exp(-away / np.float32(2 * width)))
        left, width = softer, 2 * width
    layers.append(left)
    decays.append(np.exp(-away / np.float32(2 * width)))
    fading = np.stack(decays) * np.clip(2 - 2 * away / np.float32(reach), 0, 1)
    return np.asarray(np.tensordot(np.stack(layers), fading, (0, 0)).swapaxes(1, 2), dtype=np.float32)


def box_blurred(line: Float, reach: int) -> Float:
    """Return means over 2 * reach + 1 values along axis 0 of shape (L, C); the ends are continued evenly."""
    sums = np.pad(line, ((reach + 1, reach), (0, 0)), mode="edge").cumsum(axis=0, dtype=np.float64)
    return np.asarray((sums[2 * reach + 1 :] - sums[: -2 * reach - 1]) / (2 * reach + 1), dtype=np.float32)


def _squares(difference: Float) -> Float:
    return np.asarray(np.einsum("...c,...c->...", difference, difference))
