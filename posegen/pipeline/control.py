"""The control map of a pose in a view: what a ControlNet is given."""

from __future__ import annotations

import hashlib
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from posegen.controlnet.draw import control_keypoints, draw_map
from posegen.images import control_map_png
from posegen.poses.library import Pose
from posegen.poses.targets import keypoints
from posegen.records import StickScale, View


def control_target(pose: Pose, view: View, width: int, height: int) -> NDArray[np.float64]:
    """Return the keypoints that go on the control map, shape (18, 3)."""
    return control_keypoints(keypoints(pose, view, width, height))


def control_map(
    pose: Pose, view: View, width: int, height: int, stick_scale: StickScale = "none"
) -> NDArray[np.uint8]:
    """Return the control map, shape (height, width, 3)."""
    return draw_map(control_target(pose, view, width, height), width, height, stick_scale=stick_scale)


@lru_cache(maxsize=4096)  # avatars, prompts and repeats share a map
def control_map_sha256(
    pose: Pose, view: View, width: int, height: int, stick_scale: StickScale = "none"
) -> str:
    """Return the hash of the control map's PNG."""
    pixels = control_map(pose, view, width, height, stick_scale)
    return hashlib.sha256(control_map_png(pixels)).hexdigest()
