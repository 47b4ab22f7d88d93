"""Rounded outlines around points in a plane, and tubes lofted through rings."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Float = NDArray[np.float32]
Double = NDArray[np.float64]
Int = NDArray[np.int64]

_NORMALS = 120


def rounded_hull(points: Double, center: Double, angles: Double, clearance: float) -> Double:
    """Return how far the convex outline of `points`, moved out by `clearance`, lies from `center`.

    Parameters
    ----------
    points : float array, shape (N, 2)
    center : float array, shape (2,)
        Inside the outline.
    angles : float array, shape (A,)
        Directions in radians; 0 is -y, growing towards +x.
    clearance : float

    Returns
    -------
    float array, shape (A,)
    """
    normal = np.linspace(-np.pi, np.pi, _NORMALS, endpoint=False)
    across = np.stack([np.sin(normal), -np.cos(normal)], axis=1)
    offset = points - center
    support = (offset[:, 0:1] * across[:, 0] + offset[:, 1:2] * across[:, 1]).max(axis=0) + clearance
    cosine = np.cos(angles[:, None] - normal)
    reach = np.where(cosine > 0.05, support / np.maximum(cosine, 0.05), np.inf)
    nearest: Double = reach.min(axis=1)
    return nearest


def grid_faces(rows: int, columns: int, *, closed: bool = True) -> Int:
    """Return the triangles of a grid of vertices, row by row, facing outwards for rows that go down.

    Parameters
    ----------
    rows, columns : int
    closed : bool
        Join the last column to the first; columns run counter-clockwise as `rounded_hull`'s angles do.
    """
    r = np.arange(rows - 1)[:, None]
    c = np.arange(columns if closed else columns - 1)[None, :]
    right = (c + 1) % columns
    a, b = r * columns + c, r * columns + right
    d, e = (r + 1) * columns + c, (r + 1) * columns + right
    return np.concatenate([np.stack([a, d, b], -1).reshape(-1, 3), np.stack([b, d, e], -1).reshape(-1, 3)])


def cap_faces(ring: Int, apex: int, *, flip: bool = False) -> Int:
    """Return a fan from `apex` to a closed `ring` of vertices."""
    following = np.roll(ring, -1)
    first, second = (following, ring) if flip else (ring, following)
    return np.stack([np.full(len(ring), apex), first, second], axis=1)


def tube(centers: Double, radii: Double, sides: int, flatten: float = 1.0) -> tuple[Double, Int]:
    """Return vertices and triangles of a tube along `centers`, its ends closed by the radii going to 0.

    Parameters
    ----------
    centers : float array, shape (R, 3)
        Lies near a plane x = constant.
    radii : float array, shape (R,)
    sides : int
    flatten : float
        Radius within that plane against the radius across it.
    """
    along = np.gradient(centers, axis=0)
    along /= np.sqrt((along**2).sum(axis=1, keepdims=True))
    across = np.tile([1.0, 0.0, 0.0], (len(centers), 1))
    across -= along * (along * across).sum(axis=1, keepdims=True)
    across /= np.sqrt((across**2).sum(axis=1, keepdims=True))
    up = np.cross(along, across)
    angle = np.linspace(0, 2 * np.pi, sides, endpoint=False)
    ring = (
        np.cos(angle)[None, :, None] * across[:, None] + flatten * np.sin(angle)[None, :, None] * up[:, None]
    )
    vertices = centers[:, None] + ring * radii[:, None, None]
    return vertices.reshape(-1, 3), grid_faces(len(centers), sides)[:, ::-1]
