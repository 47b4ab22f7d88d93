"""Angles are found again from landmarks: of poses like the library's, turned, noisy, of other builds."""

import numpy as np
import pytest

from posegen.poses.camera import fit_camera, view_axes
from posegen.poses.fitting_3d import (
    FREE_ANGLES_3D,
    LANDMARKS_PITCH_DEG,
    YAW_STEP_DEG,
    facing_front,
    fit_landmarks,
    fit_without_depth,
    wrapped,
)
from posegen.poses.joints import ANGLE_INDEX, ANGLE_NAMES, GREATEST, LEAST, angle_indices, angle_vector
from posegen.poses.kinematics import forward
from posegen.poses.landmarks import directions, landmarks
from posegen.poses.library import PoseLibrary
from posegen.skeletons import BLAZEPOSE_33

POSES = list(PoseLibrary.builtin())
ROOT_YAW = ANGLE_INDEX["root.yaw"]
CHAINS = [
    [BLAZEPOSE_33.index(f"{side}_{part}") for part in parts]
    for side in ("left", "right")
    for parts in (
        ("shoulder", "elbow", "wrist"),
        ("hip", "shoulder", "elbow"),
        ("shoulder", "hip", "knee"),
        ("hip", "knee", "ankle"),
    )
]


def moved(pose, seed, noise_deg=8.0):
    """Return angles that are none of the library's."""
    angles = angle_vector(pose.angles)
    free = angle_indices(name for name in FREE_ANGLES_3D if not name.startswith("root."))
    angles[free] += np.random.default_rng(seed).normal(0, noise_deg, len(free))
    return np.clip(angles, LEAST, GREATEST)


def seen(angles, yaw):
    """Return perfect landmarks as an estimator gives them."""
    points = landmarks(forward(angles[None]))[0] @ view_axes(yaw, LANDMARKS_PITCH_DEG).T
    return points - points[[23, 24]].mean(axis=0)


def joint_errors(angles, true):
    points = landmarks(forward(np.stack([angles, true])))[:, CHAINS]
    first, second = points[:, :, 0] - points[:, :, 1], points[:, :, 2] - points[:, :, 1]
    lengths = np.linalg.norm(first, axis=-1) * np.linalg.norm(second, axis=-1)
    found, wanted = np.degrees(np.arccos(((first * second).sum(axis=-1) / lengths).clip(-1, 1)))
    return np.abs(found - wanted)


def heading(fitted):
    return fitted.yaw - fitted.angles[ROOT_YAW]


def off(fitted, true, yaw):
    """Return the mean angle between the segments, as the picture shows them, degrees."""
    shown = [
        directions(landmarks(forward(angles[None]))[0] @ view_axes(seen_from).T)
        for angles, seen_from in ((fitted.angles, fitted.yaw), (true, yaw))
    ]
    return float(np.degrees(np.arccos((shown[0] * shown[1]).sum(axis=1).clip(-1, 1))).mean())


def test_poses_are_found_again_from_any_side():
    joints, segments = [], []
    for number, pose in enumerate(POSES[::4]):
        true, yaw = moved(pose, number), wrapped(47.0 * number)
        fitted = fit_landmarks(seen(true, yaw))
        assert (fitted.angles >= LEAST).all()
        assert (fitted.angles <= GREATEST).all()
        assert abs(fitted.angles[ROOT_YAW]) <= YAW_STEP_DEG / 2
        assert fitted.yaw % YAW_STEP_DEG == 0
        joints.append(np.median(joint_errors(fitted.angles, true)))
        segments.append(off(fitted, true, yaw))
    assert np.median(joints) < 2
    assert np.max(joints) < 12
    assert np.median(segments) < 4


