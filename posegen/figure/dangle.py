"""What dangles: a pony tail hangs down whichever way the head is turned."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from posegen.figure.surface import Surface
from posegen.figure.topology import Float, cross, dot, unit

_FLOOR_GAP_M = 0.012


def dangle(surface: Surface, placed: Float) -> Float:
    """Return `placed` with the rings of a tube let down, the more the farther they are from the first.

    Parameters
    ----------
    surface : Surface
        A tube that hangs as it should while its carrier is upright, moved by one bone alone.
    placed : float32 array, shape (V, 3)
        Its vertices, stiffly moved; world metres, the floor at z = 0.
    """
    ring = surface.ring
    stiff = placed.reshape(-1, ring, 3)
    rest = surface.rest.reshape(-1, ring, 3)
    rows = len(stiff)
    centers, upright = stiff.mean(axis=1), rest.mean(axis=1)
    turn = _turn_of(upright, _heading(rest, stiff))
    share = np.clip(np.linspace(0.0, 2.2, rows - 1, dtype=np.float32), 0, np.float32(0.94))[:, None]
    step = np.diff(centers, axis=0)
    length = np.sqrt(dot(step, step))[:, None]
    direction = unit(unit(step) * (1 - share) + unit(np.diff(turn, axis=0)) * share)
    moved = centers[:1] + np.concatenate(
        [np.zeros((1, 3), np.float32), np.cumsum(direction * length, axis=0)]
    )
    offset = _turned_rings(stiff - centers[:, None], centers, moved)
    low = np.minimum((moved[:, None] + offset)[..., 2].min(axis=1), 9)
    moved[:, 2] += np.maximum(np.float32(_FLOOR_GAP_M) - low, 0)
    return np.asarray((moved[:, None] + offset).reshape(-1, 3), np.float32)


def _heading(rest: Float, stiff: Float) -> tuple[float, float]:
    """Return cosine and sine of the turn about the vertical of the bone that carries the tube."""
    a, b = rest[:, 0] - rest[:, rest.shape[1] // 2], stiff[:, 0] - stiff[:, rest.shape[1] // 2]
    widest = int(dot(a, a).argmax())
    before = np.arctan2(a[widest, 1], a[widest, 0])
    after = np.arctan2(b[widest, 1], b[widest, 0])
    return float(np.cos(after - before)), float(np.sin(after - before))


def _turn_of(points: Float, heading: tuple[float, float]) -> Float:
    cosine, sine = np.float32(heading[0]), np.float32(heading[1])
    x, y, z = points.T
    return np.stack([cosine * x - sine * y, sine * x + cosine * y, z], axis=1)


def _turned_rings(offset: Float, before: Float, after: Float) -> Float:
    """Return the rings' offsets turned as the tube's axis has turned at each of them."""
    old, new = unit(_along(before)), unit(_along(after))
    axis = cross(old, new)
    cosine = dot(old, new)[:, None, None]
    # Rodrigues' formula, with the sine in the axis; opposite directions keep their offsets.
    spread = np.broadcast_to(axis[:, None], offset.shape)
    twisted = offset * cosine + cross(spread, offset)
    twisted += spread * (dot(spread, offset)[..., None] / np.maximum(1 + cosine, np.float32(1e-3)))
    result: Float = np.where(cosine > np.float32(-0.98), twisted, offset)
    return result


def _along(points: Float) -> NDArray[np.float32]:
    return np.asarray(np.gradient(points, axis=0), np.float32)
