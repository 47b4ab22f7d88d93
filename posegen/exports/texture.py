"""A texture grown beyond an edge, from patches of the band along it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

Float = NDArray[np.float32]
Bool = NDArray[np.bool_]
Int = NDArray[np.intp]

_LEAST_PATCH_PX = 8
_COARSE_PX = 16
"""Side of a patch in the picture in which patches are searched: larger ones are searched in a smaller picture."""
_OVERLAP_SHARE = 0.3
_SAME_ROWS = 0.75
"""How far from its own rows a patch may come, in patches."""
_CANDIDATES = 32
_TONE = 0.4
_AWAY = 0.15
_AGAIN = 0.5
_CHANCE = 0.15
_FORGET = 0.75
_WHOLE = 8
_CLOSE = 2.0
_FEATHER_PX = 2.0


@dataclass(frozen=True)
class _Grid:
    """How an edge is divided: patches of `side` pixels, each `overlap` pixels over its neighbours."""

    side: int
    overlap: int
    step: int
    rows: Int
    """First row of each patch along the edge."""

    @classmethod
    def over(cls, height: int, side: int) -> _Grid:
        step = max(1, side // _COARSE_PX)
        side = max(side // step, 1) * step
        overlap = max(round(side * _OVERLAP_SHARE / step), 1) * step
        count = -(-(height - overlap) // max(side - overlap, 1)) if height > side else 1
        rows = np.linspace(0, (height - side) // step, count).round().astype(np.intp) * step
        return cls(side, overlap, step, rows)


def quilted(band: Float, tone: Float, usable: Bool, beside: Float, seen: Bool, wanted: Float, side: int, apart: int) -> Float | None:
    """Return a texture that goes on beyond the right edge of a band.

    Parameters
    ----------
    band : float array, shape (H, D, 3)
        Differences from the ground's colours, which are `tone`; the edge is its last column.
    tone : float array, shape (H, D, 3)
    wanted : float array, shape (H, L, 3)
        The ground's colours beyond the edge, nearest column first.
    usable : bool array, shape (H, D)
        What may be copied.
    side : int
        Of a patch, in pixels; at most H and D.

    Returns
    -------
    float array, shape (H, L, 3), or None
        Differences from `wanted`. None if no patch is usable.

    References
    ----------
    Efros & Freeman, "Image Quilting for Texture Synthesis and Transfer", SIGGRAPH 2001.
    """
    height, length = wanted.shape[:2]
    grid = _Grid.over(height, side)
    search = _Search(np.where(usable[..., None], band, 0), tone, usable, grid, apart)
    if not search.free.any():
        return None
    stride, over = grid.side - grid.overlap, grid.overlap
    columns = -(-length // stride)
    canvas = np.zeros((height, over + columns * stride, 3), np.float32)
    canvas[:, :over] = np.where(seen[..., None], beside, 0)[:, -over:]
    for left in range(0, columns * stride, stride):
        middle = min(max(left + grid.side // 2 - over, 0), length - 1)
        there = canvas[:, left : left + over]
        strip = _stacked(search.band, search.best(there, wanted[:, middle], left), grid)
        if left:
            gap = (there - strip[:, :over]).mean(axis=1)
            strip += _bridge(gap, 4, grid.side, over // 2)
            canvas[:, left : left + over] = _joined(there, strip[:, :over], grid.side)
        else:
            gap = np.where(seen[..., None], beside, 0)[:, -2:].mean(axis=1) - np.where(seen[..., None][:, -2:], strip[:, over - 2 : over], 0).mean(axis=1)
            strip[:, over:] += _bridge(gap, 1, stride, 0)
        canvas[:, left + over : left + grid.side] = strip[:, over:]
    return canvas[:, over : over + length]


class _Search:
    """The patches of a band, and which of them fit next to what is there."""

    def __init__(self, band: Float, tone: Float, usable: Bool, grid: _Grid, apart: int) -> None:
        self.band, self.grid = band, grid
        self.apart = apart + usable.shape[1]
        height, depth = usable.shape
        step, side = grid.step, grid.side
        self.grey = np.ascontiguousarray(band.mean(axis=2))
        self.coarse = _shrunk(band, step)
        count_y, count_x = (height - side) // step + 1, (depth - side) // step + 1
        blocked = np.zeros((height + 1, depth + 1), np.int64)
        blocked[1:, 1:] = (~usable).cumsum(axis=0).cumsum(axis=1)
        inside = blocked[side:, side:] - blocked[:-side, side:] - blocked[side:, :-side] + blocked[:-side, :-side]
        self.free_px = inside == 0
        self.free = self.free_px[::step, ::step]
        assert self.free.shape == (count_y, count_x)
        size, over = side // step, grid.overlap // step
        windows = sliding_window_view(self.coarse, (size, over), axis=(0, 1))[:count_y, :count_x]
        self.left = np.ascontiguousarray(windows).reshape(count_y, count_x, -1)
        self.left_norm = np.einsum("yxf,yxf->yx", self.left, self.left)
        middle_y = np.arange(count_y) * step + side // 2
        middle_x = np.arange(count_x) * step + side // 2
        self.tone = tone[middle_y[:, None], middle_x]
        self.variance = float(self.coarse[_shrunk(usable.astype(np.float32)[..., None], step)[..., 0] == 1].var()) + 1.0
        self.used = np.zeros((count_y, count_x), np.float32)
        self.random = np.random.default_rng(0)
        self.around = [self._around(row) for row in grid.rows // step]

    def _around(self, row: int) -> tuple[int, int]:
        """Return the rows among which a patch's candidates lie: its own, or the nearest that have some."""
        reach = max(1, round(_SAME_ROWS * self.grid.side / self.grid.step))
        rows = np.flatnonzero(self.free.any(axis=1))
        nearest = int(rows[np.argmin(np.abs(rows - row))])
        # If its own are blocked by the figure, look behind the nearest free one.
        middle = row if abs(nearest - row) <= reach // 2 else nearest
        return max(0, middle - reach), min(len(self.free), middle + reach + 1)

    def best(self, beside: Float, wanted: Float, left: int) -> Int:
        """Return the places of the patches, shape (N, 2), that continue `beside` (H, overlap, 3)."""
        grid, step = self.grid, self.grid.step
        size, rows = grid.side // step, grid.rows // step
        target = _shrunk(beside, step)
        costs = [self._cost(target[row : row + size], wanted, int(row), *around, left) for row, around in zip(rows, self.around, strict=True)]
        options = np.stack([self._options(cost, around[0], row, whole) for cost, around, row, whole in zip(costs, self.around, rows, self._whole(costs, rows), strict=True)])
        paid = np.stack([cost[option[:, 0] - around[0], option[:, 1]] for cost, option, around in zip(costs, options, self.around, strict=True)])
        chosen = _path(self.coarse, options, paid, rows, size, grid.overlap // step)
        self.used *= np.float32(_FORGET)
        for y, x in chosen:
            self.used[max(0, y - size // 2) : y + size // 2 + 1, max(0, x - size // 2) : x + size // 2 + 1] += 1
        return self._refined(chosen * step, beside) if step > 1 else chosen

    def _whole(self, costs: list[Float], rows: Int) -> list[Int]:
        """Return for each row the columns at which all patches together, side by side in the band, cost least."""
        own = [cost[min(row, low_high[1] - 1) - low_high[0]] if low_high[0] <= row < low_high[1] else np.full(cost.shape[1], 1e12, np.float32) for cost, row, low_high in zip(costs, rows, self.around, strict=True)]
        order = np.argsort(np.minimum(np.stack(own), 1e6).sum(axis=0), kind="stable")[:_WHOLE]
        return [order] * len(rows)

    def _options(self, cost: Float, low: int, row: int, whole: Int) -> Int:
        flat = cost.ravel()
        pick = np.argpartition(flat, _CANDIDATES - 1)[:_CANDIDATES] if len(flat) > _CANDIDATES else np.resize(np.argsort(flat, kind="stable"), _CANDIDATES)
        if low <= row < low + len(cost):
            pick = np.concatenate([pick, np.resize((row - low) * cost.shape[1] + whole, _WHOLE)])
        else:
            pick = np.concatenate([pick, pick[:_WHOLE]])
        return np.stack([pick // cost.shape[1] + low, pick % cost.shape[1]], axis=1)

    def _cost(self, target: Float, wanted: Float, row: int, low: int, high: int, left: int) -> Float:
        grid = self.grid
        flat = target.transpose(2, 0, 1).ravel()
        fit = self.left_norm[low:high] - 2 * (self.left[low:high] @ flat) + flat @ flat
        fit = np.maximum(fit, 0) / len(flat)
        tone = ((self.tone[low:high] - wanted[row * grid.step + grid.side // 2]) ** 2).mean(axis=2)
        away = (np.arange(low, high, dtype=np.float32) - row) * np.float32(grid.step / grid.side)
        apart = self.apart + left - grid.overlap - np.arange(self.free.shape[1], dtype=np.float32) * grid.step
        close = np.maximum(0, 1 - apart / (_CLOSE * grid.side)) 
        cost = fit + _TONE * tone
        cost += np.float32(self.variance) * (_AWAY * away[:, None] ** 2 + _AGAIN * self.used[low:high] + _AGAIN * close)
        cost *= 1 + _CHANCE * self.random.random(cost.shape, dtype=np.float32)
        return np.where(self.free[low:high], cost, np.float32(1e12))

    def _refined(self, places: Int, beside: Float) -> Int:
        """Return the places moved by less than a step each, to fit in the picture's own pixels."""
        grid, reach = self.grid, self.grid.step // 2
        moves = np.arange(-reach, reach + 1)
        moves = np.stack(np.meshgrid(moves, moves, indexing="ij"), axis=-1).reshape(-1, 2)
        options = places[:, None] + moves
        last = np.array(self.free_px.shape) - 1
        options = np.clip(options, 0, last)
        blocked = ~self.free_px[options[..., 0], options[..., 1]]
        target = beside.mean(axis=2)
        rows = np.arange(0, grid.side, 2)[:, None]
        columns = np.arange(0, grid.overlap, 2)
        source = self.grey[options[..., 0, None, None] + rows, options[..., 1, None, None] + columns]
        there = target[(grid.rows[:, None] + np.arange(0, grid.side, 2)), ::2][:, None]
        cost = ((source - there) ** 2).mean(axis=(2, 3)) + np.where(blocked, np.float32(1e12), 0)
        return _path(self.grey[..., None], options, cost, grid.rows, grid.side, grid.overlap, 2)


def _path(layer: Float, options: Int, costs: Float, rows: Int, side: int, overlap: int, thin: int = 1) -> Int:
    """Return of each patch the option that costs least together with the overlaps along the edge (Viterbi)."""
    count = len(rows)
    down, across = np.arange(0, overlap, thin), np.arange(0, side, thin)
    y, x = options[..., 0], options[..., 1]
    apart = np.diff(rows)
    upper = layer[(y[:-1] + apart[:, None])[..., None, None] + down[:, None], x[:-1, :, None, None] + across]
    lower = layer[y[1:, :, None, None] + down[:, None], x[1:, :, None, None] + across]
    upper, lower = (part.reshape(count - 1, options.shape[1], -1) for part in (upper, lower))
    between = (upper**2).sum(axis=2)[:, :, None] + (lower**2).sum(axis=2)[:, None] - 2 * upper @ lower.transpose(0, 2, 1)
    between = np.maximum(between, 0) / upper.shape[2] if count > 1 else between
    total, came = costs[0], []
    for row in range(count - 1):
        ways = total[:, None] + between[row]
        came.append(ways.argmin(axis=0))
        total = ways.min(axis=0) + costs[row + 1]
    chosen = [int(total.argmin())]
    for back in reversed(came):
        chosen.append(int(back[chosen[-1]]))
    return options[np.arange(count), chosen[::-1]]


def _stacked(band: Float, places: Int, grid: _Grid) -> Float:
    """Return the patches laid one below the other, shape (H, side, 3), joined along the least visible cuts."""
    side, overlap = grid.side, grid.overlap
    strip = np.empty((grid.rows[-1] + side, side, 3), np.float32)
    patches = [band[y : y + side, x : x + side] for y, x in places]
    if len(patches) > 1:
        patches = _levelled(patches, grid)
        apart = np.diff(grid.rows)
        upper = np.stack([patch[gap : gap + overlap] for patch, gap in zip(patches, apart, strict=False)])
        lower = np.stack([patch[:overlap] for patch in patches[1:]])
        share = _shares(((upper - lower) ** 2).sum(axis=3).swapaxes(1, 2)).swapaxes(1, 2)[..., None]
        seams = upper + (lower - upper) * share
    for index, (row, patch) in enumerate(zip(grid.rows, patches, strict=True)):
        strip[row : row + side] = patch
        if index:
            strip[row : row + overlap] = seams[index - 1]
    return _filled(strip, band.shape[0])


def _levelled(patches: list[Float], grid: _Grid) -> list[Float]:
    """Return the patches with what their overlaps differ by on average spread over them."""
    side, over = grid.side, grid.overlap
    gaps = np.stack([(upper[gap : gap + over] - lower[:over]).mean(axis=0) for upper, lower, gap in zip(patches, patches[1:], np.diff(grid.rows), strict=False)])
    gaps = np.stack([_box_blurred(gap, max(2, side // 8)) for gap in gaps]) / 2
    ramp = np.clip(np.arange(side, dtype=np.float32) / np.float32(side - over), 0, 1)[:, None, None]
    none = np.zeros_like(gaps[0])
    return [patch + above * ramp[::-1] - below * ramp for patch, above, below in zip(patches, [none, *gaps], [*gaps, none], strict=True)]


def _filled(strip: Float, height: int) -> Float:
    """Return a strip to which rows are missing, less than a step, with its last row repeated."""
    missing = height - len(strip)
    return np.concatenate([strip, np.repeat(strip[-1:], missing, axis=0)]) if missing else strip


def _joined(over: Float, strip: Float, piece: int) -> Float:
    """Return the overlap of what is there with the next strip, shape (H, overlap, 3)."""
    height, overlap = over.shape[:2]
    error = ((over - strip) ** 2).sum(axis=2)
    pieces = -(-height // piece)
    error = np.pad(error, ((0, pieces * piece - height), (0, 0))).reshape(pieces, piece, overlap)
    share = _shares(error).reshape(-1, overlap)[:height, :, None]
    return over + (strip - over) * share


def _shares(error: Float) -> Float:
    """Return the second one's share in overlaps (N, L, W), cut where they differ least; 0 first, 1 last in W."""
    count, length, width = error.shape
    best = np.full((length, count, width + 2), np.inf, np.float32)
    best[0, :, 1:-1] = error[:, 0]
    for i in range(1, length):
        before = best[i - 1]
        np.minimum(before[:, :-2], before[:, 1:-1], out=best[i, :, 1:-1])
        np.minimum(best[i, :, 1:-1], before[:, 2:], out=best[i, :, 1:-1])
        best[i, :, 1:-1] += error[:, i]
    cut = np.empty((count, length), np.intp)
    cut[:, -1] = best[-1].argmin(axis=1)
    each = np.arange(count)[:, None]
    near = np.arange(-1, 2)
    for i in range(length - 2, -1, -1):
        around = cut[:, i + 1, None] + near
        cut[:, i] = around[:, 0] + best[i][each, around].argmin(axis=1)
    distance = np.arange(width, dtype=np.float32) - (cut - 1)[..., None]
    return np.clip(distance / np.float32(_FEATHER_PX) + np.float32(0.5), 0, 1)


def _bridge(gap: Float, fine: int, reach: int, start: int) -> Float:
    """Return what leads from the picture's last column over to the texture's, shape (H, reach, 3)."""
    away = np.maximum(np.arange(reach, dtype=np.float32) - np.float32(start), 0)[None, :, None]
    bridge = np.zeros((len(gap), reach, 3), np.float32)
    left = _box_blurred(gap, fine)
    width = 2 * fine
    while width < reach:
        next_left = _box_blurred(left, width)
        bridge += (left - next_left)[:, None] * np.exp(-away / np.float32(width))
        left, width = next_left, width * 2
    bridge += left[:, None] * np.exp(-away / np.float32(width))
    return bridge * np.clip((reach - away) / (reach / 2), 0, 1)


def _box_blurred(line: Float, reach: int) -> Float:
    padded = np.pad(line, ((reach + 1, reach), (0, 0)), mode="edge").cumsum(axis=0, dtype=np.float64)
    return ((padded[2 * reach + 1 :] - padded[: -2 * reach - 1]) / (2 * reach + 1)).astype(np.float32)


def _shrunk(image: Float, step: int) -> Float:
    """Return means over squares of `step` pixels; what is left over at the ends is left out."""
    if step == 1:
        return image
    height, width = image.shape[0] // step, image.shape[1] // step
    cut = image[: height * step, : width * step]
    return cut.reshape(height, step, width, step, -1).mean(axis=(1, 3), dtype=np.float32)
