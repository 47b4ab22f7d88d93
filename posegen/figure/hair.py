"""Hair: a cap displaced from the skull, a curtain that falls from it, a tail or a bun."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from posegen.figure.anatomy import anatomy, smoothstep
from posegen.figure.body import BodyShape
from posegen.figure.head import hair_line_deg, skull_center, skull_radius, to_body
from posegen.figure.mesh import load_mesh, pack_weights
from posegen.figure.outline import grid_faces, tube
from posegen.figure.surface import Surface, make_surface

Float = NDArray[np.float32]
Double = NDArray[np.float64]

_ANGLES = 108
_CAP_ROWS = 36
_TAIL_SIDES = 24


@dataclass(frozen=True)
class Cut:
    """How hair is cut; lengths in metres.

    Attributes
    ----------
    top, side, back : float
        Thickness over the crown, the temples and the nape.
    curtain : float
        Template height to which hair falls at the back; above the ears there is none.
    curtain_side : float
        The same beside the face.
    fringe : float
        How far hair falls over the forehead, degrees of elevation below the hair line.
    lumps : float
        Height of curls.
    tied : (float, float, float) or None
        Template place where hair is gathered; strands run to it.
    """

    top: float
    side: float
    back: float
    curtain: float = 1.0
    curtain_side: float = 1.0
    fringe: float = 0.0
    lumps: float = 0.0
    tied: tuple[float, float, float] | None = None


CUTS = {
    "short": Cut(0.024, 0.010, 0.006, fringe=1.5, lumps=0.0016),
    "curly": Cut(0.040, 0.030, 0.022, fringe=4.0, lumps=0.0065),
    "bob": Cut(0.021, 0.017, 0.018, curtain=0.648, curtain_side=0.652, fringe=19.0, lumps=0.0012),
    "long": Cut(0.020, 0.016, 0.017, curtain=0.455, curtain_side=0.618, lumps=0.0016),
    "ponytail": Cut(0.012, 0.008, 0.008, lumps=0.0010, tied=(0.0, 0.058, 0.815)),
    "bun": Cut(0.012, 0.008, 0.008, lumps=0.0010, tied=(0.0, 0.030, 0.872)),
}


@lru_cache(maxsize=16)
def hair_surfaces(style: str, shape: BodyShape) -> tuple[Surface, ...]:
    """Return the surfaces of a hair style; none for "bald", nor for a buzz cut, which is painted on the skin.

    Details: cosine and sine of the angle that tells strands apart, length along the strand (m), and 1 where the
    hair is gathered by a band.
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
    length = np.cumsum(np.concatenate([np.zeros((1, _ANGLES)), np.sqrt((np.diff(points, axis=0) ** 2).sum(-1))]), 0)
    # A fringe of strands, not a knife's edge, at the hair line.
    ragged = 0.0013 * np.sin(azimuth * 19 + 2 * np.sin(azimuth * 7)) + 0.0008 * np.sin(azimuth * 37 + 1.0)
    limit = inside + (3.0 * ragged if cut.lumps > 0.004 else ragged)
    if cut.curtain < 1:
        points, length, limit = _with_curtain(cut, shape, azimuth, points, length, limit, center)
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
        return cut.lumps * ring * (np.sin(14 * a + 2 * np.sin(3 * a + 2 * e)) + 0.6 * np.sin(23 * a + 3 * e))
    ring = np.cos(e)
    u, v, w = 11 * ring * np.sin(a), 11 * ring * np.cos(a), 11 * np.sin(e)
    curls = np.sin(u + 1.5 * np.sin(v * 0.8)) * np.sin(v + 1.3 * np.sin(w * 0.9)) + np.sin(w + 1.2 * np.sin(u * 0.7))
    return np.asarray(cut.lumps * (curls + 0.5 * np.sin(2.1 * u + 1) * np.sin(2.3 * w) * np.sin(1.9 * v)))


