"""Interpolate what the materials need at the visible samples, and let each material colour its own."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

from posegen.figure.light import Lights, screen_occlusion, shadow_of_key
from posegen.figure.materials import Samples
from posegen.figure.posed import Posed
from posegen.figure.topology import unit
from posegen.figure.visibility import Visible
from posegen.poses.camera import Camera

Float = NDArray[np.float32]
Double = NDArray[np.float64]
Int = NDArray[np.int64]
Material = Callable[[Samples, Lights], Float]

_OCCLUSION_REACH_M = 0.05


def shade(
    posed: Posed,
    screen: Double,
    visible: Visible,
    camera: Camera,
    lights: Lights,
    materials: Mapping[str, Material],
) -> Float:
    """Return the linear light of each visible sample, shape (S, 3)."""
    corners = posed.faces[visible.face]
    share, behind = _barycentric(screen, corners, visible)

    def blend(values: Float) -> Float:
        shape = (-1,) + (1,) * (values.ndim - 1)
        total: Float = values[corners[:, 0]] * share[0].reshape(shape)
        for i in (1, 2):
            total += values[corners[:, i]] * share[i].reshape(shape)
        return total

    normal = unit(blend(posed.normals))
    normal[behind] = -normal[behind]
    footprint = float(np.median(visible.depth[np.isfinite(visible.depth)])) / camera.focal_px
    # The key is soft: its shadows are found at the vertices, which lie closer than their blur.
    lit = blend(shadow_of_key(posed, lights))
    occlusion = screen_occlusion(visible.depth, _OCCLUSION_REACH_M / footprint)
    columns = visible.depth.shape[1]
    width_row = np.rint(visible.y).astype(np.int64) - visible.top
    width_column = np.rint(visible.x).astype(np.int64) - visible.left
    height = visible.depth.shape[0]
    openness = occlusion[np.clip(width_row, 0, height - 1), np.clip(width_column, 0, columns - 1)]
    light = np.zeros((len(corners), 3), np.float32)
    for i, surface in enumerate(posed.surfaces):
        mine = np.flatnonzero(
            (visible.face >= posed.face_starts[i]) & (visible.face < posed.face_starts[i + 1])
        )
        if not len(mine):
            continue
        local = corners[mine] - posed.vertex_starts[i]
        parts = share[:, mine]
        samples = Samples(
            normal=normal[mine],
            template=_blend_local(surface.template, local, parts),
            border=_blend_local(surface.border[:, None], local, parts)[:, 0],
            detail=_blend_local(surface.detail, local, parts),
            behind=behind[mine],
            lit=lit[mine],
            open=openness[mine],
            footprint=footprint,
            surface=surface,
            placed=posed.positions[posed.vertices_of(i)],
            corners=local,
            share=parts,
        )
        light[mine] = materials[surface.material](samples, lights)
    return light


def _blend_local(values: Float, corners: Int, share: Float) -> Float:
    total: Float = values[corners[:, 0]] * share[0][:, None]
    total += values[corners[:, 1]] * share[1][:, None]
    total += values[corners[:, 2]] * share[2][:, None]
    return total


def _barycentric(screen: Double, corners: Int, visible: Visible) -> tuple[Float, NDArray[np.bool_]]:
    """Return the three corner shares of each sample, and whether its triangle is seen from behind."""
    x, y = screen[:, 0][corners], screen[:, 1][corners]
    ax, ay = x[:, 1] - x[:, 0], y[:, 1] - y[:, 0]
    bx, by = x[:, 2] - x[:, 0], y[:, 2] - y[:, 0]
    px, py = visible.x - x[:, 0], visible.y - y[:, 0]
    area = ax * by - bx * ay
    safe = np.where(np.abs(area) < 1e-9, 1.0, area)
    second = np.clip((px * by - bx * py) / safe, 0, 1)
    third = np.clip((ax * py - px * ay) / safe, 0, 1)
    over = np.maximum(second + third, 1)
    second, third = second / over, third / over
    return np.stack([1 - second - third, second, third]).astype(np.float32), area > 0
