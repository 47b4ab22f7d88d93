"""The colours of a picture's ground beyond its edge, without texture: all that a plain studio needs."""

from __future__ import annotations

import math
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

Float = NDArray[np.float32]
Bool = NDArray[np.bool_]
_Number = TypeVar("_Number", np.float32, np.float64)

STRIP_SHARE = 0.035
"""Depth of the strip that a plain ground is grown from, as a share of the picture's longer side."""
LEAST_STRIP_PX = 4
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
_SLOPE_ERRORS = 4.0
"""A textured ground's slope of so many standard errors is halved."""
_BROAD_SHARE = 0.25
_BROAD_WEIGHT = 0.2
"""A row's mean colour takes about a fifth from rows within a quarter of the edge."""
_FAR_WEIGHT = 0.05
"""Least weight of a pixel far from the edge: beyond the figure there may be the only ones."""
_LIMB_LEVELS = 12.0
"""In the figure's box, what differs from the ground by more than this and its grain is the figure."""
_LIMB_GRAIN = 5.0
_LIMB_WINDOW_SHARE = 0.5
"""The ground round it is the median over this share of the edge: a limb is narrower than half of that."""


def plain(pixels: NDArray[np.uint8], usable: Bool, length: int) -> Float:
    """Return what lies beyond the left edge of a picture with a plain ground.

    Its colours along the edge, softer the farther away, following for a little while the slope by which they
    change there, with its own grain.

    Parameters
    ----------
    pixels : uint8 array, shape (H, W, 3)
    usable : bool array, shape (H, W)
        False where the figure may be.
    length : int
        Columns.

    Returns
    -------
    float array, shape (H, length, 3)
        Nearest column first.
    """
    height, width = pixels.shape[:2]
    reach = max(height, width)
    depth = min(width, max(LEAST_STRIP_PX, round(reach * STRIP_SHARE)))
    strip = pixels[:, :depth].astype(np.float32)
    grain = _grain(strip)
    edge, slope = _without_limbs(strip, ~usable[:, :depth], *_line(strip), grain)
    away = np.arange(1, length + 1, dtype=np.float32)
    change = -blurred(slope, max(1.0, _SLOPE_BLUR_SHARE * height))[:, None] * _travelled(away, reach)[:, None]
    grown = _softening(edge, away) + np.clip(change, -_MOST_CHANGE, _MOST_CHANGE)
    noise = np.random.default_rng(0).standard_normal(grown.shape[:2], dtype=np.float32)
    grown += noise[..., None] * np.float32(grain)
    return np.asarray(grown)


def _travelled(away: Float, reach: int) -> Float:
    fade = np.float32(reach * _FADE_SHARE)
    return np.asarray(fade * (1 - np.exp(-away / fade)))


def _line(strip: Float) -> tuple[Float, Float]:
    """Return by least squares each row's colour at the edge and its change per pixel inwards; (H, 3) each."""
    depth = strip.shape[1]
    if depth == 1:
        return strip[:, 0], np.zeros_like(strip[:, 0])
    place = np.arange(depth, dtype=np.float32) - np.float32((depth - 1) / 2)
    slope = np.einsum("hwc,w->hc", strip, place) / np.float32((place**2).sum())
    return strip.mean(axis=1) - slope * np.float32((depth - 1) / 2), slope


