"""One owner at any time: racers, owners on other machines that wake up late, owners that are only slow."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from posegen.credits import ACCOUNTS_FILE, open_accounts
from posegen.journal import journal_folder, read_segments
from posegen.pipeline.job import request_stop
from posegen.storage.atomic import TEMPORARY_PREFIX
from tests.faults.harness import USER, Child, Story, until

pytestmark = pytest.mark.faults

Begin = Callable[..., Story]
RACERS = 6
ROUNDS = 10


def test_of_racers_for_one_run_one_wins_and_the_others_say_who_has_it(story: Begin, tmp_path: Path) -> None:
    run = story()
    for number in range(3):  # for a new run, for one just killed, and for another just killed
        gate = tmp_path / f"gate-{number}"
        racers = [run.start(gate=str(gate)) for _ in range(RACERS)]
        until(
            lambda racers=racers: sum(racer.dead for racer in racers) == RACERS - 1, "all but one have lost"
        )
        (winner,) = [racer for racer in racers if not racer.dead]
        assert [racer.exit_code for racer in racers if racer is not winner] == [6] * (RACERS - 1)
        for racer in racers:
            assert len(racer.lines("owns")) == (racer is winner)
            assert racer is winner or f"process {winner.pid} " in racer.lines("error")[0]["message"]
        winner.kill()
        run.killed += 1
    run.finish()
    run.check()


def claim(run: Story, **order: Any) -> Child:
    """Start processes until one may have the run; the first only sees for how long it has been quiet."""

    def tried() -> Child | None:
        child = run.start(stall_after_s=0.001, **order)
        until(lambda: child.dead or child.lines("owns"), "it has the run, or has not")
        return child if child.lines("owns") else None

    found: Child = until(tried, "the run can be claimed")
    return found


def snapshot(run: Story) -> tuple[Any, ...]:
    """Return all that counts of a run: the journal's fold, the bytes of its files, the accounts."""
    folder = run.root / "runs" / run.run_id
    files = {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for part in ("images", "thumbnails", "exports")
        for path in (folder / part).rglob("*")
        if path.is_file() and not path.name.startswith(TEMPORARY_PREFIX)
    }
    accounts = open_accounts(run.root / ACCOUNTS_FILE)
    events = [one.events for one in read_segments(journal_folder(run.root, run.run_id))]
    return events, files, accounts.run_history(run.run_id), accounts.balance(USER)


def test_another_machines_owner_that_wakes_up_late_writes_nothing_that_counts(story: Begin) -> None:
    chance, taken_over = random.Random(5), 0
    for number in range(2 * ROUNDS):
        run = story("queued", run_id=f"r{number}", images=6)
        taken_over += wake_late(run, chance)
        run.shop.sold.clear()
        if taken_over == ROUNDS:
            break
    assert taken_over == ROUNDS


def wake_late(run: Story, chance: random.Random) -> bool:
    """Stop a run's owner anywhere, let another machine finish the run, and let the first go on.

    Returns
    -------
    bool
        False if the owner was through before it could be stopped.
    """
    late = run.start(host="elsewhere.invalid", maker="late")
    enough = chance.randrange(3, 16)  # from where credits are held: stopped amid that, it keeps the accounts
    until(lambda: late.dead or len(late.lines("acknowledged")) >= enough, "it is somewhere")
    late.stop()
    if run.state.status == "finished":  # it was through before it could be stopped
        late.go_on()
        assert late.wait().exit_code == 3
        return False
    other = claim(run)
    if other.wait().exit_code == 5:
        assert run.finish(unknown="retry").exit_code == 3
    before, sold = snapshot(run), len(run.shop.sold)
    late.go_on()
    assert late.wait().exit_code == 6, late.lines()[-3:]
    assert snapshot(run) == before
    clear_of_the_late(run, late, sold)
    run.check()
    return True


def clear_of_the_late(run: Story, late: Child, sold: int = 0) -> None:
    """Leave aside its time, which was no lock's, and what it had journalled that it was about to buy."""
    run.children.remove(late)
    intended = {line["task"] for line in late.lines("acknowledged") if line["event"] == "TaskSubmitted"}
    assert {sale.task for sale in run.shop.sold[sold:]} <= intended
    del run.shop.sold[sold:]
    lost = {line["task"] for line in late.lines("acknowledged") if line["sha256"]} - set(run.state.records)
    assert not lost, f"acknowledged to the late one and lost: {lost}"


def test_an_owner_that_is_only_slow_and_its_successor_keep_one_image(story: Begin, tmp_path: Path) -> None:
    run = story(images=1)
    slow_gate, gate = tmp_path / "slow", tmp_path / "gate"
    # It does not look whether it has been taken over until it journals: else that is a race with the other.
    slow = run.start(host="elsewhere.invalid", maker="slow", gate=str(slow_gate), stop_poll_s=3600)
    until(lambda: slow.lines("makes"), "it makes an image")
    successor = claim(run, maker="successor", gate=str(gate))
    until(lambda: successor.lines("makes"), "so does the other")
    stop = run.root / "runs/r/stop"
    slow_gate.touch()
    assert slow.wait().exit_code == 6
    assert "StaleAttemptError" in slow.lines("error")[0]["kind"]
    assert not stop.exists()
    gate.touch()
    assert successor.wait().exit_code == 0
    clear_of_the_late(run, slow)
    state = run.check()
    assert [record.provider for record in state.records.values()] == ["slow"], "stored first, never replaced"


def test_a_late_owner_leaves_the_new_ones_stop_file_alone(story: Begin, tmp_path: Path) -> None:
    run = story(images=2)
    late = run.start(host="elsewhere.invalid", gate=str(tmp_path / "never"))
    until(lambda: late.lines("makes"), "it makes an image")
    late.stop()
    successor = claim(run, gate=str(tmp_path / "gate"))
    until(lambda: successor.lines("makes"), "so does the other")
    request_stop(run.root / "runs/r")
    late.go_on()
    assert late.wait().exit_code == 6
    assert (run.root / "runs/r/stop").exists()
    assert successor.wait().exit_code == 5
    assert run.finish().exit_code == 0


def test_a_stopped_owner_of_this_machine_keeps_its_run(story: Begin, tmp_path: Path) -> None:
    run = story()
    gate = tmp_path / "gate"
    owner = run.start(gate=str(gate))
    until(lambda: owner.lines("makes"), "it makes an image")
    owner.stop()
    assert run.start(stall_after_s=0.001).wait().exit_code == 6
    gate.touch()
    owner.go_on()
    assert owner.wait().exit_code == 3
    run.check()
