import msgspec
import pytest
from PIL import Image

from posegen.experiments import figures
from posegen.experiments.results import analyse
from tests.experiments.conftest import finished, planned


@pytest.fixture(scope="module")
def results(state, plan, scores):
    return analyse(state, plan.design, scores)


def texts(drawing):
    return [text.get_text() for text in drawing.figure.axes[0].get_yticklabels()]


def test_every_arm_is_on_the_figures(results, scores):
    arms = [arm["name"] for arm in results.arms]
    assert texts(figures.levels(results, scores)) == arms
    assert texts(figures.forest(results)) == arms[1:]
    assert texts(figures.joints(results)) == arms
    assert texts(figures.strata(results, "posture")) == ["inverted (1)", "lying (1)", "upright (3)"]


def test_figures_say_that_they_are_synthetic(results, scores):
    for drawing in (
        figures.levels(results, scores),
        figures.forest(results, "mean_error"),
        figures.dose(results),
    ):
        assert "(synthetic pictures)" in repr(drawing)


def test_the_dose_curve_shows_truth_chance_and_ceiling(results):
    axes = figures.dose(results).figure.axes[0]
    labels = [text.get_text() for text in axes.get_legend().get_texts()]
    assert labels == ["measured, 95 %", "true (drawn joints)", "chance (shuffled)", "ceiling (direct)"]
    assert axes.get_xlabel() == "joint noise, degrees (less is better)"
    assert axes.xaxis_inverted()


def test_one_dose_is_no_curve():
    plan = planned(arms=["none", "control~3"], poses=["waving_hello", "walking_stride"])
    state = finished(plan)
    from posegen.experiments.scores import score_run

    scores = score_run(state, plan.design)
    results = analyse(state, plan.design, scores)
    assert figures.dose(results) is None
    assert texts(figures.forest(results)) == ["control~3"]  # two poses: a point without an interval


@pytest.mark.parametrize("kind", ["png", "svg", "pdf"])
def test_figures_can_be_kept(results, tmp_path, kind):
    path = figures.forest(results).save(tmp_path / f"forest.{kind}")
    assert path.stat().st_size > 1000
    if kind == "png":
        with Image.open(path) as image:
            assert image.size[0] > 800


def test_a_notebook_shows_a_picture_of_fit_width(results):
    data, metadata = figures.forest(results)._repr_mimebundle_()
    assert data["image/png"][:4] == b"\x89PNG"
    assert 600 < metadata["image/png"]["width"] < 1000


def test_images_outside_the_mean_are_hollow(state, plan, scores, results):
    lost = [
        msgspec.structs.replace(score, oks=None, status="failed")
        if (score.arm, score.cell) == ("none", 0)
        else score
        for score in scores
    ]
    axes = figures.levels(analyse(state, plan.design, lost), lost).figure.axes[0]
    assert [len(dots.get_offsets()) for dots in axes.collections] == [4, 0, 4, 1, 4, 1, 4, 1, 4, 1]
    assert "hollow: not in every arm" in axes.get_xlabel()
    assert "hollow" not in figures.levels(results, scores).figure.axes[0].get_xlabel()


def test_an_arm_may_be_called_anything(results):
    drawing = figures.forest(results)
    axes = drawing.figure.axes[0]
    axes.set_title(r"cost $\frac$ 5$", loc="left")
    axes.set_yticks(range(len(axes.get_yticks())), [r"a$^$"] * len(axes.get_yticks()))
    data, _ = drawing._repr_mimebundle_()
    assert data["image/png"][:4] == b"\x89PNG"
