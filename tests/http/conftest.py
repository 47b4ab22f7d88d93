"""A server that answers as it is told, a clock that only sleeping moves, and a purse that counts."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from posegen.errors import BackendError, OutcomeUnknownError
from posegen.http import Client
from posegen.settings import Settings
from tests.servers.base import LocalServer, Reply, Seen


class Clock:
    """Seconds that pass only by sleeping."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.slept: list[float] = []

    def __call__(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


class Purse:
    """Stands for the journal of purchases (`Workshop.buy`)."""

    def __init__(self) -> None:
        self.intents = self.withdrawn = 0

    async def buy(self, send: Callable[[], Awaitable[Any]], /) -> Any:
        self.intents += 1
        try:
            return await send()
        except OutcomeUnknownError:
            raise
        except BackendError:
            self.withdrawn += 1
            raise


class Simple(LocalServer):
    """Answers everything with `{"ok": true}`; routes are paths."""

    def route(self, method: str, path: str) -> str:
        return path

    def answer(self, seen: Seen) -> Reply:
        if "json" in seen.headers.get("content-type", ""):
            self.charge(seen)
        return Reply(200, {"ok": True})


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def purse() -> Purse:
    return Purse()


@pytest.fixture
def server() -> Iterator[Simple]:
    with Simple() as started:
        yield started


@pytest.fixture
def settings(tmp_path: Path, server: Simple) -> Settings:
    return Settings(root=tmp_path, allowed_hosts=(server.host,), request_timeout_s=5.0, rate_limits={})


@pytest.fixture
def use(settings: Settings, clock: Clock) -> Callable[..., Any]:
    """Return what runs something with a client and closes it."""

    async def using(work: Callable[[Client], Awaitable[Any]], **changes: Any) -> Any:
        client = Client(settings.model_copy(update=changes), sleep=clock.sleep, clock=clock)
        try:
            return await work(client)
        finally:
            await client.aclose()

    return using
