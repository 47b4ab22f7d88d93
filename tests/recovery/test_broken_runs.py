"""Runs that were cut off: found at once, gone on with, nothing made twice."""

from __future__ import annotations

import subprocess
import threading
import time
from datetime import timedelta
from typing import Any

import pytest

from posegen.errors import ImageFailedError, RunInterruptedError, RunNotFoundError, StorageError
from posegen.journal import ForeignWatch, journal_folder
from posegen.parameters import RecoveryParameters
from posegen.pipeline.job import request_stop
from posegen.pipeline.run import resume
from posegen.recovery import Stopper, act, recover, repeat
from posegen.recovery.report import Recovered, RecoveryReport
from tests.faults.harness import until

pytestmark = pytest.mark.faults


def test_nothing_to_do(world: Any) -> None:
    report = world.recover()
    assert (report.rows, report.runs, report.exit_code) == ((), 0, 0)
    assert list(report.lines()) == ["0 runs looked at, 0 needed something"]
    assert world.find() == []
    assert not world.root.exists()


def test_a_killed_run_is_found_at_once_and_its_images_are_kept(world: Any, plain: Any) -> None:
    run = world.killed(images=5, nth=2)
    (found,) = world.find()
    assert (found.status, found.owner, found.action, found.why) == ("unfinished", "dead", "resume", "cut off")
    (row,) = world.recover().rows
    assert (row.action, row.result, row.kept, row.made, row.failed) == ("resume", "finished", 2, 3, 0)
    assert len(plain.made) == 3
    run.check()
    assert world.recover().rows == ()


def test_a_run_untouched_for_40_minutes_with_10_images_done(world: Any, plain: Any) -> None:
    run = world.killed(images=12, nth=10)
    world.after = timedelta(minutes=40)
    (found,) = world.find()
    assert found.quiet >= timedelta(minutes=40)
    assert found.row()["quiet"] == "40 min 0 s"
    (row,) = world.recover().rows
    assert (row.kept, row.made) == (10, 2)
    run.check()


def test_an_image_stored_and_not_journalled_is_adopted(world: Any, plain: Any) -> None:
    run = world.killed(images=3, at="image_stored", nth=1)
    (row,) = world.recover().rows
    assert (row.kept, row.adopted, row.made) == (0, 1, 2)
    run.check()


@pytest.mark.parametrize("age", [timedelta(hours=3), timedelta(days=400)])
def test_what_can_be_gone_on_with_is_whatever_its_age(world: Any, age: timedelta) -> None:
    run = world.killed(images=3, nth=1)
    world.after = age
    assert world.recover().rows[0].result == "finished"
    run.check()


def test_a_run_killed_before_its_credits_were_held(world: Any) -> None:
    run = world.killed(images=3, at="run_planned", nth=1)
    assert world.recover().rows[0].made == 3
    run.check()


def test_one_told_to_stop_is_gone_on_with(world: Any, plain: Any) -> None:
    run = world.story(images=4)
    (world.root / "runs" / "r").mkdir(parents=True)
    (world.root / "runs" / "r" / "stop").touch()
    run.start().wait()
    assert world.find()[0].status == "interrupted"
    assert world.recover().rows[0].result == "finished"
    run.check()


def test_a_word_to_stop_that_its_killed_owner_never_saw_does_not_count(world: Any) -> None:
    run = world.killed(images=3, nth=1)
    request_stop(world.root / "runs/r")
    assert world.recover().rows[0].result == "finished"
    run.check()


def test_a_running_batch_is_left_alone(world: Any, tmp_path: Any) -> None:
    run = world.story(images=3)
    child = run.start(gate=str(tmp_path / "gate"))
    until(lambda: child.lines("makes"), "it is at work")
    assert world.find()[0].why == "its owner is alive"
    assert world.recover().rows == ()
    (tmp_path / "gate").touch()
    assert child.exit_code == 0
    run.check()


@pytest.mark.parametrize(("watched_min", "action"), [(0, "wait"), (29, "wait"), (31, "resume")])
def test_another_machines_run_waits_for_30_minutes_of_watching(
    world: Any, watched_min: float, action: str
) -> None:
    run = world.killed(images=3, nth=1, host="elsewhere.invalid")
    ForeignWatch(world.root, monotonic=lambda: time.monotonic() - watched_min * 60).quiet_s("r")
    world.after = timedelta(days=1)  # no other clock counts
    assert world.find()[0].owner == "foreign"
    (row,) = world.recover().rows
    assert row.action == action
    assert world.state().status == ("finished" if action == "resume" else "unfinished")
    if action == "resume":
        run.check()
    else:
        assert "its owner is on another machine" in row.result


