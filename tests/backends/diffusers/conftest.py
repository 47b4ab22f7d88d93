"""Tiny pipelines on disk, a workshop to hand to the backend, and tasks for both."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import numpy as np
import pytest

from posegen.backends import GeneratedImage, get_backend
from posegen.backends.diffusers import pipelines, unload
from posegen.parameters import BatchParameters, check
from posegen.pipeline.plan import build_plan
from posegen.pipeline.steps import prepare
from posegen.records import ImageTask
from posegen.settings import Settings

T = TypeVar("T")

Images = Callable[..., list[GeneratedImage]]

STEP = 1
"""How far a pixel may be off between a batch and one at a time: one of 255."""


@dataclass(frozen=True)
class Tiny:
    """A tiny model on disk."""

    family: str
    model: str
    controlnet: str

    def values(self, **more: Any) -> dict[str, Any]:
        """Return parameters of a small batch with it; `options` are added to the backend's."""
        options = {"controlnet": self.controlnet, "device": "cpu", **more.pop("options", {})}
        return {
            "backend": "diffusers",
            "model": self.model,
            "backend_options": options,
            "poses": ["walking_stride"],
            "width": 256,
            "height": 256,
            "num_inference_steps": 2,
            **more,
        }

    def task(self, **more: Any) -> ImageTask:
        """Return the first task of that batch."""
        return build_plan(check(BatchParameters, self.values(**more))).tasks[0]


@dataclass
class FakeWorkshop:
    """What the engine offers, as far as this backend uses it."""

    settings: Settings
    shares: list[float] = field(default_factory=list)
    on_share: Callable[[float], None] = lambda _: None

    def progressed(self, share: float) -> None:
        self.shares.append(share)
        self.on_share(share)

    def served(self) -> None:
        """Nothing waits for the place."""

    def on_cpu(self, work: Callable[[], T]) -> Awaitable[T]:
        return asyncio.to_thread(work)


@pytest.fixture(scope="session")
def flux(tmp_path_factory: pytest.TempPathFactory) -> Tiny:
    return written("flux", tmp_path_factory.mktemp("flux"))


@pytest.fixture(scope="session")
def sdxl(tmp_path_factory: pytest.TempPathFactory) -> Tiny:
    return written("sdxl", tmp_path_factory.mktemp("sdxl"))


@pytest.fixture(params=["flux", "sdxl"])
def tiny(request: pytest.FixtureRequest) -> Tiny:
    """Return each of the two in turn."""
    found: Tiny = request.getfixturevalue(request.param)
    return found


def reseeded(task: ImageTask, seed: int) -> ImageTask:
    return msgspec.structs.replace(task, seed=seed)


def difference(a: GeneratedImage, b: GeneratedImage) -> int:
    return int(np.abs(a.pixels.astype(int) - b.pixels).max())


def main_part(tiny: Tiny) -> Any:
    plain = pipelines._kept[0]._plain
    return plain.transformer if tiny.family == "flux" else plain.unet


def written(family: str, folder: Path, **more: Any) -> Tiny:
    """Write a tiny model."""
    import tiny_pipelines

    write = {"flux": tiny_pipelines.write_flux, "sdxl": tiny_pipelines.write_sdxl}[family]
    return Tiny(family, *write(folder, **more))


@pytest.fixture
def workshop(tmp_path: Path) -> FakeWorkshop:
    return FakeWorkshop(Settings(root=tmp_path))


@pytest.fixture
def images(workshop: FakeWorkshop) -> Images:
    """Return a function that makes the images of tasks, all at once."""

    def make(*tasks: ImageTask) -> list[GeneratedImage]:
        async def gather() -> list[GeneratedImage]:
            backend = get_backend("diffusers")
            return list(await asyncio.gather(*(backend.generate(prepare(t), workshop) for t in tasks)))

        return asyncio.run(gather())

    return make


@pytest.fixture
def nothing_loaded() -> Iterator[None]:
    """Start and end with nothing kept from other tests."""
    unload()
    yield
    unload()
