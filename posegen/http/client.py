"""Sends calls: paced, tried again where that is right, with every answer read into posegen's own errors."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, TypeVar

import httpx
from tenacity import (
    AsyncRetrying,
    RetryCallState,
    retry_if_exception_type,
    stop_after_attempt,
    stop_before_delay,
)
from tenacity.wait import wait_random_exponential

from posegen.errors import BackendError, ImageFailedError, OutcomeUnknownError, ResultGoneError
from posegen.http.answers import MAX_RETRIES, Rules, asked_to_wait_s
from posegen.http.call import Call
from posegen.http.guard import ForbiddenAddressError, GuardedTransport
from posegen.http.pace import Pace
from posegen.settings import Settings
from posegen.telemetry import logger

T = TypeVar("T")

CONNECT_TIMEOUT_S = 10.0
FIRST_WAIT_S = 1.0
LONGEST_WAIT_S = 30.0
MAX_CONNECTIONS = 100
MAX_REDIRECTS = 3
MAX_DOWNLOAD_BYTES = 64 * 1024 * 1024

NEVER_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout)
"""With these the server has not seen the request."""

TOO_MUCH = (429, 503)
"""Statuses of a server that is asked too much."""

GONE = (403, 404, 410)
"""Statuses of a result's URL that has expired."""

log = logger("http")


class Through(Protocol):
    """What a request that costs money goes through (`Workshop.buy`)."""

    def __call__(self, send: Callable[[], Awaitable[T]], /) -> Awaitable[T]:
        """Return what `send` returns."""


@dataclass(frozen=True)
class Download:
    """Bytes from a URL, with the content type that its server claims."""

    data: bytes
    content_type: str


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


