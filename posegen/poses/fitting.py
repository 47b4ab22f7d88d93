"""From 2D keypoints back to a body: the camera that lays a pose over them, or angles that reach them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from posegen.poses.body import Body, load_body
from posegen.poses.camera import Camera, fit_camera
from posegen.poses.joints import ANGLE_INDEX, ANGLE_NAMES, GREATEST, LEAST
from posegen.poses.kinematics import RELAXED_HANDS, forward
from posegen.skeletons import OPENPOSE_18

FloatArray = NDArray[np.float64]

FREE_ANGLES: tuple[str, ...] = tuple(
    name
    for name in ANGLE_NAMES
    if not name.endswith(("inversion", "dorsiflexion", "toes.flexion", "pronation", "deviation"))
    and "wrist" not in name
)
"""Angles that 18 keypoints say something about."""

PRIOR_DEG = 40.0
"""How far an angle leaves its start at a tenth of the cost of `RESIDUAL_SHARE` of error at one keypoint."""
RESIDUAL_SHARE = 0.02
STEP_DEG = 0.5
ROUNDS = 14
LEAST_COUNTED = 4


@dataclass(frozen=True, eq=False)
class FittedPose:
    """Joint angles whose keypoints lie on given ones.

    Attributes
    ----------
    angles : float array, shape (D,)
        Degrees in the order of `joints.ANGLE_NAMES`, within their limits.
    error : float
        Root mean square distance over the counted keypoints, as a share of the diagonal of their box.
    """

    angles: FloatArray
    error: float


def unflipped(keypoints: FloatArray, width: int) -> FloatArray:
    """Return the keypoints of the picture flipped left to right: x mirrored, sides swapped."""
    flipped = np.array(keypoints, dtype=np.float64)[list(OPENPOSE_18.flip)]
    flipped[:, 0] = (width - 1) - flipped[:, 0]
    return flipped


def align_camera(points: FloatArray, camera: Camera, keypoints: FloatArray) -> Camera:
    """Return `camera` zoomed and shifted so that `points` fall on the keypoints, in the least-squares sense.

    Parameters
    ----------
    points : float array, shape (18, 3)
        OPENPOSE_18 in world metres.
    camera : Camera
        Says from where and how far away; its zoom and centre are replaced.
    keypoints : float array, shape (18, 3)
        x, y in pixels of the unflipped picture, and visibility. Points that are not finite do not count.

    Raises
    ------
    ValueError
        Fewer than two keypoints count.
    """
    counted = np.isfinite(keypoints[:, :2]).all(axis=1)
    if counted.sum() < 2:
        raise ValueError(f"{int(counted.sum())} keypoints have coordinates; at least two are needed")
    plain = replace(camera, focal_px=1.0, cx=0.0, cy=0.0).project(points[counted])[:, :2]
    focal, shift = _zoom(plain[None], keypoints[counted, :2])
    return replace(camera, focal_px=float(focal[0]), cx=float(shift[0, 0]), cy=float(shift[0, 1]))


def _zoom(plain: FloatArray, target: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return the zoom (M,) and shift (M, 2) that bring M sets of points (M, K, 2) closest to one (K, 2)."""
    centred = plain - plain.mean(axis=1, keepdims=True)
    aim = target - target.mean(axis=0)
    focal = (centred * aim).sum(axis=(1, 2)) / np.maximum((centred**2).sum(axis=(1, 2)), 1e-12)
    focal = np.maximum(focal, 1e-6)
    return focal, target.mean(axis=0) - focal[:, None] * plain.mean(axis=1)


def fit_pose(
    keypoints: FloatArray,
    yaw: float,
    start: FloatArray,
    *,
    body: Body | None = None,
    hands: tuple[str, str] = RELAXED_HANDS,
) -> FittedPose:
    """Return joint angles, near a start, whose keypoints seen from `yaw` lie on the given ones.

    Damped least squares (Levenberg-Marquardt) over the angles that keypoints say something about; the zoom
    and shift of the camera are solved for at each step. Depth, which a picture does not show, stays as in
    the start.

    Parameters
    ----------
    keypoints : float array, shape (18, 3)
        x, y in pixels of the unflipped picture, and visibility. Points that are not finite do not count.
    yaw : float
        Degrees; see `records.View`.
    start : float array, shape (D,)
        Degrees in the order of `joints.ANGLE_NAMES`.

    Raises
    ------
    ValueError
        Wrong shapes, or fewer than four keypoints count.
    """
    if keypoints.shape != (18, 3) or start.shape != (len(ANGLE_NAMES),):
        raise ValueError(
            f"expected keypoints (18, 3) and start ({len(ANGLE_NAMES)},), "
            f"got {keypoints.shape} and {start.shape}"
        )
    problem = _Problem(keypoints, yaw, body or load_body(), hands, np.clip(start, LEAST, GREATEST))
    angles, damping = problem.start.copy(), 1e-2
    residuals = problem.residuals(angles[None])[0]
    for _ in range(ROUNDS):
        slopes = problem.slopes(angles, residuals)
        normal, downhill = slopes.T @ slopes, slopes.T @ residuals
        candidates = []
        for factor in (0.2, 1.0, 8.0):
            step = np.linalg.solve(normal + damping * factor * np.diag(np.diag(normal) + 1e-9), -downhill)
            candidates.append(problem.stepped(angles, step))
        tried = problem.residuals(np.stack(candidates))
        costs = (tried**2).sum(axis=1)
        best = int(costs.argmin())
        if costs[best] >= (residuals**2).sum() * (1 - 1e-6):
            if damping > 1e3:
                break
            damping *= 10
            continue
        angles, residuals = candidates[best], tried[best]
        damping *= (0.2, 1.0, 8.0)[best]
    return FittedPose(angles, problem.error(angles))


