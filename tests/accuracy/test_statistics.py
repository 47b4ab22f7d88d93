import numpy as np
import pytest
import scipy.stats

from posegen.accuracy.statistics import (
    cluster_interval,
    holm,
    paired_effect,
    sign_flip_p,
    smallest_detectable,
    t_quantile,
)


def simulated(rng, poses=30, seeds=6, effect=0.05, between=0.08, within=0.10):
    """Return the paired differences of one experiment, and the pose of each."""
    names = np.repeat([f"pose{index:02}" for index in range(poses)], seeds)
    shift = np.repeat(rng.normal(effect, between, poses), seeds)
    return shift + rng.normal(0, within, poses * seeds), names


@pytest.mark.parametrize("poses", [14, 30, 64])
def test_the_interval_covers_the_truth_in_95_of_100_experiments(poses):
    rng = np.random.default_rng(poses)
    covered = 0
    for _ in range(1000):
        values, names = simulated(rng, poses)
        found = cluster_interval(values, names, resamples=600)
        covered += found.low <= 0.05 <= found.high
    assert 920 <= covered <= 970


def test_an_interval_holds_with_skewed_differences_too():
    rng = np.random.default_rng(5)
    covered = 0
    for _ in range(1000):
        names = np.repeat([f"p{index}" for index in range(30)], 4)
        values = np.repeat(rng.exponential(0.1, 30), 4) + rng.normal(0, 0.05, 120)
        found = cluster_interval(values, names, resamples=600)
        covered += found.low <= 0.1 <= found.high
    assert 915 <= covered <= 975


def test_equal_arms_are_told_apart_in_about_5_of_100():
    rng = np.random.default_rng(7)
    found = 0
    for _ in range(1000):
        values, names = simulated(rng, 20, 3, effect=0.0)
        found += sign_flip_p(values, names, permutations=999) <= 0.05
    assert 30 <= found <= 72


def test_p_is_scipys():
    scipy = pytest.importorskip("scipy.stats", reason="scipy is the outside reference")
    rng = np.random.default_rng(3)
    for count in (6, 9, 12):
        values = rng.normal(0.4, 1, count)
        names = np.array([str(index) for index in range(count)])
        theirs = scipy.permutation_test(
            (values,), np.mean, permutation_type="samples", n_resamples=np.inf, vectorized=True
        )
        assert sign_flip_p(values, names) == pytest.approx(theirs.pvalue, abs=1e-12)


def test_the_interval_is_near_students_where_images_are_independent():
    scipy = pytest.importorskip("scipy.stats", reason="scipy is the outside reference")
    values = np.random.default_rng(4).normal(1, 2, 400)
    names = np.array([str(index) for index in range(400)])
    ours = cluster_interval(values, names, resamples=20_000)
    low, high = scipy.ttest_1samp(values, 0).confidence_interval(0.95)
    assert (ours.low, ours.high) == pytest.approx((low, high), abs=0.02)


def test_an_effect_says_it_all():
    arm = np.array([0.9, 0.8, 0.9, 0.7, 0.9, 0.9])
    beside = np.array([0.8, 0.8, 0.6, 0.8, 0.5, 0.7])
    names = np.array(["a", "a", "b", "b", "c", "c"])
    effect = paired_effect(arm, beside, names)
    assert (effect.pairs, effect.clusters) == (6, 3)
    assert effect.mean.estimate == pytest.approx(0.15)
    assert effect.mean.low < 0.15 < effect.mean.high
    assert effect.median == pytest.approx(0.15)
    assert effect.win_rate == pytest.approx(4.5 / 6)
    difference = arm - beside
    assert effect.cohens_d_z == pytest.approx(difference.mean() / difference.std(ddof=1))
    assert effect.p == pytest.approx(0.25)
    assert paired_effect(arm, beside, names) == effect


def test_arms_that_never_differ_have_no_effect():
    same = np.full(40, 0.9)
    names = np.array([str(index // 2) for index in range(40)])
    effect = paired_effect(same, same, names)
    assert (effect.mean.low, effect.mean.high, effect.p, effect.win_rate) == (0, 0, 1, 0.5)
    assert np.isnan(effect.cohens_d_z)


def test_two_poses_have_no_interval():
    found = cluster_interval(np.array([1.0, 2.0]), np.array(["a", "b"]))
    assert found.estimate == 1.5
    assert np.isnan([found.low, found.high]).all()


def test_holm_is_as_published():
    assert holm({"a": 0.01, "b": 0.04, "c": 0.03}) == pytest.approx({"a": 0.03, "b": 0.06, "c": 0.06})
    assert holm({"a": 0.6, "b": 0.9}) == {"a": 1.0, "b": 1.0}
    assert holm({}) == {}


@pytest.mark.parametrize(
    ("arm", "beside", "names", "said"),
    [
        (np.ones(2), np.ones(3), np.array(["a", "b"]), "shapes"),
        (np.ones(0), np.ones(0), np.array([], dtype=str), "no pairs"),
        (np.array([np.nan]), np.ones(1), np.array(["a"]), "not finite"),
    ],
)
def test_what_cannot_be_compared_is_refused(arm, beside, names, said):
    with pytest.raises(ValueError, match=said):
        paired_effect(arm, beside, names)


def test_an_interval_of_a_rare_event_does_not_leave_out_what_some_resamples_lack():
    values = np.zeros(32)
    values[[3, 17]] = -1.0
    names = np.array([str(index) for index in range(32)])
    found = cluster_interval(values, names)
    assert found.high >= 0
    assert found.low <= -0.15
    assert sign_flip_p(values, names) > 0.3


def test_what_could_have_been_found_shrinks_with_the_root_of_the_poses():
    values = np.random.default_rng(0).normal(0, 0.1, 160)
    names = np.array([str(index) for index in range(160)])
    many, few = smallest_detectable(values, names), smallest_detectable(values[:40], names[:40])
    assert many == pytest.approx(2.8 * values.std(ddof=1) / np.sqrt(160))
    assert few == pytest.approx(2 * many, rel=0.2)
    assert np.isnan(smallest_detectable(values[:2], names[:2]))


@pytest.mark.parametrize("df", [2, 3, 5, 8])
@pytest.mark.parametrize("p", [0.9, 0.975, 0.995])
def test_student_quantiles_are_scipys(p, df):
    assert t_quantile(p, df) == pytest.approx(scipy.stats.t.ppf(p, df), rel=1e-4)


def test_with_few_clusters_the_interval_is_students():
    values = np.array([0.1, 0.4, 0.2, 0.35, 0.5])
    names = np.array(list("abcde"))
    found = cluster_interval(values, names)
    expected = scipy.stats.t.interval(0.95, 4, loc=values.mean(), scale=values.std(ddof=1) / np.sqrt(5))
    assert (found.low, found.high) == pytest.approx(expected, rel=1e-4)


def test_an_interval_stays_within_what_the_mean_can_be():
    values = np.array([0.9, 1.0, 0.2, 1.0])
    found = cluster_interval(values, np.array(list("abcd")), bounds=(0.0, 1.0))
    assert (found.low >= 0.0, found.high) == (True, 1.0)


def test_the_interval_holds_its_level_with_few_clusters():
    rng = np.random.default_rng(5)
    names = np.repeat(np.arange(5).astype(str), 3)
    held = 0
    for repeat in range(1000):
        values = np.repeat(rng.normal(0.3, 0.1, 5), 3) + rng.normal(0, 0.05, 15)
        found = cluster_interval(values, names, seed=repeat)
        held += found.low <= 0.3 <= found.high
    assert 0.92 <= held / 1000 <= 0.97
