"""Runs whose process is killed with SIGKILL, at each step and at random moments, and gone on with."""

from __future__ import annotations

import random
import time
from collections.abc import Callable

import pytest

from posegen.failpoints import FAILPOINTS
from tests.faults.harness import Child, Story, until

pytestmark = pytest.mark.faults

ONLY_WHERE_PAID = {"task_submitted"}
"""Failpoints that a free backend does not come by."""

ONLY_WITH_EXPORTS = {"export_stored", "export_journalled"}
"""Those that a run without exports does not come by: test_export_kills.py."""

ONLY_WITH_A_GATE = {"candidate_rejected"}
"""Those that a run which takes every image does not come by: test_gate_kills.py."""

AFTER_ALL_ELSE = {
    "task_failed_journalled", "credits_refunded", "credits_settled", "attempt_finished",
}  # fmt: skip

Begin = Callable[..., Story]


@pytest.mark.parametrize("nth", [1, 2])
@pytest.mark.parametrize("backend", ["plain", "queued", "blind"])
def test_killed_at_each_failpoint_in_turn(story: Begin, backend: str, nth: int) -> None:
    """One run, killed at every step it has: nine or more processes die before it is done."""
    run = story(backend, images=24, failing=23)
    left_out = ONLY_WITH_EXPORTS | ONLY_WITH_A_GATE | (ONLY_WHERE_PAID if backend == "plain" else set())
    expected = set(FAILPOINTS) - left_out
    # The image that fails is the last one.
    for name in sorted(expected, key=lambda name: (name in AFTER_ALL_ELSE, FAILPOINTS.index(name))):
        # What comes once in an attempt dies there the first time.
        child = run.die_at(name, min(nth, passes(name)), unknown=None if backend == "plain" else "retry")
        assert child.died_there == name, f"{name} was never reached: {child.lines()[-3:]}"
    run.finish()
    run.check()


def passes(name: str) -> int:
    """Return how often a run that goes on comes by a failpoint, at most as often as it is killed there."""
    often = ("task_taken", "task_submitted", "image_generated", "thumbnail_stored", "image_stored")
    return 2 if name in often else 1


@pytest.mark.parametrize("backend", ["queued", "blind"])
def test_killed_between_a_purchase_and_its_first_trace_a_person_is_asked(story: Begin, backend: str) -> None:
    run = story(backend, concurrency=1)
    run.die_at("bought", 2)
    assert len(run.shop.sold) == 2
    child = run.start().wait()
    assert (child.exit_code, run.state.status, len(run.state.unknown)) == (5, "waiting", 1)
    assert len({sale.task for sale in run.shop.sold}) == len(run.shop.sold)
    run.start(unknown="retry").wait()
    run.check()


def test_killed_once_the_request_id_is_journalled_nothing_is_bought_again(story: Begin) -> None:
    run = story("queued", concurrency=1)
    run.die_at("task_submitted", 4)  # the second one's id; before it comes the intent to buy
    child = run.finish()
    assert child.lines("counts")[0]["fetched"] == 1
    assert len(run.shop.sold) == run.images
    run.check()


def test_what_the_provider_no_longer_has_waits_for_a_persons_word(story: Begin) -> None:
    run = story("queued", concurrency=1)
    run.die_at("task_submitted", 2)
    run.shop.forgets = True
    assert run.start().wait().exit_code == 5
    assert len(run.state.unknown) == 1
    assert len({sale.task for sale in run.shop.sold}) == len(run.shop.sold)


@pytest.mark.parametrize("seed", range(6))
def test_killed_at_any_moment(story: Begin, seed: int) -> None:
    chance = random.Random(seed)
    run = story(chance.choice(["plain", "queued", "blind"]), images=6, concurrency=chance.choice([1, 3]))
    for _ in range(4):
        child = run.start()
        until(lambda child=child: child.dead or child.lines("looks"), "it looks whether the run is free")
        let_pass(chance.random() * 0.15, child)
        child.kill()
        run.killed += child.exit_code is None
    run.finish()
    run.check()


def let_pass(seconds: float, child: Child) -> None:
    end = time.monotonic() + seconds
    until(lambda: child.dead or time.monotonic() > end, "a while")
