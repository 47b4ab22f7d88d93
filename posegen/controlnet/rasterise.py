"""Which pixels OpenCV would set: ellipses as polygons, convex polygons, discs.

Pose ControlNets were trained on pictures drawn by OpenCV, whose integer rasterisation differs by whole
pixels from Pillow's. These functions follow the documented behaviour of `cv2.ellipse2Poly`,
`cv2.fillConvexPoly` (8-connected outline, then 16-bit fixed-point scanlines) and `cv2.circle` (mid-point
algorithm, filled); `tests/controlnet` compares them with OpenCV itself. All pixels are returned as flat
indices into a (height, width) canvas.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

IntArray = NDArray[np.int64]

_FIXED_BITS = 16
_ONE = 1 << _FIXED_BITS
_SINE = np.round(np.sin(np.radians(np.arange(451))), 7).astype(np.float32).astype(np.float64)
"""Sine of whole degrees as OpenCV tabulates it: seven decimals in single precision."""


def ellipse_polygon(center: tuple[int, int], axes: tuple[int, int], angle_deg: int) -> IntArray:
    """Return the vertices of a full ellipse, one per degree, rounded to pixels, neighbours never equal.

    Parameters
    ----------
    center : (int, int)
        x, y in pixels.
    axes : (int, int)
        Half-axes in pixels, the first along `angle_deg`.
    angle_deg : int
        Rotation in [-360, 360], clockwise in the picture.

    Returns
    -------
    int array, shape (2, N)
        x and y; at least two vertices, the first and the last equal if there are more.
    """
    angle = angle_deg % 360
    cosine, sine = _SINE[450 - angle], _SINE[angle]
    along = axes[0] * _SINE[450:89:-1]
    across = axes[1] * _SINE[:361]
    vertices = np.empty((2, 361), dtype=np.int64)
    np.rint(center[0] + along * cosine - across * sine, out=vertices[0], casting="unsafe")
    np.rint(center[1] + along * sine + across * cosine, out=vertices[1], casting="unsafe")
    changed = np.ones(361, dtype=bool)
    np.not_equal(vertices[0, 1:], vertices[0, :-1], out=changed[1:])
    changed[1:] |= vertices[1, 1:] != vertices[1, :-1]
    vertices = vertices[:, changed]
    return np.repeat(vertices, 2, axis=1) if vertices.shape[1] == 1 else vertices


def convex_polygon_pixels(vertices: IntArray, width: int, height: int) -> IntArray:
    """Return the pixels of a filled convex polygon: its outline and the spans within.

    Parameters
    ----------
    vertices : int array, shape (2, N)
        x and y in pixels, in order round the polygon; may lie outside the canvas.
    width, height : int
        Size of the canvas.

    Returns
    -------
    int array
        Flat indices y * width + x, some more than once; empty if nothing falls on the canvas.
    """
    x, y = vertices
    left, right, top, bottom = int(x.min()), int(x.max()), int(y.min()), int(y.max())
    if right < 0 or bottom < 0 or left >= width or top >= height:
        return np.empty(0, dtype=np.int64)
    ends = np.stack([np.roll(x, 1), np.roll(y, 1), x, y])
    if left < 0 or top < 0 or right >= width or bottom >= height:
        ends = _clipped(ends, width, height)
    outline = _line_pixels(ends, width)
    if len(x) < 3 or top == bottom:
        return outline
    return np.concatenate([outline, _inner_pixels(x, y, width, height)])


def disc_pixels(center: tuple[int, int], radius: int, width: int, height: int) -> IntArray:
    """Return the pixels of a filled circle as flat indices y * width + x; empty if it misses the canvas."""
    dy, dx = _disc_offsets(radius)
    x, y = center[0] + dx, center[1] + dy
    inside = (x >= 0) & (x < width) & (y >= 0) & (y < height)
    pixels: IntArray = (y * width + x)[inside]
    return pixels


@lru_cache(maxsize=32)
def _disc_offsets(radius: int) -> tuple[IntArray, IntArray]:
    """Return dy, dx of a disc: the rows an integer mid-point circle sweeps."""
    half = np.full(2 * radius + 1, -1, dtype=np.int64)
    error, dx, dy, plus, minus = 0, radius, 0, 1, 2 * radius - 1
    while dx >= dy:
        for row, reach in ((dy, dx), (dx, dy)):
            for signed in (row, -row):
                half[radius + signed] = max(half[radius + signed], reach)
        dy += 1
        error += plus
        plus += 2
        if error > 0:
            error -= minus
            dx -= 1
            minus -= 2
    rows = np.arange(-radius, radius + 1)
    inside = np.abs(rows)[np.newaxis, :] <= half[:, np.newaxis]
    y, x = np.nonzero(inside)
    return y - radius, x - radius


def _clipped(ends: IntArray, width: int, height: int) -> IntArray:
    """Return the lines x0, y0, x1, y1 (rows of `ends`) cut to the canvas, without those that miss it."""
    limits = np.array([width, height, width, height])[:, np.newaxis]
    inside = ((ends >= 0) & (ends < limits)).all(axis=0)
    cut = [_clip(edge, width, height) for edge in ends[:, ~inside].T.tolist()]
    kept = np.array([edge for edge in cut if edge], dtype=np.int64).reshape(-1, 4)
    return np.concatenate([ends[:, inside], kept.T], axis=1)


def _line_pixels(ends: IntArray, width: int) -> IntArray:
    """Return the pixels of many 8-connected lines x0, y0, x1, y1 on the canvas, drawn from left to right."""
    x0, y0, x1, y1 = ends
    leftwards = x1 < x0
    dx = np.abs(x1 - x0)
    dy = np.where(leftwards, y0 - y1, y1 - y0)
    origin = np.where(leftwards, y1 * width + x1, y0 * width + x0)
    down = np.where(dy < 0, -width, width)
    dy = np.abs(dy)
    steep = dy > dx
    major, minor = np.where(steep, dy, dx), np.where(steep, dx, dy)
    line, step = _ramps(major + 1)
    # Bresenham's error term in closed form; a tie keeps to the starting point's row or column.
    twice = 2 * np.maximum(major, 1)
    sideways = np.maximum((2 * minor[line] * step + major[line] - 1) // twice[line], 0)
    along, across = np.where(steep, down, 1), np.where(steep, 1, down)
    pixels: IntArray = origin[line] + step * along[line] + sideways * across[line]
    return pixels


def _ramps(lengths: IntArray) -> tuple[IntArray, IntArray]:
    """Return for runs of these lengths each element's run and its place in the run, from 0."""
    run = np.repeat(np.arange(len(lengths)), lengths)
    starts = np.cumsum(lengths) - lengths
    return run, np.arange(len(run)) - starts[run]