def test_the_stall_time_is_the_parameters(world: Any) -> None:
    world.killed(images=2, nth=1, host="elsewhere.invalid")
    ForeignWatch(world.root, monotonic=lambda: time.monotonic() - 60).quiet_s("r")
    assert world.recover(stall_after_minutes=2).rows[0].action == "wait"
    assert world.recover(stall_after_minutes=0.5).rows[0].result == "finished"


def test_a_clock_set_back_an_hour(world: Any) -> None:
    run = world.killed(images=3, nth=1)
    done = world.finished("done", images=1)
    gone = world.killed("gone", "queued", images=2, at="task_taken", nth=1)
    world.after = -timedelta(hours=1)
    found = {one.run_id: one for one in world.find()}
    assert {one.quiet for one in found.values()} == {timedelta(0)}
    assert {one.run_id: one.action for one in found.values()} == {
        "r": "resume",
        "done": "leave",
        "gone": "wait",
    }
    world.recover()
    run.check()
    done.check()
    assert gone.state.status == "unfinished"


def test_a_failing_image_is_told_by_the_exit_code(world: Any, plain: Any) -> None:
    world.killed(images=3, nth=1)
    plain.error = ImageFailedError("no", code="NO")
    report = world.recover()
    assert (report.rows[0].failed, report.exit_code) == (2, 3)
    with pytest.raises(Exception, match="2 of 3 images failed"):
        report.raise_for_failures()


def test_a_broken_run_does_not_keep_the_others_waiting(world: Any) -> None:
    world.killed("a", images=2, nth=1)
    good = world.killed("b", images=2, nth=1)
    segment = journal_folder(world.root, "a") / "0001.jsonl"
    segment.unlink()
    segment.mkdir()
    report = world.recover()
    rows = {row.run_id: row for row in report.rows}
    assert (rows["a"].action, rows["b"].result) == ("ask a person", "finished")
    assert "cannot be read" in rows["a"].result
    assert report.exit_code == 1
    with pytest.raises(Exception, match="not all went well with a"):
        report.raise_for_failures()
    good.check()


@pytest.mark.parametrize("place", ["stop", "images/.tmp-1"])
def test_a_file_that_cannot_be_removed_does_not_keep_the_others_waiting(world: Any, place: str) -> None:
    world.killed("a", images=2, nth=1)
    good = world.killed("b", images=2, nth=1)
    (world.root / "runs/a" / place).mkdir()
    rows = {row.run_id: row for row in world.recover().rows}
    assert rows["a"].fault
    assert "cannot remove" in rows["a"].result
    good.check()
    with pytest.raises(StorageError, match="cannot remove"):
        resume("a", world.settings)


def test_a_dry_run_changes_nothing(world: Any) -> None:
    world.killed("cut", images=3, nth=1)
    world.finished("done", images=1)
    (world.root / "runs/done/.tmp-1").touch()
    (world.root / "runs/done/stop").touch()
    world.after = timedelta(days=8)
    before = world.files()
    report = world.recover(dry_run=True, delete_images_of=["done"])
    assert {row.run_id: row.action for row in report.rows} == {"cut": "resume", "done": "delete images"}
    assert all(row.result.startswith("would: ") for row in report.rows)
    assert world.files() == before
    assert report.exit_code == 0


def test_a_run_that_lacked_credits_goes_on_when_they_are_there(world: Any) -> None:
    run = world.killed(images=3, at="attempt_started", nth=1)
    run.finish()
    poor = world.killed("poor", images=3, at="run_planned", nth=1)
    accounts = world.accounts
    spare = accounts.balance("ann")
    accounts.claim("drain", 1)
    accounts.hold("ann", spare, "drain", attempt=1, key="hold:drain")
    first = world.recover()
    assert first.rows[0].fault
    assert "credits are needed" in first.rows[0].result
    assert (world.state("poor").status, first.exit_code) == ("refused", 1)
    assert world.find()[0].why == "90 credits are needed and user 'ann' has 0"
    assert world.recover().rows == ()
    accounts.grant("ann", 90, key="g")
    assert world.recover().rows[0].result == "finished"
    poor.check_images(world.state("poor"))
    assert accounts.balance("ann") == 0


