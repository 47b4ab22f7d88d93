"""Soft studio light in linear light: a key with shadows, a fill, a rim, and a hemisphere with occlusion."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from posegen.figure.posed import Posed
from posegen.figure.raster import Triangles, Window, depths, new_buffer, rasterise
from posegen.figure.topology import Float, dot
from posegen.poses.camera import Camera

KEY = (-0.60, 0.62, -0.50)
FILL = (0.80, 0.15, -0.58)
RIM = (0.55, 0.55, 0.62)
"""Directions to the lights: the picture's right, world up, away from the camera, with which they turn."""
KEY_COLOR = np.array([1.00, 0.965, 0.92], np.float32) * np.float32(0.94)
FILL_COLOR = np.array([0.92, 0.96, 1.00], np.float32) * np.float32(0.15)
RIM_COLOR = np.array([1.00, 0.98, 0.95], np.float32) * np.float32(0.30)
SKY_COLOR = np.array([0.97, 0.98, 1.00], np.float32) * np.float32(0.34)
GROUND_COLOR = np.array([1.00, 0.95, 0.90], np.float32) * np.float32(0.15)

_SHADOW_CELLS = 200
_SHADOW_BIAS_M = 0.022
_SHADOW_BLUR = 2


@dataclass(frozen=True, eq=False)
class Lights:
    """The lights of one picture.

    Attributes
    ----------
    key, fill, rim : float32 array, shape (3,)
        Unit directions to the lights, world axes.
    toward_camera : float32 array, shape (3,)
    """

    key: Float
    fill: Float
    rim: Float
    toward_camera: Float


def lights_of(camera: Camera) -> Lights:
    """Return the lights, which stand still with respect to the camera."""
    right, _, view = camera.axes
    ahead = np.array([view[0], view[1], 0.0])
    ahead /= np.sqrt((ahead**2).sum())

    def world(direction: tuple[float, float, float]) -> Float:
        vector = direction[0] * right + direction[1] * np.array([0.0, 0.0, 1.0]) + direction[2] * ahead
        return np.asarray((vector / np.sqrt((vector**2).sum())).astype(np.float32), np.float32)

    return Lights(world(KEY), world(FILL), world(RIM), (-view).astype(np.float32))


def shadow_of_key(posed: Posed, lights: Lights) -> Float:
    """Return how much of the key light reaches each vertex, in [0, 1].

    A depth map from the light's side, blurred by percentage-closer filtering.
    """
    across, along = _frame(lights.key)
    plane = np.stack([dot(posed.positions, across), dot(posed.positions, along)], axis=1)
    low = plane.min(axis=0) - 0.05
    cell = float((plane.max(axis=0) + 0.05 - low).max()) / _SHADOW_CELLS
    u, v = ((plane - low) / cell).astype(np.float64).T
    depth = (10 - dot(posed.positions, lights.key)).astype(np.float32)
    window = Window(0, 0, _SHADOW_CELLS, _SHADOW_CELLS, shifted=False)
    buffer = new_buffer(window)
    for i, surface in enumerate(posed.surfaces):
        faces = posed.faces_of(i)
        if len(surface.limits):
            faces = faces[surface.drawn & ~surface.cut]
        facing = (u[faces[:, 1]] - u[faces[:, 0]]) * (v[faces[:, 2]] - v[faces[:, 0]]) - (
            u[faces[:, 2]] - u[faces[:, 0]]
        ) * (v[faces[:, 1]] - v[faces[:, 0]]) > 0
        faces = faces[facing]
        rasterise(Triangles(u[faces], v[faces], depth[faces], np.arange(len(faces))), window, buffer)
    nearest = depths(buffer).reshape(_SHADOW_CELLS, _SHADOW_CELLS)
    return _filtered(nearest, ((plane - low) / np.float32(cell)), depth - np.float32(_SHADOW_BIAS_M))


def _frame(direction: Float) -> tuple[Float, Float]:
    side = np.cross(direction, np.array([0.0, 0.0, 1.0]))
    side /= np.sqrt((side**2).sum())
    return side.astype(np.float32), np.cross(side, direction).astype(np.float32)


def _filtered(nearest: Float, where: Float, depth: Float) -> Float:
    """Return the share of cells around each point that lie no nearer to the light than the point."""
    column = np.clip(np.rint(where[:, 0]).astype(np.int32), 3, _SHADOW_CELLS - 4)
    row = np.clip(np.rint(where[:, 1]).astype(np.int32), 3, _SHADOW_CELLS - 4)
    fx, fy = where[:, 0] - column, where[:, 1] - row
    flat = nearest.ravel()
    base = row * _SHADOW_CELLS + column
    total = np.zeros(len(depth), np.float32)
    weights = np.zeros(len(depth), np.float32)
    for dy in range(-_SHADOW_BLUR, _SHADOW_BLUR + 1):
        for dx in range(-_SHADOW_BLUR, _SHADOW_BLUR + 1):
            if dx * dx + dy * dy > 5:
                continue
            w = np.maximum(0, np.float32(6.5) - (dx - fx) ** 2 - (dy - fy) ** 2)
            total += w * (flat[base + dy * _SHADOW_CELLS + dx] >= depth)
            weights += w
    return total / weights


def screen_occlusion(depth: Float, radius_px: float) -> Float:
    """Return the light that near neighbours leave, from the depth picture alone, in [0, 1].

    A pixel that lies deeper than its surroundings is darker.

    Parameters
    ----------
    depth : float32 array, shape (h, w)
        Metres, infinite where nothing is.
    radius_px : float
        Reach of the occlusion.

    References
    ----------
    Luft, Colditz & Deussen, "Image Enhancement by Unsharp Masking the Depth Buffer", SIGGRAPH 2006.
    """
    step = max(1, int(radius_px // 4))
    small = depth[::step, ::step]
    solid = np.isfinite(small)
    if not solid.any():
        return np.ones_like(depth)
    middle = np.float32(small[solid].mean())
    filled = np.where(solid, small, middle)
    mass = solid.astype(np.float32)
    occlusion = np.zeros_like(small)
    for reach, share in ((radius_px / 2, 0.5), (radius_px * 1.5, 0.5)):
        r = max(1, round(reach / step))
        around = box_blur(box_blur(filled * mass, r), r) / np.maximum(box_blur(box_blur(mass, r), r), 1e-3)
        occlusion += np.float32(share) * np.clip((filled - around) / np.float32(0.05) - 0.06, 0, 1)
    light = 1 - np.float32(0.55) * occlusion
    rows = np.minimum(np.arange(depth.shape[0]) // step, len(light) - 1)
    columns = np.minimum(np.arange(depth.shape[1]) // step, light.shape[1] - 1)
    full: Float = light[rows][:, columns]
    return box_blur(full, step // 2) if step > 1 else full


def box_blur(values: Float, radius: int) -> Float:
    """Return the mean over a square of `radius` cells each way, edges repeated."""
    if radius < 1:
        return values
    size = 2 * radius + 1
    for axis in (0, 1):
        pad = [(0, 0), (0, 0)]
        pad[axis] = (radius + 1, radius)
        total = np.cumsum(np.pad(values, pad, mode="edge"), axis=axis, dtype=np.float64)
        upper = np.take(total, np.arange(size, total.shape[axis]), axis=axis)
        lower = np.take(total, np.arange(0, total.shape[axis] - size), axis=axis)
        values = ((upper - lower) / size).astype(np.float32)
    return values
