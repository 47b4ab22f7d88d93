import pytest

from posegen.errors import ParameterError
from posegen.experiments.caveats import CIRCULAR, SYNTHETIC
from tests.experiments.conftest import planned


def test_the_plan_says_what_it_comes_to(plan):
    facts = plan.facts()
    assert (facts["images"], facts["poses"], facts["pairs_of_each_arm"]) == (20, 5, 5)
    assert facts["credits"] == 20 * 30
    assert facts["compared_with"] == "none"
    assert {SYNTHETIC, CIRCULAR.format(arms="none")} < set(facts["notes"])
    assert any("5 poses: with fewer than 30" in note for note in facts["notes"])
    assert repr(plan) == "<ExperimentPlan: 20 images, 600 credits>"


def test_its_table_names_every_arm_the_baseline_and_chance(plan):
    page = plan._repr_html_()
    assert "none (baseline)" in page
    assert "images of &#x27;control~3&#x27; against another pose" in page
    assert "joint_noise_deg 20.0" in page


def test_images_share_everything_but_the_arm(plan):
    for first in range(0, 20, 4):
        cell = plan.tasks[first : first + 4]
        assert len({(task.pose_id, task.seed, task.width, task.negative_prompt) for task in cell}) == 1
        assert len({task.task_id for task in cell}) == 4


def test_equal_arms_are_refused_unless_they_are_replicates():
    with pytest.raises(ParameterError, match="'control' and 'direct' are the same images"):
        planned(arms=["control", "direct"])
    again = {"name": "again", "conditioning": "control", "seed_offset": 1}
    tasks = planned(arms=["control", again]).tasks
    assert tasks[0].seed != tasks[1].seed
    assert tasks[0].pose_id == tasks[1].pose_id


def test_one_pose_cannot_be_shuffled():
    with pytest.raises(ParameterError, match="two poses or more in every view"):
        planned(poses=["waving_hello"])


def test_the_same_pose_twice_is_one_pair():
    assert planned(poses=["waving_hello", "walking_stride", "waving_hello"]).design.cells == 2


def test_another_backend_has_its_ceiling_from_the_renderer():
    plan = planned(backend="fal", arms=["control@0", "control@1", "shuffled", "direct"])
    assert plan.backends == ("fal", "figure")
    assert plan.facts()["lacks"]
    assert any(note.startswith("Partly synthetic: arms direct were") for note in plan.notes)
    assert not any(note.startswith("Circular") for note in plan.notes)


def test_what_may_differ_between_attempts_is_not_in_the_spec(plan):
    assert planned(concurrency=1, run_id="other").spec_hash == plan.spec_hash
    assert planned(seed=1).spec_hash != plan.spec_hash
