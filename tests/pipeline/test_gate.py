"""The quality gate: tries, what becomes of them, and who pays."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest

from posegen.errors import EstimatorError, ImageFailedError, ParameterError
from posegen.images import read_metadata
from posegen.journal import read_run
from posegen.parameters import BatchParameters, check
from posegen.pipeline import estimators
from posegen.pipeline.candidates import SEEDS, candidate_task, made_task
from posegen.pipeline.paying import accounts_of
from posegen.pipeline.plan import Plan, build_plan, task_id
from posegen.pipeline.run import open_run, resume, start
from posegen.pipeline.summary import RunSummary
from posegen.settings import STARTING_GRANT, Settings
from tests.pipeline.conftest import PlainBackend
from tests.pipeline.scripted import ScriptedPool

Gated = Callable[..., RunSummary]


def quiet(_: object) -> None:
    """Show nothing."""


def plan(**values: Any) -> Plan:
    given = {
        "backend": "plain", "width": 256, "height": 256, "poses": ["standing_relaxed", "walking_stride"],
        "run_id": "r", "min_oks": 0.9, "max_candidates": 3,
    }  # fmt: skip
    return build_plan(check(BatchParameters, {**given, **values}))


@pytest.fixture
def measuring(settings: Settings) -> Settings:
    return settings.model_copy(update={"estimator": "auto"})


@pytest.fixture
def pool(monkeypatch: pytest.MonkeyPatch) -> ScriptedPool:
    pool = ScriptedPool()
    monkeypatch.setattr(estimators, "shared_pool", lambda *_: pool)
    return pool


@pytest.fixture
def gated(backend: PlainBackend, measuring: Settings, pool: ScriptedPool) -> Gated:
    """Return what makes a run whose tries are off by so many pixels."""

    def make(off_px: list[float | None], **values: Any) -> RunSummary:
        pool.script = lambda task: off_px[task.candidate]
        return start(plan(**values), measuring).wait(quiet)

    return make


def files(summary: RunSummary, folder: str) -> int:
    return len(list((summary.folder / folder).iterdir()))


def spent(settings: Settings) -> int:
    return STARTING_GRANT - accounts_of(settings).balance("local")


def test_an_image_above_the_bar_is_taken_at_once(gated: Gated, measuring: Settings) -> None:
    summary = gated([0, 0, 0])
    assert (summary.state.made, summary.state.rejected, files(summary, "images")) == (2, {}, 2)
    assert summary.facts()["rejected"] == 0
    assert spent(measuring) == 60


def test_one_below_it_is_tried_again_with_the_next_seed(
    gated: Gated, measuring: Settings, backend: PlainBackend
) -> None:
    summary = gated([30, 0, 0])
    state = summary.state
    assert {task_id: len(events) for task_id, events in state.rejected.items()} == dict.fromkeys(
        state.records, 1
    )
    for task in state.tasks:
        record = state.records[task.task_id]
        assert (record.task_id, record.candidate, record.notes) == (task.task_id, 1, ())
        tried = made_task(task, record)
        assert tried.seed == (task.seed + 1) % SEEDS
        recipe = read_metadata((measuring.root / record.key).read_bytes()).recipe
        assert recipe is not None
        assert recipe.task == tried
        assert state.measurements[task.task_id].oks == 1
    assert len(backend.made) == 4
    assert spent(measuring) == 60  # for two images, however many tries


def test_the_others_are_dropped_or_kept(gated: Gated) -> None:
    summary = gated([30, 0, 0])
    assert (files(summary, "images"), files(summary, "thumbnails")) == (2, 2)
    kept = gated([30, 0, 0], run_id="kept", keep_rejected=True)
    assert (files(kept, "images"), files(kept, "thumbnails")) == (4, 4)


def test_if_none_reaches_the_bar_the_best_is_kept_and_says_so(gated: Gated, measuring: Settings) -> None:
    summary = gated([30, 15, 20])
    records = summary.state.records.values()
    assert {record.candidate for record in records} == {1}
    assert all("below min_oks 0.9: the best of 3 tries" in record.notes[-1] for record in records)
    assert (files(summary, "images"), summary.exit_code) == (2, 0)
    facts = summary.facts()
    assert (facts["below_min_oks"], facts["rejected"], facts["rejected_credits_not_charged"]) == (2, 4, 120)
    assert facts["rejected_usd"] == pytest.approx(0.04)
    assert spent(measuring) == 60
    assert [row["tries"] for row in summary.rows()] == [3, 3]


def test_nobody_found_is_below_every_bar(gated: Gated) -> None:
    summary = gated([None, 0, 0], min_oks=0.01)
    assert {record.candidate for record in summary.state.records.values()} == {1}


def test_one_candidate_is_measured_and_taken(gated: Gated) -> None:
    summary = gated([30], max_candidates=1)
    assert (summary.facts()["rejected"], summary.facts()["below_min_oks"]) == (0, 2)


def test_a_first_try_that_fails_fails_the_image(
    gated: Gated, backend: PlainBackend, measuring: Settings
) -> None:
    backend.fail = lambda request: ImageFailedError("no") if request.task.index == 0 else None
    summary = gated([0, 0, 0])
    assert (summary.state.made, summary.state.failed, spent(measuring)) == (1, 1, 30)


def test_a_later_try_that_fails_leaves_the_best_so_far(gated: Gated, backend: PlainBackend) -> None:
    backend.fail = lambda request: ImageFailedError("no") if request.task.candidate == 1 else None
    summary = gated([30, 0, 0])
    assert (summary.state.made, summary.state.failed) == (2, 0)
    assert {record.candidate for record in summary.state.records.values()} == {0}


def test_a_measurement_that_fails_once_is_made_again(
    backend: PlainBackend, measuring: Settings, pool: ScriptedPool
) -> None:
    outcomes = iter([EstimatorError("its process died"), 0.0])
    pool.script = lambda _: next(outcomes)
    summary = start(plan(poses=["standing_relaxed"]), measuring).wait(quiet)
    assert (summary.state.made, summary.state.measure_failures, len(backend.made)) == (1, {}, 1)


def test_a_try_that_cannot_be_measured_is_taken_and_the_known_ones_stay(
    backend: PlainBackend, measuring: Settings, pool: ScriptedPool
) -> None:
    pool.script = lambda task: 30.0 if task.candidate == 0 else ValueError("oops")
    summary = start(plan(), measuring).wait(quiet)
    records = summary.state.records.values()
    assert {record.candidate for record in records} == {1}
    assert all("not measured: taken without min_oks 0.9" in record.notes[-1] for record in records)
    assert (summary.facts()["taken_without_figures"], len(summary.state.measure_failures)) == (2, 2)
    assert files(summary, "images") == 4


def test_a_measurement_that_fails_at_a_stop_decides_nothing(
    backend: PlainBackend, measuring: Settings, pool: ScriptedPool
) -> None:
    pool.turn = threading.Semaphore(0)
    pool.script = lambda _: EstimatorError("its process died")
    run = start(plan(poses=["standing_relaxed"]), measuring)
    while not backend.made:
        assert run.running
    run.stop("enough")
    pool.turn.release(100)
    while run.running:
        pass
    state = read_run(measuring.root, "r")
    assert (state.made, state.rejected, state.status) == (0, {}, "interrupted")
    pool.script = lambda _: 0.0
    summary = resume("r", measuring).wait(quiet)
    assert (summary.state.made, len(backend.made)) == (1, 1)


def test_a_run_stopped_between_tries_goes_on_with_the_next(
    backend: PlainBackend, measuring: Settings, pool: ScriptedPool
) -> None:
    pool.script = lambda task: [30.0, 20.0, 0.0][task.candidate]
    pool.turn = threading.Semaphore(1)  # one measurement, then it waits
    run = start(plan(poses=["standing_relaxed"]), measuring)
    while not read_run(measuring.root, "r").rejected:
        assert run.running
    run.stop("enough")
    pool.turn.release()
    while run.running:
        pass
    state = read_run(measuring.root, "r")
    before = len(state.rejected[state.tasks[0].task_id])
    assert before in {1, 2}
    assert (state.made, state.status) == (0, "interrupted")
    pool.turn = threading.Semaphore(100)
    made_before = list(backend.made)
    summary = resume("r", measuring).wait(quiet)
    assert [record.candidate for record in summary.state.records.values()] == [2]
    assert len(backend.made) == 3
    assert len(set(backend.made)) == 3
    assert made_before == backend.made[: len(made_before)]
    assert spent(measuring) == 30


def test_a_gate_without_an_estimator_is_refused_before_anything(
    backend: PlainBackend, settings: Settings
) -> None:
    with pytest.raises(ParameterError, match=r"min_oks: 0\.9 needs an estimator; POSEGEN_ESTIMATOR is 'off'"):
        start(plan(), settings)
    assert not (settings.root / "runs/r/journal").exists()


def test_exports_and_recipes_are_of_the_image_that_was_kept(gated: Gated, measuring: Settings) -> None:
    summary = gated([30, 0, 0], exports=["tiktok"])
    task = summary.state.tasks[0]
    record = summary.state.records[task.task_id]
    assert summary.state.exports[task.task_id]["tiktok"].source_sha256 == record.sha256
    facts = open_run("r", measuring).task_facts(task.task_id)
    assert facts["recipe"]["task"]["seed"] == (task.seed + 1) % SEEDS
    assert facts["accuracy"]["oks"] == 1
    assert len(facts["rejected"]) == 1


@pytest.mark.parametrize(
    ("values", "problem"),
    [
        ({"min_oks": 0}, "min_oks"),
        ({"min_oks": 1.2}, "min_oks"),
        ({"min_oks": None}, "max_candidates: needs min_oks"),
        ({"max_candidates": 0}, "max_candidates"),
        ({"poses": None, "prompts": ["a tree"]}, "min_oks: 0.9 needs poses"),
        ({"estimator": "off"}, "min_oks: 0.9 needs an estimator, and it is 'off'"),
        ({"estimator": "mediapip"}, "did you mean 'mediapipe'"),
        ({"estimator_options": {"a": 1}}, "they need an estimator by name"),
        ({"estimator": "mediapipe", "estimator_options": {"a": 1}}, "estimator_options"),
    ],
)
def test_what_cannot_be_is_refused(backend: PlainBackend, values: dict[str, Any], problem: str) -> None:
    with pytest.raises(ParameterError, match=problem):
        plan(**values)


def test_a_plan_says_how_many_may_be_made(backend: PlainBackend) -> None:
    notes = " ".join(plan().notes)
    assert "up to 6 are made, and 2 are charged" in notes
    backend.paid = True  # type: ignore[misc]
    assert "the provider is paid for every one" in " ".join(plan().notes)


def test_the_first_candidate_is_the_task_itself(backend: PlainBackend) -> None:
    task = plan().tasks[0]
    assert candidate_task(task, 0) is task
    second = candidate_task(task, 1)
    assert second.task_id == task_id(second) != task.task_id
