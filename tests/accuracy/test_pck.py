import numpy as np
import pytest

from posegen.accuracy.pck import keypoint_errors, mean_error, pck, torso_diameter

ALL = np.ones((1, 17), bool)
TEN = np.array([10.0])


def off(by):
    """Return a target and a prediction that is off by so many pixels to the right, everywhere."""
    target = np.random.default_rng(0).uniform(0, 100, (1, 17, 2))
    return target + np.array([by, 0.0]), target


def test_the_bound_is_inclusive():
    predicted, target = np.zeros((1, 17, 2)), np.zeros((1, 17, 2))
    predicted[0, :, 0] = 2.0
    assert pck(predicted, target, ALL, scale_px=TEN, alpha=0.2) == 1.0
    assert pck(predicted, target, ALL, scale_px=TEN, alpha=0.19) == 0.0


def test_what_was_not_found_is_a_miss_and_what_is_not_counted_is_none():
    predicted, target = off(0.0)
    predicted[0, :5] = np.nan
    assert pck(predicted, target, ALL, scale_px=TEN) == pytest.approx(12 / 17)
    assert mean_error(predicted, target, ALL, scale_px=TEN) == 0.0
    counted = ALL.copy()
    counted[0, :5] = False
    target[0, :5] = np.nan
    assert pck(predicted, target, counted, scale_px=TEN) == 1.0
    assert np.isinf(keypoint_errors(predicted[:, ::-1], np.zeros((1, 17, 2)), ALL, scale_px=TEN)).sum() == 5


def test_nothing_counted_is_no_score():
    predicted, target = off(1.0)
    assert np.isnan(pck(predicted, target, ~ALL, scale_px=TEN))
    assert np.isnan(mean_error(predicted * np.nan, target, ALL, scale_px=TEN))


def test_the_mean_error_is_in_body_scales():
    predicted, target = off(3.0)
    assert mean_error(predicted, target, ALL, scale_px=TEN) == pytest.approx(0.3)


@pytest.mark.parametrize("scale", [0.0, -1.0, np.nan, np.inf])
def test_a_scale_must_be_positive(scale):
    with pytest.raises(ValueError, match="scales"):
        pck(*off(0.0), ALL, scale_px=np.array([scale]))


def test_shapes_must_agree_and_targets_be_there():
    predicted, target = off(0.0)
    with pytest.raises(ValueError, match="shapes disagree"):
        pck(predicted[:, :5], target, ALL, scale_px=TEN)
    with pytest.raises(ValueError, match="not finite"):
        pck(predicted, target * np.nan, ALL, scale_px=TEN)


def test_the_torso_is_the_longer_diagonal():
    target = np.zeros((1, 17, 2))
    target[0, 12], target[0, 11] = (30, 40), (0, 20)
    assert torso_diameter(target) == pytest.approx([50])
