"""Hair: a cap displaced from the skull, a curtain that falls from it, a tail or a bun."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from posegen.figure.anatomy import smoothstep
from posegen.figure.body import BodyShape
from posegen.figure.curtain import Curtain, with_curtain
from posegen.figure.hair_cuts import CUTS, Cut
from posegen.figure.head import hair_line_deg, skull_center, skull_radius, to_body
from posegen.figure.mesh import load_mesh, pack_weights
from posegen.figure.outline import grid_faces, tube
from posegen.figure.surface import Surface, make_surface

Float = NDArray[np.float32]
Double = NDArray[np.float64]

_ANGLES = 108
_CAP_ROWS = 36
_TAIL_SIDES = 24


@lru_cache(maxsize=64)
def hair_surfaces(style: str, shape: BodyShape) -> tuple[Surface, ...]:
    """Return the surfaces of a hair style; none for "bald", nor for a buzz cut, which is painted on the skin.

    Details: cosine and sine of the angle that tells strands apart, length along the strand (m), and 1 where
    the hair is gathered by a band.
    """
    if style not in CUTS:
        return ()
    cut = CUTS[style]
    parts = [_cap(cut, shape)]
    if style == "ponytail":
        parts += [_tail(shape), _band(shape, cut)]
    if style == "bun":
        parts += [_bun(shape, cut), _band(shape, cut)]
    return tuple(parts)


def _cap(cut: Cut, shape: BodyShape) -> Surface:
    azimuth = np.linspace(-np.pi, np.pi, _ANGLES, endpoint=False)
    lowest = -8.0 if cut.curtain < 1 else -58.0
    elevation = np.radians(np.linspace(89.5, lowest, _CAP_ROWS))
    skull = skull_radius(shape, tuple(azimuth), tuple(elevation))
    line = np.radians(hair_line_deg(azimuth) - cut.fringe * np.clip(1.4 * np.cos(azimuth) - 0.4, 0, 1))
    inside = (elevation[:, None] - line) * skull
    thickness = _thickness(cut, azimuth, elevation, inside)
    radius = skull + thickness
    if cut.lumps:
        radius = radius + _lumps(cut, azimuth, elevation) * np.clip(inside / 0.02, 0.15, 1)
    flat = radius * np.cos(elevation)[:, None]
    center = skull_center(shape)
    x, y = flat * np.sin(azimuth), -flat * np.cos(azimuth)
    z = radius * np.sin(elevation)[:, None]
    points = np.stack([x, y, z], axis=-1) + center
    length = np.cumsum(
        np.concatenate([np.zeros((1, _ANGLES)), np.sqrt((np.diff(points, axis=0) ** 2).sum(-1))]), 0
    )
    # A fringe of strands, not a knife's edge, at the hair line.
    ragged = 0.0013 * np.sin(azimuth * 19 + 2 * np.sin(azimuth * 7)) + 0.0008 * np.sin(azimuth * 37 + 1.0)
    limit = inside + (3.0 * ragged if cut.lumps > 0.004 else ragged)
    if cut.curtain < 1:
        hair = with_curtain(cut, shape, azimuth, Curtain(points, length, limit), center)
        points, length, limit = hair.points, hair.length, hair.limit
    rows = len(points)
    vertices = points.reshape(-1, 3)
    angle = _strand_angle(cut, shape, vertices, np.broadcast_to(azimuth, (rows, _ANGLES)).ravel())
    detail = np.stack([np.cos(angle), np.sin(angle), length.ravel(), np.zeros(len(vertices))], axis=1)
    return _surface(vertices, grid_faces(rows, _ANGLES), detail, shape, limit.reshape(1, -1))


def _thickness(cut: Cut, azimuth: Double, elevation: Double, inside: Double) -> Double:
    up = np.clip(np.sin(elevation), 0, 1)[:, None] ** 0.8
    behind = np.clip(-np.cos(azimuth), 0, 1)
    low = cut.side + (cut.back - cut.side) * behind
    thickness = low + (cut.top - low) * up
    # Thin where it grows out of the skin, unless it falls over it.
    root = 0.0015 if not cut.fringe else 0.0045
    grown = np.clip(inside / 0.030, 0, 1) ** 0.7
    if cut.curtain < 1:
        beside = np.clip((np.abs(np.degrees(azimuth)) - 35) / 25, 0, 1)
        grown = np.maximum(grown, beside)
    result: Double = root + (thickness - root) * grown
    return result


def _lumps(cut: Cut, azimuth: Double, elevation: Double) -> Double:
    a, e = np.meshgrid(azimuth, elevation)
    if cut.lumps < 0.004:
        ring = np.cos(e) ** 0.5
        return np.asarray(
            cut.lumps * ring * (np.sin(14 * a + 2 * np.sin(3 * a + 2 * e)) + 0.6 * np.sin(23 * a + 3 * e))
        )
    ring = np.cos(e)
    u, v, w = 11 * ring * np.sin(a), 11 * ring * np.cos(a), 11 * np.sin(e)
    curls = np.sin(u + 1.5 * np.sin(v * 0.8)) * np.sin(v + 1.3 * np.sin(w * 0.9)) + np.sin(
        w + 1.2 * np.sin(u * 0.7)
    )
    return np.asarray(cut.lumps * (curls + 0.5 * np.sin(2.1 * u + 1) * np.sin(2.3 * w) * np.sin(1.9 * v)))


def _strand_angle(cut: Cut, shape: BodyShape, vertices: Double, azimuth: Double) -> Double:
    if cut.tied is None:
        return azimuth
    anchor = to_body(np.array([cut.tied]), shape)[0]
    axis = anchor - skull_center(shape)
    axis /= np.sqrt((axis**2).sum())
    side = np.array([1.0, 0.0, 0.0])
    third = np.cross(axis, side)
    offset = vertices - skull_center(shape)
    angle: Double = np.arctan2((offset * side).sum(axis=1), (offset * third).sum(axis=1))
    return angle


def _tail(shape: BodyShape) -> Surface:
    path = np.array(
        [[0, 0.052, 0.815], [0, 0.072, 0.826], [0, 0.096, 0.815], [0, 0.112, 0.780], [0, 0.116, 0.730],
         [0, 0.112, 0.670], [0, 0.108, 0.610], [0, 0.110, 0.560], [0, 0.116, 0.525]]
    )  # fmt: skip
    radii = np.array([0.010, 0.014, 0.022, 0.027, 0.028, 0.026, 0.022, 0.015, 0.002])
    t, fine = np.linspace(0, 1, len(path)), np.linspace(0, 1, 34)
    centers = np.stack([_curve(t, path[:, i], fine) for i in range(3)], axis=1)
    tail = _strand_tube(to_body(centers, shape), _curve(t, radii, fine), shape, _TAIL_SIDES, 0.8)
    head = np.zeros((len(tail.rest), len(load_mesh().parents)), np.float32)
    head[:, load_mesh().bones["head"]] = 1
    return replace(tail, follow=pack_weights(head), ring=_TAIL_SIDES, motion="dangle")


def _bun(shape: BodyShape, cut: Cut) -> Surface:
    anchor = np.array(cut.tied)
    axis = anchor - np.array([0.0, -0.038, 0.775])
    axis /= np.sqrt((axis**2).sum())
    t = np.linspace(-1, 1, 20)
    centers = anchor + axis * (0.012 + 0.024 * t[:, None])
    radii = 0.036 * np.sqrt(np.clip(1 - t**2, 0, 1)) * (1 + 0.05 * np.sin(6 * t)) + 0.0003
    return _strand_tube(to_body(centers, shape), radii, shape, 28, 1.0, swirl=2.5)


def _strand_tube(
    centers: Double, radii: Double, shape: BodyShape, sides: int, flatten: float, swirl: float = 0.0
) -> Surface:
    vertices, faces = tube(centers, np.maximum(radii, 1e-4) * shape.scale, sides, flatten)
    rows = len(centers)
    angle = np.tile(np.linspace(0, 2 * np.pi, sides, endpoint=False), rows)
    along = np.repeat(np.linspace(0, 1, rows), sides)
    axis = np.repeat(centers, sides, axis=0)
    strands = np.sin(angle * 5 + 9 * swirl * along) * 0.07 + np.sin(angle * 9 + 3) * 0.035
    vertices = axis + (vertices - axis) * (1 + strands[:, None])
    angle = angle + swirl * np.pi * along
    detail = np.stack([np.cos(angle), np.sin(angle), along * 0.3, np.zeros(len(vertices))], axis=1)
    return _surface(vertices, faces, detail, shape, None)


def _band(shape: BodyShape, cut: Cut) -> Surface:
    anchor = np.array(cut.tied)
    axis = anchor - np.array([0.0, -0.038, 0.775])
    axis /= np.sqrt((axis**2).sum())
    t = np.linspace(-1, 1, 9)
    centers = anchor + axis * (0.000 + 0.007 * t[:, None])
    radii = 0.011 + 0.005 * np.sqrt(np.clip(1 - t**2, 0, 1))
    vertices, faces = tube(to_body(centers, shape), radii * shape.scale, 20)
    detail = np.zeros((len(vertices), 4))
    detail[:, 3] = 1
    return _surface(vertices, faces, detail, shape, None)


def _curve(t: Double, values: Double, fine: Double) -> Double:
    """Return a Catmull-Rom curve through `values`."""
    slope = np.gradient(values, t)
    i = np.clip(np.searchsorted(t, fine, side="right") - 1, 0, len(t) - 2)
    width = t[i + 1] - t[i]
    u = (fine - t[i]) / width
    a, b = 2 * u**3 - 3 * u**2 + 1, -2 * u**3 + 3 * u**2
    c, d = u**3 - 2 * u**2 + u, u**3 - u**2
    curve: Double = a * values[i] + b * values[i + 1] + width * (c * slope[i] + d * slope[i + 1])
    return curve


def _surface(
    vertices: Double, faces: NDArray[np.int64], detail: Double, shape: BodyShape, limits: Double | None
) -> Surface:
    flat = vertices.astype(np.float32)
    edges = None if limits is None else limits.astype(np.float32)
    return make_surface(
        "hair", flat, flat, faces, pack_weights(_weights(vertices, shape)), edges, detail.astype(np.float32),
        double_sided=True, reach=1.0,
    )  # fmt: skip


def _weights(vertices: Double, shape: BodyShape) -> Float:
    """Hair follows the head; what falls below the jaw follows the neck and, on the back, the chest."""
    mesh = load_mesh()
    dense = np.zeros((len(vertices), len(mesh.parents)), np.float32)
    jaw, collar, chest = to_body(np.array([[0, 0, 0.665], [0, 0, 0.600], [0, 0, 0.520]]), shape)[:, 2]
    z = vertices[:, 2].astype(np.float32)
    trunk = smoothstep(float(collar) + 0.03, float(chest), z)
    neck = smoothstep(float(jaw) + 0.02, float(collar), z) * (1 - trunk)
    dense[:, mesh.bones["spine01"]] = trunk
    dense[:, mesh.bones["neck02"]] = neck
    dense[:, mesh.bones["head"]] = 1 - trunk - neck
    return dense
