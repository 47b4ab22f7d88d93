"""A picture continued beyond its edges, where an export's shape asks for more background than there is.

What lies beyond an edge is grown from the strip along it: its colours, softer the farther away, following for
a little while the slope by which they change there, with the strip's own grain. A mirrored continuation would
show the figure twice, a stretched one would distort it, and plain replication draws streaks.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from posegen.exports.texture import _shrunk, quilted

Float = NDArray[np.float32]
Bool = NDArray[np.bool_]

_LEAST_PATCH_PX = 8
_PATCH_SHARE = 0.09
_DEEP_SHARE = 0.3
_SHALLOW_SHARE = 0.16

_STRIP_SHARE = 0.035
"""Depth of the strip that is looked at, as a share of the picture's longer side."""
_LEAST_STRIP_PX = 4
_SPREAD = 0.10
"""How fast colours soften: standard deviation of the blur along the edge, per pixel of distance from it."""
_SLOPE_BLUR_SHARE = 0.06
"""Blur of the slope along the edge, as a share of its length: the light's slope is wanted, no object's."""
_FADE_SHARE = 0.16
"""Distance over which the slope fades out, as a share of the picture's longer side."""
_MOST_CHANGE = 20.0
"""Levels of 255 by which the slope may change a colour in all."""
_GRAIN_RANGE = (0.35, 6.0)
"""Least and most grain added, in levels (standard deviation). The least keeps gradients from banding."""


def continued(
    pixels: NDArray[np.uint8],
    left: int,
    top: int,
    right: int,
    bottom: int,
    avoid: tuple[float, float, float, float] | None = None,
) -> NDArray[np.uint8]:
    """Return the picture with background grown round it.

    Parameters
    ----------
    pixels : uint8 array, shape (H, W, 3)
        Not changed; it lies in the result untouched.
    left, top, right, bottom : int
        Pixels to add on each side, 0 or more.

    Returns
    -------
    uint8 array, shape (top + H + bottom, left + W + right, 3)
        The same arguments give the same pixels.

    Raises
    ------
    ValueError
        A negative number of pixels.
    """
    if min(left, top, right, bottom) < 0:
        raise ValueError(f"pixels to add must be 0 or more, not {(left, top, right, bottom)}")
    usable = _usable(pixels.shape[:2], avoid)
    deep = _DEEP_SHARE if avoid is not None else _SHALLOW_SHARE
    # Sides first, then over the whole new width: so corners are continued from what was continued.
    wide, usable = _along_x(pixels, usable, left, right, deep)
    high, _ = _along_x(wide.swapaxes(0, 1), usable.T, top, bottom, deep)
    return np.ascontiguousarray(high.swapaxes(0, 1))


def _usable(shape: tuple[int, ...], avoid: tuple[float, float, float, float] | None) -> Bool:
    usable = np.ones(shape, np.bool_)
    if avoid is not None:
        left, top, right, bottom = (float(side) for side in avoid)
        rows, columns = (slice(max(0, math.floor(low)), max(0, math.ceil(high) + 1)) for low, high in ((top, bottom), (left, right)))
        usable[rows, columns] = False
    return usable


def _along_x(pixels: NDArray[np.uint8], usable: Bool, before: int, after: int, deep: float) -> tuple[NDArray[np.uint8], Bool]:
    if before == after == 0:
        return pixels, usable
    parts = [pixels]
    if before:
        parts.insert(0, _grown(pixels, usable, before, deep)[:, ::-1])
    if after:
        parts.append(_grown(pixels[:, ::-1], usable[:, ::-1], after, deep))
    return np.concatenate(parts, axis=1), np.pad(usable, ((0, 0), (before, after)), constant_values=True)


def _grown(pixels: NDArray[np.uint8], usable: Bool, length: int, deep: float) -> NDArray[np.uint8]:
    """Return what lies beyond the left edge, nearest column first, shape (H, length, 3)."""
    grown = _textured(pixels, usable, length, deep)
    if grown is None:
        grown = _smooth(pixels, usable, length)
    return np.asarray(np.clip(np.rint(grown), 0, 255).astype(np.uint8))


