"""How garments and shoes look: weave, ribs, seams, hems, laces, soles."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from posegen.figure.color import linear
from posegen.figure.folds import folded
from posegen.figure.light import Lights
from posegen.figure.materials import Samples, band, mix, shade_cloth, speckle
from posegen.figure.shading import Material
from posegen.figure.shoes import LASTS

Float = NDArray[np.float32]

_RIBBED = {"sweater": 0.045, "hoodie": 0.050}
_FOLDS_M = {
    "t-shirt": 0.0035, "long-sleeve shirt": 0.0035, "tank top": 0.0022, "sweater": 0.0030, "hoodie": 0.0036,
    "polo shirt": 0.0032, "collar": 0.0, "jeans": 0.0040, "trousers": 0.0040, "leggings": 0.0008,
    "shorts": 0.0038,
    "skirt": 0.0014,
}  # fmt: skip
_FUZZ = {"sweater": 0.30, "hoodie": 0.22, "leggings": 0.06, "jeans": 0.10}


def cloth_material(garment: str, code: str) -> Material:
    """Return how a garment of colour `code` answers light."""
    # No cloth reflects all light: keep room above white for form.
    base = linear(code) * np.float32(0.84)

    def shade(s: Samples, lights: Lights) -> Float:
        if _FOLDS_M.get(garment):
            normal, raised = folded(s, _FOLDS_M[garment])
            s = replace(s, normal=normal, open=s.open * (np.float32(0.72) + np.float32(0.28) * raised))
        albedo = base * (1 + np.float32(0.03) * speckle(s.template, 60.0))[:, None]
        albedo = _hems(albedo, s, garment)
        if garment == "jeans":
            albedo = _worn(albedo, s)
        if garment == "hoodie":
            albedo = _pocket_and_strings(albedo, s)
        if garment == "polo shirt":
            albedo = _placket(albedo, s)
        shine = 0.05 if garment == "leggings" else 0.0
        return shade_cloth(albedo, s, lights, fuzz=_FUZZ.get(garment, 0.12), shine=shine)

    return shade


def _hems(albedo: Float, s: Samples, garment: str) -> Float:
    """Darken a stitched line beside each border, and draw ribs there on knitwear."""
    if not _FOLDS_M.get(garment):
        return albedo
    edge = s.border
    fold = band(edge, 0.0, 0.0022, s.footprint)
    albedo = mix(albedo, albedo * np.float32(0.80), fold)
    if garment in _RIBBED:
        width = _RIBBED[garment]
        # A collar is narrower than hem and cuffs.
        edge = np.minimum(np.minimum(s.detail[:, 0], s.detail[:, 1]), s.detail[:, 2] * np.float32(2.0))
        ribs = (edge < width) & (edge > 0)
        around = np.arctan2(s.template[:, 0], -s.template[:, 1] + 0.01)
        wave = np.sin(around * 150) * np.float32(np.clip(1.4 - s.footprint / 0.0016, 0, 1))
        albedo = np.where(
            ribs[:, None], albedo * (np.float32(0.95) + np.float32(0.07) * wave)[:, None], albedo
        )
        return mix(albedo, albedo * np.float32(0.72), band(edge, width - 0.0012, width + 0.0012, s.footprint))
    seam = band(edge, 0.0165, 0.0185, s.footprint)
    return mix(albedo, albedo * np.float32(0.80), seam * np.float32(0.8))


def _worn(albedo: Float, s: Samples) -> Float:
    """Return denim paler over thighs and knees, with a twill's faint diagonal."""
    x, y, z = s.template.T
    leg = (
        np.exp(-(((np.abs(x) - 0.115) / 0.035) ** 2))
        * np.exp(-(((z + 0.19) / 0.15) ** 2))
        * np.clip((np.float32(-0.005) - y) / np.float32(0.05), 0, 1)
    )
    paler = albedo + (np.float32(1) - albedo) * np.float32(0.10)
    albedo = mix(albedo, paler, leg.astype(np.float32))
    if s.footprint < 0.0012:
        twill = np.sin((x + z * 2.0) * 1900)
        albedo = albedo * (1 + np.float32(0.05) * twill)[:, None]
    return albedo


