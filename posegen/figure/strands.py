"""How hair looks: strands of slightly different tones, a band of gloss across them, dark depths."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from posegen.figure.appearance import Appearance
from posegen.figure.color import linear
from posegen.figure.light import KEY_COLOR, Lights
from posegen.figure.materials import Samples, gloss, mix, shade_cloth
from posegen.figure.shading import Material
from posegen.figure.topology import unit

Float = NDArray[np.float32]

_TABLE = 4096


@lru_cache(maxsize=1)
def _table() -> Float:
    return np.random.Generator(np.random.PCG64(7)).uniform(-1, 1, _TABLE).astype(np.float32)


def strand_noise(angle: Float, strands: float, drift: Float) -> Float:
    """Return noise in [-1, 1] that is the same all along a strand.

    Parameters
    ----------
    angle : float32 array
        Radians; tells strands apart.
    strands : float
        How many there are around the head.
    drift : float32 array
        By how many strands each sample is shifted.
    """
    at = angle * np.float32(strands / (2 * np.pi)) + drift
    low = np.floor(at)
    u = at - low
    i = low.astype(np.int64)
    table = _table()
    noise: Float = table[i % _TABLE] * (1 - u) + table[(i + 1) % _TABLE] * u
    return noise


def hair_material(appearance: Appearance) -> Material:
    """Return how the figure's hair answers light."""
    color = linear(appearance.hair_color)
    style = appearance.hair_style
    skin = linear(appearance.skin)
    fades = style in {"short", "ponytail", "bun"}
    coarse = 0.5 if style == "curly" else 0.85

    def shade(s: Samples, lights: Lights) -> Float:
        angle = np.arctan2(s.detail[:, 1], s.detail[:, 0])
        length, tied = s.detail[:, 2], s.detail[:, 3] > 0.5
        drift = np.sin(length * 23) * np.float32(0.9) + np.sin(length * 61 + angle * 3) * np.float32(0.35)
        fine = (
            strand_noise(angle, 420, drift * 2) if s.footprint < 0.0016 else strand_noise(angle, 210, drift)
        )
        broad = strand_noise(angle, 90, drift * 0.6)
        tone = 1 + np.float32(coarse) * (np.float32(0.20) * fine + np.float32(0.22) * broad)
        if style == "curly":
            tone = tone + np.float32(0.18) * np.sin(length * 420 + 6 * np.sin(angle * 26))
        albedo = color * tone[:, None]
        if fades:
            cover = np.clip(s.border / np.float32(0.004) + np.float32(0.55), 0, 1)
            albedo = mix(skin * np.float32(0.5), albedo, cover)
        tilt = (broad * np.float32(0.16) + fine * np.float32(0.08)) * np.float32(coarse)
        bent = s.normal.copy()
        bent[:, 2] += tilt
        light = shade_cloth(albedo, s, lights, fuzz=0.25)
        shine = gloss(unit(bent), lights, lights.key, 26) * s.lit * np.float32(0.9) + gloss(
            unit(bent), lights, lights.rim, 12
        ) * np.float32(0.5)
        sheen = (color ** np.float32(0.6)) * np.float32(0.16) + np.float32(0.012)
        strength = np.float32(coarse) * (0.55 + 0.45 * fine) * shine * ~s.behind
        light += strength[:, None] * sheen * KEY_COLOR
        root = np.clip(s.border / np.float32(0.012), 0, 1)
        light *= (np.float32(0.78) + np.float32(0.22) * root)[:, None]
        light[tied] = color * np.float32(0.25)
        return light

    return shade
