import numpy as np
import pytest

from posegen.poses.joints import angle_vector
from posegen.poses.kinematics import forward
from posegen.poses.landmarks import SEGMENT_NAMES, directions, in_picture_axes, landmarks
from posegen.skeletons import BLAZEPOSE_33


def standing():
    return landmarks(forward(angle_vector({})[None]))[0]


def test_a_standing_body_has_its_landmarks_where_they_belong():
    points = dict(zip(BLAZEPOSE_33, in_picture_axes(standing()), strict=True))
    assert points["left_shoulder"][0] > points["right_shoulder"][0]  # the person faces the camera
    assert points["nose"][1] < points["left_hip"][1] < points["left_heel"][1]
    assert points["nose"][2] < points["left_ear"][2]
    assert points["left_foot_index"][2] < points["left_heel"][2]
    assert points["left_index"][2] < points["left_pinky"][2]  # palms to the thighs
    assert np.isnan(points["mouth_left"]).all()


def test_directions_are_unit_or_unknown():
    points = standing()
    points[BLAZEPOSE_33.index("left_knee")] = np.nan
    found = dict(zip(SEGMENT_NAMES, directions(points), strict=True))
    assert np.isnan(found["left_thigh"]).all()
    assert np.isnan(found["left_shin"]).all()
    np.testing.assert_allclose(np.linalg.norm(found["right_thigh"]), 1)
    np.testing.assert_allclose(found["shoulders"], [1, 0, 0], atol=0.02)
    assert np.isnan(directions(np.zeros((33, 3)))).all()
    with pytest.raises(ValueError, match=r"\(18, 3\)"):
        directions(np.zeros((18, 3)))


def test_size_does_not_matter():
    np.testing.assert_allclose(directions(standing()), directions(1.7 * standing()), atol=1e-9)
