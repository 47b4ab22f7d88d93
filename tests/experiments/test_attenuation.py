import numpy as np
import pytest

from posegen.experiments.attenuation import agreement, attenuation, dose_curve
from posegen.parameters import read_arm
from tests.experiments.conftest import a_score

ARMS = {"control~20": 0.4, "control~6": 0.7, "direct": 0.95}


def known(slope=0.9, intercept=0.02, noise=0.01, poses=20):
    rng = np.random.default_rng(0)
    rows = []
    for cell in range(poses):
        for arm, level in ARMS.items():
            true = float(np.clip(level + rng.normal(0, 0.05), 0, 1))
            read = float(np.clip(intercept + slope * true + rng.normal(0, noise), 0, 1))
            rows.append(a_score(arm, cell, oks=read, true_oks=true, synthetic=True))
    return rows


def test_a_known_attenuation_is_recovered():
    rows = {row.arm: row for row in attenuation(known(), list(ARMS), "control~20")}
    for arm in ("control~6", "direct"):
        assert rows[arm].ratio == pytest.approx(0.9, abs=0.02)
        assert rows[arm].ratio_low <= 0.9 <= rows[arm].ratio_high
        assert rows[arm].measured_effect == pytest.approx(0.9 * rows[arm].true_effect, abs=0.01)
    assert np.isnan(rows["control~20"].ratio)


def test_slope_and_order():
    found = agreement(known())
    assert (found.slope, found.intercept) == pytest.approx((0.9, 0.02), abs=0.02)
    assert found.slope_low <= 0.9 <= found.slope_high
    theirs = np.polyfit([row.true_oks for row in known()], [row.oks for row in known()], 1)
    assert (found.slope, found.intercept) == pytest.approx(tuple(theirs))
    assert found.order_is_right
    assert found.true_order == found.measured_order == tuple(ARMS)
    assert found.correlation > 0.99


def test_a_wrong_order_is_told():
    found = agreement(known(slope=-0.5, intercept=0.8))
    assert not found.order_is_right
    assert found.measured_order == tuple(reversed(ARMS))


def test_without_truth_nothing_is_said():
    rows = [a_score(arm, cell) for cell in range(5) for arm in ARMS]
    assert attenuation(rows, list(ARMS), "direct") == []
    assert agreement(rows) is None
    assert agreement(known(poses=0)) is None


def test_two_poses_have_a_ratio_no_interval_could_vouch_for():
    rows = attenuation(known(poses=2), list(ARMS), "control~20")
    assert all(np.isnan(row.ratio) for row in rows)


def test_few_poses_have_a_slope_without_an_interval():
    found = agreement(known(poses=2))
    assert found.slope == pytest.approx(0.9, abs=0.1)
    assert np.isnan([found.slope_low, found.slope_high]).all()
    alike = agreement([*known(poses=2), a_score("direct", 2, oks=0.5, true_oks=0.5)])
    assert alike.slope_low <= alike.slope_high  # poses with one image have no slope of their own


def test_the_dose_curve_is_in_the_order_of_doses():
    arms = [read_arm(name) for name in ARMS]
    points = dose_curve(known(), arms)
    assert [(point.dose_of, point.dose) for point in points] == [
        ("joint_noise_deg", 6.0),
        ("joint_noise_deg", 20.0),
    ]
    assert points[0].low < points[0].oks < points[0].high
    assert points[0].true_oks == pytest.approx(0.7, abs=0.03)
    untold = dose_curve([a_score("control@1", cell) for cell in range(4)], [read_arm("control@1")])
    assert (untold[0].dose_of, untold[0].true_oks) == ("controlnet_conditioning_scale", None)
