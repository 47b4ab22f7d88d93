"""The face, painted on the template: lips, brows, lashes, a little blush; and the eyes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from posegen.figure.materials import band, mix, speckle

Float = NDArray[np.float32]

EYE_CENTER = np.array([0.0301, -0.1153, 0.7558], np.float32)
"""The left eyeball's middle on the template; the right one mirrors it."""
_IRIS_M, _PUPIL_M, _SPARK_M = 0.0063, 0.0027, 0.00090

_LIP_X = [0.0, 0.004, 0.009, 0.015, 0.020, 0.0238]
_LIP_TOP = [0.6974, 0.6983, 0.6991, 0.6968, 0.6932, 0.6893]
_LIP_LINE = [0.6898, 0.6902, 0.6907, 0.6902, 0.6897, 0.6892]
_LIP_LOW = [0.6795, 0.6795, 0.6800, 0.6826, 0.6860, 0.6890]
_BROW_X = [0.0100, 0.0150, 0.0250, 0.0350, 0.0430, 0.0500]
_BROW_Z = [0.7712, 0.7728, 0.7760, 0.7782, 0.7768, 0.7722]
_BROW_HALF = [0.0022, 0.0030, 0.0032, 0.0027, 0.0020, 0.0006]
_LID_X = [0.0160, 0.0215, 0.0260, 0.0310, 0.0360, 0.0400, 0.0436]
_LID_TOP = [0.7527, 0.7566, 0.7589, 0.7597, 0.7592, 0.7576, 0.7552]
_LID_LOW = [0.7522, 0.7514, 0.7507, 0.7503, 0.7506, 0.7522, 0.7548]


@dataclass(frozen=True)
class FaceColors:
    """Linear colours of a face, and shares in [0, 1]; `lips` is how strongly the lips are coloured."""

    skin: Float
    brow: Float
    lip: Float
    blush: Float
    stubble: float
    age: float
    male: float
    lips: float


def paint_face(albedo: Float, template: Float, footprint: float, colors: FaceColors) -> Float:
    """Return `albedo` (S, 3) of skin samples at `template` (S, 3) with the face painted on.

    Parameters
    ----------
    footprint : float
        Metres a pixel covers: edges are made that soft.
    """
    on_face = (template[:, 2] > 0.64) & (template[:, 2] < 0.80) & (template[:, 1] < -0.045)
    if not on_face.any():
        return albedo
    p = template[on_face]
    x, y, z = np.abs(p[:, 0]), p[:, 1], p[:, 2]
    color = albedo[on_face]
    color = _tint(color, colors.blush, _spot(x, z, 0.043, 0.722, 0.017, 0.014) * 0.20)
    color = _tint(color, colors.blush, _spot(x, z, 0.0, 0.722, 0.011, 0.009) * 0.13)
    color = _tint(
        color, color * np.float32(0.78), _spot(x, z, 0.030, 0.7445, 0.013, 0.004) * (0.25 + 0.4 * colors.age)
    )
    color = _tint(color, color * np.float32(0.62), _socket(x, z) * np.float32(0.45))
    if colors.stubble:
        color = _tint(color, _bluish(colors), _beard(x, z) * np.float32(0.30 * colors.stubble))
    if colors.age > 0.4:
        color = _wrinkles(color, x, z, colors.age, footprint)
    color = _brows(color, x, z, footprint, colors)
    color = _lips(color, x, y, z, footprint, colors)
    color = _lashes(color, x, z, footprint, colors)
    painted = albedo.copy()
    painted[on_face] = color
    return painted


def _tint(color: Float, other: Float, share: Float) -> Float:
    return mix(color, other, np.clip(share, 0, 1))


def _spot(x: Float, z: Float, at_x: float, at_z: float, wide: float, high: float) -> Float:
    spot: Float = np.exp(
        -(((x - np.float32(at_x)) / np.float32(wide)) ** 2) - ((z - np.float32(at_z)) / np.float32(high)) ** 2
    )
    return spot


