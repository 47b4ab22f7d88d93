import numpy as np
import pytest
from numpy.typing import NDArray

from posegen.poses.body import load_body
from posegen.poses.camera import fit_camera
from posegen.poses.fitting import FREE_ANGLES, align_camera, fit_pose, misfit, nearest, unflipped
from posegen.poses.joints import ANGLE_INDEX, ANGLE_NAMES, GREATEST, LEAST, angle_vector
from posegen.poses.kinematics import solve_many

SIZE = 512
START = angle_vector({"left_shoulder.elevation": 60, "right_knee.flexion": 30, "right_hip.flexion": 30})


def seen(angles: NDArray[np.float64], yaw: float, body: str = "female") -> NDArray[np.float64]:
    posed = solve_many(angles[None], load_body(body))
    camera = fit_camera(posed.samples()[0], yaw, SIZE, SIZE)
    return np.c_[camera.project(posed.openpose()[0])[:, :2], np.ones(18)]


def moved(noise_deg: float, seed: int) -> NDArray[np.float64]:
    angles = START.copy()
    free = [ANGLE_INDEX[name] for name in FREE_ANGLES]
    angles[free] += np.random.default_rng(seed).normal(0, noise_deg, len(free))
    return np.clip(angles, LEAST, GREATEST)


def test_a_start_that_fits_already_is_kept() -> None:
    fitted = fit_pose(seen(START, 35), 35, START)
    assert fitted.error < 1e-4
    np.testing.assert_allclose(fitted.angles, START, atol=0.5)


@pytest.mark.parametrize("yaw", [0, 45, 90, 180])
@pytest.mark.parametrize("noise_deg", [5, 15])
def test_moved_keypoints_are_reached_within_the_limits(yaw: float, noise_deg: float) -> None:
    target = seen(moved(noise_deg, seed=3), yaw)
    before = misfit(seen(START, yaw), target)
    fitted = fit_pose(target, yaw, START)
    assert fitted.error < min(0.015, before)
    assert (fitted.angles >= LEAST).all()
    assert (fitted.angles <= GREATEST).all()


def test_missing_keypoints_do_not_count() -> None:
    target = seen(moved(10, seed=1), 0)
    target[[0, 4, 14, 15, 16, 17], :2] = np.nan
    assert fit_pose(target, 0, START).error < 0.02


def test_size_and_place_in_the_frame_do_not_matter() -> None:
    target = seen(START, 0)
    target[:, :2] = target[:, :2] * 0.4 + [300, 40]
    assert fit_pose(target, 0, START).error < 1e-4


def test_another_body_in_the_same_pose_lies_close() -> None:
    male = solve_many(START[None], load_body("male"))
    camera = fit_camera(male.samples()[0], 0, SIZE, SIZE)
    target = seen(START, 0)
    camera = align_camera(male.openpose()[0], camera, target)
    assert 0.001 < misfit(camera.project(male.openpose()[0]), target) < 0.025


def test_align_camera_recovers_the_camera() -> None:
    posed = solve_many(START[None])
    camera = fit_camera(posed.samples()[0], 20, SIZE, 768)
    target = camera.project(posed.openpose()[0])
    aligned = align_camera(posed.openpose()[0], fit_camera(posed.samples()[0], 20, 256, 256), target)
    np.testing.assert_allclose(
        [aligned.focal_px, aligned.cx, aligned.cy], [camera.focal_px, camera.cx, camera.cy]
    )


def test_nearest_ignores_size_and_place() -> None:
    candidates = [seen(moved(25, seed), 0) for seed in range(5)]
    target = candidates[3].copy()
    target[:, :2] = target[:, :2] * 0.7 + 11
    assert nearest(target, candidates) == 3


def test_unflipping_twice_is_nothing() -> None:
    target = seen(START, 30)
    np.testing.assert_allclose(unflipped(unflipped(target, SIZE), SIZE), target)


def test_too_few_keypoints_are_refused() -> None:
    target = seen(START, 0)
    target[3:, :2] = np.nan
    with pytest.raises(ValueError, match="3 keypoints have coordinates; at least 4"):
        fit_pose(target, 0, START)
    target[1:, :2] = np.nan
    with pytest.raises(ValueError, match="at least two"):
        align_camera(
            solve_many(START[None]).openpose()[0], fit_camera(np.ones((4, 3)), 0, SIZE, SIZE), target
        )


def test_wrong_shapes_are_refused() -> None:
    with pytest.raises(ValueError, match=r"\(17, 3\)"):
        fit_pose(np.ones((17, 3)), 0, np.zeros(len(ANGLE_NAMES)))
