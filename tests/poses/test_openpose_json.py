import contextlib
import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from posegen.errors import KeypointsFormatError
from posegen.poses.openpose_json import openpose_document, parse_openpose, read_openpose

RIGHT_HIP, LEFT_EAR = 8, 17


def flat(points):
    return [float(number) for number in np.asarray(points).ravel()]


def person(count=18, start=10.0):
    """Return `count` visible points, each at another place."""
    points = np.ones((count, 3))
    points[:, 0] = start + np.arange(count)
    points[:, 1] = start + 100 + np.arange(count)
    return points


def document(*people, width=512, height=768, **person_keys):
    return {
        "people": [{"pose_keypoints_2d": flat(points), **person_keys} for points in people],
        "canvas_width": width,
        "canvas_height": height,
    }


def only_frame(data, **options):
    (frame,) = parse_openpose(data, **options)
    return frame


@pytest.mark.parametrize("form", [dict, json.dumps, lambda d: json.dumps(d).encode("utf-8-sig")])
def test_eighteen_points_in_pixels_are_read_from_every_form(form):
    frame = only_frame(form(document(person(), person(start=200))))
    assert (frame.width, frame.height, len(frame.people)) == (512, 768, 2)
    np.testing.assert_array_equal(frame.people[0], person())
    np.testing.assert_array_equal(frame.people[1], person(start=200))


def test_body_25_is_converted():
    frame = only_frame(document(person(25)))
    x = frame.people[0][:, 0] - 10
    assert x.tolist() == [0, 1, 2, 3, 4, 5, 6, 7, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18]
    assert (x[RIGHT_HIP], x[LEFT_EAR]) == (9, 18)


def test_normalised_coordinates_become_pixels():
    points = person()
    frame = only_frame(document(points / [512, 768, 1]))
    np.testing.assert_allclose(frame.people[0], points, rtol=1e-12)


def test_one_point_beyond_one_makes_a_document_one_of_pixels():
    points = np.full((18, 3), 0.5)
    points[3, 1] = -1.5
    np.testing.assert_array_equal(only_frame(document(points)).people[0][:, :2], points[:, :2])


def test_the_rule_can_be_overruled():
    points = np.ones((18, 3))
    assert only_frame(document(points), coordinates="pixels").people[0][0].tolist() == [1, 1, 1]
    assert only_frame(document(points), coordinates="normalised").people[0][0].tolist() == [512, 768, 1]
    with pytest.raises(ValueError, match="coordinates must be"):
        parse_openpose(document(points), coordinates="percent")


def test_any_confidence_above_zero_is_visible_and_zero_is_not():
    points = person()
    points[:4] = [[0, 0, 0], [30, 40, 0], [30, 40, 0.01], [0, 0, 1]]
    read = only_frame(document(points)).people[0]
    assert read[:4].tolist() == [[0, 0, 0], [30, 40, 0], [30, 40, 1], [0, 0, 1]]


def test_a_document_without_a_size_takes_the_callers():
    data = document(person())
    del data["canvas_width"], data["canvas_height"]
    assert (only_frame(data).width, only_frame(data).height) == (None, None)
    assert only_frame(data, canvas=(640, 480)).width == 640
    assert only_frame(document(person()), canvas=(640, 480)).width == 512


def test_a_list_of_frames_is_read_in_order():
    frames = parse_openpose(json.dumps([document(person()), document(), document(person(25))]))
    assert [len(frame.people) for frame in frames] == [1, 0, 1]
    assert parse_openpose([]) == []


def test_hands_and_faces_are_carried_along():
    hand = person(21) / [512, 768, 1]
    data = document(person() / [512, 768, 1], hand_left_keypoints_2d=flat(hand), face_keypoints_2d=None)
    frame = only_frame(data)
    assert list(frame.extras[0]) == ["hand_left_keypoints_2d"]
    np.testing.assert_allclose(frame.extras[0]["hand_left_keypoints_2d"], person(21))
    written = openpose_document(frame.people, 512, 768, normalised=True, extras=frame.extras)
    assert written["people"][0]["hand_left_keypoints_2d"] == pytest.approx(flat(hand))


def test_a_document_reports_missing_points_as_zeros_and_the_rest_as_certain():
    points = person()
    points[:4] = [[30, 40, 0], [math.nan, 40, 1], [30, 40, 0.2], [30, math.inf, 0]]
    written = openpose_document(points, 512, 768)["people"][0]["pose_keypoints_2d"]
    assert written[:12] == [0, 0, 0, 0, 0, 0, 30, 40, 1, 0, 0, 0]
    json.dumps(written, allow_nan=False)


def test_hidden_points_can_be_kept_and_come_back():
    points = person()
    points[5:9, 2] = 0
    written = openpose_document(points, 512, 768, keep_hidden=True)
    np.testing.assert_array_equal(only_frame(written).people[0], points)


people_arrays = hnp.arrays(
    np.float64,
    st.tuples(st.integers(0, 3), st.just(18), st.just(3)),
    elements=st.floats(0, 1, width=32),
).map(lambda unit: np.round(unit, 3))


