"""ComfyUI as a backend: a server of the user's own, and any workflow that can be exported from it."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ValidationError

from posegen.backends.base import GeneratedImage, ImageRequest, Workshop
from posegen.backends.comfyui.changes import fill
from posegen.backends.comfyui.graph import Graph
from posegen.backends.comfyui.options import ComfyuiOptions
from posegen.backends.comfyui.refusals import NAME, concerned, failure, refused
from posegen.backends.comfyui.server import Server, saved_by
from posegen.backends.comfyui.socket import Watch, watching
from posegen.backends.hosted import is_request_id
from posegen.backends.results import bad_result, pixels_of
from posegen.errors import (
    BackendUnavailableError,
    ImageFailedError,
    OutcomeUnknownError,
    ResultGoneError,
)
from posegen.images import control_map_png
from posegen.records import Conditioning, ImageTask, StickScale
from posegen.settings import Settings

PARAMETERS = {
    "steps": "num_inference_steps",
    "guidance": "guidance_scale",
    "strength": "controlnet_conditioning_scale",
    "end_percent": "control_guidance_end",
    "checkpoint": "model",
}
"""What the user calls a slot's value."""


class ComfyuiBackend:
    """Sends workflows to a ComfyUI server: free, and it keeps results until it is restarted."""

    name = NAME
    version: str | None = None
    default_model: str | None = None
    conditionings: tuple[Conditioning, ...] = ("control", "prompt", "none")
    options_type: type[BaseModel] = ComfyuiOptions
    negative_prompt_note = (
        "a negative prompt acts only where the workflow has a node marked posegen:negative_prompt "
        "(sdxl_controlnet_pose has one; FLUX.1 takes none)"
    )
    paid = False
    keeps_results = True

    def missing(self, settings: Settings) -> list[str]:
        """Return that there is no server's address, if there is none."""
        if settings.comfyui_url:
            return []
        return ["COMFYUI_URL is not set: the address of a running ComfyUI, such as http://127.0.0.1:8188"]

    def stick_scale(self, model: str | None, options: Mapping[str, object]) -> StickScale:
        """Return the width that the workflow's ControlNet wants."""
        del model
        return ComfyuiOptions.model_validate(dict(options)).sticks

    def typical_s(self, width: int, height: int) -> float:
        """Return about what FLUX.1 in 28 steps takes on a card with 24 GB; yours may differ much."""
        return 2.0 + 20.0 * width * height / 1e6

    async def generate(self, request: ImageRequest, workshop: Workshop) -> GeneratedImage:
        """Make one image.

        Raises
        ------
        BackendUnavailableError
            The server cannot be reached, or would refuse every image of the run.
        OutcomeUnknownError
            The prompt got lost on its way or with the server; it costs nothing to send it again.
        ImageFailedError
            A node failed, or it took too long.
        """
        job = await Job.of(request, workshop)
        prompt_id = str(uuid.uuid4())
        try:
            return await job.made(prompt_id)
        except ResultGoneError as exc:
            if exc.code == "INTERRUPTED_THERE":
                raise ImageFailedError(str(exc), backend=NAME, code=exc.code) from exc
            raise OutcomeUnknownError(str(exc), prompt_id, backend=NAME) from exc

    async def fetch(self, request: ImageRequest, request_id: str, workshop: Workshop) -> GeneratedImage:
        """Return the result of an earlier prompt, waiting for it if it is still in the queue.

        Raises
        ------
        ResultGoneError
            The server does not know it: it never came there, was taken back, or the server was restarted.
        BackendError
            As `generate`.
        """
        job = await Job.of(request, workshop)
        async with watching(job.server.url, request_id, workshop.progressed) as watch:
            await watch.ready()
            return await job.result(request_id, watch)


