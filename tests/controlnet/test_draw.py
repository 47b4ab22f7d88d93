import math

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from posegen.controlnet.draw import control_keypoints, draw_map, xinsir_stick_scale
from posegen.skeletons import OPENPOSE_18, OPENPOSE_COLORS

NOSE, NECK, RIGHT_SHOULDER, RIGHT_WRIST, LEFT_EAR = 0, 1, 2, 4, 17


def opencv_map(people, width, height, stick_width=4):
    """Draw as the annotators do, with OpenCV, from keypoints in the unit square."""
    unit = people[..., :2] / np.array([width, height], float)
    present = np.isfinite(people).all(axis=-1) & (people[..., 2] > 0)
    canvas = np.zeros((height, width, 3), np.uint8)
    for (a, b), color in zip(OPENPOSE_18.limbs, OPENPOSE_COLORS[:17], strict=True):
        for person, seen in zip(unit, present, strict=True):
            if seen[a] and seen[b]:
                x, y = person[[a, b], 0] * float(width), person[[a, b], 1] * float(height)
                length = ((y[0] - y[1]) ** 2 + (x[0] - x[1]) ** 2) ** 0.5
                angle = int(math.degrees(math.atan2(y[0] - y[1], x[0] - x[1])))
                center, axes = (int(np.mean(x)), int(np.mean(y))), (int(length / 2), stick_width)
                cv2.fillConvexPoly(canvas, cv2.ellipse2Poly(center, axes, angle, 0, 360, 1), color)
    canvas = (canvas * 0.6).astype(np.uint8)
    for joint, color in enumerate(OPENPOSE_COLORS):
        for person, seen in zip(unit, present, strict=True):
            if seen[joint]:
                center = int(person[joint, 0] * width), int(person[joint, 1] * height)
                cv2.circle(canvas, center, 4, color, thickness=-1)
    return canvas


def differing_share(people, width, height):
    drawn = draw_map(people, width, height)
    return (drawn != opencv_map(people, width, height)).any(axis=-1).mean()


def random_people(rng, count, width, height, kind):
    """Return people of one kind: scattered, on whole pixels, half outside, far outside, tiny, coinciding."""
    people = np.ones((count, 18, 3))
    spread = {"half outside": 2.0, "far outside": 30.0}.get(kind, 1.0)
    people[..., :2] = ((rng.random((count, 18, 2)) - 0.5) * spread + 0.5) * [width, height]
    if kind == "whole":
        people[..., :2] = np.round(people[..., :2] / 8) * 8
    if kind == "tiny":
        people[..., :2] = people[:, :1, :2] + rng.normal(0, 6, (count, 18, 2))
    if kind == "coinciding":
        people[:, 9:, :2] = people[:, :9, :2]
    return people


@pytest.mark.parametrize("kind", ["scattered", "whole", "half outside", "far outside", "tiny", "coinciding"])
def test_random_keypoints_are_drawn_as_opencv_draws_them(kind):
    rng = np.random.default_rng(len(kind))
    for _ in range(12):
        width, height = (int(side) for side in rng.integers(256, 1100, 2))
        people = random_people(rng, int(rng.integers(1, 4)), width, height, kind)
        people[..., 2] = rng.random(people.shape[:2]) > 0.2
        people[0, RIGHT_WRIST, 0] = np.nan
        assert differing_share(people, width, height) == 0


@pytest.mark.parametrize("size", [(256, 256), (2048, 2048), (2048, 256), (256, 2048), (16, 16), (1, 1)])
def test_any_size_is_drawn_as_opencv_draws_it(size):
    people = random_people(np.random.default_rng(3), 2, *size, "scattered")
    assert differing_share(people, *size) == 0


coordinate = st.floats(-400, 900, allow_nan=False) | st.integers(-64, 320).map(float)
keypoint = st.tuples(coordinate, coordinate, st.sampled_from([0.0, 1.0, 1.0, 0.4, math.nan]))


@settings(max_examples=60, deadline=None)
@given(people=st.lists(st.lists(keypoint, min_size=18, max_size=18), min_size=1, max_size=2))
def test_any_keypoints_are_drawn_as_opencv_draws_them(people):
    assert differing_share(np.array(people), 256, 192) == 0


@pytest.mark.parametrize("angle", range(0, 360, 15))
def test_limbs_of_every_direction_and_length_match(angle):
    people = np.zeros((1, 18, 3))
    for length in (0, 1, 2, 7, 50, 300, 5000):
        x, y = length * math.cos(math.radians(angle)), length * math.sin(math.radians(angle))
        people[0, :2] = [[128, 100, 1], [128 + x, 100 + y, 1]]
        assert differing_share(people, 256, 200) == 0


def test_xinsir_scale_widens_the_sticks_and_leaves_the_joints():
    people = random_people(np.random.default_rng(8), 1, 1024, 768, "scattered")
    drawn = draw_map(people, 1024, 768, stick_scale="xinsir")
    np.testing.assert_array_equal(drawn, opencv_map(people, 1024, 768, stick_width=12))


