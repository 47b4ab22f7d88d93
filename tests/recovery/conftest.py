"""Runs that really were killed, and a recovery in this process with a clock that is set by hand."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from posegen import backends
from posegen.backends import GeneratedImage, ImageRequest, InProcess, NoOptions, Workshop
from posegen.credits import ACCOUNTS_FILE, Accounts, open_accounts
from posegen.journal import RunState, read_run
from posegen.parameters import RecoveryParameters
from posegen.recovery import FoundRuns, RecoveryReport, find, recover
from posegen.settings import Settings
from tests.faults.harness import USER, Nursery, Shop, Story, a_nursery, a_shop


class Plain(InProcess):
    """Makes one-colour pictures at once."""

    name = "plain"
    version: str | None = None
    default_model: str | None = "plain-1"
    conditionings = ("control", "prompt", "none")
    options_type = NoOptions
    negative_prompt_note = "no effect here"

    def __init__(self) -> None:
        self.made: list[str] = []
        self.lacks: list[str] = []
        self.error: Exception | None = None
        self.on_image: Callable[[ImageRequest], None] = lambda _: None

    def missing(self, settings: Settings) -> list[str]:
        return self.lacks

    def typical_s(self, width: int, height: int) -> float:
        return 1.0

    async def generate(self, request: ImageRequest, workshop: Workshop) -> GeneratedImage:
        return await workshop.on_cpu(lambda: self.make(request))

    def make(self, request: ImageRequest) -> GeneratedImage:
        self.on_image(request)
        if self.error is not None:
            raise self.error
        self.made.append(request.task.task_id)
        pixels = np.full((request.task.height, request.task.width, 3), request.task.index, np.uint8)
        return GeneratedImage(pixels, request.task.conditioning, model="plain-1", provider="here")


class Blind(Plain):
    """The same, paid for, and what became of a purchase cannot be found out."""

    name = "blind"
    paid = True


class World:
    """A root folder with runs, and recovery at a time of one's choice.

    Attributes
    ----------
    after : timedelta
        How far the recovery's clock is ahead of the real one.
    """

    def __init__(self, root: Path, nursery: Nursery, shop: Shop) -> None:
        self.root = root
        self.settings = Settings(root=root, cpu_threads=2, estimator="off")
        self.after = timedelta(0)
        self._nursery, self._shop = nursery, shop

    def story(self, run_id: str = "r", backend: str = "plain", **options: Any) -> Story:
        options = {"failing": None, "concurrency": 1, **options}
        return Story(self.root, self._nursery, self._shop, backend, run_id=run_id, **options)

    def killed(self, run_id: str = "r", backend: str = "plain", *, at: str = "image_journalled", nth: int = 2,
               **options: Any) -> Story:  # fmt: skip
        """Return a run whose process killed itself at the nth pass of a failpoint."""
        order = {name: options.pop(name) for name in ("host",) if name in options}
        story = self.story(run_id, backend, **options)
        assert story.die_at(at, nth, **order).died_there == at
        return story

    def finished(self, run_id: str = "r", **options: Any) -> Story:
        story = self.story(run_id, **options)
        assert story.finish().exit_code == 0
        return story

    def now(self) -> datetime:
        return datetime.now(UTC) + self.after

    def recover(self, **parameters: Any) -> RecoveryReport:
        return recover(
            RecoveryParameters(**parameters), self.settings, now=self.now, on_progress=lambda _: None
        )

    def find(self, **parameters: Any) -> FoundRuns:
        return find(RecoveryParameters(**parameters), self.settings, self.now())

    def state(self, run_id: str = "r") -> RunState:
        return read_run(self.root, run_id)

    @property
    def accounts(self) -> Accounts:
        return open_accounts(self.root / ACCOUNTS_FILE)

    @property
    def balance(self) -> int:
        return self.accounts.balance(USER)

    def files(self) -> dict[str, bytes]:
        return {str(path): path.read_bytes() for path in self.root.rglob("*") if path.is_file()}


@pytest.fixture(scope="session")
def nursery() -> Iterator[Nursery]:
    with a_nursery() as started:
        yield started


@pytest.fixture
def shop() -> Iterator[Shop]:
    with a_shop() as opened:
        yield opened


@pytest.fixture
def world(tmp_path: Path, nursery: Nursery, shop: Shop) -> World:
    return World(tmp_path / "outputs", nursery, shop)


@pytest.fixture(autouse=True)
def plain(monkeypatch: pytest.MonkeyPatch) -> Plain:
    """Return what makes images in this process, free and paid."""
    backend, blind = Plain(), Blind()
    monkeypatch.setitem(backends.BACKENDS, "plain", lambda: backend)
    monkeypatch.setitem(backends.BACKENDS, "blind", lambda: blind)
    return backend
