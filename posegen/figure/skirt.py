"""A skirt: its own mesh, lofted around both legs, carried by the pelvis and the thighs."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from posegen.figure.anatomy import anatomy, smoothstep
from posegen.figure.body import BodyShape
from posegen.figure.mesh import load_mesh, pack_weights
from posegen.figure.outline import grid_faces, rounded_hull
from posegen.figure.surface import Surface, make_surface

Float = NDArray[np.float32]

WAIST, HEM = 0.115, -0.300
_ANGLES = 80
_STEP_M = 0.017
_EASE_M = 0.006
_FLARE = 0.10
"""Metres by which the skirt widens per metre of fall, at least."""


@lru_cache(maxsize=16)
def skirt_surface(shape: BodyShape) -> Surface:
    """Return the skirt on the body `shape`."""
    z = np.arange(WAIST + 0.03, HEM - 0.03, -_STEP_M)
    angles = np.linspace(-np.pi, np.pi, _ANGLES, endpoint=False)
    center = np.array([0.0, -0.01])
    radii = np.maximum.accumulate(_outlines(shape, z, angles, center), axis=0)
    for _ in range(3):
        radii[1:-1] = (radii[:-2] + 2 * radii[1:-1] + radii[2:]) / 4
    fall = np.clip(0.02 - z, 0, None)[:, None]
    radii = radii + _FLARE * fall
    # Soft pleats that open towards the hem.
    radii = radii * (
        1 + 0.055 * np.clip(fall / 0.32, 0, 1) ** 1.3 * np.sin(9 * angles + 1.2 * np.sin(3 * angles))
    )
    x = center[0] + radii * np.sin(angles)
    y = center[1] - radii * np.cos(angles)
    height = np.interp(z, *_heights(shape))
    rest = np.stack([x, y, np.broadcast_to(height[:, None], x.shape)], -1).reshape(-1, 3)
    template = np.stack([x, y, np.broadcast_to(z[:, None], x.shape)], -1).reshape(-1, 3)
    limits = np.stack([template[:, 2] - HEM, WAIST + 0.10 * template[:, 1] - template[:, 2]])
    detail = np.stack([*limits, 0.25 * template[:, 2]], axis=1)
    skirt = make_surface(
        "bottom", rest.astype(np.float32), template.astype(np.float32), grid_faces(len(z), _ANGLES),
        pack_weights(_weights(template.astype(np.float32))), limits, detail,
        double_sided=True, settle=3, reach=1.0,
    )  # fmt: skip
    return replace(skirt, ring=_ANGLES, motion="fall")


@lru_cache(maxsize=1)
def skirt_limits() -> Float:
    """Return how many metres each vertex of the body lies inside the skirt, shape (V,)."""
    a = anatomy()
    z = a.template[:, 2]
    inside = np.minimum(z - HEM, WAIST + 0.10 * a.template[:, 1] - z - 1.5 * a.arm)
    return np.asarray(inside.astype(np.float32), np.float32)


def _heights(shape: BodyShape) -> tuple[Float, Float]:
    """Return template heights and the body's heights of the same places, for interpolation."""
    mesh = load_mesh()
    bones = ["foot.L", "lowerleg01.L", "upperleg01.L", "spine03", "spine02"]
    index = [mesh.bones[name] for name in bones]
    return mesh.heads_female[index, 2], shape.heads[index, 2]


def _outlines(
    shape: BodyShape, levels: NDArray[np.float64], angles: NDArray[np.float64], center: NDArray[np.float64]
) -> NDArray[np.float64]:
    a = anatomy()
    clothed = a.arm < 0.05
    z = a.template[:, 2]
    rings = []
    for level in levels:
        part = clothed & (np.abs(z - level) < 0.012)
        ring = rounded_hull(shape.vertices[part][:, :2].astype(np.float64), center, angles, _EASE_M)
        rings.append(ring)
    return np.stack(rings)


def _weights(template: Float) -> Float:
    mesh = load_mesh()
    dense = np.zeros((len(template), len(mesh.parents)), np.float32)
    # Between the legs the cloth follows them less: it spans what lies apart.
    beside = smoothstep(0.0, 0.045, np.abs(template[:, 0]))
    thigh = smoothstep(0.07, -0.06, template[:, 2]) * (np.float32(0.7) + np.float32(0.3) * beside)
    left = smoothstep(-0.045, 0.045, template[:, 0])
    upper = smoothstep(0.02, -0.06, template[:, 2])
    for side, share in (("L", left), ("R", 1 - left)):
        dense[:, mesh.bones[f"upperleg01.{side}"]] = thigh * share * (1 - upper)
        dense[:, mesh.bones[f"upperleg02.{side}"]] = thigh * share * upper
    dense[:, mesh.bones["root"]] = 1 - thigh
    return dense
