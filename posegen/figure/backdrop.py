"""What stands behind the figure: a plain colour or a studio sweep, and the shadow on its floor."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from posegen.figure.light import Lights, box_blur
from posegen.figure.posed import project
from posegen.poses.camera import Camera

Float = NDArray[np.float32]

_HORIZON_BEHIND_M = 2.2
_COARSE = 4
_CELL_M = 0.02
_REACH_M = 0.7
_BANDS = (
    # lowest and highest part of the figure in the band (m), blur (m), share of light it takes
    (-0.05, 0.015, 0.016, 0.50),
    (0.015, 0.05, 0.04, 0.36),
    (0.05, 0.13, 0.08, 0.26),
    (0.13, 0.35, 0.16, 0.17),
    (0.35, 0.80, 0.28, 0.13),
    (0.80, 3.00, 0.45, 0.08),
)
_SHADOW_TINT = np.array([1.0, 0.99, 0.96], np.float32)
_LEAN = 0.30
"""Share of the key light's true slant by which shadows lean away from it: most of the light is soft."""


def backdrop(color: Float, style: str, camera: Camera, floor_z: float, width: int, height: int) -> Float:
    """Return the empty studio, linear light, shape (H, W, 3).

    Parameters
    ----------
    color : float32 array, shape (3,)
    style : {"plain", "gradient"}
    camera : Camera
    floor_z : float
        Height of the floor, metres.
    """
    if style == "plain":
        return np.broadcast_to(color, (height, width, 3)).astype(np.float32)
    behind = np.array(camera.target) + _HORIZON_BEHIND_M * np.array(
        [camera.axes[2][0], camera.axes[2][1], 0.0]
    )
    behind[2] = floor_z
    horizon = float(project(behind[None].astype(np.float32), camera)[0, 1])
    # Everything here is smooth: a quarter of the resolution is enough.
    rows = np.arange(0, height, _COARSE, dtype=np.float32) + np.float32((_COARSE - 1) / 2)
    columns = np.arange(0, width, _COARSE, dtype=np.float32) + np.float32((_COARSE - 1) / 2)
    scale = np.float32(max(width, height))
    floor = 1 / (1 + np.exp(-(rows - horizon) / (0.045 * scale)))
    wall = 0.90 + 0.20 * np.clip(rows / max(horizon, 1.0), 0, 1) ** 1.5
    ground = 1.06 - 0.22 * np.clip((rows - horizon) / scale, 0, 1)
    profile = (wall * (1 - floor) + ground * floor).astype(np.float32)
    middle = np.float32(min(max(camera.cy - 0.08 * float(scale), 0.0), float(height)))
    halo_x = np.exp(-(((columns - np.float32(camera.cx)) / scale / 0.42) ** 2))
    halo_y = np.exp(-(((rows - middle) / scale / 0.45) ** 2))
    light = profile[:, None] * (np.float32(0.86) + np.float32(0.20) * halo_y[:, None] * halo_x)
    light = np.asarray(
        Image.fromarray(light.astype(np.float32)).resize((width, height), Image.Resampling.BILINEAR)
    )
    # The brighter part also loses a little colour, as a lit wall does.
    pale = np.clip((light - np.float32(0.8)) * np.float32(0.2), 0, np.float32(0.1))
    picture = np.empty((height, width, 3), np.float32)
    for channel in range(3):
        picture[..., channel] = light * (color[channel] + (1 - color[channel]) * pale)
    return picture