def _without_limbs(
    strip: Float, figure: Bool, edge: Float, slope: Float, grain: float
) -> tuple[Float, Float]:
    """Return `edge` and `slope` with rows where the figure is filled from the rows beside them."""
    if not figure.any():
        return edge, slope
    height = len(strip)
    ground = _median(edge, max(1, round(_LIMB_WINDOW_SHARE * height)))
    unlike = np.abs(strip - ground[:, None]).max(axis=2) > _LIMB_LEVELS + _LIMB_GRAIN * grain
    limb = (unlike & figure).any(axis=1)
    border = max(1, height // 64)  # Its outline is soft.
    limb = np.convolve(limb, np.ones(2 * border + 1), "same")[:height] > 0 if height > 2 * border else limb
    if limb.all():
        return ground, np.zeros_like(slope)
    rows = np.arange(height)
    known = rows[~limb]
    filled = [
        np.stack([np.interp(rows, known, line[known, channel]) for channel in range(3)], axis=1)
        for line in (edge, np.where(limb[:, None], 0, slope))
    ]
    return filled[0].astype(np.float32), filled[1].astype(np.float32)


def _median(line: Float, window: int) -> Float:
    """Return the running median along axis 0 of shape (L, 3), from every few values."""
    step = max(1, window // 32)
    starts = np.arange(0, len(line), step)
    each = [np.median(line[max(0, i - window // 2) : i + window // 2 + 1 : step], axis=0) for i in starts]
    return np.repeat(np.asarray(each, dtype=np.float32), step, axis=0)[: len(line)]


def _softening(edge: Float, away: Float) -> Float:
    """Return the edge's colours at each distance, shape (H, len(away), 3): blurred along it, ever more."""
    # A blur for each doubling, and mixtures between.
    levels = max(1, math.ceil(math.log2(max(1.0, _SPREAD * float(away[-1])))) + 1)
    blurs = np.stack([edge, *(blurred(edge, 2.0**level) for level in range(levels))], axis=1)
    sigma = _SPREAD * away
    place = np.where(sigma < 1, sigma, 1 + np.log2(np.maximum(sigma, 1)))
    place = np.minimum(place, blurs.shape[1] - 1)
    lower = np.minimum(place.astype(np.intp), blurs.shape[1] - 2)
    share = (place - lower).astype(np.float32)[None, :, None]
    return np.asarray(blurs[:, lower] * (1 - share) + blurs[:, lower + 1] * share, dtype=np.float32)


def _grain(strip: Float) -> float:
    """Return how strong noise has to be to be as strong as the strip's own."""
    # Second differences along the strip: a gradient has none. Of white noise they have sqrt(6) its deviation.
    grey = strip.mean(axis=2)
    bends = grey[:, 2:] - 2 * grey[:, 1:-1] + grey[:, :-2]
    # The median stays small where an object's outline crosses the strip (0.6745: of a normal's deviation).
    found = float(np.median(np.abs(bends))) / 0.6745 / math.sqrt(6) if bends.size else 0.0
    return float(np.clip(found, *_GRAIN_RANGE))


def tones(band: Float, usable: Bool, length: int, reach: int, side: int) -> tuple[Float, Float]:
    """Return the colours of a textured ground without its texture, in the band along an edge and beyond it.

    Each row is a line, by least squares over it and the rows near it. Slopes no steeper than texture makes
    by chance are made small.

    Parameters
    ----------
    band : float array, shape (H, D, 3)
        The edge is its last column.
    usable : bool array, shape (H, D)
        Where it shows the ground; somewhere at least.
    length : int
        Columns beyond the edge.
    reach : int
        The picture's longer side.
    side : int
        Of the patches that texture is copied in: what is larger is ground.

    Returns
    -------
    (float array, shape (H, D, 3), float array, shape (H, length, 3))
        In the band, and beyond the edge with the nearest column first.
    """
    depth = usable.shape[1]
    place = np.arange(1 - depth, 1, dtype=np.float32)
    mean, slope, middle = _fit(band, usable, place, side)
    most = _MOST_CHANGE / np.maximum(_FADE_SHARE * reach, np.abs(middle))
    slope = np.clip(slope, -most, most)
    edge, slope = (mean - slope * middle).astype(np.float32), slope.astype(np.float32)
    away = np.arange(1, length + 1, dtype=np.float32)
    beyond = edge[:, None] + slope[:, None] * _travelled(away, reach)[:, None]
    return np.asarray(edge[:, None] + slope[:, None] * place[:, None]), np.asarray(beyond)


def _fit(band: Float, usable: Bool, place: Float, side: int) -> tuple[NDArray[np.float64], ...]:
    """Return each row's mean colour, its slope along it, both (H, 3), and the place of the mean, (H, 1)."""
    height = len(usable)
    # The same columns have to count beside the figure, where only few are free, and away from it.
    weight = usable * np.maximum(np.exp(place / np.float32(side)), np.float32(_FAR_WEIGHT))
    shown = band * weight[..., None]
    moments = [
        np.stack([weight.sum(axis=1), weight @ place, weight @ place**2], axis=1),
        shown.sum(axis=1),
        np.einsum("hwc,w->hc", shown, place),
        np.einsum("hwc,hwc->hc", shown, band),
    ]
    sums = np.concatenate(moments, axis=1).astype(np.float64)
    spread = _SLOPE_BLUR_SHARE * height + 1
    # Where a row and those near it show no ground, rows farther away count.
    wide = blurred(sums, spread) + 1e-6 * sums.mean(axis=0)
    near = blurred(sums, 1.5 * side)
    broad = blurred(sums, _BROAD_SHARE * height + 1) + 1e-6 * sums.mean(axis=0)
    near += broad * (_BROAD_WEIGHT * side / broad[:, :1])
    count, first, second = wide[:, :1], wide[:, 1:2], wide[:, 2:3]
    extent = np.maximum(second - first**2 / count, 1e-9)
    slope = (wide[:, 6:9] - first * wide[:, 3:6] / count) / extent
    rest = np.maximum(wide[:, 9:12] - wide[:, 3:6] ** 2 / count - slope**2 * extent, 0) / count
    # The slope's squared error, if texture is alike over a third of a patch; 3.5: a Gaussian's width.
    error = rest * (side / 3) ** 2 / (extent * 3.5 * spread)
    steep = (slope**2).sum(axis=1, keepdims=True)
    slope *= steep / (steep + _SLOPE_ERRORS**2 * error.sum(axis=1, keepdims=True) + 1e-12)
    return near[:, 3:6] / near[:, :1], slope, near[:, 1:2] / near[:, :1]


def blurred(line: NDArray[_Number], sigma: float) -> NDArray[_Number]:
    """Return a Gaussian blur along axis 0 of shape (L, C); the ends are continued evenly."""
    reach = min(math.ceil(3 * sigma), 4 * len(line))
    kernel = np.exp(-0.5 * (np.arange(-reach, reach + 1, dtype=line.dtype) / line.dtype.type(sigma)) ** 2)
    kernel /= kernel.sum()
    padded = np.pad(line, ((reach, reach), (0, 0)), mode="edge")
    return np.stack([np.convolve(padded[:, i], kernel, "valid") for i in range(line.shape[1])], axis=1)
