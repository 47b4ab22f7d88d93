"""A picture continued beyond its edges, where an export's shape asks for more background than there is.

What lies beyond an edge is grown from the strip along it: its colours, softer the farther away, following for
a little while the slope by which they change there, with the strip's own grain. A mirrored continuation would
show the figure twice, a stretched one would distort it, and plain replication draws streaks.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

Float = NDArray[np.float32]

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


def continued(pixels: NDArray[np.uint8], left: int, top: int, right: int, bottom: int) -> NDArray[np.uint8]:
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
    # Sides first, then over the whole new width: so corners are continued from what was continued.
    wide = _along_x(pixels, left, right)
    return np.ascontiguousarray(_along_x(wide.swapaxes(0, 1), top, bottom).swapaxes(0, 1))


def _along_x(pixels: NDArray[np.uint8], before: int, after: int) -> NDArray[np.uint8]:
    if before == after == 0:
        return pixels
    parts = [pixels]
    if before:
        parts.insert(0, _grown(pixels, before)[:, ::-1])
    if after:
        parts.append(_grown(pixels[:, ::-1], after))
    return np.concatenate(parts, axis=1)


def _grown(pixels: NDArray[np.uint8], length: int) -> NDArray[np.uint8]:
    """Return what lies beyond the left edge, nearest column first, shape (H, length, 3)."""
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
    grown += _grain(strip, grown.shape)
    return np.asarray(np.clip(np.rint(grown), 0, 255).astype(np.uint8))


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
