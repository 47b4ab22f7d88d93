"""Images of tiny pipelines, made for real: `make test-local`."""

from __future__ import annotations

import shutil
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from posegen.backends.diffusers import pipelines, sampling, unload
from posegen.backends.diffusers.pipelines import Weights
from posegen.backends.diffusers.sampling import Sampling, Wanted
from posegen.errors import ImageFailedError
from tests.backends.diffusers.conftest import (
    STEP,
    Images,
    Tiny,
    difference,
    main_part,
    reseeded,
    written,
)

if find_spec("torch") is None:
    pytest.skip("torch is not installed: make test-local", allow_module_level=True)


def test_the_same_task_gives_the_same_pixels_and_another_seed_others(tiny: Tiny, images: Images) -> None:
    task = tiny.task()
    first, again, other = images(task)[0], images(task)[0], images(reseeded(task, 1))[0]
    assert first.pixels.shape == (256, 256, 3)
    np.testing.assert_array_equal(first.pixels, again.pixels)
    unload()
    np.testing.assert_array_equal(first.pixels, images(task)[0].pixels)
    assert difference(first, other) > 20


def test_an_image_says_what_it_had_and_what_made_it(tiny: Tiny, images: Images) -> None:
    control, plain = images(tiny.task(), tiny.task(conditioning="prompt"))
    assert (control.conditioning, plain.conditioning) == ("control", "prompt")
    assert (control.model, control.provider, control.synthetic) == (tiny.model, "local", False)
    assert "diffusers" in control.notes[0]
    assert "on cpu in float32" in control.notes[0]
    assert tiny.controlnet in control.notes[0]
    assert "ControlNet" not in plain.notes[0]


def test_the_control_map_acts_and_at_scale_0_the_same_seed_gives_the_picture_without_it(
    tiny: Tiny, images: Images
) -> None:
    weak, strong = (tiny.task(controlnet_conditioning_scale=scale) for scale in (0.0, 1.0))
    seed = weak.seed
    none, full, plain = images(weak, strong, reseeded(tiny.task(conditioning="prompt"), seed))
    assert difference(none, full) > 20
    np.testing.assert_array_equal(none.pixels, plain.pixels)


def test_another_pose_gives_another_picture_by_its_map_alone(tiny: Tiny, images: Images) -> None:
    task = tiny.task()
    other = tiny.task(poses=["standing_relaxed"])
    other = msgspec.structs.replace(other, prompt=task.prompt, seed=task.seed)
    assert difference(*images(task, other)) > 5


def test_the_map_is_let_go_at_control_guidance_end(tiny: Tiny, images: Images) -> None:
    early, late = (
        tiny.task(control_guidance_end=end, controlnet_conditioning_scale=1.0, num_inference_steps=4)
        for end in (0.25, 1.0)
    )
    assert difference(*images(early, late)) > 5


def test_a_batch_gives_what_one_at_a_time_gives(
    tiny: Tiny, images: Images, monkeypatch: pytest.MonkeyPatch
) -> None:
    tasks = [reseeded(tiny.task(options={"batch_size": 3}), seed) for seed in range(3)]
    sizes: list[int] = []
    sample = sampling._sample

    def counted(loaded: Any, pipeline: Any, common: Any, wanted: Any, stepped: Any) -> Any:
        sizes.append(len(wanted))
        return sample(loaded, pipeline, common, wanted, stepped)

    monkeypatch.setattr(sampling, "_sample", counted)
    together = images(*tasks)
    alone = [images(reseeded(tiny.task(), seed))[0] for seed in range(3)]
    assert sizes == [3, 1, 1, 1]
    assert max(difference(a, b) for a, b in zip(together, alone, strict=True)) <= STEP
    assert difference(together[0], together[1]) > 20


def out_of_memory(*args: Any, **more: Any) -> Any:
    import torch

    raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB")