def _socket(x: Float, z: Float) -> Float:
    """Shade above the upper lid, to its crease."""
    top = np.interp(x, _LID_X, _LID_TOP).astype(np.float32)
    over = (z - top - np.float32(0.0035)) / np.float32(0.0032)
    return np.asarray(np.exp(-(over**2)) * _within(x, 0.016, 0.044, 0.004), np.float32)


def _within(x: Float, low: float, high: float, soft: float) -> Float:
    inside: Float = np.clip((x - np.float32(low)) / np.float32(soft), 0, 1) * np.clip(
        (np.float32(high) - x) / np.float32(soft), 0, 1
    )
    return inside


def _bluish(colors: FaceColors) -> Float:
    return np.asarray(colors.skin * np.array([0.50, 0.52, 0.58], np.float32))


def _beard(x: Float, z: Float) -> Float:
    low = np.clip((np.float32(0.712) - z) / np.float32(0.014), 0, 1)
    # The cheek stays free: the beard's upper edge rises towards the ear.
    edge = np.float32(0.690) + np.clip((x - np.float32(0.02)) / np.float32(0.05), 0, 1) * np.float32(0.045)
    jaw = np.clip((edge - z) / np.float32(0.014), 0, 1) * np.clip((x - 0.012) / 0.012, 0, 1)
    mouth = low * np.clip((np.float32(0.030) - x) / np.float32(0.008), 0, 1)
    chin = np.clip((np.float32(0.680) - z) / np.float32(0.010), 0, 1)
    throat = np.clip((z - np.float32(0.640)) / np.float32(0.012), 0, 1)
    return np.asarray(np.maximum(np.maximum(jaw, mouth), chin) * throat, np.float32)


def _wrinkles(color: Float, x: Float, z: Float, age: float, footprint: float) -> Float:
    fold_x = np.interp(z, [0.688, 0.700, 0.712, 0.724], [0.031, 0.0285, 0.0235, 0.0185]).astype(np.float32)
    fold = np.exp(-(((x - fold_x) / np.float32(max(0.0016, footprint))) ** 2))
    fold *= _within(z, 0.686, 0.724, 0.008)
    lines = np.zeros_like(x)
    for height in (0.797, 0.788):
        lines += np.exp(-(((z - height - 3 * (x - 0.02) ** 2) / np.float32(max(0.0010, footprint))) ** 2))
    lines *= np.clip((np.float32(0.035) - x) / np.float32(0.01), 0, 1)
    darker = color * np.array([0.66, 0.58, 0.56], np.float32)
    return _tint(color, darker, (fold * 0.7 + lines * 0.35) * np.float32(age))


def _brows(color: Float, x: Float, z: Float, footprint: float, colors: FaceColors) -> Float:
    middle = np.interp(x, _BROW_X, _BROW_Z).astype(np.float32)
    half = np.interp(x, _BROW_X, _BROW_HALF).astype(np.float32) * np.float32(0.92 + 0.33 * colors.male)
    middle = middle - np.float32(0.0012 * colors.male)
    soft = np.float32(max(footprint, 0.0016))
    cover = np.clip((half - np.abs(z - middle)) / soft + np.float32(0.5), 0, 1)
    cover *= _within(x, 0.0085, 0.0515, 0.007)
    hairs = 1 + np.float32(0.16) * np.sin(x * 3100 + (z - middle) * 2400) if footprint < 0.0005 else 1.0
    return _tint(color, colors.brow, cover * np.float32(0.78) * hairs)


def _lips(color: Float, x: Float, y: Float, z: Float, footprint: float, colors: FaceColors) -> Float:
    top = np.interp(x, _LIP_X, _LIP_TOP).astype(np.float32)
    line = np.interp(x, _LIP_X, _LIP_LINE).astype(np.float32)
    low = np.interp(x, _LIP_X, _LIP_LOW).astype(np.float32)
    soft = np.float32(max(footprint, 0.0012))
    front = (y < -0.085).astype(np.float32)
    cover = np.clip((top - z) / soft + 0.5, 0, 1) * np.clip((z - low) / soft + 0.5, 0, 1)
    cover *= np.clip((np.float32(0.0240) - x) / soft + 0.5, 0, 1) * front
    upper = np.clip((z - line) / np.float32(0.001), 0, 1)
    lip = colors.lip * (1 - np.float32(0.18) * upper[:, None])
    color = _tint(color, lip, cover * np.float32(colors.lips))
    thick = np.float32(max(0.0008, 0.45 * footprint))
    parting = (
        np.clip((thick - np.abs(z - line)) / soft + 0.5, 0, 1)
        * np.clip((0.0245 - x) / soft + 0.5, 0, 1)
        * front
    )
    return _tint(color, colors.lip * np.float32(0.30), parting * np.float32(0.85))


