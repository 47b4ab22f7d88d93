"""The control map of a pose in a view: what a ControlNet is given."""

from __future__ import annotations

import hashlib
import io
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from posegen.controlnet.draw import control_keypoints, draw_map
from posegen.images import encode_png
from posegen.poses.library import Pose
from posegen.poses.targets import keypoints
from posegen.records import StickScale, View

MAX_PALETTE = 255
"""Colours beside black that a palette has room for."""


def control_target(pose: Pose, view: View, width: int, height: int) -> NDArray[np.float64]:
    """Return the keypoints that go on the control map, shape (18, 3)."""
    return control_keypoints(keypoints(pose, view, width, height))


def control_map(
    pose: Pose, view: View, width: int, height: int, stick_scale: StickScale = "none"
) -> NDArray[np.uint8]:
    """Return the control map, shape (height, width, 3)."""
    return draw_map(control_target(pose, view, width, height), width, height, stick_scale=stick_scale)


def control_map_png(pixels: NDArray[np.uint8]) -> bytes:
    """Return the control map as the PNG that is stored and sent, the same bytes every time.

    A map has at most 36 colours, so it is written with a palette: a third of the work, and 5 KB.
    """
    drawn = (pixels[..., 0] | pixels[..., 1] | pixels[..., 2]) != 0  # ten times as fast as any(axis=2)
    packed = pixels[drawn].astype(np.uint32) @ np.array([1 << 16, 1 << 8, 1], dtype=np.uint32)
    colors, places = np.unique(packed, return_inverse=True)
    if len(colors) > MAX_PALETTE:
        return encode_png(pixels)
    indices = np.zeros(pixels.shape[:2], dtype=np.uint8)
    indices[drawn] = places.astype(np.uint8) + 1
    image = Image.fromarray(indices, mode="P")
    image.putpalette(b"\0\0\0" + b"".join(int(color).to_bytes(3, "big") for color in colors))
    buffer = io.BytesIO()
    image.save(buffer, "PNG", compress_level=1)
    return buffer.getvalue()


@lru_cache(maxsize=4096)  # avatars, prompts and repeats share a map
def control_map_sha256(
    pose: Pose, view: View, width: int, height: int, stick_scale: StickScale = "none"
) -> str:
    """Return the hash of the control map's PNG."""
    pixels = control_map(pose, view, width, height, stick_scale)
    return hashlib.sha256(control_map_png(pixels)).hexdigest()
