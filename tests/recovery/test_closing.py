"""Runs that cannot be gone on with: given up after two hours, refunded, and resumable with a new hold."""

from __future__ import annotations

import threading
from datetime import timedelta
from typing import Any

import pytest

from posegen import backends
from posegen.credits import price
from posegen.errors import RunInterruptedError
from posegen.journal import OwnerStatus, RunLease, journal_folder, read_segments
from posegen.parameters import BatchParameters, check
from posegen.pipeline.plan import build_plan
from posegen.pipeline.run import resume, start
from posegen.recovery import act, look

pytestmark = pytest.mark.faults

JUST_BEFORE = timedelta(hours=1, minutes=59)
JUST_AFTER = timedelta(hours=2, minutes=1)


def waiting(world: Any, **options: Any) -> Any:
    """Return a paid run of which one image's outcome is unknown, and two are there."""
    run = world.killed(backend="blind", images=4, at="bought", nth=3, **options)
    world.recover()
    assert world.state().status == "waiting"
    return run


def test_an_image_of_unknown_outcome_waits_for_a_person_and_keeps_its_credits(world: Any) -> None:
    run = waiting(world)
    state = world.state()
    assert (state.made, len(state.unknown)) == (3, 1)
    (row,) = world.recover().rows
    assert row.action == "ask a person"
    assert "1 images of unknown outcome: `posegen resume r --unknown retry` or `fail`" in row.result
    assert world.accounts.holds("r")[-1].is_open
    assert world.recover(unknown="ask").rows[0].action == "ask a person"
    assert run.state.attempts[-1].outcome == "waiting"


@pytest.mark.parametrize(("word", "made", "failed"), [("retry", 4, 0), ("fail", 3, 1)])
def test_a_persons_word_goes_on_with_it(world: Any, word: str, made: int, failed: int) -> None:
    run = waiting(world)
    (row,) = world.recover(unknown=word).rows
    assert (row.result, row.failed) == ("finished", failed)
    assert (world.state().made, world.state().failed) == (made, failed)
    run.check_credits(world.state())


@pytest.mark.parametrize(("after", "action"), [(JUST_BEFORE, "ask a person"), (JUST_AFTER, "close")])
def test_a_waiting_run_is_closed_after_two_hours(world: Any, after: timedelta, action: str) -> None:
    waiting(world)
    world.after = after
    assert world.recover().rows[0].action == action
    assert world.accounts.holds("r")[-1].is_open == (action != "close")


def test_closing_gives_the_credits_back_and_a_resume_takes_a_new_hold(world: Any) -> None:
    run = waiting(world)
    world.after = JUST_AFTER
    before = world.balance
    (row,) = world.recover().rows
    assert (row.action, row.kept) == ("close", 3)
    assert world.state().status == "closed"
    assert world.balance == before + price(1)
    assert sum(hold.charged or 0 for hold in world.accounts.holds("r")) == price(3)
    assert world.find()[0].why == "closed: `posegen resume r` goes on with it"
    world.after = timedelta(days=30)
    assert world.recover().rows == ()
    resume("r", world.settings, unknown="retry").wait(lambda _: None)
    state = world.state()
    assert (state.status, state.made) == ("finished", 4)
    assert len(world.accounts.holds("r")) == 2
    run.check_credits(state)
    run.check_images(state)


@pytest.mark.parametrize(("after", "action"), [(JUST_BEFORE, "wait"), (JUST_AFTER, "close")])
def test_a_run_whose_backend_is_gone(
    world: Any, monkeypatch: pytest.MonkeyPatch, after: timedelta, action: str
) -> None:
    world.killed(images=3, nth=1)
    monkeypatch.delitem(backends.BACKENDS, "plain")
    world.after = after
    (row,) = world.recover().rows
    assert (row.action, row.fault) == (action, False)
    assert "unknown backend 'plain'" in row.result
    held = world.accounts.holds("r")[-1]
    assert held.charged == (price(1) if action == "close" else None)


