import pytest

from posegen.experiments import tables
from posegen.experiments.results import analyse
from posegen.experiments.tables import Table, interval, number, probability
from tests.experiments.conftest import a_score


@pytest.fixture(scope="module")
def results(state, plan, scores):
    return analyse(state, plan.design, scores)


def test_numbers_for_people():
    assert (number(0.12345), number(-0.00001, signed=True), number(float("nan")), number(None)) == (
        "0.123", "+0.000", "–", "–",
    )  # fmt: skip
    assert (probability(0.00001), probability(0.03), probability(float("nan"))) == ("< 0.0001", "0.0300", "–")
    assert interval(-0.1, 0.2) == "[-0.100, +0.200]"
    assert interval(float("nan"), float("nan")) == "none: fewer than 3 poses"


def test_every_arm_has_a_level_and_every_other_one_an_effect(results):
    assert [row["arm"] for row in tables.levels(results).rows] == [arm["name"] for arm in results.arms]
    assert [row["arm"] for row in tables.effects(results).rows] == [
        "control~20",
        "control~3",
        "shuffled",
        "direct",
    ]
    assert tables.levels(results).rows[0]["what"] == "none, synthetic, circular"
    assert "Holm: over the table's 40 comparisons" in tables.other_effects(results).note


def test_strata_name_their_kind(results):
    rows = tables.strata(results, "posture", "side").rows
    assert {(row["kind"], row["of"]) for row in rows} == {
        ("posture", "upright"), ("posture", "lying"), ("posture", "inverted"), ("side", "front"),
    }  # fmt: skip
    with pytest.raises(ValueError, match="'colour' is no kind"):
        tables.strata(results, "colour")


def test_joints_and_the_estimators_bias(results):
    rows = tables.joints(results).rows
    assert len(rows) == 17
    assert rows[0]["bias_of_estimator"].endswith("%")


def test_the_order_of_arms_is_said(results):
    assert "The measured order of the arms is right:" in tables.attenuation(results).note


def test_claims_and_published_figures_have_their_sources():
    assert "nobody has measured it" in repr(tables.claims())
    assert "HumanSD, ICCV 2023" in tables.published().note


def test_what_measured_is_named(results):
    assert "abc" in repr(tables.environment(results))


def test_a_table_is_text_and_safe_html():
    table = Table([{"a_b": "<script>", "n": None}], title="T", note="N & n")
    assert repr(table) == "a b       n\n<script>"
    assert "&lt;script&gt;" in table._repr_html_()
    assert "N &amp; n" in table._repr_html_()
    assert repr(Table([])) == "nothing to show"
    assert "nothing to show" in Table([])._repr_html_()


@pytest.fixture(scope="module")
def lossy(state, plan, scores):
    lost = [
        a_score(score.arm, score.cell, oks=None, status="failed", pose=score.pose)
        if (score.arm, score.cell) == ("none", 0)
        else score
        for score in scores
    ]
    return analyse(state, plan.design, lost)


def test_what_is_left_out_is_said_beside_the_levels(results, lossy):
    table = tables.levels(lossy)
    counts = {row["arm"]: (row["images"], row["failed"], row["compared"]) for row in table.rows}
    assert counts["none"] == (4, 1, 4)
    assert counts["direct"] == (5, 0, 4)
    said = "Over the 4 cells scored in every arm; 1 others are left out."
    for shown in (table, tables.strata(lossy, "posture"), tables.joints(lossy)):
        assert said in shown.note
    assert "failed" not in tables.levels(results).rows[0]
    assert "Over the" not in tables.levels(results).note


def test_figures_that_are_not_comparable_are_marked(state, plan, scores):
    apart = [
        a_score(score.arm, score.cell, oks=None, status="failed", pose=score.pose)
        if (score.arm == "none") == (score.cell < 3)
        else score
        for score in scores
    ]
    results = analyse(state, plan.design, apart)
    assert "not to be set side by side" in tables.levels(results).note
    table = tables.strata(results, "side")
    assert table.rows[0]["direct"].endswith("*")
    assert "*: no cell was scored in every arm" in table.note
