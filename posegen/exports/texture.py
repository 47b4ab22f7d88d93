"""A texture grown beyond an edge, patch by patch from the band along it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from posegen.exports.background_seams import bridge, joined, stacked

Float = NDArray[np.float32]
Bool = NDArray[np.bool_]
Int = NDArray[np.intp]

_COARSE_PX = 16
"""Patches are looked for in a picture made so small that they have this side in it."""
_OVERLAP_SHARE = 0.3
"""Of a patch, over each of its neighbours. Efros & Freeman take a sixth; more carries rows of bricks over."""
_ROWS_SHARE = 0.75
"""How far along the edge from its own place a patch may come, in patches."""
_CANDIDATES = 32
"""The best by themselves, for each place."""
_WHOLE = 8
"""And so many that were neighbours already in the band: they fit together whatever is on them."""
_FINE_STEPS = 5
"""Places tried in each direction when a patch is moved to fit in the picture's own pixels."""
_NEVER = np.float32(1e12)

# What a patch costs besides the squared difference in its overlap, in variances of the texture.
_TONE = 0.4
"""Times the squared difference of the ground's colours, as they are: no wall from the floor."""
_AWAY = 0.05
"""A patch's length away from its own rows."""
_AGAIN = 0.7
"""Taken just before; and as much, at most, for lying close to where it goes, where a repetition shows."""
_FORGET = 0.75
"""What is left of that with every column of patches."""
_CLOSE = 3.0
"""How far is close, in patches."""
_CHANCE = 0.15
"""Chance raises each cost by up to this share, so that equals take turns."""


