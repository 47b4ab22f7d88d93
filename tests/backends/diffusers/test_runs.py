"""Tiny pipelines in an event loop and in whole runs: `make test-local`."""

from __future__ import annotations

import asyncio
import shutil
import threading
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from posegen.backends import GeneratedImage, get_backend
from posegen.backends.diffusers import pipelines, sampling
from posegen.errors import RunInterruptedError
from posegen.parameters import BatchParameters, check
from posegen.pipeline.plan import build_plan
from posegen.pipeline.run import start
from posegen.pipeline.steps import prepare
from posegen.settings import Settings
from tests.backends.diffusers.conftest import (
    FakeWorkshop,
    Images,
    Tiny,
    reseeded,
)

if find_spec("torch") is None:
    pytest.skip("torch is not installed: make test-local", allow_module_level=True)


def test_progress_rises_to_1_with_each_step(tiny: Tiny, images: Images, workshop: FakeWorkshop) -> None:
    images(tiny.task(num_inference_steps=4))
    assert workshop.shares[-4:] == [0.25, 0.5, 0.75, 1.0]
    assert workshop.shares == sorted(workshop.shares)


def test_a_cancelled_image_ends_within_a_step(tiny: Tiny, workshop: FakeWorkshop, images: Images) -> None:
    task = tiny.task(num_inference_steps=500)

    async def cancel_after_a_step() -> None:
        stepped = asyncio.Event()
        workshop.on_share = lambda share: stepped.set() if share > 0 else None
        making = asyncio.create_task(get_backend("diffusers").generate(prepare(task), workshop))
        waiting = asyncio.create_task(stepped.wait())
        await asyncio.wait({waiting, making}, return_when=asyncio.FIRST_COMPLETED)
        making.cancel()
        with pytest.raises(asyncio.CancelledError):
            await making

    asyncio.run(cancel_after_a_step())
    workshop.on_share = lambda _: None
    images(tiny.task())  # comes after it in the same thread
    assert max(share for share in workshop.shares if share < 0.5) < 0.1


def test_no_image_waits_for_one_that_was_cancelled_in_the_queue(
    flux: Tiny, workshop: FakeWorkshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    seeds: list[int] = []
    generators = pipelines.Loaded.generators

    def counted(asked: list[int]) -> Any:
        seeds.extend(asked)
        return generators(asked)

    monkeypatch.setattr(pipelines.Loaded, "generators", staticmethod(counted))

    async def cancel_the_second() -> None:
        backend = get_backend("diffusers")
        first, second, third = (
            asyncio.create_task(backend.generate(prepare(reseeded(flux.task(), seed)), workshop))
            for seed in (1, 2, 3)
        )
        await asyncio.sleep(0)  # all three have placed their orders
        second.cancel()
        await asyncio.gather(first, third)

    asyncio.run(cancel_the_second())
    assert seeds == [1, 3]


def test_the_loop_goes_on_while_a_model_works(flux: Tiny, workshop: FakeWorkshop) -> None:
    """The work is held up in its thread until the loop has turned; a loop that waited would never turn."""
    turned = threading.Event()

    async def turn() -> GeneratedImage:
        backend = get_backend("diffusers")
        making = asyncio.create_task(backend.generate(prepare(flux.task()), workshop))
        await asyncio.sleep(0)
        assert not making.done()
        turned.set()
        return await making

    held = sampling._sample

    def hold(*args: Any) -> Any:
        assert turned.wait(60)
        return held(*args)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sampling, "_sample", hold)
        assert asyncio.run(turn()).conditioning == "control"


def test_a_run_end_to_end(tiny: Tiny, tmp_path: Path) -> None:
    values = tiny.values(
        poses=["walking_stride", "standing_relaxed"],
        images_per_pose=2,
        concurrency=4,
        exports=["instagram_post"],
        options={"batch_size": 4},
        run_id="r",
    )
    settings = Settings(root=tmp_path, cpu_threads=2)
    for conditioning in ("control", "prompt"):
        plan = build_plan(
            check(BatchParameters, {**values, "conditioning": conditioning, "run_id": conditioning})
        )
        summary = start(plan, settings).wait(lambda _: None)
        assert (summary.exit_code, summary.state.made) == (0, 4)
        for task in plan.tasks:
            record = summary.records[task.task_id]
            assert (record.conditioning, record.model, record.provider) == (conditioning, tiny.model, "local")
            assert not record.synthetic
            assert (tmp_path / record.key).is_file()
            exports = list((tmp_path / "runs" / conditioning / "exports").rglob(f"{task.task_id}*"))
            assert len(exports) == 1


def test_a_run_whose_model_is_missing_stops_early_and_can_be_resumed(
    flux: Tiny, tmp_path: Path, nothing_loaded: None
) -> None:
    model = tmp_path / "later"
    poses = ["walking_stride", "standing_relaxed", "yoga_tree"]
    values = flux.values(model=str(model), poses=poses, concurrency=1, run_id="r")
    plan = build_plan(check(BatchParameters, values))
    settings = Settings(root=tmp_path, cpu_threads=2)
    with pytest.raises(RunInterruptedError, match=r"after 0 of 3 images \(model '.*later' was not found"):
        start(plan, settings).wait(lambda _: None)
    shutil.copytree(flux.model, model)
    summary = start(plan, settings).wait(lambda _: None)
    assert (summary.exit_code, summary.state.made) == (0, 3)
