"""Every image is measured beside its making, and nothing waits or fails for it."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np
import pytest

from posegen.errors import EstimatorError, ParameterError
from posegen.journal import ImageMeasured, MeasureFailed, read_run, read_segments
from posegen.parameters import BatchParameters, check
from posegen.pipeline import attempt as attempt_module
from posegen.pipeline import estimators
from posegen.pipeline.figure_place import figure_keypoints
from posegen.pipeline.measure_step import accuracy_target, unmeasured
from posegen.pipeline.plan import Plan, build_plan
from posegen.pipeline.run import resume, start
from posegen.pipeline.sheet import FOUND_COLOR, TARGET_COLOR, skeletons
from posegen.poses.library import PoseLibrary
from posegen.poses.targets import keypoints
from posegen.records import View
from posegen.settings import Settings
from posegen.skeletons import COCO_FROM_OPENPOSE
from tests.pipeline.conftest import PlainBackend
from tests.pipeline.scripted import INFO, ScriptedPool

POSES = ["standing_relaxed", "walking_stride", "yoga_warrior_two"]


def quiet(_: object) -> None:
    """Show nothing."""


def plan(**values: Any) -> Plan:
    given = {"backend": "plain", "width": 256, "height": 256, "poses": POSES, "run_id": "r"}
    return build_plan(check(BatchParameters, {**given, **values}))


@pytest.fixture
def measuring(settings: Settings, backend: PlainBackend) -> Settings:
    return settings.model_copy(update={"estimator": "auto"})


@pytest.fixture
def pool(monkeypatch: pytest.MonkeyPatch) -> ScriptedPool:
    pool = ScriptedPool()
    monkeypatch.setattr(estimators, "shared_pool", lambda *_: pool)
    return pool


def test_every_image_is_measured_by_default(measuring: Settings, pool: ScriptedPool) -> None:
    pool.script = lambda task: None if task.index == 2 else 0.0
    summary = start(plan(), measuring).wait(quiet)
    found = [summary.state.measurements[task.task_id] for task in summary.state.tasks]
    assert [one.oks for one in found] == [1, 1, 0]
    assert [one.detected for one in found] == [True, True, False]
    assert {one.weights_sha256 for one in found} == {INFO.weights_sha256}
    facts = summary.facts()
    assert (facts["measured"], facts["mean_oks"], facts["detected"]) == (3, 0.667, 0.667)
    assert facts["estimator"] == "scripted 1.0"
    assert [row["oks"] for row in summary.rows()] == [1, 1, 0]
    assert "oks" in summary.columns


def test_nothing_is_measured_when_it_is_off(
    settings: Settings, measuring: Settings, pool: ScriptedPool
) -> None:
    off = start(plan(), settings).wait(quiet)
    also_off = start(plan(run_id="s", estimator="off"), measuring).wait(quiet)
    assert (off.state.measurements, also_off.state.measurements, pool.seen) == ({}, {}, [])
    assert "measured" not in off.facts()
    assert "oks" not in off.columns


def test_images_from_text_alone_are_not_measured(measuring: Settings, pool: ScriptedPool) -> None:
    summary = start(plan(poses=None, prompts=["a tree"]), measuring).wait(quiet)
    assert (summary.state.made, summary.state.measurements, pool.opened) == (1, {}, 0)


def test_making_does_not_wait_for_measuring(measuring: Settings, pool: ScriptedPool) -> None:
    pool.turn = threading.Semaphore(0)
    run = start(plan(concurrency=1), measuring)
    while read_run(measuring.root, "r").made < len(POSES):
        assert run.running
    assert read_run(measuring.root, "r").measurements == {}
    pool.turn.release(100)
    assert len(run.wait(quiet).state.measurements) == len(POSES)


@pytest.mark.parametrize("error", [EstimatorError("its process died"), ValueError("odd"), MemoryError()])
def test_a_failing_measurement_fails_no_image(
    measuring: Settings, pool: ScriptedPool, error: Exception
) -> None:
    pool.script = lambda task: error if task.index == 0 else 0.0
    summary = start(plan(), measuring).wait(quiet)
    assert (summary.state.made, summary.state.failed, summary.exit_code) == (3, 0, 0)
    assert (len(summary.state.measurements), len(summary.state.measure_failures)) == (2, 1)
    assert summary.facts()["not_measured"] == 1
    code = next(iter(summary.state.measure_failures.values())).code
    assert code == ("ESTIMATOR_FAILED" if isinstance(error, EstimatorError) else "MEASURE_ERROR")


@pytest.mark.parametrize("lacks", [EstimatorError("no weights"), OSError("no weights")])
def test_an_estimator_that_cannot_be_opened_is_asked_once(
    measuring: Settings, pool: ScriptedPool, lacks: Exception
) -> None:
    pool.lacks = lacks
    summary = start(plan(), measuring).wait(quiet)
    assert (summary.state.made, len(summary.state.measure_failures), pool.opened) == (3, 3, 1)
    assert "no weights" in summary.rows()[0]["measure_failure"]


def test_a_changed_file_is_not_measured(measuring: Settings, pool: ScriptedPool) -> None:
    pool.turn = threading.Semaphore(0)
    run = start(plan(poses=POSES[:2], concurrency=1), measuring)
    while read_run(measuring.root, "r").made < 2:
        assert run.running
    last = run.state().tasks[1]
    (measuring.root / run.state().records[last.task_id].key).write_bytes(b"something else")
    pool.turn.release(100)
    failure = run.wait(quiet).state.measure_failures[last.task_id]
    assert "is not the image that was journalled" in failure.message


def test_what_was_stopped_before_it_was_measured_is_measured_by_the_next_attempt(
    measuring: Settings, pool: ScriptedPool
) -> None:
    pool.turn = threading.Semaphore(0)
    run = start(plan(), measuring)
    while read_run(measuring.root, "r").made < len(POSES):
        assert run.running
    run.stop("enough")
    pool.turn.release(1)
    while run.running:
        pass
    state = read_run(measuring.root, "r")
    assert state.status == "interrupted"
    left = len(unmeasured(state))
    assert left >= 2
    pool.turn.release(100)
    summary = resume("r", measuring).wait(quiet)
    assert (summary.state.status, len(summary.state.measurements)) == ("finished", 3)
    assert len(pool.seen) == len(POSES)


def test_measurements_are_journalled_after_their_images(measuring: Settings, pool: ScriptedPool) -> None:
    start(plan(), measuring).wait(quiet)
    events = [e for s in read_segments(measuring.root / "runs/r/journal") for e in s.events]
    names = [type(event).__name__ for event in events]
    for task in plan().tasks:
        stored = next(
            i for i, e in enumerate(events) if getattr(e, "record", None) and e.record.task_id == task.task_id
        )  # type: ignore[union-attr]
        measured = next(
            i for i, e in enumerate(events) if isinstance(e, ImageMeasured) and e.task_id == task.task_id
        )
        assert stored < measured
    assert names[-1] == "AttemptFinished"
    assert not [e for e in events if isinstance(e, MeasureFailed)]


def test_a_target_is_where_the_pose_was_asked_for(backend: PlainBackend) -> None:
    task = plan(views=["35m"], width=512, height=256, poses=POSES[:1]).tasks[0]
    pose = PoseLibrary.builtin().get(POSES[0])
    expected = keypoints(pose, View(35.0, mirrored=True), 512, 256)[list(COCO_FROM_OPENPOSE)]
    same = accuracy_target(task, 512, 256)
    assert same is not None
    np.testing.assert_allclose(same.keypoints, expected)
    twice = accuracy_target(task, 1024, 512)
    assert twice is not None
    np.testing.assert_allclose(twice.keypoints[:, :2], 2 * expected[:, :2] + 0.5)
    assert twice.body_height_px == pytest.approx(2 * same.body_height_px)
    assert np.ptp(expected[:, 1]) < same.body_height_px < 1.3 * np.ptp(expected[:, 1])


def test_both_skeletons_lie_over_the_contact_sheet(measuring: Settings, pool: ScriptedPool) -> None:
    pool.script = lambda task: None if task.index == 2 else 4.0
    state = start(plan(), measuring).wait(quiet).state
    first, last = state.tasks[0], state.tasks[2]
    strokes = skeletons(first, state.records[first.task_id], state.measurements[first.task_id])
    assert [stroke.color for stroke in strokes] == [TARGET_COLOR, FOUND_COLOR]
    np.testing.assert_allclose(strokes[1].segments[..., 0] - strokes[0].segments[..., 0], 4 / 256, atol=0.001)
    nobody = skeletons(last, state.records[last.task_id], state.measurements[last.task_id])
    assert [stroke.color for stroke in nobody] == [TARGET_COLOR]


def test_exports_are_cut_round_what_was_found(measuring: Settings, pool: ScriptedPool) -> None:
    pool.script = lambda _: 40.0
    state = (
        start(plan(poses=POSES[:1], exports=["tiktok"], conditioning="prompt"), measuring).wait(quiet).state
    )
    task = state.tasks[0]
    record, found = state.records[task.task_id], state.measurements[task.task_id]
    points = figure_keypoints(task, record, found)
    target = accuracy_target(task, 256, 256)
    assert points is not None
    assert target is not None
    assert points[0, 0] == pytest.approx(target.keypoints[0, 0] + 40, abs=0.1)
    assert "tiktok" in state.exports[task.task_id]
    assert figure_keypoints(task, record, None) is None


def test_exports_left_by_a_stop_are_cut_round_what_is_found_later(
    measuring: Settings, pool: ScriptedPool
) -> None:
    pool.turn = threading.Semaphore(0)
    run = start(plan(poses=POSES[:1], exports=["tiktok"], conditioning="prompt"), measuring)
    while not read_run(measuring.root, "r").made:
        assert run.running
    run.stop("enough")
    pool.turn.release(0 + 1)
    while run.running:
        pass
    before = read_run(measuring.root, "r")
    assert bool(before.exports) == bool(before.measurements), "no export without what is found"
    pool.turn.release(100)
    state = resume("r", measuring).wait(quiet).state
    assert (len(state.exports), len(state.measurements)) == (1, 1)


def test_a_run_whose_estimator_is_gone_goes_on_unmeasured(
    measuring: Settings, pool: ScriptedPool, monkeypatch: pytest.MonkeyPatch
) -> None:
    pool.turn = threading.Semaphore(0)
    run = start(plan(estimator="mediapipe"), measuring)
    run.stop("enough")
    pool.turn.release(100)
    while run.running:
        pass

    def gone(*_: object) -> None:
        raise ParameterError("estimator", "its file is gone")

    monkeypatch.setattr(attempt_module, "estimators_for", gone)
    summary = resume("r", measuring).wait(quiet)
    assert (summary.state.status, summary.state.made) == ("finished", 3)