def _textured(pixels: NDArray[np.uint8], usable: Bool, length: int, deep: float) -> Float | None:
    height, width = pixels.shape[:2]
    reach = max(height, width)
    side = min(round(reach * _PATCH_SHARE), height)
    first, last = _source(usable, side, round(reach * deep))
    if last - first < _LEAST_PATCH_PX:
        return None
    band = np.ascontiguousarray(pixels[:, :last][:, ::-1]).astype(np.float32)
    free = np.ascontiguousarray(usable[:, :last][:, ::-1])
    cut = slice(0, last - first)
    side = min(side, round(0.6 * (last - first)), _fitting(free[:, cut]))
    if side < _LEAST_PATCH_PX or not _has_texture(band[:, cut], free[:, cut], side):
        return None
    tone, wanted = _tones(band, free, length, side / 2, reach * _FADE_SHARE, side / 3)
    band -= tone
    beside = band[:, -side:]
    ground = np.sqrt(np.mean(band[free]**2))
    seen = free[:, -side:] | (np.abs(beside) < 2 * ground).all(axis=2)
    detail = quilted(band[:, cut], tone[:, cut], free[:, cut], beside, seen, wanted, side, first)
    return None if detail is None else wanted + detail


def _source(usable: Bool, side: int, depth: int) -> tuple[int, int]:
    """Return the columns to copy from: those along the edge, or beyond the figure where it stands close to it."""
    width = usable.shape[1]
    near = usable[:, :depth].sum(axis=1) >= 1.5 * side
    if near.mean() >= 0.6:
        return 0, min(width, depth)
    open_ = np.flatnonzero(usable.mean(axis=0) >= 0.9)
    beyond = open_[open_ >= side] if open_.size else open_
    if beyond.size >= 2 * side:
        return int(beyond[0]), int(min(beyond[0] + depth, width))
    return 0, min(width, depth)


def _fitting(free: Bool) -> int:
    counts = free.sum(axis=1)
    counts = counts[counts >= _LEAST_PATCH_PX]
    return round(0.6 * float(np.median(counts))) if counts.size else 0


