"""Make a batch of images with a loaded model. Works in the studio's thread."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from pydantic import SecretStr

from posegen.backends.diffusers.failures import failed, first_line, out_of_memory, too_little_memory
from posegen.backends.diffusers.options import UNION_POSE_MODE, Family
from posegen.backends.diffusers.pipelines import Loaded, Weights, free_memory, load
from posegen.backends.diffusers.studio import AbandonedError
from posegen.errors import BackendError, ImageFailedError
from posegen.telemetry import logger

log = logger("flux")

T5_TOKENS = 512
"""What FLUX.1-dev reads of a prompt (`max_sequence_length`, the pipelines' default)."""


@dataclass(frozen=True)
class Sampling:
    """What the images of one batch have in common. None takes the family's default."""

    weights: Weights
    control: bool
    width: int
    height: int
    num_inference_steps: int | None = None
    guidance_scale: float | None = None
    controlnet_conditioning_scale: float | None = None
    control_guidance_end: float | None = None
    true_cfg_scale: float = 1.0


@dataclass(frozen=True, eq=False)
class Wanted:
    """What is one image's own.

    Attributes
    ----------
    control_map : uint8 array, shape (height, width, 3), or None
        Needed where `Sampling.control` is true.
    token : SecretStr or None
        For the hub, while something has to be loaded.
    """

    prompt: str
    negative_prompt: str
    seed: int
    control_map: NDArray[np.uint8] | None = None
    token: SecretStr | None = None


@dataclass(frozen=True, eq=False)
class Made:
    """One image, shape (height, width, 3), sRGB.

    Attributes
    ----------
    controlnet : str or None
        The ControlNet that was used.
    notes : tuple of str
        Sentences for the user.
    """

    pixels: NDArray[np.uint8]
    family: Family
    controlnet: str | None = None
    notes: tuple[str, ...] = ()


Stepped = Callable[[float], None]
"""Called after each step with the share that is done; what it raises ends the batch."""


def make(sampling: Sampling, wanted: Sequence[Wanted], stepped: Stepped) -> list[Made | Exception]:
    """Make one batch: images in the order of `wanted`, an ImageFailedError in the place of one that failed.

    Raises
    ------
    BackendUnavailableError
        The model cannot be used here.
    ImageFailedError
        No image of the batch can be made.
    """
    loaded = load(sampling.weights, wanted[0].token)
    loaded.check_size(sampling.width, sampling.height)
    pipeline = loaded.pipeline(control=sampling.control, token=wanted[0].token)
    stepped(0.0)
    return _within_memory(loaded, pipeline, sampling, wanted, stepped)


def _within_memory(
    loaded: Loaded, pipeline: Any, sampling: Sampling, wanted: Sequence[Wanted], stepped: Stepped
) -> list[Made | Exception]:
    """Make a batch; if it does not fit into the memory, its halves."""
    try:
        return _sample(loaded, pipeline, sampling, wanted, stepped)
    except (AbandonedError, BackendError):
        pipeline.maybe_free_model_hooks()
        raise
    except Exception as exc:
        pipeline.maybe_free_model_hooks()
        if not out_of_memory(exc):
            raise failed(f"the pipeline failed: {first_line(exc)}", "GENERATION_FAILED") from exc
    free_memory()  # not before: the error that has just gone held what was computed
    if len(wanted) == 1:
        return [too_little_memory(sampling.width, sampling.height, loaded.device)]
    log.warning("a batch of %d does not fit into the memory: making its halves", len(wanted))
    middle = len(wanted) // 2
    halves = (wanted[:middle], wanted[middle:])
    return [made for half in halves for made in _within_memory(loaded, pipeline, sampling, half, stepped)]


def _sample(
    loaded: Loaded, pipeline: Any, sampling: Sampling, wanted: Sequence[Wanted], stepped: Stepped
) -> list[Made | Exception]:
    def step_ended(running: Any, index: int, timestep: object, tensors: object) -> dict[str, Any]:
        del timestep, tensors
        stepped((index + 1) / running.num_timesteps)
        return {}

    arguments = _arguments(loaded, sampling, wanted)
    if sampling.control:
        arguments |= _control_arguments(loaded, pipeline, sampling, wanted, arguments["generator"])
    images = pipeline(**arguments, output_type="np", callback_on_step_end=step_ended).images
    common = tuple(_notes(loaded, pipeline, sampling))
    controlnet = loaded.controlnet_name if sampling.control else None
    return [
        _checked(image, loaded, controlnet, (*common, *_unread(loaded.family, pipeline, order.prompt)))
        for image, order in zip(images, wanted, strict=True)
    ]


def _arguments(loaded: Loaded, sampling: Sampling, wanted: Sequence[Wanted]) -> dict[str, Any]:
    """Return what the pipeline is called with, with or without a ControlNet."""
    family = loaded.family
    arguments: dict[str, Any] = {
        "prompt": [order.prompt for order in wanted],
        "width": sampling.width,
        "height": sampling.height,
        "num_inference_steps": _given(sampling.num_inference_steps, family.num_inference_steps),
        "guidance_scale": _given(sampling.guidance_scale, family.guidance_scale),
        "generator": loaded.generators([order.seed for order in wanted]),
    }
    if family.name == "sdxl" or sampling.true_cfg_scale > 1:
        arguments["negative_prompt"] = [order.negative_prompt for order in wanted]
    if family.name == "flux":
        arguments["true_cfg_scale"] = sampling.true_cfg_scale
    return arguments


def _control_arguments(
    loaded: Loaded, pipeline: Any, sampling: Sampling, wanted: Sequence[Wanted], generators: list[Any]
) -> dict[str, Any]:
    """Return what a ControlNet's pipeline takes besides."""
    family = loaded.family
    maps = [_picture(order.control_map) for order in wanted]
    scale = _given(sampling.controlnet_conditioning_scale, family.controlnet_conditioning_scale)
    arguments: dict[str, Any] = {
        "controlnet_conditioning_scale": float(scale),
        "control_guidance_end": float(_given(sampling.control_guidance_end, family.control_guidance_end)),
    }
    if family.name == "sdxl":
        return {**arguments, "image": maps}
    # FluxControlNetPipeline draws from the generator for the map before it draws the noise to start from.
    # Drawn here, it is the noise that the same seed gives without a map: arms of an experiment share it.
    channels = pipeline.transformer.config.in_channels // 4
    noise, _ = pipeline.prepare_latents(
        len(wanted), channels, sampling.height, sampling.width, loaded.dtype, "cpu", generators
    )
    if pipeline.controlnet.union:
        arguments["control_mode"] = UNION_POSE_MODE
    return {**arguments, "control_image": maps, "latents": noise}


def _picture(control_map: NDArray[np.uint8] | None) -> Image.Image:
    if control_map is None:
        raise failed("conditioning 'control' needs a control map", "NO_CONTROL_MAP")
    return Image.fromarray(control_map)


def _checked(
    image: NDArray[np.float32], loaded: Loaded, controlnet: str | None, notes: tuple[str, ...]
) -> Made | ImageFailedError:
    """Return the image as bytes, or what is wrong with its numbers."""
    if not np.isfinite(image).all():
        return failed(
            f"the model computed numbers that are none in {loaded.number_format}: "
            "try backend_options dtype 'bfloat16' or 'float32'",
            "NOT_A_NUMBER",
        )
    pixels = np.round(image * 255).astype(np.uint8)
    if (pixels == pixels[0, 0]).all():
        return failed("the model made an image of one colour, with nothing in it", "EMPTY_IMAGE")
    return Made(pixels, loaded.family, controlnet, notes)


def _notes(loaded: Loaded, pipeline: Any, sampling: Sampling) -> Iterator[str]:
    """Yield what is true of every image of the batch."""
    yield f"made with {loaded.label}" + (f"; ControlNet {loaded.controlnet_name}" if sampling.control else "")
    if loaded.offload != loaded.weights.offload:
        yield "offload is without effect: the model works on the CPU"
    if loaded.family.name == "sdxl" and sampling.true_cfg_scale > 1:
        yield "true_cfg_scale is for FLUX: without effect with SDXL, where guidance_scale does it"
    if loaded.family.name == "flux" and not pipeline.transformer.config.guidance_embeds:
        yield "guidance_scale is without effect: this model was made without it"


def _unread(family: Family, pipeline: Any, prompt: str) -> Iterator[str]:
    """Yield a sentence if the end of a prompt is not read."""
    tokenizer = pipeline.tokenizer if family.name == "sdxl" else pipeline.tokenizer_2
    limit = tokenizer.model_max_length if family.name == "sdxl" else T5_TOKENS
    tokens = len(tokenizer(prompt)["input_ids"])
    if tokens > limit:
        yield f"the prompt has {tokens} tokens, of which the model reads the first {limit}"


def _given(asked: float | None, default: float) -> float:
    return default if asked is None else asked
