import numpy as np
import pytest

from posegen.accuracy.posture import (
    ANGLES,
    detection_rate,
    is_swapped,
    joint_angle_errors,
    joint_angles,
    people_count_error,
)
from posegen.skeletons import COCO_17

ALL = np.ones((1, 17), bool)


def person():
    """Return a standing person's keypoints with the left arm bent by 90 degrees."""
    names = COCO_17.keypoints
    places = np.zeros((1, 17, 2))
    for side, x in (("left", 60), ("right", 40)):
        for name, y in (("shoulder", 20), ("hip", 60), ("knee", 90), ("ankle", 120)):
            places[0, names.index(f"{side}_{name}")] = x, y
    places[0, names.index("right_elbow")], places[0, names.index("right_wrist")] = (35, 40), (30, 60)
    places[0, names.index("left_elbow")], places[0, names.index("left_wrist")] = (60, 45), (85, 45)
    return places


def test_a_right_angle_is_90_degrees_and_a_straight_leg_180():
    angles = dict(zip(ANGLES, joint_angles(person())[0], strict=True))
    assert angles["left_elbow"] == pytest.approx(90)
    assert angles["left_knee"] == pytest.approx(180)
    assert angles["right_elbow"] == pytest.approx(180)


def test_errors_are_in_degrees_where_all_three_count():
    moved = person()
    moved[0, COCO_17.keypoints.index("left_wrist")] = 60, 70
    errors = dict(zip(ANGLES, joint_angle_errors(moved, person(), ALL)[0], strict=True))
    assert errors["left_elbow"] == pytest.approx(90)
    assert errors["right_knee"] == 0
    counted = ALL.copy()
    counted[0, COCO_17.keypoints.index("left_wrist")] = False
    errors = dict(zip(ANGLES, joint_angle_errors(moved, person(), counted)[0], strict=True))
    assert np.isnan(errors["left_elbow"])
    gone = person()
    gone[0, COCO_17.keypoints.index("left_knee")] = np.nan
    assert np.isnan(joint_angle_errors(gone, person(), ALL)[0]).sum() == 2


def test_a_line_without_length_has_no_angle():
    places = person()
    places[0, COCO_17.keypoints.index("left_wrist")] = places[0, COCO_17.keypoints.index("left_elbow")]
    assert np.isnan(joint_angles(places)[0, 0])


def test_left_for_right_is_seen_and_nothing_else():
    target = np.concatenate([person(), person(), person(), person()])
    predicted = target + 2
    predicted[1] = predicted[1, list(COCO_17.flip)]
    predicted[2, :, :] = np.nan
    predicted[3, 7:11] += 30
    assert is_swapped(predicted, target, np.ones((4, 17), bool)).tolist() == [False, True, False, False]
    assert is_swapped(predicted, target, np.zeros((4, 17), bool)).tolist() == [False] * 4


def test_counts_of_people():
    assert people_count_error(np.array([1, 0, 3]), np.array([1, 1, 1])) == pytest.approx(1.0)
    assert np.isnan(people_count_error(np.zeros(0, int), np.zeros(0, int)))
    assert detection_rate(np.array([True, False])) == 0.5
    assert np.isnan(detection_rate(np.zeros(0, bool)))


def test_what_makes_no_sense_is_refused():
    with pytest.raises(ValueError, match="shape"):
        joint_angles(np.zeros((18, 2)))
    with pytest.raises(ValueError, match="shapes"):
        joint_angle_errors(person(), person(), ALL[:, :5])
    with pytest.raises(ValueError, match="shapes"):
        is_swapped(person(), person(), ALL[:, :5])
    with pytest.raises(ValueError, match="shapes"):
        people_count_error(np.zeros(2, int), np.zeros(3, int))
    with pytest.raises(ValueError, match="0 or more"):
        people_count_error(np.array([-1]), np.array([1]))
