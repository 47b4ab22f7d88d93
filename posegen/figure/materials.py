"""How surfaces answer light: skin, cloth, leather and rubber, hair, wood."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from posegen.figure.light import (
    FILL_COLOR,
    GROUND_COLOR,
    KEY_COLOR,
    RIM_COLOR,
    SKY_COLOR,
    Lights,
)  # fmt: skip
from posegen.figure.surface import Surface
from posegen.figure.topology import dot, unit

Float = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Samples:
    """What is known at the samples of one surface.

    Attributes
    ----------
    normal, template : float32 array, shape (S, 3)
        Unit vectors towards the camera's side; template metres.
    border : float32 array, shape (S,)
        Metres inside the surface's nearest border.
    detail : float32 array, shape (S, D)
    behind : bool array, shape (S,)
        Seen from the inner side.
    lit, open : float32 array, shape (S,)
        Share of the key light and of the surroundings that arrives.
    footprint : float
        Metres a pixel covers.
    surface : Surface
    placed : float32 array, shape (V, 3)
        The surface's posed vertices.
    corners : int array, shape (S, 3)
        The vertices around each sample.
    share : float32 array, shape (3, S)
        How much each of them counts.
    """

    normal: Float
    template: Float
    border: Float
    detail: Float
    behind: NDArray[np.bool_]
    lit: Float
    open: Float
    footprint: float
    surface: Surface
    placed: Float
    corners: NDArray[np.int64]
    share: Float

    def blend(self, values: Float) -> Float:
        """Return per-vertex `values` (V, D) at the samples."""
        total: Float = values[self.corners[:, 0]] * self.share[0][:, None]
        total += values[self.corners[:, 1]] * self.share[1][:, None]
        total += values[self.corners[:, 2]] * self.share[2][:, None]
        return total


def surroundings(normal: Float, openness: Float) -> Float:
    """Return the light of the hemisphere: sky above, warm floor below."""
    up = (normal[:, 2:3] + 1) * np.float32(0.5)
    ambient: Float = (GROUND_COLOR + (SKY_COLOR - GROUND_COLOR) * up) * openness[:, None]
    return ambient


def wrapped(normal: Float, direction: Float, wrap: Float | float) -> Float:
    """Return diffuse light that reaches `wrap` beyond the terminator, per channel; shape (S, 3) or (S, 1)."""
    w = np.asarray(wrap, np.float32)
    cosine = dot(normal, direction)[:, None]
    share = np.clip((cosine + w) / (1 + w), 0, 1)
    reached: Float = share * share * (1 - w) + share * w if w.ndim else share
    return reached


def gloss(normal: Float, lights: Lights, direction: Float, power: float) -> Float:
    """Return the Blinn-Phong highlight of one light, shape (S,)."""
    half = unit(direction + lights.toward_camera)
    shine: Float = np.maximum(dot(normal, half), 0) ** np.float32(power)
    return shine


def shade_skin(albedo: Float, s: Samples, lights: Lights, *, shine: Float | float = 1.0) -> Float:
    """Return skin's light: soft red terminator, broad sheen, warm in the shadow."""
    wrap = np.array([0.42, 0.24, 0.18], np.float32)
    lit = s.lit[:, None]
    # Light that enters skin leaves again beside where it entered: shadows' edges glow red.
    bleed = lit ** np.array([0.75, 1.0, 1.1], np.float32)
    diffuse = KEY_COLOR * wrapped(s.normal, lights.key, wrap) * bleed
    diffuse += FILL_COLOR * wrapped(s.normal, lights.fill, wrap)
    diffuse += RIM_COLOR * wrapped(s.normal, lights.rim, 0.1) * s.open[:, None]
    warm = s.open[:, None] ** np.array([0.80, 1.0, 1.1], np.float32)
    diffuse += surroundings(s.normal, np.ones_like(s.open)) * warm
    facing = np.clip(dot(s.normal, lights.toward_camera), 0, 1)
    rim = (1 - facing) ** 4 * np.float32(0.05) * s.open
    light = gloss(s.normal, lights, lights.key, 14) * s.lit * np.float32(0.055)
    light += gloss(s.normal, lights, lights.key, 45) * s.lit * np.float32(0.04)
    light += gloss(s.normal, lights, lights.fill, 14) * np.float32(0.02)
    return np.asarray(
        albedo * diffuse + (light * np.float32(1.0) * shine + rim)[:, None] * KEY_COLOR, np.float32
    )


def shade_cloth(
    albedo: Float, s: Samples, lights: Lights, *, fuzz: float = 0.10, shine: float = 0.0
) -> Float:
    """Return cloth's light: matt, with a soft sheen where it turns away."""
    diffuse = KEY_COLOR * wrapped(s.normal, lights.key, 0.16) * s.lit[:, None]
    diffuse = diffuse + FILL_COLOR * wrapped(s.normal, lights.fill, 0.25)
    diffuse += RIM_COLOR * wrapped(s.normal, lights.rim, 0.05) * s.open[:, None]
    diffuse += surroundings(s.normal, s.open)
    facing = np.clip(dot(s.normal, lights.toward_camera), 0, 1)
    sheen = (1 - facing) ** 3 * np.float32(fuzz) * s.open
    light = albedo * (diffuse + sheen[:, None])
    if shine:
        spot = (
            gloss(s.normal, lights, lights.key, 22) * s.lit + gloss(s.normal, lights, lights.fill, 18) * 0.3
        )
        light = light + (np.float32(shine) * spot)[:, None] * KEY_COLOR
    light[s.behind] *= np.float32(0.35)
    return light


def speckle(points: Float, scale: float) -> Float:
    """Return smooth noise about 0, within +-1, with features of about 1/scale metres."""
    p = points * np.float32(scale)
    x, y, z = p[:, 0], p[:, 1], p[:, 2]
    a = np.sin(x * 1.7 + 1.3 * np.sin(y * 1.1 + 0.7) + z * 0.6)
    b = np.sin(y * 2.1 + 1.1 * np.sin(z * 1.3 + 1.9) - x * 0.8)
    c = np.sin(z * 1.9 + 1.2 * np.sin(x * 0.9 + 2.6) + y * 0.7)
    noise: Float = ((a + b + c) / 3).astype(np.float32)
    return noise


def band(value: Float, low: float, high: float, footprint: float) -> Float:
    """Return 1 where `value` lies between `low` and `high`, with edges one pixel soft."""
    soft = np.float32(max(footprint, 1e-5))
    rising = np.clip((value - np.float32(low)) / soft + np.float32(0.5), 0, 1)
    falling = np.clip((np.float32(high) - value) / soft + np.float32(0.5), 0, 1)
    between: Float = rising * falling
    return between


def mix(first: Float, second: Float, share: Float) -> Float:
    """Return the blend of two colours, (3,) or (S, 3), by `share` (S,)."""
    blended: Float = first + (second - first) * share[:, None]
    return blended
