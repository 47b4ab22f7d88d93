"""Effects, strata and joints of made-up scores, beside scipy and by simulation."""

import numpy as np
import pytest

from posegen.experiments import analysis
from posegen.experiments.measures import MEASURES, Columns
from tests.experiments.conftest import a_score

scipy = pytest.importorskip("scipy.stats", reason="scipy is the outside reference")


def two_arms(difference, beside, poses=None):
    """Return the scores of two arms whose OKS differ so, one pose a cell unless poses are named."""
    rows = []
    for cell, (gain, base) in enumerate(zip(difference, beside, strict=True)):
        pose = f"p{cell}" if poses is None else poses[cell]
        rows += [a_score("base", cell, oks=base, pose=pose), a_score("arm", cell, oks=base + gain, pose=pose)]
    return rows


def oks_effect(scores, **options):
    return next(
        row for row in analysis.effects(scores, ["base", "arm"], "base", **options) if row.measure == "oks"
    )


@pytest.fixture
def some():
    rng = np.random.default_rng(0)
    return rng.normal(0.05, 0.1, 40), rng.uniform(0.3, 0.6, 40)


def test_the_effect_is_scipys_paired_test(some):
    gain, base = some
    row = oks_effect(two_arms(gain, base))
    theirs = scipy.ttest_rel(base + gain, base)
    assert row.cohens_d_z == pytest.approx(theirs.statistic / np.sqrt(40))
    low, high = theirs.confidence_interval(0.95)
    assert (row.low, row.high) == pytest.approx((low, high), abs=0.006)
    assert row.p == pytest.approx(theirs.pvalue, abs=0.01)
    assert row.detectable == pytest.approx(2.8 * gain.std(ddof=1) / np.sqrt(40))
    assert (row.mean, row.median) == pytest.approx((gain.mean(), np.median(gain)))


def test_the_interval_is_near_scipys_studentised_bootstrap(some):
    gain, base = some
    row = oks_effect(two_arms(gain, base))
    theirs = scipy.bootstrap((gain,), np.mean, method="BCa", n_resamples=4000, rng=0).confidence_interval
    assert (row.low, row.high) == pytest.approx((theirs.low, theirs.high), abs=0.01)


def test_p_is_scipys_permutation_where_all_flips_are_tried(some):
    gain, base = some[0][:10], some[1][:10]
    theirs = scipy.permutation_test(
        (gain,), np.mean, permutation_type="samples", n_resamples=np.inf, vectorized=True
    )
    assert oks_effect(two_arms(gain, base)).p == pytest.approx(theirs.pvalue, abs=1e-12)


def test_images_of_one_pose_count_as_one(some):
    gain, base = some
    poses = np.repeat([f"p{i}" for i in range(8)], 5)
    shared = np.repeat(gain[:8], 5)
    row, alone = oks_effect(two_arms(shared, base, poses)), oks_effect(two_arms(gain[:8], base[:8]))
    assert (row.pairs, row.poses) == (40, 8)
    assert (row.low, row.high, row.p) == pytest.approx((alone.low, alone.high, alone.p))


def test_45_pairs_find_a_twentieth_at_the_usual_scatter():
    gain = np.random.default_rng(2).normal(0, 1, 45)
    gain = (gain - gain.mean()) / gain.std(ddof=1) * 0.12
    assert oks_effect(two_arms(gain, np.full(45, 0.5))).detectable == pytest.approx(0.05, abs=0.001)


def test_a_power_of_80_per_cent_is_that():
    rng, found = np.random.default_rng(1), 0
    size = 2.8 * 0.1 / np.sqrt(40)
    for number in range(400):
        effect = analysis.paired_effect(
            rng.normal(size, 0.1, 40), np.zeros(40), np.arange(40).astype(str), seed=number, resamples=200
        )
        found += effect.p < 0.05
    assert 0.74 <= found / 400 <= 0.86


def test_holm_is_over_arms_for_oks_and_over_the_rest(some):
    gain, base = some
    scores = two_arms(gain, base)
    scores += [a_score("same", cell, oks=float(value)) for cell, value in enumerate(base)]
    rows = analysis.effects(scores, ["base", "arm", "same"], "base")
    first = {row.arm: row for row in rows if row.measure == "oks"}
    assert first["arm"].p_holm == pytest.approx(min(1, 2 * first["arm"].p))
    assert first["same"].p_holm == 1.0
    others = [row for row in rows if row.measure != "oks"]
    least = min(others, key=lambda row: row.p)
    assert least.p_holm == pytest.approx(min(1.0, least.p * len(others)))


