"""What stands at a neckline: a hood that lies on the back, a polo shirt's folded collar."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from posegen.figure.mesh import load_mesh, pack_weights
from posegen.figure.outline import grid_faces
from posegen.figure.surface import Surface, make_surface

Float = NDArray[np.float32]
Double = NDArray[np.float64]

_ANGLES = 64
_NECKLINE = 2
"""Row of a top's limits that belongs to the neckline."""


@lru_cache(maxsize=64)
def collar_surfaces(name: str, top: Surface) -> tuple[Surface, ...]:
    """Return the collar of the top `name`, which `top` is the shell of; most have none."""
    if name == "hoodie":
        return (_hood(top),)
    if name == "polo shirt":
        return (_polo_collar(top),)
    return ()


def _neckline(top: Surface) -> tuple[Double, Double, Double, Double]:
    """Return directions (0 is the front), the neckline's distance from the axis and its height, the axis."""
    near = np.abs(top.limits[_NECKLINE]) < 0.014
    points = top.rest[near].astype(np.float64)
    axis = np.array([0.0, (points[:, 1].min() + points[:, 1].max()) / 2])
    offset = points[:, :2] - axis
    angle = np.arctan2(offset[:, 0], -offset[:, 1])
    radius = np.sqrt((offset**2).sum(axis=1))
    wanted = np.linspace(-np.pi, np.pi, _ANGLES, endpoint=False)
    gap = np.angle(np.exp(1j * (wanted[:, None] - angle)))
    share = np.exp(-((gap / 0.16) ** 2)) * np.exp(-((top.limits[_NECKLINE][near] / 0.006) ** 2))
    total = share.sum(axis=1)
    return wanted, (share * radius).sum(axis=1) / total, (share * points[:, 2]).sum(axis=1) / total, axis


def _hood(top: Surface) -> Surface:
    angle, radius, height, axis = _neckline(top)
    back = np.clip(0.5 - 0.5 * np.cos(angle), 0, 1) ** 1.6
    wide = 0.009 + 0.024 * back
    tall = 0.011 + 0.026 * back
    out = radius + 0.002 + 0.020 * back
    up = height + 0.006 - 0.004 * back
    turn = np.linspace(0, 2 * np.pi, 18, endpoint=False)
    crumple = 1 + 0.10 * np.sin(3 * angle + 1)[:, None] * np.sin(2 * turn) * back[:, None]
    r = out[:, None] + wide[:, None] * np.cos(turn) * crumple
    z = up[:, None] + tall[:, None] * np.sin(turn) * crumple - 0.35 * (r - out[:, None]) * back[:, None]
    return _ring_surface(r, z, angle, axis, closed_section=True)


def _polo_collar(top: Surface) -> Surface:
    angle, radius, height, axis = _neckline(top)
    front = np.clip(np.cos(angle), 0, 1) ** 3
    # From the neckline up, over the fold, and down outside to the collar's edge.
    steps = [(-0.004, -0.004), (-0.008, 0.010), (-0.009, 0.020), (-0.004, 0.024), (0.003, 0.020),
            (0.010, 0.006),             (0.016, -0.008)]  # fmt: skip
    r = np.stack([radius + out + 0.002 * front for out, _ in steps], axis=1)
    z = np.stack([height + up * (1 - 0.25 * front) for _, up in steps], axis=1)
    r[:, -1] += 0.004 * front
    z[:, -1] -= 0.016 * front
    surface = _ring_surface(r, z, angle, axis, closed_section=False)
    opening = (
        np.abs(surface.rest[:, 0])
        - 0.010
        - 0.5 * np.clip(surface.rest[:, 2] - height.min() - 0.01, -0.03, 0.03)
    )
    limit = np.where(surface.rest[:, 1] < axis[1], opening, 1.0).astype(np.float32)
    return make_surface(
        "collar", surface.rest, surface.template, surface.faces, surface.follow, limit[None],
        double_sided=True,        reach=1.0,
    )  # fmt: skip


def _ring_surface(r: Double, z: Double, angle: Double, axis: Double, *, closed_section: bool) -> Surface:
    """Return a surface of sections (radius, height), one per direction around the neck."""
    x = axis[0] + r * np.sin(angle)[:, None]
    y = axis[1] - r * np.cos(angle)[:, None]
    vertices = np.stack([x.T, y.T, z.T], axis=-1)
    if closed_section:
        vertices = np.concatenate([vertices, vertices[:1]])
    faces = grid_faces(len(vertices), _ANGLES)
    if closed_section:
        faces = faces[:, ::-1]
    flat = vertices.reshape(-1, 3).astype(np.float32)
    return make_surface(
        "collar", flat, flat, faces, pack_weights(_weights(len(flat))), None, double_sided=True, reach=1.0
    )


def _weights(count: int) -> Float:
    mesh = load_mesh()
    dense = np.zeros((count, len(mesh.parents)), np.float32)
    dense[:, mesh.bones["spine01"]] = 0.72
    dense[:, mesh.bones["neck01"]] = 0.28
    return dense