def floor_shadow(
    points: Float, lights: Lights, camera: Camera, floor_z: float, width: int, height: int
) -> tuple[slice, slice, Float]:
    """Return the rows and columns of the picture that the shadow may touch, and the light left there.

    Parameters
    ----------
    points : float32 array, shape (N, 3)
        Points all over the figure, a centimetre or two apart.

    Returns
    -------
    rows, columns : slice
    light : float32 array, shape (h, w, 3)
        In [0, 1].
    """
    left, origin = _light_on_floor(points, lights, floor_z)
    corners = np.array(
        [[origin[0] + i * left.shape[1] * _CELL_M, origin[1] + j * left.shape[0] * _CELL_M, floor_z]
         for i in (0, 1) for j in (0, 1)], np.float32,
    )  # fmt: skip
    seen = project(corners, camera)
    top = int(np.clip(np.floor(seen[:, 1].min()), 0, height - 1))
    bottom = int(np.clip(np.ceil(seen[:, 1].max()) + 1, top + 1, height))
    first = int(np.clip(np.floor(seen[:, 0].min()), 0, width - 1))
    last = int(np.clip(np.ceil(seen[:, 0].max()) + 1, first + 1, width))
    step = 2 if (bottom - top) * (last - first) > 60_000 else 1
    y = np.arange(top, bottom + step, step, dtype=np.float64)
    x = np.arange(first, last + step, step, dtype=np.float64)
    sampled = _seen_from(left, origin, camera, floor_z, x, y)
    if step > 1:
        image = Image.fromarray(sampled)
        size = (len(x) * step, len(y) * step)
        sampled = np.asarray(image.resize(size, Image.Resampling.BILINEAR))
    sampled = sampled[: bottom - top, : last - first]
    shade = np.float32(1) - (np.float32(1) - sampled)[..., None] * _SHADOW_TINT
    return slice(top, bottom), slice(first, last), shade


def _light_on_floor(points: Float, lights: Lights, floor_z: float) -> tuple[Float, NDArray[np.float64]]:
    height = points[:, 2] - np.float32(floor_z)
    slant = -lights.key[:2] / lights.key[2] * np.float32(_LEAN)
    # The lean grows with height but stays small, so that shadows stay joined to what casts them.
    where = points[:, :2] + slant * np.minimum(height, 0.9)[:, None]
    low = where.min(axis=0).astype(np.float64) - _REACH_M
    size = np.ceil((where.max(axis=0) + _REACH_M - low) / _CELL_M).astype(int) + 1
    column = np.rint((where[:, 0] - low[0]) / _CELL_M).astype(int)
    row = np.rint((where[:, 1] - low[1]) / _CELL_M).astype(int)
    left = np.ones((size[1], size[0]), np.float32)
    for lowest, highest, blur, taken in _BANDS:
        chosen = (height >= lowest) & (height < highest)
        if not chosen.any():
            continue
        mass = np.zeros_like(left)
        mass[row[chosen], column[chosen]] = 1
        mass = np.minimum(box_blur(mass, 1) * 2.2, 1)
        radius = max(1, round(blur / _CELL_M / 1.6))
        for _ in range(2 if blur < 0.05 else 3):
            mass = box_blur(mass, radius)
        left *= 1 - np.float32(taken) * np.minimum(mass * np.float32(1.5), 1)
    return left, low


def _seen_from(
    left: Float, origin: NDArray[np.float64], camera: Camera, floor_z: float, x: NDArray[np.float64],
    y: NDArray[np.float64],
) -> Float:  # fmt: skip
    """Return `left` at the floor points that pixels (x, y) show, bilinear; 1 elsewhere."""
    right, down, view = camera.axes
    eye = camera.position
    v = (y - camera.cy) / camera.focal_px
    u = (x - camera.cx) / camera.focal_px
    fall = view[2] + v * down[2]
    reach = np.where(fall < -1e-4, (floor_z - eye[2]) / np.minimum(fall, -1e-4), np.inf)
    reach = np.minimum(reach, 1e4)
    base = eye[:2] + reach[:, None] * (view[:2] + v[:, None] * down[:2])
    column = ((base[:, 0:1] + reach[:, None] * u * right[0]) - origin[0]) / _CELL_M
    row = ((base[:, 1:2] + reach[:, None] * u * right[1]) - origin[1]) / _CELL_M
    column, row = column.astype(np.float32), row.astype(np.float32)
    inside = (column >= 0) & (row >= 0) & (column < left.shape[1] - 1) & (row < left.shape[0] - 1)
    column = np.where(inside, column, 0)
    row = np.where(inside, row, 0)
    i, j = row.astype(np.int32), column.astype(np.int32)
    fr, fc = row - i, column - j
    flat = left.ravel()
    k = i * left.shape[1] + j
    upper = flat[k] * (1 - fc) + flat[k + 1] * fc
    k += left.shape[1]
    k = np.minimum(k, len(flat) - 2)
    lower = flat[k] * (1 - fc) + flat[k + 1] * fc
    return np.where(inside, upper * (1 - fr) + lower * fr, 1).astype(np.float32)
