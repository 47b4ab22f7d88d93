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
    found = agreement(known(), ARMS)
    assert (found.slope, found.intercept) == pytest.approx((0.9, 0.02), abs=0.02)
    assert found.slope_low <= 0.9 <= found.slope_high
    theirs = np.polyfit([row.true_oks for row in known()], [row.oks for row in known()], 1)
    assert (found.slope, found.intercept) == pytest.approx(tuple(theirs))
    assert found.order_is_right
    assert found.true_order == found.measured_order == tuple(ARMS)
    assert found.correlation > 0.99


def test_a_wrong_order_is_told():
    found = agreement(known(slope=-0.5, intercept=0.8), ARMS)
    assert not found.order_is_right
    assert found.measured_order == tuple(reversed(ARMS))


def test_without_truth_nothing_is_said():
    rows = [a_score(arm, cell) for cell in range(5) for arm in ARMS]
    assert attenuation(rows, list(ARMS), "direct") == []
    assert agreement(rows, ARMS) is None
    assert agreement(known(poses=0), ARMS) is None


def test_two_poses_have_a_ratio_no_interval_could_vouch_for():
    rows = attenuation(known(poses=2), list(ARMS), "control~20")
    assert all(np.isnan(row.ratio) for row in rows)


def test_few_poses_have_a_slope_without_an_interval():
    found = agreement(known(poses=2), ARMS)
    assert found.slope == pytest.approx(0.9, abs=0.1)
    assert np.isnan([found.slope_low, found.slope_high]).all()
    alike = agreement([*known(poses=2), a_score("direct", 2, oks=0.5, true_oks=0.5)], ARMS)
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


def without(scores, *gone):
    return [
        a_score(score.arm, score.cell, oks=None, status="failed")
        if (score.arm, score.cell) in gone
        else score
        for score in scores
    ]


def by_level(levels, cells):
    """Return scores whose truth and measurement agree: hard cells first, the same step between arms."""
    return [
        a_score(arm, cell, oks=0.9 * (level + cells[cell]), true_oks=level + cells[cell])
        for arm, level in levels.items()
        for cell in range(len(cells))
    ]


HARD_FIRST = [0.0 + 0.001 * i for i in range(6)] + [0.5 + 0.001 * i for i in range(6)]


def test_missing_images_do_not_turn_the_order_round():
    scores = by_level({"worse": 0.1, "better": 0.2}, HARD_FIRST)
    lost = without(scores, *[("worse", cell) for cell in range(5)])
    found = agreement(lost, ["worse", "better"])
    assert found.order_is_right
    assert found.true_order == found.measured_order == ("worse", "better")


def test_missing_images_do_not_hide_a_wrong_order():
    scores = [
        score
        if score.arm == "worse"
        else a_score("better", score.cell, oks=score.oks - 0.15, true_oks=score.true_oks)
        for score in by_level({"worse": 0.1, "better": 0.2}, HARD_FIRST)
    ]
    lost = without(scores, *[("better", cell) for cell in range(6)])
    found = agreement(lost, ["worse", "better"])
    assert not found.order_is_right
    assert found.measured_order == ("better", "worse")


def test_arms_that_share_no_cell_say_nothing_of_the_order():
    scores = by_level({"worse": 0.1, "better": 0.2}, HARD_FIRST)
    apart = without(
        scores, *[("worse", cell) for cell in range(6)], *[("better", cell) for cell in range(6, 12)]
    )
    found = agreement(apart, ["worse", "better"])
    assert found.order_is_right
    assert found.images == 12
    assert attenuation(apart, ["worse", "better"], "worse")[1:] == []


def test_images_are_counted_once():
    again = [a_score("shuffled", row.cell, oks=0.1, true_oks=0.9) for row in known() if row.arm == "direct"]
    found, alone = agreement([*known(), *again], ARMS), agreement(known(), ARMS)
    assert found.images == 60
    assert (found.slope, found.correlation) == (alone.slope, alone.correlation)
    assert "shuffled" in found.measured_order
    assert not found.order_is_right


def test_doses_are_of_shared_cells():
    scores = by_level({"control~20": 0.1, "control~6": 0.2}, HARD_FIRST)
    lost = without(scores, *[("control~20", cell) for cell in range(6)])
    weak, strong = sorted(
        dose_curve(lost, [read_arm("control~20"), read_arm("control~6")]), key=lambda p: p.oks
    )
    assert (weak.arm, strong.arm) == ("control~20", "control~6")
    assert strong.true_oks - weak.true_oks == pytest.approx(0.1)
