"""The control map of a pose in a view: what a ControlNet is given."""

from __future__ import annotations

import hashlib

import numpy as np
from numpy.typing import NDArray

from posegen.controlnet.draw import control_keypoints, draw_map
from posegen.images import encode_png
from posegen.poses.library import Pose
from posegen.poses.targets import keypoints
from posegen.records import View


def control_target(pose: Pose, view: View, width: int, height: int) -> NDArray[np.float64]:
    """Return the keypoints that go on the control map, shape (18, 3)."""
    return control_keypoints(keypoints(pose, view, width, height))


def control_map(pose: Pose, view: View, width: int, height: int) -> NDArray[np.uint8]:
    """Return the control map, shape (height, width, 3)."""
    return draw_map(control_target(pose, view, width, height), width, height)


def control_map_png(pixels: NDArray[np.uint8]) -> bytes:
    """Return the control map as the PNG that is stored and sent, the same bytes every time."""
    return encode_png(pixels, text={}, xmp=None, compress_level=1)


def control_map_sha256(pose: Pose, view: View, width: int, height: int) -> str:
    """Return the hash of the control map's PNG."""
    return hashlib.sha256(control_map_png(control_map(pose, view, width, height))).hexdigest()
