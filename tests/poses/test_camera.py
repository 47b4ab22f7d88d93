"""The body fills the frame up to the margin, from any side, at any size."""

from __future__ import annotations

import numpy as np
import pytest

from posegen.poses.camera import MARGIN, PITCH_DEG, fit_camera
from posegen.poses.joints import ANGLE_NAMES
from posegen.poses.kinematics import solve_many

STANDING = solve_many(np.zeros((1, len(ANGLE_NAMES)))).samples()[0]


@pytest.mark.parametrize("yaw", [0.0, 45.0, 90.0, 180.0, -135.0])
@pytest.mark.parametrize(("width", "height"), [(512, 512), (256, 2048), (2048, 256), (768, 1152)])
def test_the_margin_is_kept_and_reached(yaw, width, height):
    seen = fit_camera(STANDING, yaw, width, height).project(STANDING)
    border = MARGIN * min(width, height)
    left, top = seen[:, :2].min(axis=0)
    right, bottom = width - 1 - seen[:, 0].max(), height - 1 - seen[:, 1].max()
    assert min(left, top, right, bottom) == pytest.approx(border)
    assert left == pytest.approx(right)
    assert top == pytest.approx(bottom)


def test_depth_is_the_distance_along_the_axis():
    camera = fit_camera(STANDING, 30.0, 512, 512)
    middle = camera.project(np.array(camera.target))
    assert middle[2] == pytest.approx(camera.distance_m)
    assert middle[0] == pytest.approx(camera.cx)
    assert middle[1] == pytest.approx(camera.cy)
    nearer = camera.project(np.array(camera.target) - camera.axes[2])
    assert nearer[2] == pytest.approx(camera.distance_m - 1)


def test_where_the_camera_stands():
    front, left, back = (fit_camera(STANDING, yaw, 512, 512) for yaw in (0.0, 90.0, 180.0))
    assert front.position[1] < -6
    assert left.position[0] > 6
    assert back.position[1] > 6
    assert front.project(np.array([0.3, 0, 1.0]))[0] > front.project(np.array([-0.3, 0, 1.0]))[0]
    # From the person's left the face looks to the left of the picture.
    assert left.project(np.array([0, -0.3, 1.0]))[0] < left.project(np.array([0, 0.3, 1.0]))[0]


def test_it_looks_slightly_down_and_up_is_up():
    camera = fit_camera(STANDING, 0.0, 512, 512)
    assert camera.axes[2, 2] == pytest.approx(-np.sin(np.radians(PITCH_DEG)))
    np.testing.assert_allclose(camera.axes @ camera.axes.T, np.eye(3), atol=1e-12)
    assert camera.project(np.array([0, 0, 1.7]))[1] < camera.project(np.array([0, 0, 0.1]))[1]


def test_any_leading_shape_projects():
    camera = fit_camera(STANDING, 0.0, 512, 512)
    assert camera.project(np.zeros((2, 5, 3))).shape == (2, 5, 3)


@pytest.mark.parametrize("size", [(255, 512), (512, 2049), (0, 0)])
def test_sizes_out_of_range_are_refused(size):
    with pytest.raises(ValueError, match="from 256 to 2048"):
        fit_camera(STANDING, 0.0, *size)


def test_bad_points_and_margins_are_refused():
    with pytest.raises(ValueError, match="shape"):
        fit_camera(np.zeros((0, 3)), 0.0, 512, 512)
    with pytest.raises(ValueError, match="shape"):
        fit_camera(np.zeros((4, 2)), 0.0, 512, 512)
    with pytest.raises(ValueError, match="margin"):
        fit_camera(STANDING, 0.0, 512, 512, margin=0.5)


def test_a_single_point_lands_in_the_middle():
    seen = fit_camera(np.zeros((1, 3)), 0.0, 512, 256).project(np.zeros((1, 3)))
    np.testing.assert_allclose(seen[0, :2], [255.5, 127.5])
