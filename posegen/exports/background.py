"""A picture continued beyond its edges, where an export's shape asks for more background than there is.

What lies beyond an edge is grown from the band along it. Of a plain ground its colours go on; a textured one
is laid anew from patches of its own. A mirrored continuation would show the figure twice, a stretched one
would distort it, and plain replication draws streaks.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from posegen.exports.background_ground import LEAST_STRIP_PX, plain, tones
from posegen.exports.texture import quilted, shrunk

Float = NDArray[np.float32]
Bool = NDArray[np.bool_]
Box = tuple[float, float, float, float]

_PATCH_SHARE = 0.09
"""Side of a patch of texture, as a share of the picture's longer side."""
_LEAST_PATCH_PX = 8
_LEAST_PATCH_SHARE = 0.33
"""Of the usual side. Smaller ones would be very many, and show no structure."""
_PATCH_OF_ROOM = 0.6
"""And at most this share of the ground beside the figure, so that there are different ones to choose from."""
_BAND_SHARE = 0.30
"""Depth of the band that texture is copied from, as a share of the picture's longer side."""
_BAND_SHARE_UNKNOWN = 0.16
"""The same where nobody says where the figure is."""
_ROOM_PATCHES = 1.5
"""A row has room if so many patches' sides of it are free."""
_ROOMY_SHARE = 0.2
"""Where fewer rows have room beside the figure, texture comes from beyond it."""
_CLEAR_SHARE = 0.9
_ALIKE_LEVELS = 10.0
_TEXTURE_LEVELS = 2.0
"""Detail, as a standard deviation in levels, that makes a ground textured. Grain, made smaller, has less."""
_TEXTURE_QUANTILE = 0.95
_GROUND_DEVIATIONS = 2.0
"""Within the figure's box, what is no farther from the ground's colours than so many deviations is ground."""


def continued(
    pixels: NDArray[np.uint8], left: int, top: int, right: int, bottom: int, avoid: Bool | Box | None = None
) -> NDArray[np.uint8]:
    """Return the picture with background grown round it.

    Parameters
    ----------
    pixels : uint8 array, shape (H, W, 3)
        Not changed; it lies in the result untouched.
    left, top, right, bottom : int
        Pixels to add on each side, 0 or more.
    avoid : bool array, shape (H, W), or (left, top, right, bottom), optional
        Where the figure is; nothing of it is copied. As a box: in the picture's pixels, the centre of the
        top-left one at (0, 0), and it may reach beyond the picture; beside a figure that spreads its arms it
        leaves little to copy. Without it only a shallow band is copied from.

    Returns
    -------
    uint8 array, shape (top + H + bottom, left + W + right, 3)
        The same arguments give the same pixels.

    Raises
    ------
    ValueError
        A negative number of pixels, a mask of another shape, or a box that is not finite or is inside out.

    References
    ----------
    Efros & Freeman, "Image Quilting for Texture Synthesis and Transfer", SIGGRAPH 2001.
    """
    if min(left, top, right, bottom) < 0:
        raise ValueError(f"pixels to add must be 0 or more, not {(left, top, right, bottom)}")
    usable = _usable(pixels.shape[:2], avoid)
    share = _BAND_SHARE_UNKNOWN if avoid is None else _BAND_SHARE
    reach = max(pixels.shape[:2])
    scale = (round(_PATCH_SHARE * reach), max(LEAST_STRIP_PX, round(share * reach)))
    # Sides first, then over the whole new width: so corners are continued from what was continued.
    wide, usable = _along_x(pixels, usable, left, right, scale)
    high, _ = _along_x(wide.swapaxes(0, 1), usable.T, top, bottom, scale)
    return np.ascontiguousarray(high.swapaxes(0, 1))


def _usable(shape: tuple[int, ...], avoid: Bool | Box | None) -> Bool:
    """Return which pixels lie outside the figure, shape (H, W)."""
    if isinstance(avoid, np.ndarray):
        if avoid.shape != shape or avoid.dtype != np.bool_:
            raise ValueError(f"the mask must be bool of shape {shape}, not {avoid.dtype} of {avoid.shape}")
        return ~avoid
    usable = np.ones(shape, np.bool_)
    if avoid is None:
        return usable
    left, top, right, bottom = (float(side) for side in avoid)
    if not np.isfinite(avoid).all() or left > right or top > bottom:
        raise ValueError(f"not a box (left, top, right, bottom): {avoid!r}")
    rows, columns = (
        slice(max(0, math.floor(first)), max(0, math.ceil(last) + 1))
        for first, last in ((top, bottom), (left, right))
    )
    usable[rows, columns] = False
    return usable


