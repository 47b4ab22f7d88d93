"""Which colours each surface of a figure has."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from posegen.figure.appearance import Appearance
from posegen.figure.cloth import cloth_material, shoe_material
from posegen.figure.color import linear
from posegen.figure.face import FaceColors, paint_eye, paint_face, skin_mottle
from posegen.figure.light import Lights
from posegen.figure.materials import Samples, mix, shade_skin, speckle
from posegen.figure.shading import Material
from posegen.figure.strands import hair_material

Float = NDArray[np.float32]


def materials_of(appearance: Appearance) -> Mapping[str, Material]:
    """Return how each surface of the figure answers light."""
    return {
        "skin": _skin(appearance),
        "eyes": _eyes(appearance),
        "hair": hair_material(appearance),
        "top": cloth_material(appearance.top, appearance.top_color),
        "bottom": cloth_material(appearance.bottom, appearance.bottom_color),
        "collar": cloth_material("collar", appearance.top_color),
        "shoes": shoe_material(appearance.shoes, appearance.shoes_color),
        "seat": cloth_material("seat", appearance.seat_color),
    }


def face_colors(appearance: Appearance) -> FaceColors:
    """Return the colours of the face that goes with skin, hair, sex and age."""
    skin = linear(appearance.skin)
    hair = linear(appearance.hair_color)
    female = 1 - appearance.male_share
    red = np.array([0.46, 0.115, 0.105], np.float32)
    lip = skin * np.array([0.78, 0.46, 0.44], np.float32) + red * np.float32(0.16 + 0.12 * female)
    blush = np.minimum(skin * np.array([1.06, 0.62, 0.56], np.float32), 1)
    brow = np.minimum(hair * np.float32(0.55), skin * np.float32(0.42)) + np.float32(0.004)
    return FaceColors(
        skin=skin,
        brow=brow.astype(np.float32),
        lip=lip.astype(np.float32),
        blush=blush.astype(np.float32),
        stubble=0.0 if female > 0.5 else 0.75,
        age=appearance.age,
        male=appearance.male_share,
        lips=0.50 + 0.32 * female,
    )


def _skin(appearance: Appearance) -> Material:
    colors = face_colors(appearance)
    base = linear(appearance.skin) * np.float32(0.90)
    hair = linear(appearance.hair_color)

    cropped = appearance.hair_style == "buzz cut"

    def shade(s: Samples, lights: Lights) -> Float:
        albedo = np.broadcast_to(base, s.normal.shape).astype(np.float32)
        albedo = paint_face(skin_mottle(albedo, s.template), s.template, s.footprint, colors)
        albedo = _scalp(albedo, s, appearance.hair_style, hair)
        # Where a garment stands off the skin, its edge casts a soft shadow on it.
        near = np.clip(1 + s.detail[:, 0] / np.float32(0.020), 0, 1)
        occluded = 1 - np.float32(0.55) * near * near
        shaded = replace(s, lit=s.lit * occluded, open=s.open * occluded)
        # Stubble breaks the scalp's gloss.
        matt = np.clip(s.detail[:, 1] / np.float32(0.016), 0, 1) * np.float32(0.85 * cropped)
        return shade_skin(albedo, shaded, lights, shine=1 - matt)

    return shade


def _scalp(albedo: Float, s: Samples, style: str, hair: Float) -> Float:
    """Return `albedo` with the scalp darkened under the hair, or with the stubble of a buzz cut."""
    depth = s.detail[:, 1]
    if style == "bald":
        return albedo
    if style == "buzz cut":
        grain = speckle(s.template, 2600.0) * np.float32(min(1.0, 0.0012 / s.footprint))
        cover = np.clip((depth + np.float32(0.002)) / np.float32(0.016), 0, 1)
        cover = cover * cover * (3 - 2 * cover) * (np.float32(0.84) + np.float32(0.10) * grain)
        return mix(albedo, hair * np.float32(0.9) + np.float32(0.004), cover)
    return mix(albedo, hair * np.float32(0.8), np.clip(depth / np.float32(0.010) + np.float32(0.1), 0, 0.92))


def _eyes(appearance: Appearance) -> Material:
    iris = linear(appearance.eye_color) * np.float32(0.95)

    def shade(s: Samples, lights: Lights) -> Float:
        albedo, spark = paint_eye(s.template, s.footprint, iris)
        light = shade_skin(albedo, s, lights, shine=0.3)
        return light + spark[:, None] * np.float32(0.75)

    return shade