def test_lower_is_better_for_errors(some):
    gain, base = some
    rows = analysis.effects(two_arms(np.abs(gain), base), ["base", "arm"], "base")
    by_measure = {row.measure: row for row in rows}
    assert by_measure["mean_error"].mean == pytest.approx(-by_measure["oks"].mean)
    assert by_measure["mean_error"].win_rate == by_measure["oks"].win_rate == 1.0
    assert by_measure["swapped"].win_rate == 0.5


def test_nobody_found_counts_as_0_and_has_no_error():
    scores = two_arms([0.1] * 4, [0.5] * 4)
    nothing = {"oks": 0.0, "detected": False, "people": 0, "mean_error": None, "swapped": None}
    scores[1] = a_score("arm", 0, **nothing)
    rows = {row.measure: row for row in analysis.effects(scores, ["base", "arm"], "base")}
    assert rows["oks"].mean == pytest.approx((3 * 0.1 - 0.5) / 4)
    assert (rows["oks"].pairs, rows["mean_error"].pairs, rows["oks_found"].pairs) == (4, 3, 3)
    assert rows["detected"].mean == pytest.approx(-0.25)
    assert rows["people_error"].mean == pytest.approx(0.25)
    levels = {(row.arm, row.measure): row.mean for row in analysis.levels(scores, ["base", "arm"])}
    assert levels["arm", "oks"] == pytest.approx(0.45)
    assert levels["arm", "oks_found"] == pytest.approx(0.6)


def test_missing_images_are_left_out_of_pairs_and_counted():
    scores = two_arms([0.1] * 4, [0.5] * 4)
    scores[1] = a_score("arm", 0, oks=None, status="failed", detected=None, people=None)
    assert oks_effect(scores).pairs == 3
    (base, arm) = analysis.missing(scores, ["base", "arm"], "base")
    assert (base.scored, arm.scored, arm.failed, arm.pending) == (4, 3, 1, 0)


def test_two_poses_have_no_interval_and_no_power():
    row = oks_effect(two_arms([0.1, 0.2], [0.5, 0.5]))
    assert row.mean == pytest.approx(0.15)
    assert np.isnan([row.low, row.high, row.detectable]).all()


def test_an_arm_without_images_has_no_rows():
    scores = two_arms([0.1] * 3, [0.5] * 3)
    assert {row.arm for row in analysis.levels(scores, ["base", "arm", "none"])} == {"base", "arm"}
    assert {row.arm for row in analysis.effects(scores, ["base", "arm", "none"], "base")} == {"arm"}


def test_strata_hold_every_score_and_leave_none_out():
    scores = two_arms([0.1] * 6, [0.2, 0.2, 0.2, 0.6, 0.6, 0.6])
    kinds = ["lying"] * 3 + ["upright"] * 3
    scores = [
        a_score(score.arm, score.cell, oks=score.oks, posture=kinds[score.cell], side="back")
        for score in scores
    ]
    rows = analysis.strata(scores, ["base", "arm"], "base")
    postures = {(row.stratum, row.arm): row for row in rows if row.kind == "posture"}
    assert postures["lying", "base"].oks == pytest.approx(0.2)
    assert postures["upright", "arm"].effect == pytest.approx(0.1)
    assert np.isnan(postures["upright", "base"].effect)
    for kind in analysis.KINDS:
        assert sum(row.images for row in rows if row.kind == kind and row.arm == "arm") == 6


def test_joints_tell_not_found_from_not_shown():
    first = (0.05, float("inf"), None, *[0.3] * 14), (0.01, None, None, *[0.0] * 14)
    second = (0.15, 0.02, None, *[0.05] * 14), (0.03, 0.0, None, *[0.0] * 14)
    scores = [
        a_score("arm", cell, joint_errors=errors, joint_rise=rise)
        for cell, (errors, rise) in enumerate((first, second))
    ]
    rows = analysis.joints(scores, ["arm"])
    assert [row.joint for row in rows[:3]] == ["nose", "left_eye", "right_eye"]
    assert (rows[0].counted, rows[0].right, rows[0].error_torso, rows[0].rise) == (2, 0.5, 0.1, 0.02)
    assert (rows[1].counted, rows[1].right, rows[1].error_torso) == (2, 0.5, 0.02)
    assert rows[2].counted == 0
    assert np.isnan(rows[2].right)


def test_columns_are_in_the_order_of_the_cells():
    columns = Columns([a_score("arm", 2, oks=0.2), a_score("arm", 0, oks=0.1), a_score("base", 2, oks=0.3)])
    assert columns.cells == [0, 2]
    assert list(columns.poses) == ["p0", "p2"]
    np.testing.assert_array_equal(columns.values("arm", MEASURES["oks"]), [0.1, 0.2])
    np.testing.assert_array_equal(columns.values("base", MEASURES["oks"]), [np.nan, 0.3])