@pytest.mark.parametrize(
    ("size", "scale"), [((499, 100), 1), ((100, 500), 2), ((1000, 1), 3), ((2048, 1), 4), ((9000, 1), 7)]
)
def test_xinsir_scale_grows_with_the_longer_side(size, scale):
    assert xinsir_stick_scale(*size) == scale


def test_one_joint_is_a_disc_of_radius_four():
    person = np.zeros((18, 3))
    person[NOSE] = [8.9, 8.2, 1]
    drawn = draw_map(person, 17, 17)
    disc = drawn[..., 0] == 255
    assert disc.sum(axis=1).tolist() == [0] * 4 + [1, 5, 7, 7, 9, 7, 7, 5, 1] + [0] * 4
    assert disc[8, 4]
    assert disc[8, 12]
    assert not drawn[..., 1:].any()


def test_a_limb_is_dimmed_and_lies_under_its_joints():
    person = np.zeros((18, 3))
    person[[NECK, RIGHT_SHOULDER]] = [[60, 20, 1], [20, 20, 1]]
    drawn = draw_map(person, 80, 40)
    assert drawn[20, 40].tolist() == [153, 0, 0]
    assert drawn[20, 60].tolist() == [255, 85, 0]
    assert drawn[20, 20].tolist() == [255, 170, 0]
    assert drawn[16:25, 40].any(axis=1).all()
    assert not drawn[[15, 25], 40].any()


def test_all_limbs_lie_under_all_joints_of_several_people():
    people = np.zeros((2, 18, 3))
    people[0, NOSE] = [40, 20, 1]
    people[1, [NECK, RIGHT_SHOULDER]] = [[60, 20, 1], [20, 20, 1]]
    assert draw_map(people, 80, 40)[20, 40].tolist() == [255, 0, 0]


def test_a_map_of_nobody_is_black():
    assert not draw_map(np.empty((0, 18, 3)), 32, 24).any()
    assert not draw_map(np.zeros((18, 3)), 32, 24).any()


def test_the_map_is_height_by_width_rgb_and_the_keypoints_stay_as_they_were():
    keypoints = np.full((18, 3), np.nan)
    keypoints[NECK] = [5, 5, 1]
    before = keypoints.copy()
    drawn = draw_map(keypoints, 40, 30)
    assert (drawn.shape, drawn.dtype) == ((30, 40, 3), np.uint8)
    np.testing.assert_array_equal(keypoints, before)


def test_a_joint_radius_of_zero_draws_points():
    person = np.zeros((18, 3))
    person[NOSE] = [3, 2, 1]
    assert np.argwhere(draw_map(person, 8, 8, joint_radius=0).any(axis=-1)).tolist() == [[2, 3]]


@pytest.mark.parametrize("shape", [(17, 3), (18, 2), (18,), (1, 1, 18, 3), (0,)])
def test_another_shape_is_refused(shape):
    with pytest.raises(ValueError, match=r"shape \(18, 3\) or \(P, 18, 3\)"):
        draw_map(np.zeros(shape), 64, 64)


@pytest.mark.parametrize("size", [(0, 64), (64, -1), (64.5, 64), (64, True)])
def test_another_size_is_refused(size):
    with pytest.raises(ValueError, match="positive whole number"):
        draw_map(np.zeros((18, 3)), *size)


def test_other_options_are_refused():
    with pytest.raises(ValueError, match="'none' or 'xinsir', not 'wide'"):
        draw_map(np.zeros((18, 3)), 64, 64, stick_scale="wide")
    with pytest.raises(ValueError, match="stick_width"):
        draw_map(np.zeros((18, 3)), 64, 64, stick_width=0)
    with pytest.raises(ValueError, match="joint_radius"):
        draw_map(np.zeros((18, 3)), 64, 64, joint_radius=-1)


def test_a_visible_keypoint_beyond_reason_is_refused_and_a_hidden_one_is_not():
    person = np.zeros((18, 3))
    person[NOSE] = [1e12, 0, 0]
    assert not draw_map(person, 64, 64).any()
    person[NOSE, 2] = 1
    with pytest.raises(ValueError, match="1e\\+12 pixels"):
        draw_map(person, 64, 64)


def test_numpy_sizes_are_welcome():
    assert draw_map(np.zeros((18, 3)), np.int64(8), np.int32(4)).shape == (4, 8, 3)


def test_hidden_body_joints_are_drawn_and_hidden_face_points_are_not():
    target = np.ones((18, 3))
    target[[NOSE, RIGHT_WRIST, LEFT_EAR], 2] = 0
    before = target.copy()
    drawn = control_keypoints(target)
    assert drawn[RIGHT_WRIST, 2] == 1
    assert drawn[[NOSE, LEFT_EAR], 2].tolist() == [0, 0]
    assert drawn[:, 2].sum() == 16
    np.testing.assert_array_equal(target, before)


def test_a_keypoint_that_was_never_found_stays_missing():
    target = np.zeros((2, 18, 3))
    target[0, NECK] = [math.nan, 4, 1]
    target[1, NECK] = [0, 0, 1]
    assert control_keypoints(target)[..., 2].sum() == 1


def test_control_keypoints_of_another_shape_are_refused():
    with pytest.raises(ValueError, match="18, 3"):
        control_keypoints(np.zeros((17, 3)))
