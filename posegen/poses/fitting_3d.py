"""From 3D landmarks that a pose estimator found in a picture to joint angles, and from where they are seen.

An estimator's depth is a guess, and the person's proportions are not our body's. What is fitted are therefore
directions of limbs, whose lengths do not matter, and where the picture's keypoints are known too, these: they
say more about what lies in the picture's plane, the landmarks what stands out of it.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from posegen.poses.balance import Balance
from posegen.poses.body import Body, load_body
from posegen.poses.camera import view_axes
from posegen.poses.descent import descend
from posegen.poses.fitting import LEAST_COUNTED, PRIOR_DEG, RESIDUAL_SHARE, KeypointTarget, fit_pose
from posegen.poses.joints import (
    ANGLE_INDEX,
    ANGLE_NAMES,
    GREATEST,
    LEAST,
    angle_indices,
    angle_vector,
    mirrored_angles,
)
from posegen.poses.kinematics import forward
from posegen.poses.landmarks import SEGMENT_WEIGHTS, directions, landmarks
from posegen.poses.library import PoseLibrary

FloatArray = NDArray[np.float64]

FREE_ANGLES_3D: tuple[str, ...] = tuple(
    name for name in ANGLE_NAMES if not name.endswith(("toes.flexion", "wrist.deviation"))
)
"""Angles that the landmarks say something about."""

DIRECTION_SHARE = 0.25
"""Error of a direction (chord of the unit circle; 14 degrees) that costs as `RESIDUAL_SHARE` of error at a
keypoint: about what MediaPipe's landmarks are off (benchmarks/measure_picture_poses.py)."""
YAW_STEP_DEG = 5.0
"""Views are whole multiples of this; what is left stays in the pose's own `root.yaw`."""
GUESS_STEP_DEG = 15.0
"""Views that are tried where depth is not known lie so far apart."""
STARTS = 4
LEAST_SEGMENTS = 6
FIRST_ROUNDS, ROUNDS = 5, 20
"""Steps from every start, and from the best of what they come to."""
ENOUGH = 0.003
LANDMARKS_PITCH_DEG = 4.0
"""MediaPipe takes people for a little more upright than a camera that looks 6 degrees down sees them."""
_YAW = ANGLE_INDEX["root.yaw"]


@dataclass(frozen=True, eq=False)
class FittedBody:
    """Joint angles, and the view in which they look like the picture.

    Attributes
    ----------
    angles : float array, shape (D,)
        Degrees in the order of `joints.ANGLE_NAMES`, within their limits. The body faces the front:
        `root.yaw` is within `YAW_STEP_DEG` / 2.
    yaw : float
        Of the view; see `records.View`.
    error_deg : float or None
        Mean angle between the body's segments and the landmarks', weighted as `landmarks.SEGMENTS`; None
        without landmarks: depth is a guess then.
    error : float or None
        As `FittedPose.error`, over the picture's keypoints; None without these.
    """

    angles: FloatArray
    yaw: float
    error_deg: float | None
    error: float | None


def fit_landmarks(
    world: FloatArray,
    keypoints: FloatArray | None = None,
    *,
    starts: FloatArray | None = None,
    frozen: Collection[str] = (),
    body: Body | None = None,
) -> FittedBody:
    """Return joint angles whose limbs point where the landmarks' do, and the view that shows them so.

    Damped least squares from the most similar library poses; the rotation about the vertical is solved for
    first and becomes the view. Who stands is kept in balance (`balance`).

    Parameters
    ----------
    world : float array, shape (33, 3)
        BLAZEPOSE_33 in metres: x to the picture's right, y down, z away from the camera. Points that are not
        finite do not count.
    keypoints : float array, shape (18, 3), optional
        OPENPOSE_18 in the picture: x, y in pixels, and visibility. Points that are not finite do not count;
        fewer than four are left aside.
    starts : float array, shape (N, D), optional
        Angles to begin from; by default those of the library and their mirror images.
    frozen : collection of str
        Angles that keep their start.
    body : Body, optional
        The female body unless given.

    Raises
    ------
    ValueError
        Wrong shapes, or too few landmarks are known.
    """
    body = body or load_body()
    target = _Target(world, keypoints, body, frozen)
    begun = target.nearest(library_starts() if starts is None else np.clip(starts, LEAST, GREATEST))
    tried = [target.fit(start, start.angles, FIRST_ROUNDS) for start in begun]
    best = int(np.argmin([cost for _, cost in tried]))
    angles, _ = target.fit(begun[best], tried[best][0], ROUNDS)
    angles, yaw = facing_front(angles, begun[best].yaw)
    return FittedBody(angles, yaw, *target.errors(angles, yaw))


