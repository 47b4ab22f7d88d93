import numpy as np
import pytest

from posegen.accuracy.estimator import EstimatorInfo, Person, largest_first
from posegen.accuracy.measure import Target, measure, measured_keypoints
from posegen.accuracy.oks import keypoint_area, oks
from posegen.poses.library import PoseLibrary
from posegen.poses.targets import keypoints
from posegen.records import View
from posegen.skeletons import BLAZEPOSE_33, COCO_17, COCO_FROM_BLAZEPOSE, COCO_FROM_OPENPOSE, OPENPOSE_18

INFO = EstimatorInfo("e", "1", "00")


@pytest.fixture
def target():
    pose = PoseLibrary.builtin().get("walking_stride")
    points = keypoints(pose, View(35.0), 512, 512)[list(COCO_FROM_OPENPOSE)]
    points[4, 2] = 0.0  # hidden
    return Target(points, 400.0)


def person(points):
    found = np.array(points, dtype=np.float64)
    found[:, 2] = 0.9
    return Person(found)


def test_conversions_name_the_same_joints():
    assert [OPENPOSE_18.keypoints[i] for i in COCO_FROM_OPENPOSE] == list(COCO_17.keypoints)
    assert [BLAZEPOSE_33[i] for i in COCO_FROM_BLAZEPOSE] == list(COCO_17.keypoints)


def test_the_target_itself_is_perfect(target):
    found = measure([person(target.keypoints)], target, INFO, duration_ms=12.341)
    assert (found.oks, found.pck_10, found.pck_20, found.mean_error, found.angle_error_deg) == (1, 1, 1, 0, 0)
    assert (found.people, found.detected, found.swapped, found.counted) == (1, True, False, 16)
    assert (found.estimator, found.estimator_version, found.weights_sha256) == ("e", "1", "00")
    assert found.duration_ms == 12.34


def test_nobody_found_is_no_good_score(target):
    found = measure([], target, INFO)
    assert (found.people, found.detected, found.oks, found.pck_10, found.pck_20) == (0, False, 0, 0, 0)
    assert (found.mean_error, found.angle_error_deg, found.swapped, found.keypoints) == (
        None,
        None,
        False,
        (),
    )
    assert measured_keypoints(found) is None


def test_a_person_without_a_keypoint_is_nobody(target):
    ghost = Person(np.full((17, 3), np.nan))
    half = Person(np.column_stack([np.zeros(17), np.full(17, np.nan), np.ones(17)]))
    found = measure([ghost, half], target, INFO)
    assert found == measure([], target, INFO)
    assert not found.detected
    beside = measure([ghost, person(target.keypoints)], target, INFO)
    assert (beside.people, beside.oks) == (1, 1)


def test_hidden_keypoints_do_not_count(target):
    moved = target.keypoints.copy()
    moved[4, :2] += 500
    assert measure([person(moved)], target, INFO).oks == 1


def test_a_second_person_is_counted_and_does_not_hide_the_first(target):
    other = target.keypoints + np.array([150, 0, 0])
    for people in ([person(other), person(target.keypoints)], [person(target.keypoints), person(other)]):
        found = measure(people, target, INFO)
        assert (found.people, found.oks) == (2, 1)


def test_similarity_is_that_of_oks(target):
    moved = target.keypoints.copy()
    moved[:, 0] += 9
    every = np.ones(17, bool)
    expected = oks(
        moved[:, :2], target.keypoints[:, :2], target.counted, keypoint_area(target.keypoints[:, :2], every)
    )
    found = measure([person(moved)], target, INFO)
    assert found.oks == pytest.approx(float(expected), abs=1e-4)
    assert found.mean_error == pytest.approx(9 / 400, abs=1e-5)


def test_left_taken_for_right_is_told(target):
    crossed = target.keypoints[list(COCO_17.flip)]
    assert measure([person(crossed)], target, INFO).swapped


def test_keypoints_that_were_not_found_are_kept_as_such(target):
    points = target.keypoints.copy()
    points[9] = np.nan
    found = measure([Person(points)], target, INFO)
    assert found.keypoints[27:30] == (None, None, None)
    assert np.isnan(measured_keypoints(found)[9]).all()
    assert found.pck_20 == pytest.approx(15 / 16, abs=1e-4)


def test_a_target_without_keypoints_is_refused(target):
    empty = target.keypoints.copy()
    empty[:, 2] = 0
    with pytest.raises(ValueError, match="shows no keypoint"):
        measure([], Target(empty, 400.0), INFO)


def test_people_come_the_largest_first():
    small, large, none = (Person(np.full((17, 3), value)) for value in (1.0, 1.0, np.nan))
    small.keypoints[0], large.keypoints[0] = (0, 0, 1), (-9, -9, 1)
    assert [p is q for p, q in zip(largest_first([none, small, large]), [large, small, none], strict=True)]
    assert largest_first([none, small, large])[0] is large
    assert (none.score, none.area, small.score) == (0.0, 0.0, 1.0)
