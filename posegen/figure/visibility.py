"""Which surface each sample of the picture shows, and which samples need shading."""

from __future__ import annotations

from dataclasses import dataclass
from functools import reduce
from typing import Any

import numpy as np
from numpy.typing import NDArray

from posegen.figure.posed import Posed
from posegen.figure.raster import (
    ROW_SHIFTS,
    SUBSAMPLES,
    Triangles,
    Window,
    depths,
    idents,
    new_buffer,
    rasterise,
)  # fmt: skip

Float = NDArray[np.float32]
Double = NDArray[np.float64]
Int = NDArray[np.int64]

_SAME_SURFACE_M = 0.02
_COINCIDENT_M = {"top": 0.004, "collar": 0.004, "hair": 0.002, "shoes": 0.001}
"""Metres by which these surfaces come forward, where they touch the one below."""


@dataclass(frozen=True, eq=False)
class Visible:
    """Samples to shade.

    Attributes
    ----------
    face : int array, shape (S,)
    x, y : float64 array, shape (S,)
        In pixels.
    pixel : int array, shape (S,)
        Flat index into the picture.
    weight : float32 array, shape (S,)
        Share of the pixel the sample stands for.
    depth : float32 array, shape (h, w)
        Nearest depth per pixel of the window, infinite where nothing is.
    left, top : int
        First pixel column and row of the window.
    """

    face: Int
    x: Double
    y: Double
    pixel: Int
    weight: Float
    depth: Float
    left: int
    top: int


def find_visible(posed: Posed, screen: Double, width: int, height: int) -> Visible:
    """Return the samples to shade: one where a pixel shows one smooth surface, all of it elsewhere.

    Parameters
    ----------
    posed : Posed
    screen : float64 array, shape (V, 3)
        Pixels and depth of each vertex.
    width, height : int
        Of the picture, in pixels.
    """
    window = _window(screen, width, height)
    buffer = new_buffer(window)
    for index in range(len(posed.surfaces)):
        _draw_surface(posed, index, screen, window, buffer)
    return _choose(posed, buffer.reshape(window.height, window.width), window, width)


def _window(screen: Double, width: int, height: int) -> Window:
    """Return the samples of the pixels the figure may touch."""
    low = np.floor(screen[:, :2].min(axis=0)).astype(int) - 1
    high = np.ceil(screen[:, :2].max(axis=0)).astype(int) + 2
    left, top = int(np.clip(low[0], 0, width - 1)), int(np.clip(low[1], 0, height - 1))
    right, bottom = int(np.clip(high[0], left + 1, width)), int(np.clip(high[1], top + 1, height))
    n = SUBSAMPLES
    return Window(left * n, top * n, (right - left) * n, (bottom - top) * n)


def _draw_surface(
    posed: Posed, index: int, screen: Double, window: Window, buffer: NDArray[np.uint64]
) -> None:
    surface = posed.surfaces[index]
    faces = posed.faces_of(index)
    n = SUBSAMPLES
    x = screen[faces, 0] * n + (n - 1) / 2
    y = screen[faces, 1] * n + (n - 1) / 2
    area = (x[:, 1] - x[:, 0]) * (y[:, 2] - y[:, 0]) - (x[:, 2] - x[:, 0]) * (y[:, 1] - y[:, 0])
    turned_to = np.ones(len(faces), bool) if surface.double_sided else area < 0
    limits = surface.limits[:, surface.faces]
    if len(limits):
        turned_to &= surface.drawn
        cut = turned_to & surface.cut
    else:
        cut = np.zeros(len(faces), bool)
    depth = (screen[faces, 2] - _COINCIDENT_M.get(surface.material, 0.0)).astype(np.float32)
    for chosen, fields in ((turned_to & ~cut, False), (cut, True)):
        k = np.flatnonzero(chosen)
        if len(k):
            edges = tuple(limit[k] for limit in limits) if fields else ()
            rasterise(Triangles(x[k], y[k], depth[k], k + posed.face_starts[index], edges), window, buffer)


def _choose(posed: Posed, buffer: NDArray[np.uint64], window: Window, width: int) -> Visible:
    columns = window.width // SUBSAMPLES
    left, top = window.x0 // SUBSAMPLES, window.y0 // SUBSAMPLES
    owner = np.zeros(len(posed.faces) + 1, np.int8)
    for i, (start, stop) in enumerate(zip(posed.face_starts[:-1], posed.face_starts[1:], strict=True)):
        owner[start:stop] = i
    owner[-1] = -1
    # Most pixels of a wide window show no figure: only the others' samples are unpacked.
    places = [buffer[i::SUBSAMPLES, j::SUBSAMPLES] for i in range(SUBSAMPLES) for j in range(SUBSAMPLES)]
    least = reduce(np.minimum, places)
    pixels = np.flatnonzero(idents(least).ravel() >= 0)
    row, column = pixels // columns, pixels % columns
    samples = np.stack([place[row, column] for place in places], axis=1)
    face, deepest = idents(samples), _extremes(depths(samples), np.maximum)
    shallowest = depths(least)
    nearest = shallowest.ravel()[pixels]
    layer = owner[face]
    plain = (_extremes(layer, np.minimum) == _extremes(layer, np.maximum)) & (
        deepest - nearest < _SAME_SURFACE_M
    )
    taken = (face >= 0) & ~plain[:, None]
    taken[:, SUBSAMPLES**2 // 2] |= plain
    which, sample = np.nonzero(taken)
    row, column = row[which], column[which]
    sub_row, sub_column = sample // SUBSAMPLES, sample % SUBSAMPLES
    shift = ROW_SHIFTS[sub_row]
    n = SUBSAMPLES
    return Visible(
        face=face[which, sample],
        x=left + column + (sub_column + shift - (n - 1) / 2) / n,
        y=top + row + (sub_row - (n - 1) / 2) / n,
        pixel=(top + row) * width + left + column,
        weight=np.where(plain[which], 1.0, 1.0 / n**2).astype(np.float32),
        depth=shallowest,
        left=left,
        top=top,
    )


def _extremes(values: NDArray[Any], of: np.ufunc) -> NDArray[Any]:
    """Return the least or greatest of each row, by columns: numpy reduces a short axis slowly."""
    found: NDArray[Any] = values[:, 0]
    for column in values.T[1:]:
        found = of(found, column)
    return found
