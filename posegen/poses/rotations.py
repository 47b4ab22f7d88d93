"""Rotation matrices from angles, many at a time.

Right-handed, acting on column vectors; a batch of N angles gives shape (N, 3, 3).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

FloatArray = NDArray[np.float64]

MIRROR: FloatArray = np.diag([-1.0, 1.0, 1.0])
"""Swaps left and right: x is the body's left."""


def about_axis(axis: ArrayLike, degrees: ArrayLike) -> FloatArray:
    """Return rotations about unit axes (Rodrigues' formula).

    Parameters
    ----------
    axis : float array, shape (3,) or (..., 3)
        Unit length.
    degrees : float array, shape (...)

    Returns
    -------
    float array, shape (..., 3, 3)
    """
    radians = np.radians(np.asarray(degrees, dtype=np.float64))
    unit = np.broadcast_to(np.asarray(axis, dtype=np.float64), (*radians.shape, 3))
    x, y, z = unit[..., 0], unit[..., 1], unit[..., 2]
    cross = np.zeros((*radians.shape, 3, 3))
    cross[..., 0, 1], cross[..., 0, 2], cross[..., 1, 2] = -z, y, -x
    cross[..., 1, 0], cross[..., 2, 0], cross[..., 2, 1] = z, -y, x
    sine, versine = np.sin(radians)[..., None, None], (1 - np.cos(radians))[..., None, None]
    return np.asarray(np.eye(3) + sine * cross + versine * (cross @ cross))


def about_x(degrees: ArrayLike) -> FloatArray:
    """Return rotations about +x: positive takes +y to +z."""
    return about_axis((1.0, 0.0, 0.0), degrees)


def about_y(degrees: ArrayLike) -> FloatArray:
    """Return rotations about +y: positive takes +z to +x."""
    return about_axis((0.0, 1.0, 0.0), degrees)


def about_z(degrees: ArrayLike) -> FloatArray:
    """Return rotations about +z: positive takes +x to +y."""
    return about_axis((0.0, 0.0, 1.0), degrees)


def between(start: FloatArray, end: FloatArray) -> FloatArray:
    """Return the smallest rotation taking direction `start` to direction `end`, both shape (3,)."""
    a, b = start / np.linalg.norm(start), end / np.linalg.norm(end)
    axis = np.cross(a, b)
    sine = float(np.linalg.norm(axis))
    if sine < 1e-12:
        if a @ b > 0:
            return np.eye(3)
        axis, sine = np.cross(a, np.eye(3)[int(np.abs(a).argmin())]), 0.0
    axis = axis / np.linalg.norm(axis)
    return about_axis(axis, np.degrees(np.arctan2(sine, a @ b)))


def mirrored(rotation: FloatArray) -> FloatArray:
    """Return the rotations seen in a mirror that swaps left and right, shape (..., 3, 3)."""
    return np.asarray(MIRROR @ rotation @ MIRROR)
