"""The one camera of keypoints and pictures: a long lens, looking slightly down, fitted to the body.

Pixel coordinates: the centre of the top-left pixel is (0, 0), x to the right, y down.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]

PITCH_DEG = 6.0
"""How far the camera looks down: enough to see where feet and seats touch what they rest on."""
DISTANCE_M = 7.0
MARGIN = 0.08
"""Free border on every side, as a share of the frame's shorter side: room for hair, shoes and garments."""
SIZE_RANGE = (256, 2048)


@dataclass(frozen=True)
class Camera:
    """A pinhole camera on a circle around the body.

    Attributes
    ----------
    yaw : float
        Degrees; see `records.View`. At 0 it stands at -y and looks to +y; at 90 it stands at +x.
    pitch_deg : float
        How far it looks down.
    distance_m : float
        From the target.
    target : (float, float, float)
        World point on the optical axis, metres.
    focal_px : float
    cx, cy : float
        Pixel where the optical axis meets the picture.
    """

    yaw: float
    pitch_deg: float
    distance_m: float
    target: tuple[float, float, float]
    focal_px: float
    cx: float
    cy: float

    @property
    def axes(self) -> FloatArray:
        """Rows: the picture's right, its down, and the viewing direction, in world axes; shape (3, 3)."""
        return view_axes(self.yaw, self.pitch_deg)

    @property
    def position(self) -> FloatArray:
        """Where the camera stands, shape (3,), metres."""
        return np.asarray(np.array(self.target) - self.distance_m * self.axes[2])

    def project(self, points: FloatArray) -> FloatArray:
        """Return where world points appear.

        Parameters
        ----------
        points : float array, shape (..., 3)
            Metres.

        Returns
        -------
        float array, shape (..., 3)
            x and y in pixels, and depth: metres along the optical axis.
        """
        seen = (np.asarray(points, dtype=np.float64) - self.position) @ self.axes.T
        scale = self.focal_px / seen[..., 2]
        x, y = self.cx + scale * seen[..., 0], self.cy + scale * seen[..., 1]
        return np.stack([x, y, seen[..., 2]], axis=-1)


def view_axes(yaw: float, pitch_deg: float = PITCH_DEG) -> FloatArray:
    """Return the picture's right, down and viewing direction in world axes, as rows; shape (3, 3)."""
    turn, tilt = np.radians(yaw), np.radians(pitch_deg)
    right = np.array([np.cos(turn), np.sin(turn), 0.0])
    ahead = np.array([-np.sin(turn), np.cos(turn), 0.0])
    up = np.array([0.0, 0.0, 1.0])
    view = np.cos(tilt) * ahead - np.sin(tilt) * up
    return np.stack([right, -np.sin(tilt) * ahead - np.cos(tilt) * up, view])


def check_size(width: int, height: int) -> None:
    """Refuse a frame outside `SIZE_RANGE`.

    Raises
    ------
    ValueError
        A side is too short or too long.
    """
    least, most = SIZE_RANGE
    if not (least <= width <= most and least <= height <= most):
        raise ValueError(f"width and height must be from {least} to {most} pixels, got {width}x{height}")


def fit_camera(points: FloatArray, yaw: float, width: int, height: int, margin: float = MARGIN) -> Camera:
    """Return the camera that shows all points, as large as the margin lets them be, in the middle.

    Parameters
    ----------
    points : float array, shape (N, 3)
        Surface samples of the body, metres.
    yaw : float
        Degrees.
    width, height : int
        Pixels, each in `SIZE_RANGE`.
    margin : float
        Free border as a share of the shorter side, in [0, 0.45].

    Raises
    ------
    ValueError
        No points, a margin or a size out of range.
    """
    check_size(width, height)
    if points.ndim != 2 or points.shape[1] != 3 or not len(points):
        raise ValueError(f"expected points of shape (N, 3) with N > 0, got {points.shape}")
    if not 0.0 <= margin <= 0.45:
        raise ValueError(f"margin must be from 0 to 0.45, got {margin!r}")
    center = (points.min(axis=0) + points.max(axis=0)) / 2
    target = (float(center[0]), float(center[1]), float(center[2]))
    plain = Camera(float(yaw), PITCH_DEG, DISTANCE_M, target, 1.0, 0.0, 0.0).project(points)[:, :2]
    least, most = plain.min(axis=0), plain.max(axis=0)
    border = margin * min(width, height)
    room = np.array([width - 1, height - 1]) - 2 * border
    focal = float((room / np.maximum(most - least, 1e-6)).min())
    middle = np.array([width - 1, height - 1]) / 2 - focal * (least + most) / 2
    return Camera(float(yaw), PITCH_DEG, DISTANCE_M, target, focal, float(middle[0]), float(middle[1]))
