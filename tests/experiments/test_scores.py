import copy
import json

import msgspec
import numpy as np
import pytest

from posegen.experiments.design import Design
from posegen.experiments.nearest import Nearest
from posegen.experiments.scores import score_run, target_of
from posegen.journal import TaskFailed
from posegen.pipeline.measure_step import accuracy_target
from posegen.poses.library import PoseLibrary
from tests.experiments.conftest import finished, planned


def of_arm(scores, arm):
    return [score for score in scores if score.arm == arm]


def test_every_arm_has_every_cell_once(scores):
    assert [(score.cell, score.arm) for score in scores[:6]] == [
        (0, "none"), (0, "control~20"), (0, "control~3"), (0, "shuffled"), (0, "direct"), (1, "none"),
    ]  # fmt: skip
    assert len(scores) == 25
    assert {score.status for score in scores} == {"scored"}


def test_figures_are_those_of_the_journal(scores, state):
    for score in of_arm(scores, "control~20"):
        measurement = state.measurements[score.task_id]
        assert (score.oks, score.pck_10, score.mean_error) == (
            measurement.oks, measurement.pck_10, measurement.mean_error,
        )  # fmt: skip


def test_a_good_estimator_reads_what_was_drawn(scores):
    for score in scores:
        assert score.oks == pytest.approx(score.true_oks, abs=0.08)
    assert all(score.nearest_is_right for score in of_arm(scores, "direct"))


def test_shuffled_is_the_source_against_another_pose(scores, plan):
    for chance, source in zip(of_arm(scores, "shuffled"), of_arm(scores, "control~3"), strict=True):
        assert chance.task_id == source.task_id
        assert chance.scored_against != chance.pose == source.pose
        assert chance.oks < source.oks - 0.1
        assert not chance.nearest_is_right
    assert np.mean([score.oks for score in of_arm(scores, "shuffled")]) < 0.4


def test_joints_add_up_to_pck(scores, state, plan):
    score = of_arm(scores, "control~20")[0]
    errors = [error for error in score.joint_errors if error is not None]
    task = plan.design.task(plan.design.arm("control~20"), 0)
    assert len(errors) == target_of(task, state.records[task.task_id]).counted.sum()
    assert np.mean(np.array(errors) <= 0.1) == pytest.approx(score.pck_10, abs=1e-4)
    assert len(score.joint_rise) == 17


def test_nobody_found_is_0_and_a_failed_image_is_nothing(state):
    changed = copy.copy(state)
    changed.records, changed.measurements = dict(state.records), dict(state.measurements)
    nobody, failed, unmeasured, pending = (task.task_id for task in state.tasks[:4])
    empty = msgspec.structs.replace(
        state.measurements[nobody], people=0, oks=0.0, pck_10=0.0, pck_20=0.0, mean_error=None,
        angle_error_deg=None, keypoints=(),
    )  # fmt: skip
    changed.measurements[nobody] = empty
    changed.failures = {failed: TaskFailed(task_id=failed, code="X", message="x")}
    for task_id in (failed, pending):
        del changed.records[task_id]
    for task_id in (failed, unmeasured, pending):
        del changed.measurements[task_id]
    found = score_run(changed, Design.of_run(state))[:5]
    assert [score.status for score in found] == ["scored", "failed", "unmeasured", "unmeasured", "pending"]
    assert (found[0].oks, found[0].ar, found[0].detected, found[0].swapped) == (0.0, 0.0, False, None)
    assert (found[0].nearest_pose, found[0].nearest_is_right) == (None, False)
    assert set(found[0].joint_errors) <= {None, float("inf")}
    assert (found[1].oks, found[1].detected) == (None, None)


def test_an_image_of_another_size_is_scored_at_its_own(state, plan):
    changed = copy.copy(state)
    task = plan.design.task(plan.design.arm("direct"), 0)
    record = msgspec.structs.replace(state.records[task.task_id], width=512, height=512)
    points = np.array(state.measurements[task.task_id].keypoints).reshape(17, 3)
    points[:, :2] = (points[:, :2] + 0.5) * 2 - 0.5
    doubled = msgspec.structs.replace(state.measurements[task.task_id], keypoints=tuple(points.ravel()))
    changed.records = {**state.records, task.task_id: record}
    changed.measurements = {**state.measurements, task.task_id: doubled}
    before, after = (of_arm(score_run(s, plan.design), "direct")[0] for s in (state, changed))
    assert after.true_oks == pytest.approx(before.true_oks, abs=1e-3)
    assert after.joint_errors == pytest.approx(before.joint_errors, abs=2e-3, nan_ok=True)
    assert after.nearest_pose == before.nearest_pose


def test_the_target_is_the_one_that_images_are_measured_by(state, plan):
    task = plan.tasks[0]
    record = state.records[task.task_id]
    assert target_of(task, record) is accuracy_target(task, record.width, record.height)
    with pytest.raises(ValueError, match="has no pose"):
        target_of(msgspec.structs.replace(task, pose=None), record)


def test_what_is_like_no_pose_has_no_nearest_one(state, plan):
    task = plan.tasks[0]
    record = state.records[task.task_id]
    nearest = Nearest(list(PoseLibrary.builtin()))
    far = np.full((17, 3), 1e6)
    assert nearest.to(far, task, record) is None
    near = np.array(state.measurements[task.task_id].keypoints).reshape(17, 3)
    assert nearest.to(near, task, record) is not None


def test_a_library_of_ones_own_is_not_read_again(tmp_path):
    path = tmp_path / "own.json"
    angles = {"left_shoulder.elevation": 165, "left_shoulder.plane": 40, "both_hip.abduction": 6}
    mine = {
        "id": "mine", "name": "Mine", "description": "one arm raised", "tags": ["arm"], "difficulty": "easy",
        "angles": angles,
    }  # fmt: skip
    path.write_text(json.dumps({"category": "standing", "poses": [mine]}))
    plan = planned(poses=["walking_stride", "mine"], pose_library=str(path), arms=["control", "control~3"])
    state = finished(plan)
    before = score_run(state, plan.design)
    twin = {**mine, "id": "a_twin"}
    path.write_text(json.dumps({"category": "dance", "poses": [twin, mine]}))
    assert score_run(state, plan.design) == before
    path.unlink()
    assert score_run(state, plan.design) == before
    assert {(score.pose, score.category) for score in before if score.pose == "mine"} == {("mine", "own")}
    assert all(score.nearest_is_right for score in before)