class Job:
    """One image at one server.

    Parameters
    ----------
    request : ImageRequest
    workshop : Workshop
    options : ComfyuiOptions
    graph, slots : dict
        The workflow as this image needs it.
    """

    def __init__(
        self,
        request: ImageRequest,
        workshop: Workshop,
        options: ComfyuiOptions,
        graph: Graph,
        slots: dict[str, str],
    ) -> None:
        self.request, self.task, self.workshop = request, request.task, workshop
        self._model = request.task.model or options.loaded.model
        self._graph, self._slots = graph, slots
        self.notes: tuple[str, ...] = ()
        self.server = Server(workshop, graph)

    @classmethod
    async def of(cls, request: ImageRequest, workshop: Workshop) -> Job:
        """Return the job of a request.

        Raises
        ------
        BackendUnavailableError
            The workflow is gone, is no longer what was planned with, or cannot do what the task asks for.
        """
        task = request.task

        def read() -> tuple[ComfyuiOptions, Graph, dict[str, str]]:
            options = ComfyuiOptions.model_validate(task.options)
            return options, *options.for_conditioning(task.conditioning)

        try:
            found = await workshop.on_io(read)
        except ValidationError as exc:
            said = "; ".join(str(error["msg"]).removeprefix("Value error, ") for error in exc.errors())
            raise BackendUnavailableError(said, backend=NAME, code="WORKFLOW_UNUSABLE") from exc
        except ValueError as exc:
            raise BackendUnavailableError(str(exc), backend=NAME, code="WORKFLOW_UNUSABLE") from exc
        return cls(request, workshop, *found)

    async def made(self, prompt_id: str) -> GeneratedImage:
        """Send a prompt and return its image."""
        async with watching(self.server.url, prompt_id, self.workshop.progressed) as watch:
            graph = self._filled(await self._uploaded(), prompt_id)
            await watch.ready()
            await self.workshop.submitted(prompt_id)
            try:
                prompt_id = await self._sent(graph, prompt_id)
            except asyncio.CancelledError:
                await self.server.cancel(prompt_id)
                raise
            return await self.result(prompt_id, watch)

    async def _uploaded(self) -> str | None:
        pixels = self.request.control_map
        if self.task.conditioning != "control":
            return None
        if pixels is None:
            message = "conditioning 'control' needs a control map"
            raise ImageFailedError(message, backend=NAME, code="NO_CONTROL_MAP")
        return await self.server.upload(await self.workshop.on_cpu(lambda: control_map_png(pixels)))

    def _filled(self, control_image: str | None, prompt_id: str) -> Graph:
        """Return the workflow with the task's values; what has no slot is noted."""
        graph, left = fill(self._graph, self._slots, values_of(self.task, control_image))
        if "checkpoint" in left:
            message = f"the workflow has no node marked posegen:checkpoint to load model {self.task.model!r}"
            raise BackendUnavailableError(message, backend=NAME, code="WORKFLOW_UNUSABLE")
        without = [PARAMETERS[name] for name in left if name in PARAMETERS]
        if without:
            self.notes += (f"without effect in this workflow: {', '.join(without)}",)
        output = graph[self._slots["output"]]["inputs"]
        if isinstance(output.get("filename_prefix"), str):  # a new name each time: it is saved anew
            output["filename_prefix"] = f"posegen/{prompt_id}"
        return graph

    async def _sent(self, graph: Graph, prompt_id: str) -> str:
        """Send the prompt and return the id that it has; one that cannot bring the output is taken back."""
        answer = await self.server.submit(graph, prompt_id)
        given = answer.get("prompt_id") or prompt_id
        if not is_request_id(given):  # it becomes part of URLs
            raise bad_result(NAME, f"the server gave the prompt id {given!r}")
        if given != prompt_id:  # a server from before 2025-08 chooses the id itself
            await self.workshop.submitted(given)
        if answer.get("node_errors"):
            error = refused(self.server.name, graph, answer)
            if concerned(answer, self._slots["output"]):
                await self.server.cancel(given)
                raise error
            self.notes += (f"a part beside the picture: {error}",)
        return given

    async def result(self, prompt_id: str, watch: Watch) -> GeneratedImage:
        """Wait for a prompt that was sent, and return its image; one that is given up is taken back.

        Raises
        ------
        ResultGoneError
            The server does not know the prompt, or it was interrupted there.
        ImageFailedError
            With code NODE_FAILED, GENERATION_TIMED_OUT or BAD_RESULT.
        """
        limit_s = self.workshop.settings.generation_timeout_s
        try:
            async with asyncio.timeout(limit_s):
                entry = await self.server.outcome(prompt_id, watch)
        except TimeoutError as exc:
            await self.server.cancel(prompt_id)
            message = f"{self.server.name} was not done within {limit_s:g} s"
            raise ImageFailedError(message, backend=NAME, code="GENERATION_TIMED_OUT") from exc
        except asyncio.CancelledError:  # the run is stopped
            await self.server.cancel(prompt_id)
            raise
        error = failure(entry, self._graph, self.server.name)
        if error is not None:
            raise error
        saved, count = saved_by(entry, self._graph, self._slots["output"])
        if count > 1:
            self.notes += (f"the workflow saved {count} pictures; the first is kept",)
        data, content_type = await self.server.view(saved)
        pixels, notes = await pixels_of(data, content_type, self.task, self.workshop)
        return GeneratedImage(
            pixels=pixels,
            conditioning=self.task.conditioning,
            model=self._model,
            provider=NAME,
            request_id=prompt_id,
            notes=(*self.notes, *notes),
        )


def values_of(task: ImageTask, control_image: str | None) -> dict[str, Any]:
    """Return a task's values by the names that slots know; None leaves what the workflow has."""
    return {
        "prompt": task.prompt,
        "negative_prompt": task.negative_prompt,
        "seed": task.seed,
        "width": task.width,
        "height": task.height,
        "control_image": control_image,
        "steps": task.num_inference_steps,
        "guidance": task.guidance_scale,
        "strength": task.controlnet_conditioning_scale,
        "end_percent": task.control_guidance_end,
        "checkpoint": task.model,
    }