def test_noise_and_other_proportions_cost_some_degrees_only():
    rng = np.random.default_rng(7)
    errors = {}
    for noise_m, stretch in ((0.0, 0.1), (0.03, 0.1)):
        found = []
        for number, pose in enumerate(POSES[2::16]):
            true, yaw = moved(pose, number), 35.0
            points = seen(true, yaw)
            points[25:33] += (points[25:33] - points[[23, 24] * 4]) * stretch  # longer legs
            points[13:17] += (points[13:17] - points[[11, 12] * 2]) * stretch
            fitted = fit_landmarks(points + rng.normal(0, noise_m, points.shape))
            found.append(np.median(joint_errors(fitted.angles, true)))
        errors[noise_m] = np.median(found)
    assert errors[0.0] < 3
    assert errors[0.03] < 9


@pytest.mark.parametrize("yaw", [0.0, 120.0, 180.0, -90.0])
def test_turning_the_picture_turns_the_view(yaw):
    true = moved(PoseLibrary.builtin().get("waving_hello"), 3)
    fitted = fit_landmarks(seen(true, yaw))
    assert abs(wrapped(heading(fitted) - (yaw - true[ROOT_YAW]))) < 6


def test_keypoints_draw_the_body_onto_them():
    true = moved(PoseLibrary.builtin().get("tennis_serve_trophy"), 5)
    posed = forward(true[None])
    camera = fit_camera(posed.samples()[0], 20.0, 512, 512)
    keypoints = np.c_[camera.project(posed.openpose()[0])[:, :2], np.ones(18)]
    noisy = seen(true, 20.0) + np.random.default_rng(1).normal(0, 0.03, (33, 3))
    alone, both = fit_landmarks(noisy), fit_landmarks(noisy, keypoints)
    assert alone.error is None
    assert both.error < 0.02
    assert joint_errors(both.angles, true).mean() < joint_errors(alone.angles, true).mean()


def test_without_depth_keypoints_are_reached_and_nothing_is_claimed():
    true = moved(PoseLibrary.builtin().get("walking_stride"), 2, noise_deg=5)
    posed = forward(true[None])
    camera = fit_camera(posed.samples()[0], 90.0, 512, 512)
    keypoints = np.c_[camera.project(posed.openpose()[0])[:, :2], np.ones(18)]
    fitted = fit_without_depth(keypoints)
    assert fitted.error_deg is None
    assert fitted.error < 0.02
    assert abs(wrapped(heading(fitted) - (90 - true[ROOT_YAW]))) < 40


def test_frozen_angles_keep_their_start_and_unknown_limbs_do_not_matter():
    true = angle_vector(PoseLibrary.builtin().get("waving_hello").angles)
    legs = [name for name in ANGLE_NAMES if "_hip." in name or "_knee." in name or "_ankle." in name]
    points = seen(true, 0.0)
    points[25:] = np.nan
    starts = true[None].copy()
    starts[:, angle_indices(legs)] = 0.0
    fitted = fit_landmarks(points, starts=starts, frozen=legs)
    assert not fitted.angles[angle_indices(legs)].any()
    assert np.median(joint_errors(fitted.angles, true)[:2]) < 3


def test_facing_front_shows_the_same_body():
    angles = angle_vector({"root.yaw": -132.0, "root.pitch": 20.0})
    front, yaw = facing_front(angles, 170.0)
    a, b = (landmarks(forward(x[None]))[0] @ view_axes(y).T for x, y in ((angles, 170.0), (front, yaw)))
    np.testing.assert_allclose(a, b, atol=1e-9)
    assert (wrapped(180.0), wrapped(-180.0), wrapped(540.0), wrapped(-190.0)) == (180.0, 180.0, 180.0, 170.0)


def test_what_cannot_be_fitted_is_refused():
    with pytest.raises(ValueError, match=r"\(32, 3\)"):
        fit_landmarks(np.zeros((32, 3)))
    with pytest.raises(ValueError, match=r"got \(33, 3\) and \(17, 3\)"):
        fit_landmarks(np.zeros((33, 3)), np.zeros((17, 3)))
    with pytest.raises(ValueError, match="give 0 directions; at least 6"):
        fit_landmarks(np.full((33, 3), np.nan))
    with pytest.raises(ValueError, match="3 keypoints"):
        fit_without_depth(np.where(np.arange(18)[:, None] < 3, 1.0, np.nan) * np.ones((18, 3)))