def test_a_run_whose_backend_lacks_its_key_is_not_spoilt(world: Any, plain: Any) -> None:
    run = world.killed(images=3, nth=1)
    plain.lacks = ["set PLAIN_KEY"]
    assert world.recover().rows[0].result == "backend 'plain': set PLAIN_KEY"
    assert world.state().failed == 0
    plain.lacks = []
    world.recover()
    run.check()


@pytest.mark.parametrize(
    ("at", "why"), [("attempt_started", "before it was planned"), (None, "before it was")]
)
def test_a_run_killed_before_its_first_line_is_closed_once(world: Any, at: str | None, why: str) -> None:
    run = world.story(images=3)
    if at:
        run.die_at(at)
    else:
        journal_folder(world.root, "r").mkdir(parents=True)
        (journal_folder(world.root, "r") / "0001.jsonl").touch()
    world.after = JUST_BEFORE
    (row,) = world.recover().rows
    assert row.action == "wait"
    assert why in row.result
    world.after = JUST_AFTER
    assert world.recover().rows[0].action == "close"
    world.after = timedelta(days=2)
    assert world.recover().rows == ()
    assert len(read_segments(journal_folder(world.root, "r"))) == 2
    assert run.finish().exit_code == 0
    run.check()


def test_closing_takes_no_hold_of_its_own(world: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    world.killed(images=3, at="run_planned", nth=1)
    monkeypatch.delitem(backends.BACKENDS, "plain")
    world.after = JUST_AFTER
    assert world.recover().rows[0].action == "close"
    assert world.accounts.holds("r") == []


def test_killed_while_it_was_closed_it_is_closed_again(world: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    world.killed(images=3, nth=1)
    monkeypatch.delitem(backends.BACKENDS, "plain")
    world.after = JUST_AFTER
    with monkeypatch.context() as cut:
        cut.setattr(act, "AttemptFinished", None)
        with pytest.raises(TypeError):
            world.recover()
    assert world.state().status == "unfinished"
    world.after = JUST_AFTER * 2
    assert world.recover().rows[0].action == "close"
    assert world.accounts.problems() == []
    assert [hold.charged for hold in world.accounts.holds("r")] == [price(1)]


def test_one_that_is_taken_meanwhile_is_not_closed(world: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    world.killed(images=3, nth=1)
    monkeypatch.delitem(backends.BACKENDS, "plain")
    world.after = JUST_AFTER
    with RunLease.acquire(world.root, "r"):
        assert world.recover().rows == ()
        monkeypatch.setattr(look, "owner_status", lambda *_: OwnerStatus("dead"))
        (row,) = world.recover().rows
    assert row.action == "wait"
    assert "is owned by" in row.result


def test_the_same_spec_after_a_close_goes_on_with_the_run(world: Any, plain: Any) -> None:
    run = world.killed(images=3, nth=1)
    plain.lacks = ["a key"]
    world.after = JUST_AFTER
    assert world.recover().rows[0].action == "close"
    plain.lacks = []
    plan = build_plan(check(BatchParameters, run.plan))
    start(plan, world.settings).wait(lambda _: None)
    run.check()


def test_free_before_and_paid_for_after_a_close(
    world: Any, plain: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("POSEGEN_CREDITS_PER_IMAGE", "0")
    begun = threading.Event()
    plain.on_image = lambda _: (begun.wait(), run.stop())
    run = start(build_plan(check(BatchParameters, world.story(images=3).plan)), world.settings)
    begun.set()
    with pytest.raises(RunInterruptedError):
        run.wait(lambda _: None)
    made = world.state().made
    plain.lacks, plain.on_image = ["a key"], lambda _: None
    world.after = JUST_AFTER
    assert world.recover().rows[0].action == "close"
    plain.lacks = []
    monkeypatch.setenv("POSEGEN_CREDITS_PER_IMAGE", "30")
    resume("r", world.settings).wait(lambda _: None)
    assert 0 < made < 3
    assert [hold.charged for hold in world.accounts.holds("r")] == [0, 30 * (3 - made)]