@given(people=people_arrays, normalised=st.booleans(), size=st.tuples(*[st.integers(2, 4096)] * 2))
def test_what_is_written_is_read_again(people, normalised, size):
    people = people.copy()
    people[..., 2] = people[..., 2] > 0.3
    people[:, 0] = [1, 1, 1]  # one point that tells pixels from the unit square
    people[..., :2] *= size
    text = json.dumps(openpose_document(people, *size, normalised=normalised))
    frame = only_frame(text)
    assert (frame.width, frame.height) == size
    assert len(frame.people) == len(people)
    for read, wanted in zip(frame.people, people, strict=True):
        np.testing.assert_array_equal(read[:, 2], wanted[:, 2])
        np.testing.assert_allclose(read[:, :2], wanted[:, :2] * wanted[:, 2:], rtol=1e-12)


def test_nobody_is_written_and_read():
    written = openpose_document([], 64, 32)
    assert written == {"people": [], "canvas_width": 64, "canvas_height": 32}
    assert only_frame(written).people == ()


@pytest.mark.parametrize(
    "people", [np.zeros((17, 3)), np.zeros((2, 25, 3)), [np.zeros((18, 3)), np.zeros(3)]]
)
def test_people_of_another_shape_are_not_written(people):
    with pytest.raises(ValueError, match="18, 3"):
        openpose_document(people, 64, 64)


def test_documents_that_would_be_misread_are_not_written():
    with pytest.raises(ValueError, match="positive size, not 0x64"):
        openpose_document(person(), 0, 64)
    with pytest.raises(ValueError, match=r"coordinate is 1\.984.*in pixels"):
        openpose_document(person(), 64, 64, normalised=True)
    with pytest.raises(ValueError, match="extras for each of 1 people, got 2"):
        openpose_document(person(), 64, 64, extras=[{}, {}])


def changed(place, value):
    numbers = flat(person())
    numbers[place] = value
    return {"people": [{"pose_keypoints_2d": numbers}]}


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ("", "not a JSON document: .* at line 1, column 1"),
        ("{'people': []}", "not a JSON document"),
        ("[" * 100_000, "not an OpenPose document"),
        (b"\xff\xfe", "byte 0 is not UTF-8"),
        ("3", "a list of such objects, not int 3"),
        (None, "not NoneType"),
        ('"people"', "not str 'people'"),
        ({}, "expected 'people' in the document, found nothing"),
        ({"persons": []}, "found 'persons'"),
        ({"people": {}}, "'people' must be a list, not dict"),
        ({"people": "me"}, "'people' must be a list, not str"),
        ({"people": [3]}, "person 0: expected an object .*, not int 3"),
        ([{"people": []}, 3], "frame 1: expected an object"),
        ({"people": [{}]}, "person 0: no 'pose_keypoints_2d'; expected 54 .* or 75"),
        ({"people": [{"pose_keypoints_2d": []}]}, "no 'pose_keypoints_2d'"),
        ({"people": [{"pose_keypoints_2d": "1 2 3"}]}, "flat list of numbers, not str"),
        ({"people": [{"pose_keypoints_2d": [1.0] * 51}]}, r"54 \(OPENPOSE_18\) or 75 \(BODY_25\).*found 51"),
        ({"people": [{"pose_keypoints_2d": [[1, 2, 3]] * 54}]}, r"\[0\] must be a finite number, not list"),
        (changed(4, math.nan), r"2d\[4\] must be a finite number, not float nan"),
        (json.dumps(changed(4, math.inf)), "not float inf"),
        (changed(4, 10**400), r"\[4\] must be a finite number, not int"),
        (changed(4, "7"), r"\[4\] must be a finite number, not str '7'"),
        (changed(4, True), r"\[4\] must be a finite number, not bool True"),
        (changed(4, None), r"\[4\] must be a finite number, not NoneType"),
        (changed(5, -0.1), r"\[5\] is a confidence and must not be negative: -0.1"),
        (document(person(), width=0), "'canvas_width' must be a whole number from 1 to 65536, not int 0"),
        (document(person(), height=7.5), "'canvas_height' must be a whole number .*, not float 7.5"),
        (document(person(), height=None), "'canvas_height' must be .*, not NoneType"),
        (document(person(), width="wide"), "'canvas_width' must be .*, not str 'wide'"),
        (document(person(), face_keypoints_2d=[1, 2]), "face_keypoints_2d must hold x, y, .*found 2"),
        ({"people": [{"pose_keypoints_2d": [0.5] * 54}]}, "normalised .* give the canvas size"),
    ],
)
def test_malformed_documents_are_refused_with_what_was_found(data, message):
    with pytest.raises(KeypointsFormatError, match=message):
        parse_openpose(data)


def test_a_callers_impossible_size_is_refused():
    with pytest.raises(KeypointsFormatError, match="'canvas width' must be"):
        parse_openpose({"people": []}, canvas=(0, 5))


json_values = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(["people", "pose_keypoints_2d", "canvas_width", "x"]), inner, max_size=3
        )
    ),
    max_leaves=12,
)


@given(data=json_values | st.text(max_size=30) | st.binary(max_size=30))
def test_any_document_is_read_or_refused(data):
    with contextlib.suppress(KeypointsFormatError):
        parse_openpose(data)


def test_a_file_is_read_and_a_malformed_one_named(tmp_path):
    path = tmp_path / "pose.json"
    path.write_text(json.dumps(document(person())))
    assert len(read_openpose(path)[0].people) == 1
    path.write_text("{}")
    with pytest.raises(KeypointsFormatError, match=r"pose\.json: expected 'people'"):
        read_openpose(path)
    with pytest.raises(FileNotFoundError):
        read_openpose(tmp_path / "none.json")