def _pocket_and_strings(albedo: Float, s: Samples) -> Float:
    x, y, z = s.template.T
    front = (y < 0).astype(np.float32)
    side = np.abs(x)
    # The pocket's outline: a straight top, slanted openings, straight sides below them.
    edge = np.interp(z, [0.075, 0.115, 0.185], [0.105, 0.105, 0.062]).astype(np.float32)
    inside = np.minimum(edge - side, np.minimum(np.float32(0.185) - z, z - np.float32(0.075)))
    seam = band(inside, -0.0012, 0.0012, s.footprint) * front
    albedo = mix(albedo, albedo * np.float32(0.60), seam * np.float32(0.9))
    middle = np.float32(0.026) + (np.float32(0.57) - z) * np.float32(0.06)
    string = band(side - middle, -0.0026, 0.0026, s.footprint) * front * band(z, 0.415, 0.60, s.footprint)
    pale = albedo + (np.float32(0.75) - albedo) * np.float32(0.75)
    tip = band(z, 0.415, 0.432, s.footprint)[:, None]
    return mix(albedo, pale * (1 - np.float32(0.6) * tip), string)


def _placket(albedo: Float, s: Samples) -> Float:
    x, y, z = s.template.T
    front = (y < 0).astype(np.float32)
    on = band(z, 0.455, 0.62, s.footprint) * front
    edges = band(np.abs(x), 0.0135, 0.0155, s.footprint) * on
    edges = np.maximum(
        edges, band(z, 0.454, 0.456, s.footprint) * band(np.abs(x), -1, 0.0155, s.footprint) * front
    )
    albedo = mix(albedo, albedo * np.float32(0.66), edges)
    for height in (0.475, 0.510, 0.545):
        r = np.sqrt(x * x + (z - np.float32(height)) ** 2)
        albedo = mix(
            albedo, albedo * np.float32(0.45) + np.float32(0.20), band(r, -1, 0.0048, s.footprint) * front
        )
    return albedo


def shoe_material(shoes: str, code: str) -> Material:
    """Return how a pair of shoes of colour `code` answers light."""
    base = linear(code) * np.float32(0.86)
    pale = np.array([0.80, 0.79, 0.76], np.float32)
    dark = np.array([0.020, 0.019, 0.018], np.float32)
    is_pale = float(base.mean()) > 0.5
    sole = {"sneakers": pale, "boots": dark, "loafers": dark}.get(shoes, dark)
    lace = pale * np.float32(0.72) if is_pale else pale
    top = LASTS[shoes].sole_top - 0.0005 if shoes in LASTS else 0.0

    def shade(s: Samples, lights: Lights) -> Float:
        along, height = s.template[:, 1], s.template[:, 2]
        albedo = np.broadcast_to(base, s.normal.shape).astype(np.float32)
        albedo = mix(albedo, albedo * np.float32(0.7), band(s.border, 0.0, 0.004, s.footprint))
        if shoes == "sneakers":
            albedo = _laces(albedo, s, lace)
        if shoes == "loafers":
            strap = band(along, 0.070, 0.092, s.footprint) * (height > 0.02)
            albedo = mix(albedo, albedo * np.float32(0.72), strap)
        welt = band(height, top, top + 0.002, s.footprint)
        albedo = mix(albedo, albedo * np.float32(0.45), welt)
        albedo = mix(albedo, sole, (height < top).astype(np.float32))
        shine = {"loafers": 0.16, "boots": 0.07}.get(shoes, 0.02)
        return shade_cloth(albedo, s, lights, fuzz=0.05, shine=shine)

    return shade


def _laces(albedo: Float, s: Samples, lace: Float) -> Float:
    across, along, height = s.template.T
    instep = (height > 0.038) & (along > 0.030) & (along < 0.112)
    tongue = band(np.abs(across + 0.004), -1, 0.021, s.footprint) * instep
    albedo = mix(albedo, albedo * np.float32(0.80), tongue)
    rung = np.abs(np.mod(along, 0.0150) / 0.0150 - 0.5)
    drawn = band(rung, -1, 0.21, max(s.footprint / 0.015, 0.05))
    laces = drawn * band(np.abs(across + 0.004), -1, 0.019, s.footprint) * instep
    albedo = mix(albedo, lace, laces)
    toe = band(along, 0.128, 0.1305, s.footprint) * (height > 0.016)
    heel = band(along, -0.032, -0.030, s.footprint) * (height > 0.016)
    return mix(albedo, albedo * np.float32(0.70), np.maximum(toe, heel))
