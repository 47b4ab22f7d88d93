import numpy as np
import pytest

from posegen.accuracy.simcc import decode_simcc


def responses(people, keypoints, bins, peaks, heights):
    given = np.zeros((people, keypoints, bins), dtype=np.float32)
    np.put_along_axis(given, np.asarray(peaks)[..., None], np.asarray(heights, np.float32)[..., None], axis=2)
    return given


def test_the_peak_is_the_place_and_the_lower_peak_the_score():
    columns = responses(1, 2, 20, [[3, 19]], [[0.9, 0.4]])
    rows = responses(1, 2, 30, [[8, 29]], [[0.7, 0.6]])
    np.testing.assert_allclose(
        decode_simcc(columns, rows, 2.0), [[[1.5, 4.0, 0.7], [9.5, 14.5, 0.4]]], rtol=1e-6
    )


def test_it_agrees_with_a_loop():
    random = np.random.default_rng(5)
    columns, rows = random.normal(size=(3, 7, 24)), random.normal(size=(3, 7, 40))
    decoded = decode_simcc(columns, rows, 3.0)
    for person in range(3):
        for keypoint in range(7):
            across, down = list(columns[person, keypoint]), list(rows[person, keypoint])
            expected = across.index(max(across)) / 3, down.index(max(down)) / 3, min(max(across), max(down))
            assert tuple(decoded[person, keypoint]) == expected


def test_a_score_may_be_above_one_or_below_zero():
    columns = np.full((1, 1, 4), -0.5)
    rows = np.full((1, 1, 4), 1.5)
    assert decode_simcc(columns, rows, 2.0)[0, 0, 2] == -0.5
    assert decode_simcc(rows, rows, 2.0)[0, 0, 2] == 1.5


def test_nobody_is_nobody():
    assert decode_simcc(np.zeros((0, 17, 8)), np.zeros((0, 17, 8)), 2.0).shape == (0, 17, 3)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_response_that_is_not_finite_is_refused(value):
    columns = np.zeros((1, 2, 8))
    rows = columns.copy()
    rows[0, 1, 3] = value
    with pytest.raises(ValueError, match="not finite"):
        decode_simcc(columns, rows, 2.0)


@pytest.mark.parametrize(("one", "other"), [((1, 2, 8), (1, 3, 8)), ((2, 2, 8), (1, 2, 8)), ((2, 8), (2, 8))])
def test_shapes_that_do_not_fit_are_refused(one, other):
    with pytest.raises(ValueError, match="do not fit"):
        decode_simcc(np.zeros(one), np.zeros(other), 2.0)
