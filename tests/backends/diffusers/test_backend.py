"""The backend's own part, with the work with models replaced: needs no torch."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import SecretStr

from posegen import backends
from posegen.backends import GeneratedImage, get_backend
from posegen.backends import diffusers as module
from posegen.backends.base import ImageRequest
from posegen.backends.diffusers import sampling_of
from posegen.backends.diffusers.options import FAMILIES, DiffusersOptions
from posegen.backends.diffusers.pipelines import Weights, reveal
from posegen.backends.diffusers.sampling import Made, Sampling, Wanted
from posegen.backends.diffusers.studio import Studio
from posegen.errors import BackendUnavailableError, ImageFailedError
from posegen.parameters import BatchParameters, check
from posegen.pipeline.plan import build_plan
from posegen.pipeline.steps import prepare
from posegen.records import ImageTask
from posegen.settings import Settings
from tests.backends.diffusers.conftest import FakeWorkshop

LIMIT_S = 30.0


def task(**values: Any) -> ImageTask:
    given = {"backend": "diffusers", "poses": ["walking_stride"], "width": 256, "height": 256, **values}
    return build_plan(check(BatchParameters, given)).tasks[0]


@pytest.fixture
def orders(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[tuple[Sampling, Wanted]]]:
    """Replace the work with models, and note what is ordered."""
    noted: list[tuple[Sampling, Wanted]] = []

    def make(sampling: Sampling, wanted: Sequence[Wanted], stepped: Callable[[float], None]) -> list[Any]:
        noted.extend((sampling, order) for order in wanted)
        stepped(1.0)
        family = FAMILIES["sdxl"]
        controlnet = family.default_controlnet if sampling.control else None
        pixels = np.zeros((sampling.height, sampling.width, 3), np.uint8)
        return [Made(pixels, family, controlnet, ("made",)) for _ in wanted]

    studio: Studio[Sampling, Wanted, Made] = Studio(make, gather_s=0.0)
    monkeypatch.setattr(module, "STUDIO", studio)
    monkeypatch.setattr(module, "PACKAGES", ())
    yield noted
    assert studio.close(LIMIT_S)


def test_the_registry_has_it() -> None:
    backend = get_backend("diffusers")
    assert backend.name == "diffusers"
    assert not backend.paid
    assert backend.default_model == "black-forest-labs/FLUX.1-dev"
    assert "diffusers" in backends.BACKENDS


def test_missing_packages_are_named_in_one_sentence(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    settings = Settings(root=tmp_path)
    monkeypatch.setattr(module, "find_spec", lambda name: None if name != "diffusers" else object())
    (sentence,) = get_backend("diffusers").missing(settings)
    assert "not installed: torch, transformers, accelerate;" in sentence
    assert "pip install 'posegen[local]'" in sentence
    monkeypatch.setattr(module, "find_spec", lambda name: object())
    assert get_backend("diffusers").missing(settings) == []


def test_planning_and_asking_what_is_missing_import_no_torch() -> None:
    code = (
        "import sys; from pathlib import Path; from posegen.backends import get_backend;"
        "from posegen.settings import Settings;"
        "backend = get_backend('diffusers'); backend.missing(Settings(root=Path()));"
        "backend.stick_scale('stabilityai/stable-diffusion-xl-base-1.0', {});"
        "print(sorted({'torch', 'diffusers', 'transformers'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=dict(os.environ)
    )
    assert done.stdout.strip() == "[]"


def test_an_image_without_the_packages_ends_the_run(
    monkeypatch: pytest.MonkeyPatch, images: Callable[..., list[GeneratedImage]]
) -> None:
    monkeypatch.setattr(module, "find_spec", lambda name: None)
    with pytest.raises(BackendUnavailableError, match="not installed: torch") as raised:
        images(task())
    assert raised.value.code == "NOT_INSTALLED"


def test_a_task_becomes_an_order(
    orders: list[tuple[Sampling, Wanted]],
    workshop: FakeWorkshop,
    images: Callable[..., list[GeneratedImage]],
) -> None:
    workshop.settings = workshop.settings.model_copy(update={"hf_token": SecretStr("hf_canary")})
    options = {"device": "cpu", "dtype": "float32", "offload": "model", "controlnet": "c", "revision": "r"}
    asked = task(
        model="m",
        guidance_scale=2.5,
        num_inference_steps=7,
        controlnet_conditioning_scale=0.8,
        control_guidance_end=0.5,
        negative_prompt="blurry",
        backend_options={**options, "true_cfg_scale": 3},
    )
    image = images(asked)[0]
    (sampling, wanted), *more = orders
    assert more == []
    assert sampling == Sampling(
        Weights("m", "c", "cpu", "float32", "model", "r"), True, 256, 256, 7, 2.5, 0.8, 0.5, 3.0
    )
    assert (wanted.prompt, wanted.negative_prompt, wanted.seed) == (asked.prompt, "blurry", asked.seed)
    assert wanted.control_map is not None
    assert wanted.control_map.any()
    assert reveal(wanted.token) == "hf_canary"
    assert "canary" not in repr(wanted)
    assert (image.conditioning, image.model, image.provider) == ("control", "m", "local")
    assert workshop.shares == [0.0, 1.0]


@pytest.mark.parametrize("conditioning", ["prompt", "none"])
def test_without_control_no_map_is_handed_on(
    orders: list[tuple[Sampling, Wanted]],
    images: Callable[..., list[GeneratedImage]],
    conditioning: str,
) -> None:
    image = images(task(conditioning=conditioning))[0]
    sampling, wanted = orders[0]
    assert (sampling.control, wanted.control_map, image.conditioning) == (False, None, conditioning)
    assert sampling.weights.model == "black-forest-labs/FLUX.1-dev"


def test_control_without_a_map_fails_the_image(
    orders: list[tuple[Sampling, Wanted]], workshop: FakeWorkshop
) -> None:
    with pytest.raises(ImageFailedError, match="needs a control map"):
        asyncio.run(get_backend("diffusers").generate(ImageRequest(task()), workshop))
    assert orders == []


def test_sticks_that_were_planned_thin_are_noted(
    orders: list[tuple[Sampling, Wanted]], images: Callable[..., list[GeneratedImage]]
) -> None:
    """The model turns out to be SDXL, which its name did not tell."""
    thin, told, chosen = (
        task(model="somebody/model", backend_options=options)
        for options in ({}, {"family": "sdxl"}, {"stick_scale": "none"})
    )
    made = images(thin, told, chosen)
    assert "give backend_options family 'sdxl'" in made[0].notes[-1]
    assert [image.notes for image in made[1:]] == [("made",), ("made",)]


def test_tasks_that_differ_in_prompt_and_seed_alone_may_be_made_together() -> None:
    def common(**values: Any) -> Sampling:
        found = task(**values)
        return sampling_of(found, DiffusersOptions.model_validate(found.options))

    assert common() == common(seed=5, prompt="else", views=[45])
    assert common() != common(width=512)
    assert common() != common(conditioning="prompt")
    assert common() != common(guidance_scale=1.0)


def test_progress_after_the_end_of_a_run_is_dropped(workshop: FakeWorkshop) -> None:
    loop = asyncio.new_event_loop()
    loop.close()
    module._tell(loop, workshop, 0.5)
    assert workshop.shares == []


def test_the_packages_are_those_of_the_extra(project_root: Path) -> None:
    import tomllib

    from packaging.requirements import Requirement

    pyproject = tomllib.loads((project_root / "pyproject.toml").read_text(encoding="utf-8"))
    extra = pyproject["project"]["optional-dependencies"]["local"]
    assert {Requirement(line).name for line in extra} == set(module.PACKAGES)


def test_the_request_of_a_task_has_the_sticks_that_it_was_planned_with() -> None:
    thin, wide = (
        task(model="a/b", width=1024, height=1024, backend_options={"stick_scale": scale})
        for scale in ("none", "xinsir")
    )
    assert thin.control_map_sha256 != wide.control_map_sha256
    drawn = [prepare(one).control_map for one in (thin, wide)]
    assert drawn[0] is not None
    assert drawn[1] is not None
    assert np.count_nonzero(drawn[1]) > 1.5 * np.count_nonzero(drawn[0])
