"""Options of the backend `diffusers`, and what is known of the two kinds of models that it drives."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, field_validator, model_validator

from posegen.backends.base import NoOptions
from posegen.records import StickScale

FamilyName = Literal["flux", "sdxl"]

DEVICE = re.compile(r"auto|cpu|mps|cuda(:\d+)?")

UNION_POSE_MODE = 4
"""`control_mode` of poses where modes are numbered (card of Shakker-Labs/FLUX.1-dev-ControlNet-Union-Pro)."""


@dataclass(frozen=True)
class Family:
    """One kind of model: the classes that drive it, and the settings it takes where none are asked for.

    Attributes
    ----------
    plain, control : str
        Pipeline classes without and with a ControlNet.
    controlnet_class : str
        Class that a ControlNet's own configuration must name.
    attention_width : str
        Field in the configurations of the ControlNet and of the model's main part that must agree.
    default_controlnet : str
        Repository of an OpenPose ControlNet.
    half : str
        Number format on a GPU: the one the weights were published in.
    """

    name: FamilyName
    plain: str
    control: str
    controlnet_class: str
    attention_width: str
    default_controlnet: str
    half: str
    num_inference_steps: int
    guidance_scale: float
    controlnet_conditioning_scale: float
    control_guidance_end: float


FAMILIES: dict[FamilyName, Family] = {
    "flux": Family(
        name="flux",
        plain="FluxPipeline",
        control="FluxControlNetPipeline",
        controlnet_class="FluxControlNetModel",
        attention_width="joint_attention_dim",
        default_controlnet="Shakker-Labs/FLUX.1-dev-ControlNet-Union-Pro-2.0",
        half="bfloat16",
        num_inference_steps=28,  # both pipelines' default
        guidance_scale=3.5,  # FluxPipeline's default; FluxControlNetPipeline's is 7.0
        controlnet_conditioning_scale=0.9,  # for poses, as the ControlNet's card says
        control_guidance_end=0.65,  # the same
    ),
    "sdxl": Family(
        name="sdxl",
        plain="StableDiffusionXLPipeline",
        control="StableDiffusionXLControlNetPipeline",
        controlnet_class="ControlNetModel",
        attention_width="cross_attention_dim",
        default_controlnet="xinsir/controlnet-openpose-sdxl-1.0",
        half="float16",
        num_inference_steps=30,  # as in the ControlNet's example; the pipelines' default of 50 is slower
        guidance_scale=5.0,  # both pipelines' default
        controlnet_conditioning_scale=1.0,  # as in the ControlNet's example
        control_guidance_end=1.0,
    ),
}

FAMILY_OF_CLASS: dict[str, FamilyName] = {
    pipeline: family.name for family in FAMILIES.values() for pipeline in (family.plain, family.control)
}
"""By the class that a model's model_index.json names."""


class DiffusersOptions(NoOptions):
    """Options of the backend `diffusers`."""

    device: str = "auto"
    """"auto" (a GPU if there is one), "cpu", "cuda", "cuda:1" or "mps"."""
    dtype: Literal["auto", "bfloat16", "float16", "float32"] = "auto"
    """Number format; "auto" is float32 on the CPU, and on a GPU bfloat16 for FLUX, float16 for SDXL."""
    offload: Literal["none", "model", "sequential"] = "none"
    """What leaves the GPU's memory while it is not used: nothing, whole parts, or single layers (slow)."""
    controlnet: str = ""
    """Repository or folder of the ControlNet for conditioning "control"; empty takes the family's own."""
    family: Literal["auto", "flux", "sdxl"] = "auto"
    """For planning, where a model's name does not tell its kind: decides how wide the sticks are drawn."""
    stick_scale: Literal["auto", "none", "xinsir"] = "auto"
    """How wide the control map's sticks are; "auto" goes by the ControlNet's name."""
    true_cfg_scale: float = Field(default=1.0, ge=1, le=20)
    """FLUX: above 1 the negative prompt acts, at twice the work."""
    batch_size: int = Field(default=1, ge=1, le=64)
    """Images of the same size and settings made in one call."""
    revision: str = ""
    """Branch, tag or commit of the model's repository."""
    variant: str = ""
    """Variant of the model's weights, such as "fp16"."""
    local_files_only: bool = False
    """Never ask the hub: only what is already on this machine."""

    @field_validator("device")
    @classmethod
    def _known_device(cls, value: str) -> str:
        if not DEVICE.fullmatch(value):
            raise ValueError(f"{value!r} is not allowed: auto, cpu, cuda, cuda:<number> or mps")
        return value

    @model_validator(mode="after")
    def _consistent(self) -> DiffusersOptions:
        if self.device == "mps" and self.offload != "none":
            raise ValueError(f"offload: {self.offload!r} is of no use on 'mps', which shares the memory")
        return self


def stick_scale(model: str | None, options: Mapping[str, Any]) -> StickScale:
    """Return how wide the ControlNet that will be used wants the control map's sticks.

    Asks no hub: a folder's model_index.json is read, any other model is judged by its name.
    """
    chosen = DiffusersOptions.model_validate(dict(options))
    if chosen.stick_scale != "auto":
        return chosen.stick_scale
    controlnet = chosen.controlnet or FAMILIES[planned_family(model or "", chosen)].default_controlnet
    return sticks_for(controlnet)


def sticks_for(controlnet: str) -> StickScale:
    """Return how wide the ControlNet of this name wants the sticks."""
    words = controlnet.lower()
    return "xinsir" if "xinsir" in words and "openpose" in words else "none"


def planned_family(model: str, options: DiffusersOptions) -> FamilyName:
    """Return the family to plan for; what is loaded later is judged by the model itself."""
    if options.family != "auto":
        return options.family
    try:
        index = json.loads((Path(model) / "model_index.json").read_text(encoding="utf-8"))
        return FAMILY_OF_CLASS[index["_class_name"]]
    except (OSError, ValueError, KeyError, TypeError):
        named_like_sdxl = re.search(r"sdxl|stable-diffusion-xl|(^|[-_/])xl([-_/.]|$)", model.lower())
        return "sdxl" if named_like_sdxl else "flux"
