"""Sends calls: paced, tried again where that is right, with every answer read into posegen's own errors."""

from __future__ import annotations

import asyncio
import importlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, TypeVar

import httpx

from posegen.errors import ImageFailedError, OutcomeUnknownError, ResultGoneError
from posegen.http.answers import RETRYABLE, Rules, asked_to_wait_s
from posegen.http.call import Call, KeyAuth
from posegen.http.guard import ForbiddenAddressError, GuardedTransport
from posegen.http.pace import LongWaitError, Pace
from posegen.http.retry import Retries, TryAgainError
from posegen.settings import Settings

T = TypeVar("T")

CONNECT_TIMEOUT_S = 10.0
MAX_CONNECTIONS = 100
MAX_REDIRECTS = 3
MAX_DOWNLOAD_BYTES = 64 * 1024 * 1024

MAX_ANSWER_BYTES = 64 * 1024 * 1024
"""Longest answer of a provider; some answer with the picture itself."""

NEVER_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout)
"""With these the server has not seen the request."""

TOO_MUCH = (429, 503)
"""Statuses of a server that is asked too much."""

GONE = (403, 404, 410)
"""Statuses of a result's URL that has expired."""

UNPACKED = ("", "identity", "gzip", "deflate")
"""Content encodings that are read: one layer of them unpacks a piece to a thousand times its size at most."""

SILENCES = 2
"""An answer may take so many times as long as a server may be silent, however slowly its bytes drip."""

ENCODING = ("content-encoding", "content-length", "transfer-encoding")
"""Headers on how a body travelled, which say nothing of one that has arrived."""


LOADED_LATE = ("httpcore", "anyio._backends._asyncio")
"""What httpx imports when the first client is made and at its first request."""


def load_transport() -> None:
    """Import now what httpx would import while requests wait for it (0.2 s)."""
    for name in LOADED_LATE:
        with suppress(ImportError):  # only a saving: later versions may have other modules
            importlib.import_module(name)


class Through(Protocol):
    """What a request that costs money goes through (`Workshop.buy`)."""

    def __call__(self, send: Callable[[], Awaitable[T]], /) -> Awaitable[T]:
        """Return what `send` returns."""


@dataclass(frozen=True)
class Download:
    """Bytes from a URL, with the content type that its server claims."""

    data: bytes
    content_type: str


class TooLongError(Exception):
    """A provider's answer has more bytes than are read."""