def test_it_finds_effects_and_none_where_there_is_none():
    rng, found = np.random.default_rng(3), 0
    for number in range(300):
        base = rng.uniform(0.3, 0.6, 24)
        effect = analysis.effect(
            Columns(two_arms(rng.normal(0, 0.1, 24), base)),
            "arm",
            "base",
            "oks",
            MEASURES["oks"],
            seed=number,
        )
        found += effect.p < 0.05
    assert found / 300 <= 0.09


def failed(score):
    nothing = dict.fromkeys(["oks", "detected", "people", "swapped", "nearest_is_right"])
    return a_score(score.arm, score.cell, status="failed", posture=score.posture, **nothing)


@pytest.fixture
def hard_failed():
    """Two equal arms, of which one failed on all hard poses; `third` lacks an easy one."""
    scores = []
    for cell in range(8):
        level, posture = (0.2, "lying") if cell < 4 else (0.8, "upright")
        scores += [a_score(arm, cell, oks=level, posture=posture) for arm in ("base", "arm", "third")]
    return [
        failed(score) if (score.arm == "arm" and score.cell < 3) or (score.arm, score.cell) == ("third", 7)
        else score
        for score in scores
    ]  # fmt: skip


ARMS = ["base", "arm", "third"]


def test_an_arm_that_failed_on_hard_poses_looks_no_better(hard_failed):
    rows = {row.arm: row for row in analysis.levels(hard_failed, ARMS) if row.measure == "oks"}
    assert [row.mean for row in rows.values()] == pytest.approx([(0.2 + 3 * 0.8) / 4] * 3)
    assert {row.images for row in rows.values()} == {4}
    found = analysis.coverage(hard_failed)
    assert (found.scored, found.shared, found.left_out) == (8, 4, 4)
    own = {row.arm: (row.scored, row.failed) for row in analysis.missing(hard_failed, ARMS, "base")}
    assert own == {"base": (8, 0), "arm": (5, 3), "third": (7, 1)}


def test_effects_keep_every_pair(hard_failed):
    pairs = {
        row.arm: row.pairs for row in analysis.effects(hard_failed, ARMS, "base") if row.measure == "oks"
    }
    assert pairs == {"arm": 5, "third": 7}


def test_strata_are_of_shared_cells(hard_failed):
    rows = [row for row in analysis.strata(hard_failed, ARMS, "base") if row.kind == "posture"]
    assert {(row.stratum, row.images) for row in rows} == {("lying", 1), ("upright", 3)}
    assert all(row.shared for row in rows)


def test_an_arm_without_a_score_takes_no_cell_from_the_others(hard_failed):
    scores = [failed(score) if score.arm == "third" else score for score in hard_failed]
    assert analysis.coverage(scores).shared == 5
    assert {row.arm for row in analysis.levels(scores, ARMS)} == {"base", "arm"}


def test_without_a_shared_cell_every_arm_has_its_own_and_it_is_told():
    scores = two_arms([0.1] * 4, [0.5] * 4)
    scores = [failed(score) if (score.arm == "arm") == (score.cell < 2) else score for score in scores]
    found = analysis.coverage(scores)
    assert (found.scored, found.shared, found.left_out) == (4, 0, 4)
    rows = {row.arm: row for row in analysis.levels(scores, ["base", "arm"]) if row.measure == "oks"}
    assert (rows["base"].images, rows["arm"].images) == (2, 2)
    postures = [row for row in analysis.strata(scores, ["base", "arm"], "base") if row.kind == "posture"]
    assert [row.shared for row in postures] == [False, False]


def test_joints_are_of_shared_cells():
    errors = (0.05, *[0.3] * 16)
    scores = [
        a_score(arm, cell, joint_errors=errors, joint_rise=errors)
        for arm in ("base", "arm")
        for cell in range(3)
    ]
    scores[-1] = failed(scores[-1])
    assert {row.counted for row in analysis.joints(scores, ["base", "arm"])} == {2}


def test_scores_of_different_estimators_are_no_pairs():
    scores = [
        a_score(arm, cell, oks=0.5, estimator="new" if (arm, cell) < ("arm", 2) else "old")
        for arm in ("base", "arm")
        for cell in range(5)
    ]
    (row,) = [row for row in analysis.effects(scores, ["base", "arm"], "base") if row.measure == "oks"]
    assert row.pairs == 3
    assert [row.mixed for row in analysis.missing(scores, ["base", "arm"], "base")] == [0, 2]
    assert analysis.coverage(scores).shared == 3


def test_nothing_scored_covers_nothing():
    found = analysis.coverage([])
    assert (found.scored, found.shared, found.left_out) == (0, 0, 0)