class _Problem:
    """Residuals of angle vectors against one set of keypoints."""

    def __init__(
        self, keypoints: FloatArray, yaw: float, body: Body, hands: tuple[str, str], start: FloatArray
    ) -> None:
        self.counted = np.isfinite(keypoints[:, :2]).all(axis=1)
        if self.counted.sum() < LEAST_COUNTED:
            raise ValueError(
                f"{int(self.counted.sum())} keypoints have coordinates; at least {LEAST_COUNTED} are needed"
            )
        self.target = keypoints[self.counted, :2].astype(np.float64)
        extent = np.ptp(self.target, axis=0)
        self.size_px = max(float(np.hypot(*extent)), 1e-6)
        self.yaw, self.body, self.hands, self.start = yaw, body, hands, start
        self.free = np.array([ANGLE_INDEX[name] for name in FREE_ANGLES])

    def projected(self, angles: FloatArray) -> FloatArray:
        """Return M sets of counted keypoints in pixels, zoomed and shifted onto the target, (M, K, 2)."""
        postures = forward(angles, self.body, [self.hands] * len(angles))
        points = postures.openpose()
        samples = points.reshape(-1, 3)
        camera = replace(fit_camera(samples, self.yaw, 1024, 1024), focal_px=1.0, cx=0.0, cy=0.0)
        plain = camera.project(points[:, self.counted])[..., :2]
        focal, shift = _zoom(plain, self.target)
        return np.asarray(focal[:, None, None] * plain + shift[:, None])

    def residuals(self, angles: FloatArray) -> FloatArray:
        """Return M residual vectors: distances, then how far the angles have left their start."""
        off = (self.projected(angles) - self.target) / self.size_px / RESIDUAL_SHARE
        left = (angles[:, self.free] - self.start[self.free]) / PRIOR_DEG
        return np.concatenate([off.reshape(len(angles), -1), 0.1 * left], axis=1)

    def slopes(self, angles: FloatArray, residuals: FloatArray) -> FloatArray:
        """Return the residuals' derivatives by the free angles, (R, F), by forward differences."""
        nudged = np.repeat(angles[None], len(self.free), axis=0)
        sign = np.where(angles[self.free] + STEP_DEG > GREATEST[self.free], -1.0, 1.0)
        nudged[np.arange(len(self.free)), self.free] += sign * STEP_DEG
        return np.asarray(((self.residuals(nudged) - residuals) / (sign * STEP_DEG)[:, None]).T)

    def stepped(self, angles: FloatArray, step: FloatArray) -> FloatArray:
        """Return the angles after a step of at most 25 degrees, within their limits."""
        stepped = angles.copy()
        stepped[self.free] += np.clip(step, -25, 25)
        return np.clip(stepped, LEAST, GREATEST)

    def error(self, angles: FloatArray) -> float:
        """Return the root mean square distance as a share of the target's size."""
        return misfit(self.projected(angles[None])[0], self.target)


def misfit(points: FloatArray, keypoints: FloatArray) -> float:
    """Return the root mean square distance between points, as a share of the diagonal of the keypoints' box.

    Parameters
    ----------
    points, keypoints : float array, shape (K, 2 or more)
        Pixels. Keypoints that are not finite do not count.
    """
    counted = np.isfinite(keypoints[:, :2]).all(axis=1)
    off = points[counted, :2] - keypoints[counted, :2]
    size_px = max(float(np.hypot(*np.ptp(keypoints[counted, :2], axis=0))), 1e-6)
    return float(np.sqrt((off**2).sum(axis=1).mean()) / size_px)


def nearest(keypoints: FloatArray, candidates: Sequence[FloatArray]) -> int:
    """Return the index of the candidate (18, 3) whose shape, whatever its size and place, is closest."""
    counted = np.isfinite(keypoints[:, :2]).all(axis=1)
    target = keypoints[counted, :2]
    sets = np.stack([candidate[counted, :2] for candidate in candidates])
    focal, shift = _zoom(sets, target)
    off = focal[:, None, None] * sets + shift[:, None] - target
    return int((off**2).sum(axis=(1, 2)).argmin())
