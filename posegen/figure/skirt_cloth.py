"""A skirt's fall: a few steps of position-based cloth from where the bones carry it.

References
----------
Müller, Heidelberger, Hennix & Ratcliff, "Position Based Dynamics", J. Visual Communication 2007.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from posegen.figure.anatomy import anatomy, smoothstep
from posegen.figure.body import BodyShape
from posegen.figure.mesh import load_mesh
from posegen.figure.surface import Surface
from posegen.figure.topology import Float, dot

_STEPS = 30
_FALL_M = 0.0030
_GAP_M = 0.007
_LIMBS = (("upperleg01", "lowerleg01"), ("lowerleg01", "foot"))
_STATIONS = 9
_FLESH = 0.93
"""Quantile of the skin's distance from the bone that the cloth keeps away from."""


def fall(surface: Surface, placed: Float, bones: Float, shape: BodyShape) -> Float:
    """Return `placed` let fall over the legs.

    Parameters
    ----------
    surface : Surface
        A skirt: rows of `surface.ring` vertices from the waist down.
    placed : float32 array, shape (V, 3)
        Where the bones carry its vertices, world metres.
    bones : float32 array, shape (B, 12)
        The bones' motion; see `mesh.bone_transforms`.
    shape : BodyShape
    """
    grid = placed.reshape(-1, surface.ring, 3).copy()
    rest = surface.rest.reshape(grid.shape)
    free = smoothstep(0.045, -0.015, surface.template.reshape(grid.shape)[:, :1, 2])[..., None]
    down = _lengths(rest[1:] - rest[:-1])
    around = _lengths(np.roll(rest, -1, axis=1) - rest)
    limbs = _limbs(bones, shape)
    carried = grid.copy()
    # Over a thigh the cloth stays with it; between the thighs it falls.
    cling = np.float32(0.3) * smoothstep(0.0, 0.060, np.abs(rest[..., :1])) * free
    for step in range(_STEPS):
        grid[..., 2] -= np.float32(_FALL_M) * free[..., 0]
        _pull(grid[:-1], grid[1:], down, free[:-1], free[1:])
        _pull_around(grid, around, free)
        grid += (carried - grid) * cling
        if step % 5 == 4:
            _hold(grid, down, free)
        for limb in limbs:
            _push_out(grid, limb, free)
    return grid.reshape(-1, 3)


def _lengths(vectors: Float) -> Float:
    return np.sqrt(dot(vectors, vectors))[..., None]


@dataclass(frozen=True, eq=False)
class _Limb:
    """A limb from `start` to `stop` (world metres) with its radius at evenly spaced stations."""

    start: Float
    stop: Float
    radii: Float


def _limbs(bones: Float, shape: BodyShape) -> list[_Limb]:
    index = load_mesh().bones

    def place(name: str) -> Float:
        motion, head = bones[index[name]], shape.heads[index[name]]
        return np.asarray(dot(motion[:9].reshape(3, 3), head) + motion[9:], np.float32)

    return [
        _Limb(place(f"{start}.{side}"), place(f"{stop}.{side}"), _radii(shape, start, stop))
        for side in "LR"
        for start, stop in _LIMBS
    ]


@lru_cache(maxsize=16)
def _radii(shape: BodyShape, start: str, stop: str) -> Float:
    """Return how thick the left limb is at evenly spaced stations, with the gap the cloth keeps."""
    index, a = load_mesh().bones, anatomy()
    first, last = (shape.heads[index[f"{name}.L"]] for name in (start, stop))
    points = shape.vertices[(a.leg > 0.6) & (a.template[:, 0] > 0) & (a.template[:, 2] > -0.74)]
    axis = last - first
    t = dot(points - first, axis) / dot(axis, axis)
    gap = _lengths(points - (first + t[:, None] * axis))[:, 0]
    stations = np.linspace(0, 1, _STATIONS)
    width = 0.7 / (_STATIONS - 1)
    radii = np.array([np.quantile(gap[np.abs(t - at) < width], _FLESH) for at in stations])
    # Towards the hip the buttocks would count: the thigh is no thicker there than below.
    return np.asarray((np.minimum(radii, radii[2:].max()) + _GAP_M).astype(np.float32), np.float32)


def _pull(upper: Float, lower: Float, length: Float, free_up: Float, free_low: Float) -> None:
    """Move two rows of points towards their distance at rest; `upper` and `lower` are changed."""
    step = lower - upper
    now = np.maximum(_lengths(step), np.float32(1e-5))
    excess = (now - length) / now * step
    # Cloth gives way when pushed together, not when pulled apart.
    excess *= np.where(now > length, np.float32(0.45), np.float32(0.12))
    upper += excess * free_up
    lower -= excess * free_low


def _pull_around(grid: Float, length: Float, free: Float) -> None:
    step = np.roll(grid, -1, axis=1) - grid
    now = np.maximum(_lengths(step), np.float32(1e-5))
    excess = (now - length) / now * step
    excess *= np.where(now > length, np.float32(0.30), np.float32(0.10)) * free
    grid += excess - np.roll(excess, 1, axis=1)


def _push_out(grid: Float, limb: _Limb, free: Float) -> None:
    """Move points out of a limb."""
    axis = limb.stop - limb.start
    t = np.clip(dot(grid - limb.start, axis) / dot(axis, axis), 0, 1)[..., None]
    offset = grid - (limb.start + t * axis)
    gap = np.maximum(_lengths(offset), np.float32(1e-4))
    at = t * np.float32(_STATIONS - 1)
    low = np.minimum(at.astype(np.int64), _STATIONS - 2)
    radius = limb.radii[low] + (limb.radii[low + 1] - limb.radii[low]) * (at - low)
    grid += offset * (np.maximum(radius - gap, 0) / gap) * free


def _hold(grid: Float, length: Float, free: NDArray[np.float32]) -> None:
    """Shorten what hangs too far below the row above, from the waist down."""
    for row in range(1, len(grid)):
        step = grid[row] - grid[row - 1]
        now = np.maximum(_lengths(step), np.float32(1e-5))
        shorter = grid[row - 1] + step * np.minimum(length[row - 1] * np.float32(1.03) / now, 1)
        grid[row] += (shorter - grid[row]) * free[row]
