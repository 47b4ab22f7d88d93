"""Tiny pipelines, loaded for real: `make test-local`."""

from __future__ import annotations

import json
import shutil
import weakref
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from posegen.backends.diffusers import pipelines
from posegen.errors import BackendUnavailableError
from posegen.records import ImageTask
from tests.backends.diffusers.conftest import (
    STEP,
    Images,
    Tiny,
    difference,
    main_part,
    reseeded,
)

if find_spec("torch") is None:
    pytest.skip("torch is not installed: make test-local", allow_module_level=True)


def test_a_model_stays_loaded_until_another_is_asked_for(
    flux: Tiny, sdxl: Tiny, images: Images, monkeypatch: pytest.MonkeyPatch, nothing_loaded: None
) -> None:
    import diffusers

    loads: list[str] = []
    for cls in (diffusers.FluxPipeline, diffusers.StableDiffusionXLPipeline, diffusers.FluxControlNetModel):
        load = cls.from_pretrained

        def counted(name: str, *, load: Any = load, **more: Any) -> Any:
            loads.append(name)
            return load(name, **more)

        monkeypatch.setattr(cls, "from_pretrained", counted)
    images(flux.task(conditioning="prompt"))
    images(flux.task())
    images(flux.task(), flux.task(conditioning="prompt"), reseeded(flux.task(), 5))
    assert loads == [flux.model, flux.controlnet]
    part = weakref.ref(pipelines._kept[0]._plain.transformer)
    assert part() is pipelines._kept[0]._control.transformer
    images(sdxl.task(conditioning="prompt"))
    assert loads == [flux.model, flux.controlnet, sdxl.model]
    assert part() is None, "the memory of the first model is free"


def test_both_pipelines_take_over_the_parts_that_are_offloaded(
    tiny: Tiny, images: Images, monkeypatch: pytest.MonkeyPatch, nothing_loaded: None
) -> None:
    """Here the CPU stands in for the GPU: what is tested is whose hooks are in place, not the memory."""
    tasks = [tiny.task(), tiny.task(conditioning="prompt"), tiny.task()]
    kept = [images(task)[0] for task in tasks]
    monkeypatch.setattr(
        pipelines.Loaded, "offload", property(lambda _: "model", lambda *_: None), raising=False
    )
    pipelines.unload()
    for task, before in zip(tasks, kept, strict=True):
        after = images(task)[0]
        assert difference(before, after) <= STEP
        loaded = pipelines._kept[0]
        hooked = loaded._control if task.conditioning == "control" else loaded._plain
        assert loaded._offloaded is hooked
        assert all(hasattr(hook.hook, "execution_device") for hook in hooked._all_hooks)
        assert hasattr(main_part(tiny), "_hf_hook")


def test_offloading_on_a_cpu_is_said_to_have_no_effect(flux: Tiny, images: Images) -> None:
    image = images(flux.task(options={"offload": "sequential"}))[0]
    assert "offload is without effect: the model works on the CPU" in image.notes


def refused(images: Images, task: ImageTask) -> BackendUnavailableError:
    with pytest.raises(BackendUnavailableError) as raised:
        images(task)
    return raised.value


def test_a_model_of_another_kind_is_refused_by_its_class(
    flux: Tiny, tmp_path: Path, images: Images, nothing_loaded: None
) -> None:
    other = tmp_path / "model"
    shutil.copytree(flux.model, other)
    index = json.loads((other / "model_index.json").read_text())
    (other / "model_index.json").write_text(json.dumps({**index, "_class_name": "FluxKontextPipeline"}))
    error = refused(images, flux.task(model=str(other)))
    assert error.code == "WRONG_MODEL"
    assert "is a FluxKontextPipeline; this backend drives FluxPipeline" in str(error)


def test_a_controlnet_for_another_model_is_refused(
    flux: Tiny, sdxl: Tiny, tmp_path: Path, images: Images, nothing_loaded: None
) -> None:
    error = refused(images, flux.task(options={"controlnet": sdxl.controlnet}))
    assert error.code == "WRONG_MODEL"
    assert "is a ControlNetModel, and" in str(error)
    narrow = tmp_path / "controlnet"
    shutil.copytree(sdxl.controlnet, narrow)
    config = json.loads((narrow / "config.json").read_text())
    (narrow / "config.json").write_text(json.dumps({**config, "cross_attention_dim": 768}))
    error = refused(images, sdxl.task(options={"controlnet": str(narrow)}))
    assert "cross_attention_dim 768, not 64" in str(error)


@pytest.mark.parametrize(
    ("model", "said"),
    [("nobody/nothing", "may not be asked"), ("no/such/folder", "no folder here")],
)
def test_a_model_that_is_not_here_is_named(
    flux: Tiny, images: Images, nothing_loaded: None, model: str, said: str
) -> None:
    error = refused(images, flux.task(model=model, options={"local_files_only": True}))
    assert error.code == "MODEL_NOT_FOUND"
    assert said in str(error)
    assert repr(model) in str(error)


def test_a_folder_that_lacks_a_part_is_named(
    flux: Tiny, tmp_path: Path, images: Images, nothing_loaded: None
) -> None:
    broken = tmp_path / "model"
    shutil.copytree(flux.model, broken)
    (broken / "transformer" / "diffusion_pytorch_model.safetensors").unlink()
    error = refused(images, flux.task(model=str(broken)))
    assert error.code == "MODEL_NOT_LOADED"
    assert "diffusion_pytorch_model" in str(error)


def test_a_device_that_is_not_there_is_refused(flux: Tiny, images: Images, nothing_loaded: None) -> None:
    error = refused(images, flux.task(options={"device": "cuda:7"}))
    assert error.code == "NO_DEVICE"
    assert "'cuda:7' is not there" in str(error)
