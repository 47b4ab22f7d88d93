"""Images of runs that are there, measured later or again."""

from __future__ import annotations

from typing import Any

import pytest

from posegen.accuracy.estimator import EstimatorInfo
from posegen.accuracy.registry import EstimatorSpec
from posegen.errors import ParameterError, RunNotFoundError, RunOwnedError, UnknownNameError
from posegen.journal import RunLease, read_run
from posegen.parameters import BatchParameters, check
from posegen.pipeline import measure_run as measuring
from posegen.pipeline.measure_run import measure_run
from posegen.pipeline.plan import build_plan
from posegen.pipeline.run import start
from posegen.settings import Settings
from tests.pipeline.conftest import PlainBackend
from tests.pipeline.scripted import ScriptedPool


def quiet(_: object) -> None:
    """Show nothing."""


@pytest.fixture
def pool(monkeypatch: pytest.MonkeyPatch) -> ScriptedPool:
    pool = ScriptedPool()
    monkeypatch.setattr(measuring, "shared_pool", lambda *_: pool)
    monkeypatch.setattr(measuring, "estimator_of", lambda *_: EstimatorSpec("scripted"))
    return pool


@pytest.fixture
def made(backend: PlainBackend, settings: Settings) -> Settings:
    """Leave a finished run `r` of two images, not measured."""
    given: dict[str, Any] = {"backend": "plain", "width": 256, "height": 256, "run_id": "r"}
    poses = ["standing_relaxed", "walking_stride"]
    start(build_plan(check(BatchParameters, {**given, "poses": poses})), settings).wait(quiet)
    return settings


def test_what_has_no_figures_gets_them_and_the_run_stays_as_it_is(made: Settings, pool: ScriptedPool) -> None:
    summary = measure_run("r", settings=made).wait(quiet)
    assert [one.oks for one in summary.state.measurements.values()] == [1, 1]
    assert (summary.state.status, summary.state.made) == ("finished", 2)
    assert [attempt.kind for attempt in summary.state.attempts] == ["batch", "measure"]


def test_a_second_call_does_nothing_unless_it_is_to_measure_again(
    made: Settings, pool: ScriptedPool, capsys: pytest.CaptureFixture[str]
) -> None:
    measure_run("r", settings=made).wait(quiet)
    assert len(measure_run("r", settings=made).wait(quiet).state.attempts) == 2
    assert "has no images left to measure" in capsys.readouterr().out
    pool.script = lambda _: 30.0
    state = measure_run("r", settings=made, again=True).wait(quiet).state
    assert all(one.oks < 0.9 for one in state.measurements.values())
    assert len(pool.seen) == 4


def test_failed_measurements_are_tried_again(made: Settings, pool: ScriptedPool) -> None:
    pool.script = lambda task: ValueError("odd") if task.index else 0.0
    first = measure_run("r", settings=made).wait(quiet).state
    assert (len(first.measurements), len(first.measure_failures)) == (1, 1)
    pool.script = lambda _: 0.0
    second = measure_run("r", settings=made).wait(quiet).state
    assert (len(second.measurements), len(second.measure_failures)) == (2, 0)


def test_somebody_elses_run_is_left_alone(made: Settings, pool: ScriptedPool) -> None:
    with RunLease.acquire(made.root, "r"), pytest.raises(RunOwnedError):
        measure_run("r", settings=made)
    assert len(read_run(made.root, "r").attempts) == 1


def test_wrong_names_are_refused(made: Settings) -> None:
    with pytest.raises(RunNotFoundError):
        measure_run("q", settings=made)
    with pytest.raises(UnknownNameError, match="did you mean 'mediapipe'"):
        measure_run("r", estimator="mediapip", settings=made)
    with pytest.raises(ParameterError, match="'off' measures nothing"):
        measure_run("r", estimator="off", settings=made)


def test_figures_of_two_estimators_are_not_put_side_by_side(made: Settings, pool: ScriptedPool) -> None:
    pool.script = lambda task: ValueError("odd") if task.index else 0.0
    measure_run("r", settings=made).wait(quiet)
    pool.info = EstimatorInfo("other", "2", "ff" * 32)
    with pytest.raises(ParameterError, match=r"other 2 is not what measured the others \(scripted 1.0\)"):
        measure_run("r", settings=made)
    pool.script = lambda _: 0.0
    state = measure_run("r", settings=made, again=True).wait(quiet).state
    assert {one.estimator for one in state.measurements.values()} == {"other"}
