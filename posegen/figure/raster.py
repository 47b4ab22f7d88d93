"""A vectorised z-buffer: triangles to scan-line spans to samples.

The sample grid is three times as fine as the picture in each direction. A pixel's three rows of samples are
shifted against each other, so that a nearly upright edge meets nine different sample positions per pixel, not
three.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Float = NDArray[np.float32]
Double = NDArray[np.float64]
Int = NDArray[np.int64]

SUBSAMPLES = 3
ROW_SHIFTS = np.array([-1 / 3, 0.0, 1 / 3])
"""Shift of the samples in each sample row of a pixel, in sample spacings."""

_EMPTY = np.uint64(0xFFFFFFFFFFFFFFFF)
_CHUNK = 600_000


@dataclass(frozen=True, eq=False)
class Window:
    """The part of the sample grid that is rasterised.

    Attributes
    ----------
    x0, y0 : int
        First sample column and row.
    width, height : int
        In samples.
    shifted : bool
        Whether rows are shifted; off for shadow maps.
    """

    x0: int
    y0: int
    width: int
    height: int
    shifted: bool = True


@dataclass(frozen=True, eq=False)
class Triangles:
    """Triangles in sample coordinates.

    Attributes
    ----------
    x, y : float64 array, shape (T, 3)
        Corners, in sample spacings; a sample lies at each whole number.
    depth : float32 array, shape (T, 3)
    ident : int array, shape (T,)
        What the buffer stores for the triangle, below 2**32.
    fields : list of float32 arrays, shape (T, 3)
        A sample counts only where every field, interpolated, is above 0.
    """

    x: Double
    y: Double
    depth: Float
    ident: Int
    fields: tuple[Float, ...] = ()


def new_buffer(window: Window) -> NDArray[np.uint64]:
    """Return an empty buffer, shape (height * width,)."""
    return np.full(window.height * window.width, _EMPTY, np.uint64)


def idents(buffer: NDArray[np.uint64]) -> NDArray[np.int64]:
    """Return the visible triangle of each sample, -1 where none is."""
    found = (buffer & np.uint64(0xFFFFFFFF)).astype(np.int64)
    found[buffer == _EMPTY] = -1
    return found


def depths(buffer: NDArray[np.uint64]) -> Float:
    """Return the depth of each sample, infinite where nothing is."""
    found = (buffer >> np.uint64(32)).astype(np.uint32).view(np.float32)
    return np.where(buffer == _EMPTY, np.float32(np.inf), found)


def rasterise(triangles: Triangles, window: Window, buffer: NDArray[np.uint64]) -> None:
    """Draw `triangles` of either orientation into `buffer`: the nearest wins, of equals the lower ident."""
    rows = _rows(triangles.y, window)
    x = triangles.x
    wide = np.maximum(np.maximum(x[:, 0], x[:, 1]), x[:, 2]) - np.minimum(
        np.minimum(x[:, 0], x[:, 1]), x[:, 2]
    )
    estimate = np.cumsum(rows[1] * (1 + wide) * 0.5)
    if len(estimate) == 0:
        return
    pieces = int(estimate[-1] // _CHUNK) + 1
    cuts = np.searchsorted(estimate, np.arange(1, pieces) * _CHUNK)
    for part in np.split(np.arange(len(estimate)), cuts):
        if len(part):
            _rasterise_part(triangles, part, rows[0][part], rows[1][part], window, buffer)


def _rows(y: Double, window: Window) -> tuple[Int, Int]:
    # Columns, not axis=1: numpy reduces a short last axis slowly.
    low = np.minimum(np.minimum(y[:, 0], y[:, 1]), y[:, 2])
    high = np.maximum(np.maximum(y[:, 0], y[:, 1]), y[:, 2])
    first = np.ceil(low).clip(window.y0, window.y0 + window.height).astype(np.int64)
    last = np.floor(high).clip(window.y0 - 1, window.y0 + window.height - 1).astype(np.int64)
    return first, np.maximum(last - first + 1, 0)


def _rasterise_part(
    triangles: Triangles, part: Int, first: Int, count: Int, window: Window, buffer: NDArray[np.uint64]
) -> None:
    owner = np.repeat(part, count)
    if len(owner) == 0:
        return
    row = np.arange(len(owner)) - np.repeat(np.cumsum(count) - count - first, count)
    start, length = _spans(triangles.x, triangles.y, owner, row, window)
    keep = length > 0
    owner, row, start, length = owner[keep], row[keep], start[keep], length[keep]
    total = int(length.sum())
    if total == 0:
        return
    ends = np.cumsum(length)
    step = (np.arange(total) - np.repeat(ends - length, length)).astype(np.float32)
    span = np.repeat(np.arange(len(owner), dtype=np.int32), length)
    pixel = np.repeat((row - window.y0) * window.width + (start - window.x0) - (ends - length), length)
    pixel += np.arange(total)
    planes = _Planes(triangles, owner, row, start, window)
    depth = planes.along(triangles.depth, span, step)
    key = (depth.view(np.uint32).astype(np.uint64) << np.uint64(32)) | triangles.ident[owner].astype(
        np.uint64
    )[span]
    if triangles.fields:
        inside = np.ones(total, bool)
        for field in triangles.fields:
            inside &= planes.along(field, span, step) > 0
        pixel, key = pixel[inside], key[inside]
    np.minimum.at(buffer, pixel, key)


def _spans(x: Double, y: Double, owner: Int, row: Int, window: Window) -> tuple[Int, Int]:
    """Return the first sample and number of samples of each span, clipped to the window."""
    left = np.full(len(owner), -np.inf)
    right = np.full(len(owner), np.inf)
    area = (x[:, 1] - x[:, 0]) * (y[:, 2] - y[:, 0]) - (x[:, 2] - x[:, 0]) * (y[:, 1] - y[:, 0])
    sign = np.where(area >= 0, 1.0, -1.0)
    height = row.astype(np.float64)
    for i in range(3):
        j = (i + 1) % 3
        rise = (y[:, j] - y[:, i]) * sign
        slope = np.divide(x[:, j] - x[:, i], y[:, j] - y[:, i], out=np.zeros(len(x)), where=rise != 0)
        rise = rise[owner]
        crossing = (x[:, i] - y[:, i] * slope)[owner] + height * slope[owner]
        np.minimum(right, crossing, out=right, where=rise > 0)
        np.maximum(left, crossing, out=left, where=rise < 0)
    if window.shifted:
        shift = ROW_SHIFTS[row % SUBSAMPLES]
        left -= shift
        right -= shift
    start = np.ceil(left).clip(window.x0, window.x0 + window.width)
    stop = np.ceil(right).clip(window.x0, window.x0 + window.width)
    return start.astype(np.int64), np.maximum(stop - start, 0).astype(np.int64)


class _Planes:
    """Linear interpolation of corner values along spans."""

    def __init__(self, triangles: Triangles, owner: Int, row: Int, start: Int, window: Window) -> None:
        x, y = triangles.x, triangles.y
        self.ax, self.ay = x[:, 1] - x[:, 0], y[:, 1] - y[:, 0]
        self.bx, self.by = x[:, 2] - x[:, 0], y[:, 2] - y[:, 0]
        area = self.ax * self.by - self.bx * self.ay
        self.inverse = np.divide(1.0, area, out=np.zeros_like(area), where=np.abs(area) > 1e-12)
        self.owner = owner
        shift = ROW_SHIFTS[row % SUBSAMPLES] if window.shifted else 0.0
        self.dx = start + shift - x[owner, 0]
        self.dy = row - y[owner, 0]

    def along(self, corner: Float, span: NDArray[np.int32], step: Float) -> Float:
        a = (corner[:, 1] - corner[:, 0]).astype(np.float64)
        b = (corner[:, 2] - corner[:, 0]).astype(np.float64)
        gx = ((a * self.by - b * self.ay) * self.inverse)[self.owner]
        gy = ((b * self.ax - a * self.bx) * self.inverse)[self.owner]
        base = (corner[self.owner, 0] + gx * self.dx + gy * self.dy).astype(np.float32)
        # Slivers seen edge-on have huge gradients: never leave the corners' range.
        low = np.minimum(np.minimum(corner[:, 0], corner[:, 1]), corner[:, 2])[self.owner]
        high = np.maximum(np.maximum(corner[:, 0], corner[:, 1]), corner[:, 2])[self.owner]
        value = base[span] + gx.astype(np.float32)[span] * step
        clipped: Float = np.clip(value, low[span], high[span])
        return clipped
