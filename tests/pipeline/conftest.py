"""A backend that makes plain pictures at once, fails where it is told to, and can be held up."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from posegen import backends
from posegen.backends import Backend, GeneratedImage, ImageRequest, InProcess, NoOptions, Workshop
from posegen.pipeline.export_report import ExportReport
from posegen.pipeline.export_run import Exporter
from posegen.pipeline.plan import Plan
from posegen.records import Conditioning
from posegen.settings import Settings
from tests.pipeline.exported import Export, make, quiet


class PlainBackend(InProcess):
    """Makes one-colour pictures; the colour is the seed's."""

    name = "plain"
    version: str | None = None
    default_model: str | None = "plain-1"
    conditionings: tuple[Conditioning, ...] = ("control", "prompt", "none")
    options_type = NoOptions
    negative_prompt_note = "no effect here"

    def __init__(self) -> None:
        self.made: list[str] = []
        self.lacks: list[str] = []
        self.fail: Callable[[ImageRequest], Exception | None] = lambda _: None
        self.on_image: Callable[[ImageRequest], None] = lambda _: None

    def missing(self, settings: Settings) -> list[str]:
        return self.lacks

    def typical_s(self, width: int, height: int) -> float:
        return 2.0

    async def generate(self, request: ImageRequest, workshop: Workshop) -> GeneratedImage:
        if self.paid:
            return await workshop.buy(lambda: self.sell(request, workshop))
        return await self.sell(request, workshop)

    async def sell(self, request: ImageRequest, workshop: Workshop) -> GeneratedImage:
        await workshop.submitted(f"request-{request.task.task_id[:4]}")
        return await workshop.on_cpu(lambda: self.make(request))

    def make(self, request: ImageRequest) -> GeneratedImage:
        self.on_image(request)
        error = self.fail(request)
        if error is not None:
            raise error
        self.made.append(request.task.task_id)
        return self.picture(request)

    def picture(self, request: ImageRequest) -> GeneratedImage:
        pixels = np.full((request.task.height, request.task.width, 3), request.task.seed % 256, np.uint8)
        return GeneratedImage(
            pixels, request.task.conditioning, model="plain-1", provider="here", cost_usd=0.01
        )


@pytest.fixture
def backend(monkeypatch: pytest.MonkeyPatch) -> PlainBackend:
    """Return the backend behind the name `plain`."""
    plain = PlainBackend()

    def give() -> Backend:
        return plain

    monkeypatch.setitem(backends.BACKENDS, "plain", give)
    return plain


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(root=tmp_path, cpu_threads=2, estimator="off")


@pytest.fixture
def gate() -> Iterator[threading.Event]:
    """Return an event that is set at the end, so that no thread waits for ever."""
    event = threading.Event()
    yield event
    event.set()


@pytest.fixture
def run(backend: PlainBackend, settings: Settings) -> Plan:
    """Return the plan of a finished run of three poses, without exports."""
    return make(settings)


@pytest.fixture
def export(settings: Settings) -> Export:
    """Return what exports the run `r`."""

    def export(**options: Any) -> ExportReport:
        return Exporter("r", settings, on_progress=quiet).export(**options)

    return export