def test_out_of_memory_fails_the_image_with_advice(
    tiny: Tiny, images: Images, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = images(tiny.task())[0]
    with monkeypatch.context() as patch:
        patch.setattr(main_part(tiny), "forward", out_of_memory)
        with pytest.raises(ImageFailedError, match=r"256x256 does not fit.*offload") as raised:
            images(tiny.task())
    assert raised.value.code == "OUT_OF_MEMORY"
    assert difference(before, images(tiny.task())[0]) == 0, "the next image is made as if nothing had been"


def test_a_batch_that_does_not_fit_is_made_in_halves(
    flux: Tiny, images: Images, monkeypatch: pytest.MonkeyPatch
) -> None:
    tasks = [reseeded(flux.task(options={"batch_size": 3}), seed) for seed in range(3)]
    whole = images(*tasks)
    forward, sizes = main_part(flux).forward, []

    def one_at_a_time(*args: Any, hidden_states: Any, **more: Any) -> Any:
        sizes.append(len(hidden_states))
        return out_of_memory() if len(hidden_states) > 1 else forward(hidden_states=hidden_states, **more)

    monkeypatch.setattr(main_part(flux), "forward", one_at_a_time)
    halves = images(*tasks)
    assert sizes == [3, 1, 1, 2, 1, 1, 1, 1]
    assert max(difference(a, b) for a, b in zip(whole, halves, strict=True)) <= STEP


def test_numbers_that_are_none_fail_the_image(
    flux: Tiny, images: Images, monkeypatch: pytest.MonkeyPatch
) -> None:
    images(flux.task())
    forward = main_part(flux).forward
    monkeypatch.setattr(main_part(flux), "forward", lambda **more: (forward(**more)[0] * float("nan"),))
    with pytest.raises(ImageFailedError, match="in float32") as raised:
        images(flux.task())
    assert raised.value.code == "NOT_A_NUMBER"


def test_an_image_of_one_colour_has_failed(
    flux: Tiny, images: Images, monkeypatch: pytest.MonkeyPatch
) -> None:
    images(flux.task())
    vae = pipelines._kept[0]._plain.vae
    decode = vae.decode
    monkeypatch.setattr(vae, "decode", lambda *a, **more: (decode(*a, **more)[0] * 0 - 1,))
    with pytest.raises(ImageFailedError, match="one colour"):
        images(flux.task())


def test_any_other_failure_names_its_cause(
    flux: Tiny, images: Images, monkeypatch: pytest.MonkeyPatch
) -> None:
    images(flux.task())

    def broken(*args: Any, **more: Any) -> Any:
        raise RuntimeError("mat1 and mat2 do not fit\nand more")

    monkeypatch.setattr(main_part(flux), "forward", broken)
    with pytest.raises(ImageFailedError, match=r"RuntimeError: mat1 and mat2 do not fit$") as raised:
        images(flux.task())
    assert raised.value.code == "GENERATION_FAILED"


def test_a_union_controlnet_is_told_that_the_map_is_a_pose(
    flux: Tiny, tmp_path: Path, images: Images, monkeypatch: pytest.MonkeyPatch
) -> None:
    import diffusers

    union = written("flux", tmp_path, num_mode=10)
    modes: list[int] = []
    forward = diffusers.FluxControlNetModel.forward

    def noted(self: Any, *args: Any, controlnet_mode: Any, **more: Any) -> Any:
        modes.extend(controlnet_mode.flatten().tolist())
        return forward(self, *args, controlnet_mode=controlnet_mode, **more)

    monkeypatch.setattr(diffusers.FluxControlNetModel, "forward", noted)
    image = images(union.task())[0]
    assert modes == [4, 4]
    assert image.conditioning == "control"


def test_half_of_the_digits_work_too(tiny: Tiny, images: Images) -> None:
    half = images(tiny.task(options={"dtype": "bfloat16"}))[0]
    assert "in bfloat16" in half.notes[0]
    assert difference(half, images(tiny.task())[0]) > 0


def test_a_negative_prompt_acts_on_flux_with_true_cfg_alone_and_on_sdxl_with_guidance(
    flux: Tiny, sdxl: Tiny, images: Images
) -> None:
    def moved(tiny: Tiny, **more: Any) -> int:
        a, b = (tiny.task(negative_prompt=words, **more) for words in ("blurry", "a crowd, 9 people"))
        return difference(*images(a, b))

    assert moved(flux) == 0
    assert moved(flux, options={"true_cfg_scale": 4.0}) > 0
    assert moved(sdxl) > 0
    assert moved(sdxl, guidance_scale=1.0) == 0


def test_what_has_no_effect_is_said(sdxl: Tiny, images: Images) -> None:
    image = images(sdxl.task(options={"true_cfg_scale": 2.0}, prompt="abc " * 40))[0]
    assert any("true_cfg_scale is for FLUX" in note for note in image.notes)
    assert any("the model reads the first 77" in note for note in image.notes)


def test_sticks_that_were_planned_for_another_controlnet_are_noted(
    sdxl: Tiny, tmp_path: Path, images: Images
) -> None:
    controlnet = tmp_path / "xinsir-openpose"
    shutil.copytree(sdxl.controlnet, controlnet)
    task = sdxl.task(options={"controlnet": str(controlnet)})
    assert task.stick_scale == "xinsir"
    assert not any("stick_scale" in note for note in images(task)[0].notes)
    thin = msgspec.structs.replace(task, stick_scale="none")
    assert any("wants 'xinsir'" in note for note in images(thin)[0].notes)


def test_a_size_between_the_models_steps_is_refused(tiny: Tiny) -> None:
    step = 16 if tiny.family == "flux" else 8
    weights = Weights(tiny.model, tiny.controlnet, device="cpu")
    wanted = [Wanted("a person", "", seed=0)]
    good = Sampling(weights, control=False, width=256, height=256 + step, num_inference_steps=1)
    made = sampling.make(good, wanted, lambda _: None)[0]
    assert isinstance(made, sampling.Made)
    assert made.pixels.shape == (256 + step, 256, 3)
    odd = Sampling(weights, control=False, width=256, height=260)
    with pytest.raises(ImageFailedError, match=f"multiples of {step} pixels, not 256x260"):
        sampling.make(odd, wanted, lambda _: None)


def on_a_gpu() -> bool:
    try:
        import torch
    except ImportError:
        return False
    return bool(torch.cuda.is_available())


@pytest.mark.skipif(not on_a_gpu(), reason="no GPU here")
@pytest.mark.parametrize("offload", ["none", "model", "sequential"])
def test_a_gpu_draws_what_the_cpu_draws(tiny: Tiny, images: Images, offload: str) -> None:
    there = images(tiny.task(options={"device": "cuda", "dtype": "float32", "offload": offload}))[0]
    here = images(tiny.task())[0]
    assert np.abs(there.pixels.astype(int) - here.pixels).mean() < 2
