"""Colours: names and hexadecimal codes to linear light, and linear light to sRGB bytes."""

from __future__ import annotations

import re
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

Float = NDArray[np.float32]

_HEX = re.compile(r"#[0-9a-fA-F]{6}")
_TABLE_SIZE = 8192


def is_hex_color(text: str) -> bool:
    """Return whether `text` is a colour of the form #rrggbb."""
    return _HEX.fullmatch(text) is not None


@lru_cache(maxsize=256)
def linear(code: str) -> Float:
    """Return the linear RGB of "#rrggbb", shape (3,), read-only.

    Raises
    ------
    ValueError
        `code` is not of that form.

    References
    ----------
    IEC 61966-2-1 (sRGB).
    """
    if not is_hex_color(code):
        raise ValueError(f"expected a colour like #a1b2c3, got {code!r}")
    srgb = np.array([int(code[i : i + 2], 16) for i in (1, 3, 5)]) / 255
    value = np.where(srgb <= 0.04045, srgb / 12.92, ((srgb + 0.055) / 1.055) ** 2.4).astype(np.float32)
    value.flags.writeable = False
    return value


@lru_cache(maxsize=1)
def _encoding_table() -> NDArray[np.float32]:
    value = (np.arange(_TABLE_SIZE + 1) / _TABLE_SIZE) ** 2  # squared: finer in the shadows
    srgb = np.where(value <= 0.0031308, value * 12.92, 1.055 * value ** (1 / 2.4) - 0.055)
    return (srgb * 255).astype(np.float32)


def encode(light: Float, dither: Float | None = None) -> NDArray[np.uint8]:
    """Return linear light (..., 3) as sRGB bytes; light above 1 is clipped.

    Parameters
    ----------
    light : float32 array
    dither : float32 array, optional
        Added in units of one byte step before rounding, against banding.
    """
    root = np.clip(light, 0, 1)
    np.sqrt(root, out=root)
    root *= _TABLE_SIZE
    value = np.take(_encoding_table(), root.astype(np.int16))
    value += np.float32(0.5) if dither is None else dither + np.float32(0.5)
    np.clip(value, 0, 255, out=value)
    return value.astype(np.uint8)


def roll_off(light: Float) -> Float:
    """Return `light` with highlights above 0.75 bent smoothly towards 1."""
    knee = np.float32(0.75)
    over = np.maximum(light - knee, 0)
    span = 1 - knee
    bent: Float = np.minimum(light, knee) + span * over / (over + span)
    return bent