def fit_without_depth(
    keypoints: FloatArray,
    *,
    starts: FloatArray | None = None,
    frozen: Collection[str] = (),
    body: Body | None = None,
) -> FittedBody:
    """Return joint angles and a view whose keypoints lie on the picture's; their depth is a guess.

    The library pose and the view around it that look most like the keypoints say how deep things are;
    `fitting.fit_pose` does the rest.

    Parameters
    ----------
    keypoints : float array, shape (18, 3)
        OPENPOSE_18: x, y in pixels, and visibility. Points that are not finite do not count.
    starts, frozen, body
        As `fit_landmarks`.

    Raises
    ------
    ValueError
        Another shape, or fewer than four keypoints count.
    """
    body = body or load_body()
    begun = library_starts() if starts is None else np.clip(starts, LEAST, GREATEST)
    joints = forward(begun, body).openpose()
    yaws = np.arange(-180.0, 180.0, GUESS_STEP_DEG) + GUESS_STEP_DEG
    # The start's own yaw is part of its joints: the views go all the way round anyway.
    seen = np.stack([(joints @ view_axes(yaw).T)[..., :2] for yaw in yaws])
    target = KeypointTarget(keypoints)
    off = target.laid_over(seen.reshape(-1, 18, 2)[:, target.counted]) - target.points
    order = np.argsort((off**2).sum(axis=(1, 2)))[:STARTS]
    fits = []
    for place in order:
        which, start = divmod(int(place), len(begun))
        angles, yaw = facing_front(begun[start], float(yaws[which]))
        fits.append((fit_pose(keypoints, yaw, angles, body=body, frozen=frozen), yaw))
    fitted, yaw = min(fits, key=lambda fit: fit[0].error)
    return FittedBody(*facing_front(fitted.angles, yaw), error_deg=None, error=fitted.error)


@lru_cache(maxsize=1)
def library_starts() -> FloatArray:
    """Return the angles of the library's poses and of their mirror images, shape (N, D), read-only."""
    poses = list(PoseLibrary.builtin())
    rows = [angle_vector(angles) for pose in poses for angles in (pose.angles, mirrored_angles(pose.angles))]
    starts = np.array(rows)
    starts.flags.writeable = False
    return starts


def facing_front(angles: FloatArray, yaw: float) -> tuple[FloatArray, float]:
    """Return the same body turned to the front, and the view, in steps, that still shows it the same way."""
    turned = yaw - float(angles[_YAW])
    view = wrapped(YAW_STEP_DEG * round(turned / YAW_STEP_DEG))
    front = angles.copy()
    front[_YAW] = wrapped(view - turned)
    return front, view


def wrapped(degrees: float) -> float:
    """Return the same direction in (-180, 180]."""
    return 180.0 - (180.0 - degrees) % 360.0


class _Start(NamedTuple):
    """Angles to begin from, and the view in which they are most like the landmarks."""

    angles: FloatArray
    yaw: float


