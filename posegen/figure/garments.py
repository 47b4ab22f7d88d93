"""Tops and bottoms: shells that stand off a smoothed body, cut along smooth borders on the template."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from posegen.figure.anatomy import anatomy, smoothstep
from posegen.figure.body import BodyShape
from posegen.figure.drape import hang, without_feet
from posegen.figure.mesh import body_topology, load_mesh
from posegen.figure.surface import Surface, make_surface
from posegen.figure.topology import smooth, spread_maximum, vertex_normals

Float = NDArray[np.float32]

_FINISH = 3
_SNUG_M = 0.005


@dataclass(frozen=True)
class Cut:
    """How a garment is cut, in metres on the template.

    Attributes
    ----------
    hem : float
        Height of the lower border.
    waist : float
        Height of a bottom's upper border.
    sleeve : float
        Length along the arm; below 0, an armhole instead.
    neck_drop : float
        How far the neckline lies below a crew neck's in front.
    ease : float
        Distance from the skin.
    flare : float
        Extra distance at the sleeves' and legs' ends.
    slope : float
        How fast hanging cloth returns to the body below what it hangs from; the smaller, the looser.
    iron : int
        Smoothing steps of the body under it.
    """

    hem: float
    ease: float
    waist: float = 0.0
    sleeve: float = 0.0
    neck_drop: float = 0.0
    flare: float = 0.0
    slope: float = 0.3
    iron: int = 24


TOPS = {
    "t-shirt": Cut(hem=0.030, sleeve=0.150, ease=0.009, flare=0.011, slope=0.10),
    "long-sleeve shirt": Cut(hem=0.034, sleeve=0.475, ease=0.008, flare=0.003, slope=0.14),
    "tank top": Cut(hem=0.035, sleeve=-1.0, neck_drop=0.055, ease=0.006, slope=0.16),
    "sweater": Cut(hem=0.030, sleeve=0.480, ease=0.015, flare=0.001, slope=0.08, iron=30),
    "hoodie": Cut(hem=0.026, sleeve=0.482, ease=0.019, flare=0.000, slope=0.06, iron=36),
    "polo shirt": Cut(hem=0.030, sleeve=0.160, ease=0.009, flare=0.009, slope=0.12, neck_drop=0.004),
}
BOTTOMS = {
    "jeans": Cut(waist=0.105, hem=-0.746, ease=0.006, flare=0.003, slope=0.115, iron=10),
    "trousers": Cut(waist=0.110, hem=-0.748, ease=0.008, flare=0.004, slope=0.070, iron=14),
    "leggings": Cut(waist=0.110, hem=-0.705, ease=0.003, flare=0.000, slope=1.0, iron=8),
    "shorts": Cut(waist=0.105, hem=-0.245, ease=0.009, flare=0.012, slope=0.05, iron=12),
}


_IRONED = sorted({cut.iron for cut in (*TOPS.values(), *BOTTOMS.values())})


@lru_cache(maxsize=16)
def top_limits(name: str, *, ironed: bool = False) -> Float:
    """Return metres inside the hem, the sleeves' ends and the neckline, shape (3, V)."""
    cut = TOPS[name]
    a = anatomy(cut.iron + _FINISH if ironed else 0)
    if ironed:
        close = smoothstep(0.050, 0.012, top_limits(name)[2])[:, None]
        a = replace(a, template=a.template + (anatomy(5 + _FINISH).template - a.template) * close)
    x, y, z = a.template.T
    hem = z - np.float32(cut.hem) + 0.5 * a.hand
    if cut.sleeve > 0:
        sleeve = cut.sleeve - a.along_arm - 0.5 * (a.hand > 0.9)
    else:
        # An armhole: straight down beside the strap, then out to below the armpit.
        sleeve = (0.112 - np.abs(x)) * 0.9 + np.maximum(0, 0.455 - z) * 0.9 - 0.6 * a.along_arm
    front = smoothstep(0.02, -0.06, y)
    drop = cut.neck_drop * front * np.exp(-((x / (0.055 if cut.sleeve > 0 else 0.075)) ** 2))
    away = np.abs(x) - 0.050
    beside = 0.5 * (away + np.sqrt(away * away + 0.022**2))
    neck = (0.592 - drop + 0.62 * (y + 0.030) + 0.9 * beside - z) * 0.85
    if cut.sleeve < 0:
        neck = np.minimum(
            neck, 0.9 * (np.abs(x) - 0.066) + 1.0 * np.maximum(0, 0.55 - drop - 0.02 * (1 - front) - z)
        )
    return np.stack([hem, sleeve, neck]).astype(np.float32)


@lru_cache(maxsize=8)
def bottom_limits(name: str, *, ironed: bool = False) -> Float:
    """Return metres inside the hems and the waistband, shape (2, V)."""
    cut = BOTTOMS[name]
    a = anatomy(cut.iron + _FINISH if ironed else 0)
    _, y, z = a.template.T
    waist = cut.waist + 0.10 * y - z - 1.5 * a.arm
    return np.stack([z - cut.hem, waist]).astype(np.float32)