def _has_texture(band: Float, free: Bool, side: int) -> bool:
    step = max(1, side // 16)
    size = side // step
    grey = _shrunk(band.mean(axis=2)[..., None], step)[..., 0]
    open_ = _shrunk(free.astype(np.float32)[..., None], step)[..., 0] == 1
    rows, columns = grey.shape[0] // size, grey.shape[1] // size
    if not rows or not columns:
        return False
    def blocks(a):
        return a[:rows*size,:columns*size].reshape(rows,size,columns,size).swapaxes(1,2).reshape(rows*columns,-1)
    tiles = blocks(grey)[blocks(open_).all(axis=1)]
    if not len(tiles):
        return False
    place = np.stack([np.ones(size*size), np.repeat(np.arange(size), size), np.tile(np.arange(size), size)], axis=1).astype(np.float32)
    q, _ = np.linalg.qr(place)
    flat = tiles - (tiles @ q) @ q.T
    rough = flat.std(axis=1)
    return bool(np.quantile(rough, 0.95) > 2.0)


def _tones(band: Float, free: Bool, length: int, sigma: float, fade: float, grain: float) -> tuple[Float, Float]:
    height, depth = free.shape
    x = np.arange(depth, dtype=np.float32) - np.float32(depth - 1)
    w = free.astype(np.float32)
    v = band * w[..., None]
    sums = np.stack([w.sum(1), w @ x, w @ (x * x)] + [v[..., c].sum(1) for c in range(3)] + [v[..., c] @ x for c in range(3)] + [(v[..., c]**2).sum(1) for c in range(3)], axis=1).astype(np.float64)
    near = _fold(sums, sigma)
    wide = _fold(sums, 0.06 * height+1)
    allin = sums.mean(0)
    near = near + 1e-3 * wide + 1e-6 * allin
    wide = wide + 1e-6 * allin
    s = wide
    det = s[:,0]*s[:,2]-s[:,1]**2
    slope = (s[:,[0]]*s[:,6:9]-s[:,[1]]*s[:,3:6])/np.maximum(det,1e-9)[:,None]
    spread = np.maximum(det/s[:,0], 1e-9)[:,None]
    noise = np.maximum(s[:,9:12] - s[:,3:6]**2/s[:,[0]] - slope**2*spread, 0)/s[:,[0]]
    error = noise*grain**2/(spread*3.5*0.06*height)
    slope *= slope**2/(slope**2+4*error+1e-12)
    slope = np.clip(slope, -_MOST_CHANGE/fade, _MOST_CHANGE/fade)
    mean = near[:,3:6]/near[:,[0]]
    at = (near[:,1]/near[:,0])[:,None]
    edge = mean - slope*at
    tone = edge[:,None]+slope[:,None]*x[None,:,None]
    away = np.arange(1,length+1)
    change = np.clip(slope[:,None]*(fade*(1-np.exp(-away/fade)))[None,:,None], -_MOST_CHANGE,_MOST_CHANGE)
    return tone.astype(np.float32), (edge[:,None]+change).astype(np.float32)


def _fold(sums, sigma):
    reach = min(math.ceil(3 * sigma), 4 * len(sums))
    kernel = np.exp(-0.5 * (np.arange(-reach, reach + 1) / sigma) ** 2)
    kernel /= kernel.sum()
    padded = np.pad(sums, ((reach, reach), (0, 0)), mode="edge")
    return np.stack([np.convolve(padded[:, c], kernel, "valid") for c in range(sums.shape[1])], axis=1)


def _smooth(pixels: NDArray[np.uint8], usable: Bool, length: int) -> Float:
    height, width = pixels.shape[:2]
    reach = max(height, width)
    depth = min(width, max(_LEAST_STRIP_PX, round(reach * _STRIP_SHARE)))
    strip = pixels[:, :depth].astype(np.float32)
    edge, slope = _line(strip)
    away = np.arange(1, length + 1, dtype=np.float32)
    fade = reach * _FADE_SHARE
    travelled = fade * (1 - np.exp(-away / fade))
    change = -_blurred(slope, max(1.0, _SLOPE_BLUR_SHARE * height))[:, None] * travelled[:, None]
    grown = _softening(edge, away) + np.clip(change, -_MOST_CHANGE, _MOST_CHANGE)
    return grown + _grain(strip, grown.shape)


def _line(strip: Float) -> tuple[Float, Float]:
    """Return by least squares each row's colour at the edge and its change per pixel inwards; (H, 3) each."""
    depth = strip.shape[1]
    if depth == 1:
        return strip[:, 0], np.zeros_like(strip[:, 0])
    place = np.arange(depth, dtype=np.float32) - np.float32((depth - 1) / 2)
    slope = np.einsum("hwc,w->hc", strip, place) / np.float32((place**2).sum())
    return strip.mean(axis=1) - slope * np.float32((depth - 1) / 2), slope


def _softening(edge: Float, away: Float) -> Float:
    """Return the edge's colours at each distance, shape (H, len(away), 3): blurred along it, ever more."""
    # A blur for each doubling, and mixtures between.
    levels = max(1, math.ceil(math.log2(max(1.0, _SPREAD * float(away[-1])))) + 1)
    blurs = np.stack([edge, *(_blurred(edge, 2.0**level) for level in range(levels))], axis=1)
    sigma = _SPREAD * away
    place = np.where(sigma < 1, sigma, 1 + np.log2(np.maximum(sigma, 1)))
    place = np.minimum(place, blurs.shape[1] - 1)
    lower = np.minimum(place.astype(np.intp), blurs.shape[1] - 2)
    share = (place - lower).astype(np.float32)[None, :, None]
    return np.asarray(blurs[:, lower] * (1 - share) + blurs[:, lower + 1] * share, dtype=np.float32)


def _blurred(line: Float, sigma: float) -> Float:
    """Return a Gaussian blur along axis 0 of shape (L, 3); the ends are continued evenly."""
    reach = min(math.ceil(3 * sigma), 4 * len(line))
    kernel = np.exp(-0.5 * (np.arange(-reach, reach + 1, dtype=np.float32) / np.float32(sigma)) ** 2)
    kernel /= kernel.sum()
    padded = np.pad(line, ((reach, reach), (0, 0)), mode="edge")
    return np.stack([np.convolve(padded[:, channel], kernel, "valid") for channel in range(3)], axis=1)


def _grain(strip: Float, shape: tuple[int, ...]) -> Float:
    """Return noise as strong as the strip's own, the same in all channels; shape (H, length, 1)."""
    # Second differences along the strip: a gradient has none. Of white noise they have sqrt(6) its deviation.
    grey = strip.mean(axis=2)
    bends = grey[:, 2:] - 2 * grey[:, 1:-1] + grey[:, :-2]
    # The median stays small where an object's outline crosses the strip (0.6745: of a normal's deviation).
    found = float(np.median(np.abs(bends))) / 0.6745 / math.sqrt(6) if bends.size else 0.0
    strength = float(np.clip(found, *_GRAIN_RANGE))
    noise = np.random.default_rng(0).standard_normal(shape[:2], dtype=np.float32)
    return np.asarray(noise[..., None] * np.float32(strength))