def too_long(rules: Rules) -> ImageFailedError:
    """Return the error of an answer that is not read to its end."""
    return rules.failed(f"{rules.provider} answered with more than {MAX_ANSWER_BYTES:,} bytes", "BAD_RESULT")


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
        self._retries = Retries(settings.max_tries, settings.retry_total_s, sleep, clock)
        self._longest_s = SILENCES * settings.request_timeout_s
        headers = {"Accept-Encoding": "gzip, deflate"}
        verify = httpx.create_ssl_context()  # once: it takes 50 ms to read the certificates
        self._http = httpx.AsyncClient(verify=verify, timeout=timeout, limits=limits, headers=headers)
        # Kept connections are known by address, and one address may serve many names: none is kept.
        fresh = httpx.Limits(max_connections=MAX_CONNECTIONS, max_keepalive_connections=0)
        plain = httpx.AsyncHTTPTransport(verify=verify, limits=fresh)
        transport = GuardedTransport(settings.allowed_hosts, transport=plain)
        self._guarded = httpx.AsyncClient(
            verify=verify,
            timeout=timeout,
            transport=transport,
            follow_redirects=True,
            max_redirects=MAX_REDIRECTS,
            headers=headers,
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
        try:
            return await self._retries.run(lambda: self._once(call, rules), rules)
        except TooLongError as exc:
            raise too_long(rules) from exc

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
            try:
                await pace.turn(self._settings.retry_total_s)
            except LongWaitError as exc:
                message = f"{rules.provider} is not to be asked for {exc.wait_s:.0f} s, as it has said"
                raise rules.unavailable(message, "RATE_LIMITED") from exc
            sent_at = self.clock()
            try:
                answer = await buy(lambda: self._once(call, rules, purchase=True))
            except TryAgainError as exc:
                if exc.too_much:
                    await pace.slow_down(exc.wait_s, sent_at)
                raise
            await pace.speed_up()
            return answer

        try:
            return await self._retries.run(one_try, rules)
        except TooLongError as exc:  # after `buy`, for it was bought
            raise too_long(rules) from exc

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
                async with self._in_time():
                    return await self._fetch(url, rules, max_bytes, what)
            except (ForbiddenAddressError, httpx.UnsupportedProtocol, httpx.InvalidURL) as exc:
                raise rules.failed(f"{what} is not fetched: {exc}", "URL_REFUSED") from exc
            except httpx.TooManyRedirects as exc:
                raise rules.failed(f"{what} is not fetched: too many redirects", "URL_REFUSED") from exc
            except httpx.RequestError as exc:
                raise TryAgainError(f"{what} could not be fetched: {in_words(exc)}") from exc

        return await self._retries.run(one_try, rules)

    async def _fetch(self, url: str, rules: Rules, max_bytes: int, what: str) -> Download:
        async with self._guarded.stream("GET", url) as answer:
            if answer.status_code in GONE:
                raise ResultGoneError(
                    f"{what} is no longer there ({answer.status_code})",
                    backend=rules.backend,
                    code="RESULT_GONE",
                )
            if answer.status_code in RETRYABLE:
                said = f"{what} could not be fetched ({answer.status_code})"
                raise TryAgainError(said, asked_to_wait_s(with_body(answer, b"")))
            if answer.status_code != 200:
                raise rules.failed(f"{what} could not be fetched ({answer.status_code})", "BAD_RESULT")
            data = await read_within(answer, max_bytes)
            if data is None:
                raise rules.failed(f"{what} has more than {max_bytes:,} bytes", "BAD_RESULT")
            return Download(data, answer.headers.get("content-type", ""))

    async def _once(self, call: Call, rules: Rules, *, purchase: bool = False) -> httpx.Response:
        """Send a call once and return its answer, which has a good status."""
        if call.key is not None and not is_sendable(call.key.get_secret_value()):
            hint = f"; check {rules.key_variable}" if rules.key_variable else ""
            raise rules.unavailable(f"the key holds characters that no header may hold{hint}", "KEY_REFUSED")
        try:
            async with self._in_time():
                answer = await self._answer(call)
        except NEVER_SENT as exc:
            raise TryAgainError(f"{rules.provider} cannot be reached: {in_words(exc)}", sent=False) from exc
        except httpx.RequestError as exc:
            said = f"{rules.provider} gave no answer: {in_words(exc)}"
            if purchase:
                message = f"{said}; whether it took the request cannot be found out"
                raise OutcomeUnknownError(message, backend=rules.backend) from exc
            raise TryAgainError(said) from exc
        if answer.status_code >= 300:  # a redirect too: no key goes where an answer says
            self._raise_for(answer, rules)
        return answer

    @asynccontextmanager
    async def _in_time(self) -> AsyncIterator[None]:
        """Bound an answer as a whole: the time-outs of httpx bound each silence."""
        try:
            async with asyncio.timeout(self._longest_s):
                yield
        except TimeoutError as exc:
            raise httpx.ReadTimeout(f"it was not complete within {self._longest_s:g} s") from exc

    async def _answer(self, call: Call) -> httpx.Response:
        """Return the answer to a call, read to its end if that is not too far."""
        request = self._http.build_request(
            call.method,
            call.url,
            params=dict(call.query) or None,
            json=call.json,
            data=dict(call.form) or None,
            files=call.files,
            headers=dict(call.headers),
        )
        auth = None if call.key is None else KeyAuth(call.key, call.scheme)
        answer = await self._http.send(request, auth=auth, stream=True)
        try:
            data = await read_within(answer, MAX_ANSWER_BYTES)
        finally:
            await answer.aclose()
        if data is None and answer.status_code < 300:
            raise TooLongError
        data = data or b""  # of an error, its status says enough
        return with_body(answer, data)

    @staticmethod
    def _raise_for(answer: httpx.Response, rules: Rules) -> None:
        error = rules.error(answer)
        if not rules.may_retry(answer):
            raise error
        too_much = answer.status_code in TOO_MUCH
        raise TryAgainError(str(error), asked_to_wait_s(answer), too_much=too_much) from error

    def _pace(self, backend: str) -> Pace:
        if backend not in self._paces:
            folder: Path = self._settings.root / "locks"
            per_minute = self._settings.rate_limits.get(backend)
            self._paces[backend] = Pace(folder, backend, per_minute, clock=self.clock, sleep=self.sleep)
        return self._paces[backend]


def with_body(answer: httpx.Response, data: bytes) -> httpx.Response:
    """Return a streamed answer's status and headers with another body, which has arrived."""
    headers = [pair for pair in answer.headers.multi_items() if pair[0] not in ENCODING]
    return httpx.Response(answer.status_code, headers=headers, content=data, request=answer.request)


async def read_within(answer: httpx.Response, max_bytes: int) -> bytes | None:
    """Return an answer's body; None if it has more than `max_bytes`, of which the rest is not read.

    Raises
    ------
    httpx.DecodingError
        It is packed in a way that was not asked for, such as twice.
    """
    packed = answer.headers.get("content-encoding", "").strip().lower()
    if packed not in UNPACKED:
        raise httpx.DecodingError(f"its content encoding is {packed[:40]!r}", request=answer.request)
    length = answer.headers.get("content-length", "")
    if length.isdecimal() and int(length) > max_bytes:
        return None
    data = bytearray()
    async for piece in answer.aiter_bytes():
        data += piece
        if len(data) > max_bytes:
            return None
    return bytes(data)


def is_sendable(key: str) -> bool:
    """Return whether a key may stand in a header; the error about one that may not would show it."""
    return key.isascii() and key.isprintable()


def in_words(error: httpx.RequestError) -> str:
    """Return what went wrong with a request, never empty."""
    return str(error) or type(error).__name__