def _lashes(color: Float, x: Float, z: Float, footprint: float, colors: FaceColors) -> Float:
    top = np.interp(x, _LID_X, _LID_TOP).astype(np.float32)
    low = np.interp(x, _LID_X, _LID_LOW).astype(np.float32)
    outer = np.clip((x - np.float32(0.016)) / np.float32(0.028), 0, 1)
    lash = (
        band(z - top, -0.0012, 0.0009, footprint) * (0.75 + 0.25 * outer)
        + band(z - top, 0.0008, 0.0016, footprint) * outer
    )
    lash *= _within(x, 0.0150, 0.0455, 0.003)
    color = _tint(color, colors.brow * np.float32(0.30), np.clip(lash, 0, 1) * np.float32(0.92))
    rim = band(low - z, -0.0012, 0.0004, footprint) * _within(x, 0.018, 0.044, 0.004)
    return _tint(color, colors.brow * np.float32(0.6), rim * np.float32(0.35))


def paint_eye(template: Float, footprint: float, iris: Float) -> tuple[Float, Float]:
    """Return the colour of eyeball samples, and how much of a catch light each shows.

    Parameters
    ----------
    template : float32 array, shape (S, 3)
    footprint : float
    iris : float32 array, shape (3,)
        Linear colour.
    """
    side = np.where(template[:, 0] >= 0, np.float32(1), np.float32(-1))
    x = template[:, 0] * side - EYE_CENTER[0]
    z = template[:, 2] - EYE_CENTER[2]
    r = np.sqrt(x * x + z * z)
    top = np.interp(x + EYE_CENTER[0], _LID_X, _LID_TOP).astype(np.float32) - EYE_CENTER[2]
    white = np.array([0.80, 0.76, 0.72], np.float32)
    corner = np.clip(np.abs(x) / np.float32(0.013), 0, 1) ** 2
    color = white * (1 - np.float32(0.35) * corner)[:, None] * np.array([1, 0.97, 0.95], np.float32)
    inside = band(r, -1, _IRIS_M, max(footprint, 0.0005))
    ring = np.clip((r - np.float32(0.0042)) / np.float32(0.0019), 0, 1)
    fibres = 1 + np.float32(0.15) * np.sin(np.arctan2(z, x) * 18) * (1 - ring)
    iris_color = (
        iris * (fibres * (1.25 - 0.85 * ring) * (1.0 - np.clip(z / 0.006, -0.6, 0.8) * 0.35))[:, None]
    )
    color = mix(color, iris_color, inside)
    color = mix(color, np.full(3, 0.006, np.float32), band(r, -1, _PUPIL_M, max(footprint, 0.0004)))
    lid = np.clip(1 - (top - z) / np.float32(0.0042), 0, 1) ** 1.5
    color = color * (1 - np.float32(0.62) * lid)[:, None]
    spark = np.sqrt(
        (template[:, 0] - side * EYE_CENTER[0] + np.float32(0.0021)) ** 2 + (z - np.float32(0.0017)) ** 2
    )
    # A catch light smaller than a pixel lends it no more than its own area.
    area = np.float32(min(1.0, np.pi * (_SPARK_M / footprint) ** 2))
    return color, band(spark, -1, _SPARK_M, max(footprint * 0.8, 0.0004)) * area


def skin_mottle(albedo: Float, template: Float) -> Float:
    """Return `albedo` (S, 3) with the faint unevenness of skin."""
    uneven = speckle(template, 42.0)[:, None] * np.array([0.010, 0.020, 0.022], np.float32)
    return albedo * (1 + uneven)