class _Target:
    """What the body is fitted to."""

    def __init__(
        self, world: FloatArray, keypoints: FloatArray | None, body: Body, frozen: Collection[str]
    ) -> None:
        if world.shape != (33, 3) or (keypoints is not None and keypoints.shape != (18, 3)):
            given = "none" if keypoints is None else str(keypoints.shape)
            raise ValueError(
                f"expected landmarks (33, 3) and keypoints (18, 3), got {world.shape} and {given}"
            )
        seen = directions(np.asarray(world, dtype=np.float64))
        self.known = np.isfinite(seen).all(axis=1)
        if self.known.sum() < LEAST_SEGMENTS:
            raise ValueError(
                f"the landmarks give {int(self.known.sum())} directions; at least {LEAST_SEGMENTS} are needed"
            )
        self.seen, self.weights = seen[self.known], SEGMENT_WEIGHTS[self.known]
        self.body = body
        self.free = angle_indices(name for name in FREE_ANGLES_3D if name not in frozen)
        # Which way a body lies or leans is no habit: the root leaves its start for nothing.
        self.held = np.array([i for i in self.free if not ANGLE_NAMES[i].startswith("root.")])
        enough = keypoints is not None and np.isfinite(keypoints[:, :2]).all(axis=1).sum() >= LEAST_COUNTED
        self.keypoints = KeypointTarget(keypoints) if keypoints is not None and enough else None

    def in_world(self, yaw: float) -> FloatArray:
        """Return the directions in world axes, if the picture is the view from `yaw`; shape (S, 3)."""
        return np.asarray(self.seen @ view_axes(yaw, LANDMARKS_PITCH_DEG))

    def nearest(self, starts: FloatArray) -> list[_Start]:
        """Return the starts that are most like the landmarks, turned to the front, each with its view."""
        found = directions(landmarks(forward(starts, self.body)))[:, self.known]
        seen = self.in_world(0.0)
        # The turn about the vertical after which a start comes closest has a closed form.
        along = (found[..., :2] * seen[:, :2]).sum(axis=-1) @ self.weights
        across = (found[..., 0] * seen[:, 1] - found[..., 1] * seen[:, 0]) @ self.weights
        upright = (found[..., 2] * seen[:, 2]) @ self.weights
        best = np.argsort(-np.hypot(along, across) - upright)[:STARTS]
        turned = starts[best]
        turned[:, _YAW] += np.degrees(np.arctan2(across[best], along[best]))
        return [_Start(*facing_front(angles, 0.0)) for angles in turned]

    def fit(self, start: _Start, angles: FloatArray, rounds: int) -> tuple[FloatArray, float]:
        """Return the angles that a descent from `angles` comes to, held near a start, and their cost."""
        seen = self.in_world(start.yaw)
        scale = np.sqrt(self.weights)[:, None] / DIRECTION_SHARE

        balance = Balance.of(forward(angles[None], self.body), start.yaw)

        def residuals(tried: FloatArray) -> FloatArray:
            postures = forward(tried, self.body)
            off = (directions(landmarks(postures))[:, self.known] - seen) * scale
            left = (tried[:, self.held] - start.angles[self.held]) / PRIOR_DEG
            parts = [off.reshape(len(tried), -1), 0.1 * left]
            if self.keypoints is not None:
                parts.append(self.keypoints.offsets(postures, start.yaw) / RESIDUAL_SHARE)
            if balance is not None:
                parts.append(balance.residuals(postures))
            return np.concatenate(parts, axis=1)

        return descend(residuals, angles, self.free, rounds=rounds, enough=ENOUGH)

    def errors(self, angles: FloatArray, yaw: float) -> tuple[float, float | None]:
        """Return the errors of a fit, as `FittedBody` has them."""
        postures = forward(angles[None], self.body)
        found = directions(landmarks(postures))[0, self.known]
        cosines = (found * self.in_world(yaw)).sum(axis=1).clip(-1, 1)
        error_deg = float(np.average(np.degrees(np.arccos(cosines)), weights=self.weights))
        return error_deg, None if self.keypoints is None else self.keypoints.error(postures, yaw)
