"""Ask again and again until there is an answer, but not for ever."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

T = TypeVar("T")

FIRST_S = 0.25
GROWTH = 1.2
LONGEST_S = 4.0


class PollDeadlineError(TimeoutError):
    """The deadline of a poll has passed."""


async def poll(
    ask: Callable[[], Awaitable[T | None]],
    *,
    deadline_s: float,
    first_s: float = FIRST_S,
    longest_s: float = LONGEST_S,
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    clock: Callable[[], float] = time.monotonic,
) -> T:
    """Return the first answer of `ask` that is not None, asking at growing intervals.

    Parameters
    ----------
    ask : callable
        Returns None as long as there is no answer; what it raises ends the poll.
    deadline_s : float
        Seconds from now until it is given up.
    first_s, longest_s : float
        Seconds to the first question, and between questions at most.

    Raises
    ------
    PollDeadlineError
        No answer came in time.
    """
    until = clock() + deadline_s
    wait_s = first_s
    while True:
        left_s = until - clock()
        if left_s <= 0:
            raise PollDeadlineError(f"no answer within {deadline_s:.0f} s")
        await sleep(min(wait_s, left_s))
        answer = await ask()
        if answer is not None:
            return answer
        wait_s = min(max(wait_s, FIRST_S) * GROWTH, longest_s)