@dataclass(frozen=True)
class _Grid:
    """Patches of `side` pixels along an edge, each `overlap` pixels over its neighbours."""

    side: int
    overlap: int
    step: int
    """Pixels to a pixel of the coarse picture; side, overlap and rows are multiples."""
    rows: Int
    """The patches' first rows."""

    @classmethod
    def over(cls, height: int, side: int) -> _Grid:
        step = max(1, side // _COARSE_PX)
        size = side // step
        over = max(1, round(size * _OVERLAP_SHARE))
        last = height // step - size
        rows = np.linspace(0, last, 1 + -(-last // (size - over))).round().astype(np.intp)
        return cls(size * step, over * step, step, rows * step)


def quilted(
    band: Float, tone: Float, usable: Bool, beside: Float, seen: Bool, wanted: Float, side: int, apart: int
) -> Float | None:
    """Return a texture that goes on beyond the right edge of a picture.

    Parameters
    ----------
    band : float array, shape (H, D, 3)
        What is copied from: differences from the ground's colours, which are `tone`.
    tone : float array, shape (H, D, 3)
    usable : bool array, shape (H, D)
        What of it may be copied.
    beside : float array, shape (H, B, 3)
        The picture's last columns, the same kind of differences; at least `side` of them.
    seen : bool array, shape (H, B)
        Where they show the ground.
    wanted : float array, shape (H, L, 3)
        The ground's colours beyond the edge, nearest column first.
    side : int
        Of a patch, in pixels; 4 to H and D.
    apart : int
        Columns between the band and the picture's edge.

    Returns
    -------
    float array, shape (H, L, 3), or None
        Differences from `wanted`. None if every patch has something unusable.

    References
    ----------
    Efros & Freeman, "Image Quilting for Texture Synthesis and Transfer", SIGGRAPH 2001.
    """
    height, length = wanted.shape[:2]
    grid = _Grid.over(height, side)
    search = _Search.of(np.where(usable[..., None], band, 0), tone, usable, grid)
    if search is None:
        return None
    stride, over = grid.side - grid.overlap, grid.overlap
    columns = -(-length // stride)
    canvas = np.zeros((height, over + columns * stride, 3), np.float32)
    canvas[:, :over] = np.where(seen[..., None], beside, 0)[:, -over:]
    for left in range(0, columns * stride, stride):
        there = canvas[:, left : left + over]
        middle = min(left + grid.side // 2 - over, length - 1)
        strip = search.strip(there, wanted[:, max(middle, 0)], band.shape[1] + apart + left - over)
        gap = there - strip[:, :over]
        if left:
            strip += bridge(gap.mean(axis=1), grid.side, finest=4, start=over // 2)
            canvas[:, left : left + over] = joined(there, strip[:, :over])
        else:  # The picture itself stays: no cut, all has to be bridged.
            edge = np.where(seen[:, -2:, None], gap[:, -2:], 0).mean(axis=1)
            strip[:, over:] += bridge(edge, stride, finest=1)
        canvas[:, left + over : left + grid.side] = strip[:, over:]
    return canvas[:, over : over + length]


@dataclass(frozen=True)
class _Search:
    """The patches of a band, and which of them fit next to what is there. Counts in coarse pixels."""

    band: Float
    grey: Float
    coarse: Float
    """Of `grey`."""
    grid: _Grid
    free: Bool
    """Whether a patch may start at a pixel."""
    starts: Bool
    """The same of coarse pixels."""
    left: Float
    """What patches show in the columns that overlap, shape (Y, X, F)."""
    tone: Float
    """The ground's colours in their middles, shape (Y, X, 3)."""
    variance: float
    around: list[tuple[int, int, int]]
    """The first, middle and last row, exclusive, from which each place's patches come."""
    used: Float
    """How lately a patch was taken: 1 the last time, less before."""
    random: np.random.Generator

    @classmethod
    def of(cls, band: Float, tone: Float, usable: Bool, grid: _Grid) -> _Search | None:
        """Return None if no patch is usable."""
        step, size = grid.step, grid.side // grid.step
        free = _free(usable, grid.side)
        starts = free[::step, ::step]
        if not starts.any():
            return None
        coarse = shrunk(band, step)
        height, width = starts.shape
        left = sliding_window_view(coarse, (size, grid.overlap // step), axis=(0, 1))[:height, :width]
        middle = np.arange(max(height, width)) * step + grid.side // 2
        return cls(
            band=band,
            grey=band @ np.full(3, 1 / 3, np.float32),
            coarse=coarse @ np.full(3, 1 / 3, np.float32),
            grid=grid,
            free=free,
            starts=starts,
            left=np.ascontiguousarray(left).reshape(height, width, -1),
            tone=tone[middle[:height, None], middle[:width]],
            variance=float(coarse.var() / usable.mean()) + 1.0,
            around=[_around(starts, int(row), round(_ROWS_SHARE * size)) for row in grid.rows // step],
            used=np.zeros(starts.shape, np.float32),
            random=np.random.default_rng(0),
        )

    def strip(self, beside: Float, wanted: Float, place: int) -> Float:
        """Return the next strip, shape (H, side, 3).

        Parameters
        ----------
        beside : float array, shape (H, overlap, 3)
            What it lies over.
        wanted : float array, shape (H, 3)
            The ground's colours in its middle.
        place : int
            Its first column, counted from the band's first.
        """
        grid = self.grid
        size = grid.side // grid.step
        options, costs = self._options(shrunk(beside, grid.step), wanted, place)
        rows, over = grid.rows // grid.step, grid.overlap // grid.step
        chosen = _path(self.coarse, options, costs, rows, size, over)
        self.used[:] *= np.float32(_FORGET)
        half = size // 2
        for y, x in chosen:
            self.used[max(0, y - half) : y + half + 1, max(0, x - half) : x + half + 1] = 1
        if grid.step > 1:
            chosen = self._refined(chosen * grid.step, beside)
        patches = [self.band[y : y + grid.side, x : x + grid.side] for y, x in chosen]
        strip = stacked(patches, grid.rows, grid.overlap)
        # A last row or two, less than a coarse pixel.
        return np.pad(strip, ((0, len(beside) - len(strip)), (0, 0), (0, 0)), mode="edge")

    def _options(self, target: Float, wanted: Float, place: int) -> tuple[Int, Float]:
        """Return for each of N places K patches, shape (N, K, 2), and what they cost, shape (N, K)."""
        size = self.grid.side // self.grid.step
        rows = self.grid.rows // self.grid.step
        apart = place - np.arange(self.starts.shape[1], dtype=np.float32) * self.grid.step
        costs = np.full((len(rows), *self.starts.shape), _NEVER)
        for cost, row, (low, middle, high) in zip(costs, rows, self.around, strict=True):
            fit = self._misfit(target[row : row + size], low, high)
            tone = self.tone[low:high] - wanted[row * self.grid.step + self.grid.side // 2]
            away = (np.arange(low, high, dtype=np.float32) - middle) / np.float32(size)
            fit += np.float32(_TONE / 3) * np.einsum("yxc,yxc->yx", tone, tone)
            close = np.hypot(away[:, None], apart / np.float32(self.grid.side)) / np.float32(_CLOSE)
            again = self.used[low:high] + np.maximum(0, 1 - close)
            fit += np.float32(self.variance) * (_AWAY * away[:, None] ** 2 + _AGAIN * again)
            fit *= 1 + _CHANCE * self.random.random(fit.shape, dtype=np.float32)
            cost[low:high] = np.where(self.starts[low:high], fit, _NEVER)
        flat = costs.reshape(len(rows), -1)
        count = min(_CANDIDATES, flat.shape[1])
        picked = np.argpartition(flat, count - 1, axis=1)[:, :count]
        picked = np.concatenate([picked, _whole(costs, rows, size)], axis=1)
        places = np.stack(np.divmod(picked, self.starts.shape[1]), axis=2)
        return places, np.take_along_axis(flat, picked, axis=1)

    def _misfit(self, target: Float, low: int, high: int) -> Float:
        """Return the mean squared differences from what is there, shape (high - low, X)."""
        flat = target.transpose(2, 0, 1).ravel()
        left = self.left[low:high]
        squares = np.einsum("yxf,yxf->yx", left, left) - 2 * (left @ flat) + flat @ flat
        return np.asarray(np.maximum(squares, 0) / np.float32(len(flat)))

    def _refined(self, places: Int, beside: Float) -> Int:
        """Return places in pixels, each moved by half a step at most so that it fits best."""
        grid = self.grid
        moves = np.unique(np.linspace(-(grid.step // 2), grid.step // 2, _FINE_STEPS).round().astype(np.intp))
        options = places[:, None] + np.stack(np.meshgrid(moves, moves), axis=2).reshape(-1, 2)
        options = np.clip(options, 0, np.array(self.free.shape) - 1)
        y, x = options[..., 0], options[..., 1]
        # Every other pixel tells as much.
        down, across = np.arange(0, grid.side, 2), np.arange(0, grid.overlap, 2)
        source = self.grey[(y[..., None] + down)[..., None], (x[..., None] + across)[..., None, :]]
        there = (beside @ np.full(3, 1 / 3, np.float32))[(grid.rows[:, None] + down)[..., None], across]
        misfit = ((source - there[:, None]) ** 2).mean(axis=(2, 3))
        costs = np.where(self.free[y, x], misfit, _NEVER)
        return _path(self.grey, options, costs, grid.rows, grid.side, grid.overlap, thin=3)


def _free(usable: Bool, side: int) -> Bool:
    """Return whether squares that start at each pixel are usable wholly."""
    sums = np.zeros((usable.shape[0] + 1, usable.shape[1] + 1), np.int32)
    np.cumsum(np.cumsum(~usable, axis=0, dtype=np.int32), axis=1, out=sums[1:, 1:])
    return np.asarray(sums[side:, side:] - sums[:-side, side:] == sums[side:, :-side] - sums[:-side, :-side])


def _around(starts: Bool, row: int, reach: int) -> tuple[int, int, int]:
    """Return between which rows a patch is looked for: round its own, or round the nearest that have some."""
    rows = np.flatnonzero(starts.any(axis=1))
    nearest = int(rows[np.abs(rows - row).argmin()])
    middle = row if abs(nearest - row) <= reach // 2 else nearest
    return max(0, middle - reach), middle, min(len(starts), middle + reach + 1)


def _whole(costs: Float, rows: Int, size: int) -> Int:
    """Return patches, shape (N, K), that are neighbours in the band too, where they cost least in sum.

    They are numbered through the last two axes of the costs, shape (N, Y, X).
    """
    height, width = costs.shape[1:]
    reach = round(_ROWS_SHARE * size)
    moved = np.clip(rows[:, None] + np.arange(-reach, reach + 1), 0, height - 1)
    sums = np.minimum(costs[np.arange(len(rows))[:, None], moved], np.float32(1e6)).sum(axis=0)
    # One of each move first: many of one move differ little.
    moves = sums.min(axis=1).argsort(kind="stable")[: _WHOLE // 2]
    best = sums.ravel().argsort(kind="stable")[: _WHOLE // 2]
    moves, columns = np.divmod(np.concatenate([moves * width + sums[moves].argmin(axis=1), best]), width)
    return np.asarray(moved[:, moves] * width + columns)


def _path(layer: Float, options: Int, costs: Float, rows: Int, side: int, overlap: int, thin: int = 1) -> Int:
    """Return each place's patch so that all fit together best, shape (N, 2).

    Their own costs and the squared differences where neighbours overlap are least in sum (Viterbi's
    algorithm). Every `thin`-th pixel is looked at.
    """
    count, choices = options.shape[:2]
    down, across = np.arange(0, overlap, thin)[:, None], np.arange(0, side, thin)
    y, x = options[..., 0, None, None], options[..., 1, None, None]
    gaps = np.diff(rows)[:, None, None, None]
    upper = layer[y[:-1] + gaps + down, x[:-1] + across].reshape(count - 1, choices, down.size * across.size)
    lower = layer[y[1:] + down, x[1:] + across].reshape(upper.shape)
    above, below = (np.einsum("nkf,nkf->nk", part, part) for part in (upper, lower))
    squares = above[..., None] + below[:, None]
    between = np.maximum(squares - 2 * (upper @ lower.swapaxes(1, 2)), 0) / np.float32(upper.shape[2])
    total, came = costs[0], []
    for cost, step in zip(costs[1:], between, strict=True):
        ways = total[:, None] + step
        came.append(ways.argmin(axis=0))
        total = ways.min(axis=0) + cost
    chosen = [int(total.argmin())]
    for back in reversed(came):
        chosen.append(int(back[chosen[-1]]))
    return np.asarray(options[np.arange(count), chosen[::-1]])


def shrunk(image: Float, step: int) -> Float:
    """Return means over squares of `step` pixels, of shape (H, W, C); what is left over is left out."""
    height, width, channels = image.shape[0] // step, image.shape[1] // step, image.shape[2]
    rows = image[: height * step, : width * step].reshape(height, step, width * step * channels).sum(axis=1)
    sums = np.einsum("ywsc->ywc", rows.reshape(height, width, step, channels))
    return np.asarray(sums / np.float32(step * step), dtype=np.float32)
