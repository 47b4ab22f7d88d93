import asyncio
from typing import Any

import pytest

from posegen.http import PollDeadlineError, poll
from tests.http.conftest import Clock


def polled(clock: Clock, answers: list[Any], **options: Any) -> Any:
    async def ask() -> Any:
        return answers.pop(0) if answers else None

    return asyncio.run(poll(ask, sleep=clock.sleep, clock=clock, **options))


def test_the_first_answer_is_returned_at_growing_intervals(clock: Clock) -> None:
    assert polled(clock, [None] * 20 + ["done"], deadline_s=1000) == "done"
    assert clock.slept == sorted(clock.slept)
    assert (clock.slept[0], clock.slept[-1], len(clock.slept)) == (0.25, 4.0, 21)


def test_nobody_waits_past_the_deadline(clock: Clock) -> None:
    began = clock.now
    with pytest.raises(PollDeadlineError, match="within 10 s"):
        polled(clock, [], deadline_s=10)
    assert clock.now == began + 10


def test_asking_at_once_does_not_mean_asking_without_a_pause(clock: Clock) -> None:
    with pytest.raises(PollDeadlineError):
        polled(clock, [], deadline_s=10, first_s=0.0)
    assert clock.slept[0] == 0
    assert min(clock.slept[1:-1]) > 0.2
    assert len(clock.slept) < 20


def test_what_asking_raises_ends_it(clock: Clock) -> None:
    async def ask() -> None:
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        asyncio.run(poll(ask, deadline_s=10, sleep=clock.sleep, clock=clock))


def test_an_answer_that_is_false_is_an_answer(clock: Clock) -> None:
    assert polled(clock, [None, 0], deadline_s=10) == 0