def _along_x(
    pixels: NDArray[np.uint8], usable: Bool, before: int, after: int, scale: tuple[int, int]
) -> tuple[NDArray[np.uint8], Bool]:
    if before == after == 0:
        return pixels, usable
    parts = [pixels]
    if before:
        parts.insert(0, _grown(pixels, usable, before, scale)[:, ::-1])
    if after:
        parts.append(_grown(pixels[:, ::-1], usable[:, ::-1], after, scale))
    return np.concatenate(parts, axis=1), np.pad(usable, ((0, 0), (before, after)), constant_values=True)


def _grown(pixels: NDArray[np.uint8], usable: Bool, length: int, scale: tuple[int, int]) -> NDArray[np.uint8]:
    """Return what lies beyond the left edge, nearest column first, shape (H, length, 3).

    `scale` has the side of patches and the depth of the band that they come from, in pixels.
    """
    grown = _textured(pixels, usable, length, *scale)
    if grown is None:
        grown = plain(pixels, usable, length)
    return np.asarray(np.clip(np.rint(grown), 0, 255).astype(np.uint8))


def _textured(pixels: NDArray[np.uint8], usable: Bool, length: int, side: int, depth: int) -> Float | None:
    """Return the same with texture; None if the ground has none or the figure leaves none to copy."""
    height, width = pixels.shape[:2]
    least = max(_LEAST_PATCH_PX, round(_LEAST_PATCH_SHARE * side))
    side = min(side, height)
    first, last = _source(pixels, usable, side, depth)
    side = min(side, _fitting(usable[:, first:last]))
    if side < least or not _has_texture(pixels[:, first:last], usable[:, first:last], side):
        return None
    # From here the edge is on the right: the texture is grown in reading order.
    band = np.ascontiguousarray(pixels[:, :last][:, ::-1]).astype(np.float32)
    free = np.ascontiguousarray(usable[:, :last][:, ::-1])
    tone, wanted = tones(band, free, length, max(height, width), side)
    band -= tone
    beside = band[:, -side:]
    deviation = math.sqrt(float(np.einsum("nc,nc->", band[free], band[free])) / (3 * int(free.sum())))
    seen = free[:, -side:] | (np.abs(beside) < _GROUND_DEVIATIONS * deviation).all(axis=2)
    source = slice(0, last - first)
    detail = quilted(band[:, source], tone[:, source], free[:, source], beside, seen, wanted, side, first)
    return None if detail is None else wanted + detail


def _source(pixels: NDArray[np.uint8], usable: Bool, side: int, depth: int) -> tuple[int, int]:
    """Return the columns to copy from: along the left edge, or beyond a figure that stands close to it."""
    width = usable.shape[1]
    depth = min(width, depth)
    roomy = usable[:, :depth].sum(axis=1) >= min(_ROOM_PATCHES * side, depth)
    clear = np.flatnonzero(usable.mean(axis=0) >= _CLEAR_SHARE)
    clear = clear[clear >= side]
    if roomy.mean() >= _ROOMY_SHARE or clear.size < _ROOM_PATCHES * side:
        return 0, depth
    first = int(clear[0])
    here, there = (part.reshape(-1, 3)[::7] for part in (pixels[:, :side], pixels[:, first : first + side]))
    apart = np.abs(np.median(here, axis=0) - np.median(there, axis=0))
    # Above a head may be the sky, and beyond its feet the ground: other stuff.
    alike = bool((apart < _ALIKE_LEVELS + there.std(axis=0)).all())
    return (first, min(width, first + depth)) if alike else (0, depth)


def _fitting(usable: Bool) -> int:
    """Return how large patches may be for a fair part of a band, beside the figure, to have room for them."""
    return round(_PATCH_OF_ROOM * float(np.quantile(usable.sum(axis=1), 1 - _ROOMY_SHARE)))


def _has_texture(band: NDArray[np.uint8], usable: Bool, side: int) -> bool:
    """Return whether a band has more than light, slowly changing, and grain."""
    step = max(1, side // 16)
    size = side // step
    grey = band.sum(axis=2, dtype=np.float32)[..., None] / np.float32(3)
    squares = _squares(shrunk(grey, step)[..., 0], size)
    free = _squares(shrunk(usable[..., None].astype(np.float32), step)[..., 0], size)
    squares = squares[free.min(axis=1) == 1]
    if not len(squares):
        return False
    y, x = np.divmod(np.arange(size * size), size)
    planes, _ = np.linalg.qr(np.stack([np.ones(size * size), y, x], axis=1).astype(np.float32))
    detail = (squares - (squares @ planes) @ planes.T).std(axis=1)
    return bool(np.quantile(detail, _TEXTURE_QUANTILE) > _TEXTURE_LEVELS)


def _squares(image: Float, size: int) -> Float:
    """Return an image's squares, each a row of its values; what is left over at the ends is left out."""
    rows, columns = image.shape[0] // size, image.shape[1] // size
    squares = image[: rows * size, : columns * size].reshape(rows, size, columns, size).swapaxes(1, 2)
    return squares.reshape(rows * columns, size * size)
