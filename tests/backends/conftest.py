"""The providers' servers on this machine, and a workshop that writes down what a backend does in it."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from posegen.backends import GeneratedImage, get_backend, hf_mapping
from posegen.errors import BackendError, OutcomeUnknownError
from posegen.http import Client
from posegen.parameters import BatchParameters, check
from posegen.pipeline import engine
from posegen.pipeline.plan import Plan, build_plan
from posegen.pipeline.steps import prepare
from posegen.records import ImageTask
from posegen.settings import Settings
from tests.servers.comfyui_server import ComfyuiServer, comfyui_server
from tests.servers.fal_server import FalServer
from tests.servers.hf_server import HubServer

SIZE = 256


class Clock:
    """Seconds that pass only by sleeping; whoever else is ready runs meanwhile."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.now += seconds
        await asyncio.sleep(0)


class Bench:
    """A workshop whose events are written down in order, beside what the server has seen by then."""

    def __init__(self, settings: Settings, seen: Callable[[], int] = lambda: 0) -> None:
        self.settings = settings
        self.clock = Clock()
        self.http = Client(settings, sleep=self.clock.sleep, clock=self.clock)
        self.events: list[tuple[str, int]] = []
        self.shares: list[float] = []
        self._seen = seen

    def note(self, event: str) -> None:
        self.events.append((event, self._seen()))

    async def on_cpu(self, work: Callable[[], Any]) -> Any:
        return await asyncio.to_thread(work)

    on_io = on_cpu

    async def buy(self, send: Callable[[], Awaitable[Any]], /) -> Any:
        self.note("buys")
        try:
            return await send()
        except OutcomeUnknownError:
            raise
        except BackendError:
            self.note("withdrawn")
            raise

    async def submitted(self, request_id: str) -> None:
        self.note(request_id)

    def progressed(self, share: float) -> None:
        self.shares.append(share)

    def served(self) -> None:
        """Nothing waits for the place."""


def make(name: str, task: ImageTask, bench: Bench, *, fetch: str | None = None) -> GeneratedImage:
    """Let a backend make a task's image, or fetch that of an earlier request."""

    async def story() -> GeneratedImage:
        backend, request = get_backend(name), prepare(task)
        try:
            if fetch is not None:
                return await backend.fetch(request, fetch, bench)  # type: ignore[arg-type]
            return await backend.generate(request, bench)  # type: ignore[arg-type]
        finally:
            await bench.http.aclose()

    return asyncio.run(story())


def plan(backend: str, **values: Any) -> Plan:
    """Return the plan of a small batch; two images unless poses say otherwise."""
    given = {"backend": backend, "width": SIZE, "height": SIZE, "run_id": "r", "concurrency": 1, **values}
    return build_plan(check(BatchParameters, {"poses": ["standing_relaxed", "walking_stride"], **given}))


def task(backend: str, **values: Any) -> ImageTask:
    return plan(backend, **values).tasks[0]


@pytest.fixture
def fal() -> Iterator[FalServer]:
    with FalServer() as server:
        yield server


@pytest.fixture
def hub() -> Iterator[HubServer]:
    hf_mapping._cache.clear()
    with HubServer() as server:
        yield server


@pytest.fixture
def comfyui() -> Iterator[ComfyuiServer]:
    with comfyui_server() as server:
        yield server


@pytest.fixture
def settings(tmp_path: Path, fal: FalServer, hub: HubServer, comfyui: ComfyuiServer) -> Settings:
    return Settings(
        root=tmp_path,
        cpu_threads=2,
        rate_limits={},
        fal_key=SecretStr(fal.key),
        fal_queue_url=fal.url,
        hf_token=SecretStr(hub.key),
        hf_hub_url=hub.url,
        hf_router_url=hub.url,
        allowed_hosts=(fal.host, hub.host),
        comfyui_url=comfyui.url,
    )


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the engine's client sleep without waiting."""
    clock = Clock()
    monkeypatch.setattr(engine, "Client", functools.partial(Client, sleep=clock.sleep, clock=clock))


def quiet(_: object) -> None:
    """Show nothing."""
