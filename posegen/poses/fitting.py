"""From 2D keypoints back to a body: the camera that lays a pose over them, or angles that reach them."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from posegen.poses.body import Body, load_body
from posegen.poses.camera import Camera, fit_camera
from posegen.poses.descent import descend
from posegen.poses.joints import ANGLE_NAMES, GREATEST, LEAST, angle_indices
from posegen.poses.kinematics import RELAXED_HANDS, Postures, forward
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
    frozen: Collection[str] = (),
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
    frozen : collection of str
        Angles that keep their start.

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
    target = KeypointTarget(keypoints)
    body = body or load_body()
    start = np.clip(start, LEAST, GREATEST)
    free = angle_indices(name for name in FREE_ANGLES if name not in frozen)

    def residuals(angles: FloatArray) -> FloatArray:
        postures = forward(angles, body, [hands] * len(angles))
        off = target.offsets(postures, yaw) / RESIDUAL_SHARE
        left = (angles[:, free] - start[free]) / PRIOR_DEG
        return np.concatenate([off, 0.1 * left], axis=1)

    angles, _ = descend(residuals, start, free)
    return FittedPose(angles, target.error(forward(angles[None], body, [hands]), yaw))


class KeypointTarget:
    """Keypoints in a picture that a body is to be laid over.

    Parameters
    ----------
    keypoints : float array, shape (18, 3)
        x, y in pixels of the unflipped picture, and visibility. Points that are not finite do not count.

    Raises
    ------
    ValueError
        Fewer than four keypoints count.
    """

    def __init__(self, keypoints: FloatArray) -> None:
        self.counted = np.isfinite(keypoints[:, :2]).all(axis=1)
        if self.counted.sum() < LEAST_COUNTED:
            raise ValueError(
                f"{int(self.counted.sum())} keypoints have coordinates; at least {LEAST_COUNTED} are needed"
            )
        self.points = keypoints[self.counted, :2].astype(np.float64)
        self.size_px = max(float(np.hypot(*np.ptp(self.points, axis=0))), 1e-6)

    def projected(self, postures: Postures, yaw: float) -> FloatArray:
        """Return M sets of counted keypoints in pixels, zoomed and shifted onto the target, (M, K, 2)."""
        points = postures.openpose()
        camera = replace(fit_camera(points.reshape(-1, 3), yaw, 1024, 1024), focal_px=1.0, cx=0.0, cy=0.0)
        return self.laid_over(camera.project(points[:, self.counted])[..., :2])

    def laid_over(self, plain: FloatArray) -> FloatArray:
        """Return M sets of the counted points, zoomed and shifted onto the target, (M, K, 2)."""
        focal, shift = _zoom(plain, self.points)
        return np.asarray(focal[:, None, None] * plain + shift[:, None])

    def offsets(self, postures: Postures, yaw: float) -> FloatArray:
        """Return how far the keypoints of M postures lie from these, as shares of their size, (M, 2K)."""
        off = (self.projected(postures, yaw) - self.points) / self.size_px
        return np.asarray(off.reshape(len(postures), -1))

    def error(self, postures: Postures, yaw: float) -> float:
        """Return the root mean square distance of one posture as a share of the target's size."""
        return misfit(self.projected(postures, yaw)[0], self.points)


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
