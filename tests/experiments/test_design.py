import msgspec
import pytest

from posegen.errors import ParameterError
from posegen.experiments.design import Design, interleaved
from posegen.journal import RunState
from posegen.parameters import read_arm
from tests.experiments.conftest import POSES, planned


def test_a_task_is_where_its_cell_and_arm_say(plan):
    design = plan.design
    assert (design.cells, len(design.tasks)) == (5, 20)
    for cell, pose in enumerate(POSES):
        for arm in design.arms:
            task = design.task(arm, cell)
            assert (task.pose_id, task.seed) == (pose, design.tasks[cell * 4].seed)
    assert [task.index for task in design.tasks] == list(range(20))


def test_it_is_rebuilt_from_the_journal_alone(plan):
    again = Design.of_run(RunState(run_id="e", spec=plan.spec, spec_hash="x", tasks=plan.tasks))
    assert again.arms == plan.design.arms
    assert again.tasks == plan.design.tasks
    assert again.partners == plan.design.partners


def test_partners_are_another_pose_in_the_same_view_and_repeat():
    design = planned(views=[0, 90], images_per_pose=2).design
    for cell, partner in enumerate(design.partners):
        one, other = design.task(design.arms[0], cell), design.task(design.arms[0], partner)
        assert one.pose_id != other.pose_id
        assert (one.view, one.user_prompt) == (other.view, other.user_prompt)
        assert design.repeats[cell] == design.repeats[partner]
    assert sorted(design.partners) == list(range(design.cells))
    assert design.partners != planned(views=[0, 90], images_per_pose=2, seed=1).design.partners


@pytest.mark.parametrize(
    ("arms", "source"),
    [
        (["none", "control@0", "control@1", "control@0.5", "direct", "shuffled"], "control@1"),
        (["none", "direct", "shuffled"], "direct"),
        (["none", "prompt", "shuffled"], "none"),
        (["none", "control~12", {"conditioning": "shuffled", "of": "none"}], "none"),
    ],
)
def test_shuffled_scores_the_best_controlled_arm_or_the_one_named(plan, arms, source):
    design = Design(tuple(read_arm(arm) for arm in arms), "none", plan.tasks, 0)
    assert design.source(design.arm("shuffled")).name == source


def test_a_batch_is_no_experiment(plan):
    with pytest.raises(ParameterError, match="is no experiment"):
        Design.of_run(RunState(run_id="b", spec={"poses": ["x"]}, spec_hash="x", tasks=plan.tasks))
    with pytest.raises(ParameterError, match="is no experiment"):
        Design.of_run(RunState(run_id="b"))


def test_tasks_that_are_not_its_arms_are_refused(plan):
    for tasks in (plan.tasks[1:], (*plan.tasks[:1], *plan.tasks[2:], plan.tasks[1])):
        with pytest.raises(ParameterError, match="not those of its arms"):
            Design.of_run(RunState(run_id="b", spec=plan.spec, spec_hash="x", tasks=tasks))


def test_arms_of_different_length_are_refused(plan):
    with pytest.raises(ValueError, match="shorter"):
        interleaved([plan.tasks[:2], plan.tasks[:1]])
    assert msgspec.structs.replace(plan.tasks[1], index=0) in interleaved([plan.tasks[1:2]])