def test_interrupted_it_stops_cleanly_and_leaves_the_rest(world: Any, plain: Any) -> None:
    world.killed("a", images=4, nth=1)
    world.killed("b", images=4, nth=1)
    stopper = Stopper()
    plain.on_image = lambda _: stopper.stop()
    report = recover(
        RecoveryParameters(concurrency=1), world.settings, on_progress=lambda _: None, stopper=stopper
    )
    assert (report.exit_code, report.interrupted) == (5, True)
    assert [row.run_id for row in report.rows] == ["a"]
    assert (report.rows[0].result, report.rows[0].made) == ("interrupted", 1)
    assert list(report.lines())[-1] == "stopped: 2 runs looked at, 1 needed something"
    plain.on_image = lambda _: None
    assert {row.run_id: row.result for row in world.recover().rows} == {"a": "finished", "b": "finished"}


def test_a_run_stopped_by_posegen_stop_does_not_stop_the_recovery(world: Any, plain: Any) -> None:
    world.killed("a", images=4, nth=1)
    world.killed("b", images=2, nth=1)

    def stop_the_first(_: Any) -> None:
        if not plain.made:
            request_stop(world.root / "runs/a")
            until(lambda: world.state("a").attempts[-1].interrupted, "the word to stop is journalled")

    plain.on_image = stop_the_first
    report = world.recover(concurrency=1)
    assert {row.run_id: row.result for row in report.rows} == {"a": "interrupted", "b": "finished"}
    assert report.rows[0].made == 1
    assert report.exit_code == 0


def test_an_interrupt_of_this_process_ends_it(world: Any, plain: Any) -> None:
    world.killed("a", images=3, nth=1)
    interrupted = threading.Event()
    plain.on_image = lambda _: interrupted.wait(30)

    def interrupt(_: Any) -> None:
        if not interrupted.is_set():
            interrupted.set()
            raise KeyboardInterrupt

    with pytest.raises(RunInterruptedError):
        recover(RecoveryParameters(concurrency=1), world.settings, on_progress=interrupt)
    assert world.state("a").attempts[-1].interrupted == "interrupted"


def test_an_interrupt_before_a_run_is_waited_for_stops_it(
    world: Any, plain: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.killed("a", images=30, nth=1)

    def interrupted(*_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(act, "mend_notebooks", interrupted)
    with pytest.raises(KeyboardInterrupt):
        recover(RecoveryParameters(concurrency=1), world.settings)
    assert world.state("a").attempts[-1].interrupted == "interrupted"


def test_a_kernel_whose_parent_is_gone_goes_on_with_no_other_run(world: Any, plain: Any) -> None:
    for name in "ab":
        world.killed(name, images=4, nth=1)
    gone = subprocess.Popen(["true"])
    gone.wait()
    world.settings = world.settings.model_copy(update={"kernel_parent_pid": gone.pid})
    with pytest.raises(RunInterruptedError):
        world.recover()
    assert plain.made == []
    assert "is gone" in world.state("a").attempts[-1].interrupted
    assert len(world.state("b").attempts) == 1


REPORT = RecoveryReport((), 0)


def test_once_without_a_period() -> None:
    assert list(repeat(lambda: REPORT, None, stopper=Stopper())) == [REPORT]


def test_again_after_each_period_of_30_minutes_until_stopped() -> None:
    waited: list[float] = []

    def wait(seconds: float) -> bool:
        waited.append(seconds)
        return len(waited) == 3

    assert len(list(repeat(lambda: REPORT, 1800.0, stopper=Stopper(), wait=wait))) == 3
    assert waited == [1800.0] * 3


def test_a_signal_ends_the_wait_and_the_work() -> None:
    stopper = Stopper()
    reports = repeat(lambda: REPORT, 1800.0, stopper=stopper)
    assert next(reports) is REPORT
    stopper.stop()
    assert next(reports, None) is None


def test_the_report_as_lines_and_table() -> None:
    row = Recovered("r", "resume", "finished", kept=2, made=1)
    report = RecoveryReport((row,), 3)
    assert list(report.lines()) == [
        "r: resume: finished, 2 kept, 1 made", "3 runs looked at, 1 needed something"
    ]  # fmt: skip
    assert "<table>" in report._repr_html_()
    assert "fault" not in row.row()
    report.raise_for_failures()


def test_an_unknown_name_is_refused_before_anything(world: Any) -> None:
    world.killed(images=2, nth=1)
    with pytest.raises(RunNotFoundError, match="no run 'rr'"):
        world.recover(delete_images_of=["rr"])
    with pytest.raises(RunNotFoundError):
        world.find(delete_images_of=["rr"])
    assert world.state().status == "unfinished"
