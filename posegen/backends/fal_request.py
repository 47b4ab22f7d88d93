"""What fal's endpoint is sent for an image. Pure; `fal` sends it.

References
----------
fal.ai/models/fal-ai/flux-general/api.
"""

from __future__ import annotations

import base64
from typing import Any, Literal

from pydantic import Field, field_validator

from posegen.backends.base import NoOptions
from posegen.backends.fal_queue import BACKEND
from posegen.backends.hosted import check_extra, is_path
from posegen.errors import BackendUnavailableError, ImageFailedError
from posegen.records import ImageTask

FLUX_GENERAL = "fal-ai/flux-general"
"""The endpoint that takes ControlNets."""

UNION_PRO_2 = "Shakker-Labs/FLUX.1-dev-ControlNet-Union-Pro-2.0"
UNION_PRO = "Shakker-Labs/FLUX.1-dev-ControlNet-Union-Pro"

CONTROL_DEFAULTS = {"union-pro-2.0": (0.9, 0.65), "union": (0.7, 1.0)}
"""Conditioning scale and end, from the cards of the two models (the first gives 0.3-0.8 and no end)."""


OURS = (
    "prompt", "image_size", "seed", "num_images", "output_format", "enable_safety_checker", "sync_mode",
    "num_inference_steps", "guidance_scale", "negative_prompt", "use_real_cfg", "real_cfg_scale",
    "controlnets", "controlnet_unions",
)  # fmt: skip
"""What posegen's own parameters and options decide; `sync_mode` would bring the image itself, not its URL."""


class FalOptions(NoOptions):
    """Options of the fal backend."""

    controlnet: Literal["union-pro-2.0", "union"] = "union-pro-2.0"
    """"union-pro-2.0", or "union": Union-Pro 1 with control mode "pose\""""
    controlnet_path: str | None = None
    """another ControlNet of that kind, by its name on the Hub"""
    enable_safety_checker: bool = True
    """let fal flag unsafe images, which are then withheld"""
    use_real_cfg: bool = False
    """heed the negative prompt, in twice the time"""
    real_cfg_scale: float = Field(default=3.5, ge=0, le=5)
    """how strongly, with `use_real_cfg`"""
    output_format: Literal["png", "jpeg"] = "png"
    """as which file fal hands over the image"""
    extra: dict[str, Any] = {}
    """more parameters of the endpoint, sent as they are"""

    @field_validator("extra")
    @classmethod
    def _nothing_of_ours(cls, value: dict[str, Any]) -> dict[str, Any]:
        return check_extra(value, OURS)


def endpoint_of(task: ImageTask) -> str:
    """Return the endpoint that makes a task's image.

    Raises
    ------
    BackendUnavailableError
        The model is no endpoint's id, or takes no ControlNet where one is asked for.
    """
    endpoint = task.model or FLUX_GENERAL
    if not is_path(endpoint) or "/" not in endpoint:
        message = f"model {endpoint!r} is no endpoint of fal; it has the form owner/app, as {FLUX_GENERAL}"
        raise BackendUnavailableError(message, backend=BACKEND, code="NOT_SERVED")
    if task.conditioning == "control" and endpoint != FLUX_GENERAL:
        message = f"{endpoint} takes no ControlNet; {FLUX_GENERAL} does, or conditioning 'prompt' without one"
        raise BackendUnavailableError(message, backend=BACKEND, code="NOT_SERVED")
    return endpoint


def build_request(task: ImageTask, control_png: bytes | None) -> dict[str, Any]:
    """Return the endpoint's input for a task.

    Raises
    ------
    ImageFailedError
        Conditioning "control" without a control map.
    """
    options = FalOptions.model_validate(task.options)
    body: dict[str, Any] = {
        "prompt": task.prompt,
        "image_size": {"width": task.width, "height": task.height},
        "seed": task.seed,
        "num_images": 1,
        "output_format": options.output_format,
        "enable_safety_checker": options.enable_safety_checker,
    }
    for name in ("num_inference_steps", "guidance_scale"):
        if getattr(task, name) is not None:
            body[name] = getattr(task, name)
    if options.use_real_cfg:
        body |= {"use_real_cfg": True, "real_cfg_scale": options.real_cfg_scale}
        body["negative_prompt"] = task.negative_prompt
    if task.conditioning == "control":
        if control_png is None:
            raise ImageFailedError("there is no control map", backend=BACKEND, code="NO_CONTROL_MAP")
        body |= _control(task, options, control_png)
    return {**body, **options.extra}


def _control(task: ImageTask, options: FalOptions, png: bytes) -> dict[str, Any]:
    """Return the part of the input that sets the ControlNet."""
    scale, end = CONTROL_DEFAULTS[options.controlnet]
    given = task.controlnet_conditioning_scale, task.control_guidance_end
    control: dict[str, Any] = {
        "control_image_url": f"data:image/png;base64,{base64.b64encode(png).decode()}",
        "conditioning_scale": scale if given[0] is None else given[0],
        "start_percentage": 0,
        "end_percentage": end if given[1] is None else given[1],
    }
    path = _controlnet(options)
    if options.controlnet == "union":
        return {"controlnet_unions": [{"path": path, "controls": [{**control, "control_mode": "pose"}]}]}
    return {"controlnets": [{"path": path, **control}]}


def _controlnet(options: FalOptions) -> str:
    return options.controlnet_path or (UNION_PRO if options.controlnet == "union" else UNION_PRO_2)


def model_name(task: ImageTask) -> str:
    """Return what makes the image: the endpoint, and the ControlNet where there is one."""
    endpoint = task.model or FLUX_GENERAL
    if task.conditioning != "control":
        return endpoint
    return f"{endpoint} + {_controlnet(FalOptions.model_validate(task.options))}"