def _with_curtain(
    cut: Cut, shape: BodyShape, azimuth: Double, points: Double, length: Double, limit: Double, center: Double
) -> tuple[Double, Double, Double]:
    """Return the cap's rows and those of the hair that falls below it."""
    scale = float(to_body(np.array([[0, 0, 1.0], [0, 0, 0.0]]), shape)[:, 2] @ [1, -1])
    top = points[-1, :, 2].mean()
    behind = np.clip((np.abs(np.degrees(azimuth)) - 112) / 34, 0, 1)
    behind = behind**2 * (3 - 2 * behind)
    bottom_template = cut.curtain_side + (cut.curtain - cut.curtain_side) * behind
    bottom = to_body(np.stack([0 * azimuth, 0 * azimuth, bottom_template], 1), shape)[:, 2]
    rows = int((top - bottom.min()) / 0.014)
    offset = points[-1, :, :2] - center[:2]
    start = np.sqrt((offset**2).sum(axis=1))
    new_points, new_limits = [], []
    for i in range(1, rows + 1):
        fall = (bottom.min() - 0.02 - top) * i / rows
        z = top + fall
        drop = -fall / scale
        inward = 0.016 * np.clip(drop / 0.09, 0, 1) ** 1.5 if cut.curtain > 0.6 else 0.006 * np.clip(drop / 0.1, 0, 1)
        clear = _clearance(shape, z, azimuth, center)
        radius = np.maximum(start - inward, clear)
        wave = 0.0016 * np.sin(13 * azimuth + 30 * drop) + 0.0012 * np.sin(29 * azimuth - 18 * drop)
        radius = radius + wave
        new_points.append(
            np.stack([radius * np.sin(azimuth), -radius * np.cos(azimuth), np.full(_ANGLES, z - center[2])], -1)
            + center
        )
        ends = 0.25 if cut.curtain > 0.6 else 1.0
        tips = ends * (0.008 * np.sin(azimuth * 17 + np.sin(azimuth * 5) * 3) + 0.006 * np.sin(azimuth * 31))
        new_limits.append(z - bottom + tips)
    rows_points = np.stack(new_points)
    for _ in range(3):
        rows_points[1:-1] = (rows_points[:-2] + 2 * rows_points[1:-1] + rows_points[2:]) / 4
    all_points = np.concatenate([points, rows_points])
    falls = np.concatenate([np.full(limit.shape, 1.0), np.stack(new_limits)])
    opening = _face_opening(all_points, azimuth, center, scale)
    # Over the forehead the hair line ends the hair, beside the face the opening does.
    hair_line = np.concatenate([limit, np.full(rows_points.shape[:2], -0.05)])
    step = np.sqrt((np.diff(all_points[len(points) - 1 :], axis=0) ** 2).sum(-1))
    lengths = np.concatenate([length, length[-1] + np.cumsum(step, axis=0)])
    return all_points, lengths, np.minimum(np.maximum(hair_line, opening), falls)


def _face_opening(points: Double, azimuth: Double, center: Double, scale: float) -> Double:
    """Return metres behind the edge that frames the face."""
    height = (points[..., 2] - center[2]) / scale
    edge = np.interp(-height, [-0.085, -0.06, -0.035, 0.0, 0.03, 0.075, 0.13, 0.20], [0, 14, 40, 57, 65, 66, 60, 54])
    radius = np.sqrt(((points[..., :2] - center[:2]) ** 2).sum(-1))
    wave = 2.0 * np.sin(height * 60) * np.clip(-height / 0.05, 0, 1)
    result: Double = np.radians(np.abs(np.degrees(azimuth)) - edge - wave) * radius
    return result


def _clearance(shape: BodyShape, z: float, azimuth: Double, center: Double) -> Double:
    """Return how far from the head's axis hair must stay to clear neck, shoulders and back."""
    a = anatomy()
    collar = float(to_body(np.array([[0.0, 0.0, 0.615]]), shape)[0, 2])
    near = (np.abs(shape.vertices[:, 2] - z) < 0.018) & (a.arm < 0.4) & (np.abs(a.template[:, 0]) < 0.095)
    ear = (np.abs(a.template[:, 0]) > 0.0705) & (a.template[:, 2] < 0.775) & (a.template[:, 2] > 0.69)
    points = shape.vertices[near & ~ear][:, :2].astype(np.float64) - center[:2]
    if len(points) < 8:
        return np.zeros_like(azimuth)
    angle = np.arctan2(points[:, 0], -points[:, 1])
    radius = np.sqrt((points**2).sum(axis=1))
    gap = np.abs(np.angle(np.exp(1j * (azimuth[:, None] - angle))))
    reach = np.where(gap < 0.12, radius, 0).max(axis=1)
    return np.asarray(reach + 0.013 + (0.024 if z < collar else 0.0))


def _strand_angle(cut: Cut, shape: BodyShape, vertices: Double, azimuth: Double) -> Double:
    if cut.tied is None:
        return azimuth
    anchor = to_body(np.array([cut.tied]), shape)[0]
    axis = anchor - skull_center(shape)
    axis /= np.sqrt((axis**2).sum())
    side = np.array([1.0, 0.0, 0.0])
    third = np.cross(axis, side)
    offset = vertices - skull_center(shape)
    return np.arctan2((offset * side).sum(axis=1), (offset * third).sum(axis=1))


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
    return make_surface(
        "hair", vertices.astype(np.float32), vertices.astype(np.float32), faces,
        pack_weights(_weights(vertices, shape)), limits, detail, double_sided=True, reach=1.0,
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