class Client:
    """One client for all requests of a run; it keeps its connections.

    Parameters
    ----------
    settings : Settings
    sleep, clock : callable
        For tests.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._settings = settings
        self.sleep, self.clock = sleep, clock
        timeout = httpx.Timeout(settings.request_timeout_s, connect=CONNECT_TIMEOUT_S)
        limits = httpx.Limits(max_connections=MAX_CONNECTIONS, max_keepalive_connections=MAX_CONNECTIONS)
        self._http = httpx.AsyncClient(timeout=timeout, limits=limits)
        transport = GuardedTransport(
            settings.allowed_hosts, transport=httpx.AsyncHTTPTransport(limits=limits, trust_env=False)
        )
        self._guarded = httpx.AsyncClient(
            timeout=timeout, transport=transport, follow_redirects=True, max_redirects=MAX_REDIRECTS
        )
        self._paces: dict[str, Pace] = {}

    async def aclose(self) -> None:
        """Close all connections."""
        await self._http.aclose()
        await self._guarded.aclose()

    async def send(self, call: Call, rules: Rules) -> httpx.Response:
        """Send a call that may be repeated, and return its answer, which has a good status.

        Raises
        ------
        BackendUnavailableError
            The key is refused, the account empty, or the server cannot be reached.
        ImageFailedError
            Any other error; with code FLUX_MAX_RETRIES_EXCEEDED after the last try.
        """
        return await self._retried(lambda: self._once(call, rules), rules)

    async def purchase(self, call: Call, rules: Rules, buy: Through) -> httpx.Response:
        """Send a call that starts work (and may cost money), at the provider's pace.

        It is repeated only if the server has not seen it, or has answered that it did not take it.

        Raises
        ------
        OutcomeUnknownError
            It was sent and no answer came back.
        BackendUnavailableError, ImageFailedError
            As `send`.
        """
        pace = self._pace(rules.backend)

        async def one_try() -> httpx.Response:
            await pace.turn()
            try:
                answer = await buy(lambda: self._once(call, rules, purchase=True))
            except TryAgainError as exc:
                if exc.too_much:
                    await pace.slow_down(exc.wait_s)
                raise
            await pace.speed_up()
            return answer

        return await self._retried(one_try, rules)

    async def download(
        self, url: str, rules: Rules, *, max_bytes: int = MAX_DOWNLOAD_BYTES, what: str = "the picture"
    ) -> Download:
        """Return what a URL that nobody vouches for holds; private addresses are refused.

        Raises
        ------
        ResultGoneError
            It has expired.
        ImageFailedError
            The URL leads where it must not, has an error status, or holds more than `max_bytes`.
        """

        async def one_try() -> Download:
            try:
                return await self._fetch(url, rules, max_bytes, what)
            except (ForbiddenAddressError, httpx.UnsupportedProtocol, httpx.InvalidURL) as exc:
                raise rules.failed(f"{what} is not fetched: {exc}", "URL_REFUSED") from exc
            except httpx.TooManyRedirects as exc:
                raise rules.failed(f"{what} is not fetched: too many redirects", "URL_REFUSED") from exc
            except httpx.RequestError as exc:
                raise TryAgainError(f"{what} could not be fetched: {in_words(exc)}") from exc

        return await self._retried(one_try, rules)

    async def _fetch(self, url: str, rules: Rules, max_bytes: int, what: str) -> Download:
        async with self._guarded.stream("GET", url) as answer:
            if answer.status_code in GONE:
                raise ResultGoneError(
                    f"{what} is no longer there ({answer.status_code})",
                    backend=rules.backend,
                    code="RESULT_GONE",
                )
            if answer.status_code >= 400:
                raise TryAgainError(
                    f"{what} could not be fetched ({answer.status_code})", asked_to_wait_s(answer)
                )
            data = bytearray()
            async for piece in answer.aiter_bytes():
                data += piece
                if len(data) > max_bytes:
                    raise rules.failed(f"{what} has more than {max_bytes:,} bytes", "BAD_RESULT")
            return Download(bytes(data), answer.headers.get("content-type", ""))

    async def _once(self, call: Call, rules: Rules, *, purchase: bool = False) -> httpx.Response:
        """Send a call once and return its answer, which has a good status."""
        try:
            answer = await self._http.request(
                call.method,
                call.url,
                params=dict(call.query) or None,
                json=call.json,
                data=dict(call.form) or None,
                files=call.files,
                headers=call.all_headers(),
            )
        except NEVER_SENT as exc:
            raise TryAgainError(f"{rules.provider} cannot be reached: {in_words(exc)}", sent=False) from exc
        except httpx.RequestError as exc:
            said = f"{rules.provider} gave no answer: {in_words(exc)}"
            if purchase:
                message = f"{said}; whether it took the request cannot be found out"
                raise OutcomeUnknownError(message, backend=rules.backend) from exc
            raise TryAgainError(said) from exc
        if answer.status_code >= 400:
            self._raise_for(answer, rules)
        return answer

    @staticmethod
    def _raise_for(answer: httpx.Response, rules: Rules) -> None:
        error = rules.error(answer)
        if not rules.may_retry(answer):
            raise error
        too_much = answer.status_code in TOO_MUCH
        raise TryAgainError(str(error), asked_to_wait_s(answer), too_much=too_much) from error

    async def _retried(self, one_try: Callable[[], Awaitable[T]], rules: Rules) -> T:
        retrying = AsyncRetrying(
            retry=retry_if_exception_type(TryAgainError),
            stop=stop_after_attempt(self._settings.max_tries)
            | stop_before_delay(self._settings.retry_total_s),
            wait=_wait_s,
            sleep=self.sleep,
            before_sleep=lambda state: log.info(
                "asking again: %s", state.outcome and state.outcome.exception()
            ),
            reraise=True,
        )
        tries = 0
        try:
            async for attempt in retrying:
                with attempt:
                    tries += 1
                    return await one_try()
        except TryAgainError as exc:
            raise self._given_up(exc, rules, tries) from exc
        raise AssertionError("unreachable: tenacity returns or raises")

    @staticmethod
    def _given_up(last: TryAgainError, rules: Rules, tries: int) -> BackendError:
        if not last.sent:
            return rules.unavailable(f"{last} ({tries} tries)", "BACKEND_UNREACHABLE")
        asked = f"; it asks to wait {last.wait_s:.0f} s" if last.wait_s else ""
        message = f"given up after {tries} tries: {last}{asked}"
        return ImageFailedError(message, backend=rules.backend, code=MAX_RETRIES)

    def _pace(self, backend: str) -> Pace:
        if backend not in self._paces:
            folder: Path = self._settings.root / "locks"
            per_minute = self._settings.rate_limits.get(backend)
            self._paces[backend] = Pace(folder, backend, per_minute, clock=self.clock, sleep=self.sleep)
        return self._paces[backend]


def _say(state: RetryCallState) -> None:
    error = state.outcome.exception() if state.outcome else None
    log.info("asking again in %.1f s: %s", state.upcoming_sleep, error)


def _wait_s(state: RetryCallState) -> float:
    """Return the seconds to wait: as long as the server asks, else growing at random."""
    error = state.outcome.exception() if state.outcome else None
    random_s = wait_random_exponential(multiplier=FIRST_WAIT_S, max=LONGEST_WAIT_S)(state)
    if isinstance(error, TryAgainError) and error.wait_s is not None:
        return error.wait_s + min(random_s, FIRST_WAIT_S)
    return random_s


def in_words(error: httpx.RequestError) -> str:
    """Return what went wrong with a request, never empty."""
    return str(error) or type(error).__name__