def _clip(edge: list[int], width: int, height: int) -> list[int] | None:
    """Return a line's part on the canvas, cut as OpenCV cuts it (towards zero); None if there is none."""
    x0, y0, x1, y1 = edge
    right, bottom = width - 1, height - 1

    def beyond_x(x: int) -> int:
        return (x < 0) + 2 * (x > right)

    def beyond_y(y: int) -> int:
        return 4 * (y < 0) + 8 * (y > bottom)

    code0, code1 = beyond_x(x0) | beyond_y(y0), beyond_x(x1) | beyond_y(y1)
    if not code0 & code1 and code0 | code1:
        if code0 & 12:
            cut = 0 if code0 < 8 else bottom
            x0, y0 = x0 + int((cut - y0) * (x1 - x0) / (y1 - y0)), cut
            code0 = beyond_x(x0)
        if code1 & 12:
            cut = 0 if code1 < 8 else bottom
            x1, y1 = x1 + int((cut - y1) * (x1 - x0) / (y1 - y0)), cut
            code1 = beyond_x(x1)
        if not code0 & code1 and code0 | code1:
            if code0:
                cut = 0 if code0 == 1 else right
                y0, x0 = y0 + int((cut - x0) * (y1 - y0) / (x1 - x0)), cut
                code0 = 0
            if code1:
                cut = 0 if code1 == 1 else right
                y1, x1 = y1 + int((cut - x1) * (y1 - y0) / (x1 - x0)), cut
                code1 = 0
    return None if code0 | code1 else [x0, y0, x1, y1]


def _inner_pixels(x: IntArray, y: IntArray, width: int, height: int) -> IntArray:
    """Return the pixels of the scanline spans between the polygon's two chains of edges."""
    top = int(y.argmin())
    x, y = np.roll(x, -top), np.roll(y, -top)
    rows = np.arange(max(int(y[0]), 0), min(int(y.max()), height - 1) + 1)
    one = _chain_x(x, y, rows)
    other = _chain_x(np.roll(x[::-1], 1), np.roll(y[::-1], 1), rows)
    left = (np.minimum(one, other) + _ONE // 2) >> _FIXED_BITS
    right = (np.maximum(one, other) + _ONE // 2) >> _FIXED_BITS
    left = np.maximum(left, 0)
    right = np.minimum(right, width - 1)
    kept = right >= left
    rows, left, right = rows[kept], left[kept], right[kept]
    span, step = _ramps(right - left + 1)
    pixels: IntArray = (rows * width + left)[span] + step
    return pixels


def _chain_x(x: IntArray, y: IntArray, rows: IntArray) -> IntArray:
    """Return a chain's x in fixed point at each row, going down from the topmost vertex, the first.

    An edge starts at its upper vertex and adds the same rounded increment on every row, so that its error
    grows downwards; the bottom row still belongs to the edge that ends there.
    """
    bottom = int(y.argmax())
    dy = np.diff(y[: bottom + 1])
    falling = np.flatnonzero(dy > 0)
    dy = dy[falling]
    start_x, start_y = x[falling], y[falling]
    # Half a row is added before the division, which cuts towards zero.
    numerator = 2 * _ONE * (x[falling + 1] - start_x) + dy
    increment = np.sign(numerator) * (np.abs(numerator) // (2 * dy))
    edge = np.searchsorted(start_y, rows, side="right") - 1
    fixed: IntArray = start_x[edge] * _ONE + increment[edge] * (rows - start_y[edge])
    return fixed
