"""Trying again: how often, how long, and what it is called when that did not help."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

from tenacity import AsyncRetrying, RetryCallState, retry_if_exception_type
from tenacity.wait import wait_random_exponential

from posegen.errors import BackendError, ImageFailedError
from posegen.http.answers import MAX_RETRIES, Rules
from posegen.telemetry import logger, record_metric

T = TypeVar("T")

FIRST_WAIT_S = 1.0
LONGEST_WAIT_S = 30.0

log = logger("http")


class TryAgainError(BackendError):
    """A try failed in a way that may go away; never leaves the client.

    Parameters
    ----------
    reason : str
    wait_s : float or None
        How long the server asks to wait.
    sent : bool
        False if the server has not seen the request.
    too_much : bool
        The server says that it is asked too much.
    """

    def __init__(
        self, reason: str, wait_s: float | None = None, *, sent: bool = True, too_much: bool = False
    ) -> None:
        super().__init__(reason)
        self.wait_s = wait_s
        self.sent = sent
        self.too_much = too_much


@dataclass(frozen=True)
class Retries:
    """How a request is tried again.

    Attributes
    ----------
    max_tries : int
    total_s : float
        No wait goes beyond this long after the first try; a longer one is not begun.
    sleep, clock : callable
    """

    max_tries: int
    total_s: float
    sleep: Callable[[float], Awaitable[None]]
    clock: Callable[[], float]

    async def run(self, one_try: Callable[[], Awaitable[T]], rules: Rules) -> T:
        """Return what `one_try` returns, calling it again as long as it raises TryAgainError.

        Raises
        ------
        BackendUnavailableError
            The server was never reached.
        ImageFailedError
            With code FLUX_MAX_RETRIES_EXCEEDED and the last cause.
        """
        began, tries = self.clock(), 0

        def enough(state: RetryCallState) -> bool:
            over = self.clock() - began + state.upcoming_sleep >= self.total_s
            return over or state.attempt_number >= self.max_tries

        retrying = AsyncRetrying(
            retry=retry_if_exception_type(TryAgainError),
            stop=enough,
            wait=wait_s,
            sleep=self.sleep,
            before_sleep=partial(_say, backend=rules.backend),
            reraise=True,
        )
        try:
            async for attempt in retrying:
                with attempt:
                    tries += 1
                    return await one_try()
        except TryAgainError as exc:
            raise given_up(exc, rules, tries) from exc
        raise AssertionError("unreachable: tenacity returns or raises")


def given_up(last: TryAgainError, rules: Rules, tries: int) -> BackendError:
    """Return the error of a request that was tried as often as allowed."""
    times = "1 try" if tries == 1 else f"{tries} tries"
    if not last.sent:
        return rules.unavailable(f"{last} ({times})", "BACKEND_UNREACHABLE")
    asked = f"; it asks to wait {last.wait_s:.0f} s" if last.wait_s else ""
    return ImageFailedError(f"given up after {times}: {last}{asked}", backend=rules.backend, code=MAX_RETRIES)


def wait_s(state: RetryCallState) -> float:
    """Return the seconds to wait: as long as the server asks, else growing at random."""
    error = state.outcome.exception() if state.outcome else None
    random_s = wait_random_exponential(multiplier=FIRST_WAIT_S, max=LONGEST_WAIT_S)(state)
    if isinstance(error, TryAgainError) and error.wait_s is not None:
        return error.wait_s + min(random_s, FIRST_WAIT_S)
    return random_s


def _say(state: RetryCallState, *, backend: str) -> None:
    error = state.outcome.exception() if state.outcome else None
    log.info("asking again in %.1f s: %s", state.upcoming_sleep, error, backend=backend)
    record_metric("http.retries", 1, "count", backend=backend)