@lru_cache(maxsize=64)
def top_surface(name: str, shape: BodyShape) -> Surface:
    """Return the shell of a top on the body `shape`."""
    cut, a, limits = TOPS[name], anatomy(), top_limits(name, ironed=True)
    z = a.template[:, 2]
    end = cut.sleeve if cut.sleeve > 0 else 1.0
    ease = cut.ease + cut.flare * smoothstep(end - 0.16, end, a.along_arm)
    ease = ease + 0.009 * smoothstep(0.17, 0.08, z) * (1 - a.arm)
    collar = 0.45 if name != "hoodie" else 0.8
    ease = ease * (1 - (1 - collar) * smoothstep(0.06, 0.0, limits[2]))
    if cut.sleeve > 0.4:
        ease = ease * (1 - 0.45 * smoothstep(end - 0.05, end - 0.015, a.along_arm))
    close = smoothstep(0.050, 0.012, top_limits(name)[2])
    rest = _shell(shape, cut, ease.astype(np.float32), close)
    return _cut("top", rest, cut, limits, settle=3)


@lru_cache(maxsize=64)
def bottom_surface(name: str, shape: BodyShape) -> Surface:
    """Return the shell of a bottom that clothes the legs on the body `shape`."""
    cut, a, limits = BOTTOMS[name], anatomy(), bottom_limits(name, ironed=True)
    z = a.template[:, 2]
    ease = cut.ease + cut.flare * smoothstep(cut.hem + 0.35, cut.hem, z)
    ease = ease * (1 - 0.4 * smoothstep(-0.02, 0.08, z))
    rest = _shell(shape, cut, ease.astype(np.float32), np.zeros_like(z))
    return _cut("bottom", rest, cut, limits, settle=2)


def _cut(material: str, rest: Float, cut: Cut, limits: Float, settle: int) -> Surface:
    mesh = load_mesh()
    faces = mesh.faces[(mesh.eye[mesh.faces] == 0).all(axis=1)]
    a = anatomy()
    limb = np.float32(0.32) * a.along_arm - a.template[:, 2]
    detail = np.concatenate([limits, limb[None]]).T
    index = np.arange(len(rest))
    template = anatomy(cut.iron + _FINISH).template
    return make_surface(
        material, rest, template, faces, index, limits, detail, double_sided=True, settle=settle
    )


def _shell(shape: BodyShape, cut: Cut, ease: Float, close: Float) -> Float:
    """Return the body's vertices, ironed, moved out by what was ironed away plus `ease`, and hung.

    Where `close` is 1 (at a neckline) the shell lies on the skin instead, whatever ironing filled there.
    """
    ironed, normals, bump = _pressed(shape, cut.iron)
    shell = ironed + normals * (bump + ease)[:, None]
    shell = hang(_without_nipples(shell), cut.slope)
    if close.any():
        shell = shell + (_snug(shape) - shell) * close[:, None]
    return smooth(shell, body_topology(), _FINISH)


@lru_cache(maxsize=64)
def _pressed(shape: BodyShape, iron: int) -> tuple[Float, Float, Float]:
    """Return the body after `iron` smoothing steps, its normals, and the metres ironed away there."""
    topology, vertices = body_topology(), _ironed(shape, 0)
    ironed = _ironed(shape, iron)
    normals = smooth(vertex_normals(ironed, topology), topology, 4)
    bump = ((vertices - ironed) * normals).sum(axis=1).astype(np.float32)
    return ironed, normals, smooth(spread_maximum(np.maximum(bump, 0), topology, 5), topology, 16)


@lru_cache(maxsize=16)
def _snug(shape: BodyShape) -> Float:
    """Return the body with a close neckline's gap."""
    near, topology = _ironed(shape, 5), body_topology()
    return near + smooth(vertex_normals(near, topology), topology, 2) * np.float32(_SNUG_M)


@lru_cache(maxsize=96)
def _ironed(shape: BodyShape, steps: int) -> Float:
    """Return the body after so many smoothing steps, going on from the garment that is ironed next less."""
    if not steps:
        return without_feet(shape.vertices)
    before = max([n for n in _IRONED if n < steps], default=0)
    return smooth(_ironed(shape, before), body_topology(), steps - before)


def _without_nipples(shell: Float) -> Float:
    """Return the shell with the tips of the chest replaced by the smooth form around them."""
    a = anatomy()
    x, y, z = a.template.T
    moved = shell.copy()
    for side in (1.0, -1.0):
        chest = (a.arm < 0.05) & (x * side > 0.02) & (z > 0.30) & (z < 0.50) & (y < -0.03)
        tip = np.flatnonzero(chest)[np.argmin(y[chest])]
        r = np.sqrt((x - x[tip]) ** 2 + (z - z[tip]) ** 2)
        around = chest & (r > 0.020) & (r < 0.055)
        within = np.flatnonzero(chest & (r < 0.032))
        middle = shell[tip]
        fit, *_ = np.linalg.lstsq(
            _cubic(shell[around] - middle), (shell[around] - middle)[:, 1].astype(np.float64), rcond=None
        )
        smoothed = (_cubic(shell[within] - middle) * np.round(fit, 5)).sum(axis=1) + middle[1]
        share = smoothstep(0.032, 0.018, r[within])
        moved[within, 1] += share * (smoothed.astype(np.float32) - shell[within, 1])
    return moved


def _cubic(offset: Float) -> NDArray[np.float64]:
    """Return the terms of a cubic in x and z, in decimetres, shape (N, 10)."""
    u, v = offset[:, 0].astype(np.float64) * 10, offset[:, 2].astype(np.float64) * 10
    return np.stack([u**i * v**j for i in range(4) for j in range(4 - i)], axis=1)
