"""The seat under a sitting figure: a round upholstered stool."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from posegen.figure.outline import cap_faces, grid_faces
from posegen.figure.surface import Surface, make_surface

Double = NDArray[np.float64]

RADIUS_M = 0.215
_ROUNDING_M = 0.035
_BASE_M = 0.045
_INSET_M = 0.020
_FORWARD_M = 0.03
_SIDES = 72


@lru_cache(maxsize=32)
def seat_surface(top_m: float, center: tuple[float, float], yaw_deg: float, floor_z: float) -> Surface:
    """Return a stool that stands on the floor and ends at `top_m`, in world metres.

    Parameters
    ----------
    top_m : float
    center : (float, float)
        Where the body rests on it; the stool's middle lies a little further forward, under the thighs.
    yaw_deg : float
        Where the sitting body faces.
    floor_z : float
    """
    radius, height = _profile(top_m, floor_z)
    turn = np.radians(yaw_deg)
    middle = np.array(center) + _FORWARD_M * np.array([np.sin(turn), -np.cos(turn)])
    angle = np.linspace(-np.pi, np.pi, _SIDES, endpoint=False)
    x = middle[0] + radius[:, None] * np.sin(angle)
    y = middle[1] - radius[:, None] * np.cos(angle)
    z = np.broadcast_to(height[:, None], x.shape)
    vertices = np.stack([x, y, z], axis=-1).reshape(-1, 3)
    vertices = np.concatenate([vertices, [[*middle, top_m]]])
    faces = np.concatenate([grid_faces(len(radius), _SIDES), cap_faces(np.arange(_SIDES), len(vertices) - 1)])
    rows = np.append(np.repeat(height, _SIDES), top_m)
    detail = np.stack([rows - floor_z, top_m - rows], axis=1)
    return make_surface(
        "seat",
        vertices.astype(np.float32),
        vertices.astype(np.float32),
        faces,
        None,
        detail=detail.astype(np.float32),
    )


def _profile(top: float, floor: float) -> tuple[Double, Double]:
    """Return radii and heights from the top's middle outwards and down to the floor."""
    bend = np.radians(np.linspace(0, 90, 8))
    flat = np.linspace(0.02, RADIUS_M - _ROUNDING_M, 9)[:-1]
    crown = 0.004 * (1 - (flat / RADIUS_M) ** 2)
    rounded = RADIUS_M - _ROUNDING_M + _ROUNDING_M * np.sin(bend)
    down = top - _ROUNDING_M * (1 - np.cos(bend))
    wall = np.linspace(down[-1], floor + _BASE_M, max(4, int((top - floor) / 0.03)))[1:]
    swell = RADIUS_M * (1 + 0.015 * np.sin(np.linspace(0, np.pi, len(wall) + 1)[1:]))
    base = np.array([floor + _BASE_M - 0.004, floor + _BASE_M - 0.006, floor])
    inset = np.array([RADIUS_M - 0.006, RADIUS_M - _INSET_M, RADIUS_M - _INSET_M])
    return np.concatenate([flat, rounded, swell, inset]), np.concatenate(
        [top + crown - 0.001, down, wall, base]
    )
