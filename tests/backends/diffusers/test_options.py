import json
from pathlib import Path
from typing import Any

import pytest

from posegen.backends.diffusers.options import FAMILIES, DiffusersOptions, stick_scale
from posegen.errors import ParameterError
from posegen.parameters import BatchParameters, check


def parameters(**options: Any) -> BatchParameters:
    return check(BatchParameters, {"backend": "diffusers", "backend_options": options})


def test_the_defaults_need_no_option() -> None:
    assert DiffusersOptions.model_validate(parameters().backend_options) == DiffusersOptions()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"device": "gpu"}, "'gpu' is not allowed: auto, cpu, cuda, cuda:<number> or mps"),
        ({"device": "cuda:x"}, "'cuda:x' is not allowed"),
        ({"dtype": "float8"}, "dtype"),
        ({"offload": "disk"}, "offload"),
        ({"device": "mps", "offload": "model"}, "of no use on 'mps'"),
        ({"batch_size": 0}, "batch_size"),
        ({"true_cfg_scale": 0.5}, "true_cfg_scale"),
        ({"controlnets": "x"}, "controlnet"),
    ],
)
def test_what_is_not_allowed_is_named(options: dict[str, Any], said: str) -> None:
    with pytest.raises(ParameterError, match=said):
        parameters(**options)


@pytest.mark.parametrize("device", ["auto", "cpu", "cuda", "cuda:11", "mps"])
def test_devices_by_their_names_in_torch(device: str) -> None:
    assert DiffusersOptions(device=device).device == device


XINSIR = "xinsir/controlnet-openpose-sdxl-1.0"


@pytest.mark.parametrize(
    ("model", "options", "scale"),
    [
        (None, {}, "none"),
        ("black-forest-labs/FLUX.1-dev", {}, "none"),
        ("stabilityai/stable-diffusion-xl-base-1.0", {}, "xinsir"),
        ("SG161222/RealVisXL_V5.0", {"family": "sdxl"}, "xinsir"),
        ("somebody/photo-XL", {}, "xinsir"),
        ("somebody/axles", {}, "none"),
        ("stabilityai/stable-diffusion-xl-base-1.0", {"controlnet": "thibaud/openpose-sdxl-1.0"}, "none"),
        ("black-forest-labs/FLUX.1-dev", {"controlnet": XINSIR}, "xinsir"),
        ("any/model", {"controlnet": "xinsir/controlnet-canny-sdxl-1.0"}, "none"),
        ("any/model", {"controlnet": XINSIR, "stick_scale": "none"}, "none"),
        ("any/model", {"controlnet": "my/copy", "stick_scale": "xinsir"}, "xinsir"),
    ],
)
def test_the_controlnets_name_decides_how_wide_sticks_are(
    model: str | None, options: dict[str, Any], scale: str
) -> None:
    assert stick_scale(model, options) == scale


@pytest.mark.parametrize(
    ("index", "scale"),
    [
        ({"_class_name": "StableDiffusionXLPipeline"}, "xinsir"),
        ({"_class_name": "FluxControlNetPipeline"}, "none"),
        ({"_class_name": "Other"}, "none"),
        ([], "none"),
    ],
)
def test_a_folder_says_itself_what_it_holds(tmp_path: Path, index: Any, scale: str) -> None:
    (tmp_path / "model_index.json").write_text(json.dumps(index))
    assert stick_scale(str(tmp_path), {}) == scale


def test_the_default_pose_controlnets_have_the_settings_of_their_cards() -> None:
    flux, sdxl = FAMILIES["flux"], FAMILIES["sdxl"]
    assert (flux.guidance_scale, flux.controlnet_conditioning_scale, flux.control_guidance_end) == (
        3.5,
        0.9,
        0.65,
    )
    assert (sdxl.guidance_scale, sdxl.controlnet_conditioning_scale, sdxl.control_guidance_end) == (
        5.0,
        1.0,
        1.0,
    )
