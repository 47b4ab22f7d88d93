"""The backend `diffusers`: FLUX.1 and SDXL with a pose ControlNet, in this process.

`options` says what may be asked for, `studio` is the one thread that works, `pipelines` loads and keeps the
model (and alone imports torch), `sampling` makes images with it, `failures` puts what goes wrong into words.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import fields
from importlib.util import find_spec

from pydantic import BaseModel

from posegen.backends.base import GeneratedImage, ImageRequest, InProcess, Workshop
from posegen.backends.diffusers.failures import NAME, failed, unavailable
from posegen.backends.diffusers.options import DiffusersOptions, stick_scale, sticks_for
from posegen.backends.diffusers.pipelines import Weights, unload
from posegen.backends.diffusers.sampling import Made, Sampling, Wanted, make
from posegen.backends.diffusers.studio import Order, Studio
from posegen.records import Conditioning, ImageTask, StickScale
from posegen.settings import Settings

__all__ = ["DiffusersBackend", "DiffusersOptions", "unload"]

DEFAULT_MODEL = "black-forest-labs/FLUX.1-dev"

PACKAGES = ("torch", "diffusers", "transformers", "accelerate")

STUDIO: Studio[Sampling, Wanted, Made] = Studio(make)
"""One for the process: what is loaded serves all runs."""


class DiffusersBackend(InProcess):
    """Makes images with diffusers' pipelines on this machine's GPU or CPU."""

    name = NAME
    version: str | None = None
    default_model: str | None = DEFAULT_MODEL
    conditionings: tuple[Conditioning, ...] = ("control", "prompt", "none")
    options_type: type[BaseModel] = DiffusersOptions
    negative_prompt_note = (
        "a negative prompt acts on SDXL (guidance_scale above 1); on FLUX only with backend_options "
        "true_cfg_scale above 1, at twice the work"
    )

    def missing(self, settings: Settings) -> list[str]:
        """Return which packages are not installed; imports none of them."""
        del settings
        absent = [package for package in PACKAGES if find_spec(package) is None]
        if not absent:
            return []
        return [f"not installed: {', '.join(absent)}; `pip install 'posegen[local]'` brings what is missing"]

    def stick_scale(self, model: str | None, options: Mapping[str, object]) -> StickScale:
        """Return how wide the ControlNet that will be used wants the sticks."""
        return stick_scale(model, options)

    def typical_s(self, width: int, height: int) -> float:
        """Return a guess of the seconds for one image: FLUX on a large GPU; others take ten times as long."""
        return 1.0 + 10.0 * width * height / 1e6

    async def generate(self, request: ImageRequest, workshop: Workshop) -> GeneratedImage:
        """Make one image, in turn with all others of this process.

        Raises
        ------
        BackendUnavailableError
            A package, the device or the model is missing, or the model is of another kind.
        ImageFailedError
            This image does not fit into the memory, or has failed otherwise.
        """
        lacking = self.missing(workshop.settings)
        if lacking:
            raise unavailable(lacking[0], "NOT_INSTALLED")
        task = request.task
        if task.conditioning == "control" and request.control_map is None:
            raise failed("conditioning 'control' needs a control map", "NO_CONTROL_MAP")
        made = await _from_studio(request, workshop)
        return GeneratedImage(
            pixels=made.pixels,
            conditioning=task.conditioning,
            model=task.model or DEFAULT_MODEL,
            provider="local",
            notes=(*made.notes, *_stick_notes(task, made)),
        )


async def _from_studio(request: ImageRequest, workshop: Workshop) -> Made:
    """Place an order and wait for it; who stops waiting takes it back."""
    task, loop = request.task, asyncio.get_running_loop()
    options = DiffusersOptions.model_validate(task.options)
    order: Order[Sampling, Wanted, Made] = Order(
        settings=sampling_of(task, options),
        wanted=Wanted(
            prompt=task.prompt,
            negative_prompt=task.negative_prompt,
            seed=task.seed,
            control_map=request.control_map,
            token=workshop.settings.hf_token,
        ),
        at_most=options.batch_size,
        progressed=lambda share: _tell(loop, workshop, share),
    )
    STUDIO.place(order)
    try:
        return await asyncio.wrap_future(order.future)
    except asyncio.CancelledError:
        order.abandoned.set()
        raise


def _tell(loop: asyncio.AbstractEventLoop, workshop: Workshop, share: float) -> None:
    """Pass progress from the studio's thread to the run's loop; a run that is over needs none."""
    with contextlib.suppress(RuntimeError):  # its loop is closed
        loop.call_soon_threadsafe(workshop.progressed, share)


def sampling_of(task: ImageTask, options: DiffusersOptions) -> Sampling:
    """Return what a task has in common with others that may be made in the same call."""
    asked = options.model_dump(include={field.name for field in fields(Weights)})
    return Sampling(
        weights=Weights(model=task.model or DEFAULT_MODEL, **asked),
        control=task.conditioning == "control",
        width=task.width,
        height=task.height,
        num_inference_steps=task.num_inference_steps,
        guidance_scale=task.guidance_scale,
        controlnet_conditioning_scale=task.controlnet_conditioning_scale,
        control_guidance_end=task.control_guidance_end,
        true_cfg_scale=options.true_cfg_scale,
    )


def _stick_notes(task: ImageTask, made: Made) -> Iterator[str]:
    """Yield a sentence if the map was planned for another ControlNet than the model turned out to need."""
    wants = sticks_for(made.controlnet) if made.controlnet else task.stick_scale
    if DiffusersOptions.model_validate(task.options).stick_scale == "auto" and wants != task.stick_scale:
        yield (
            f"the control map was drawn with stick_scale {task.stick_scale!r}, and {made.controlnet} wants "
            f"{wants!r}: give backend_options family {made.family.name!r}"
        )
