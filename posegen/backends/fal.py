"""FLUX with a pose ControlNet at fal, through its durable queue."""

from __future__ import annotations

import httpx
from pydantic import BaseModel

from posegen.backends.base import GeneratedImage, ImageRequest, Workshop
from posegen.backends.fal_queue import (
    BACKEND,
    CANCEL_RULES,
    RESULT_RULES,
    RULES,
    STATUS_RULES,
    AlreadyCompletedError,
    Result,
    Status,
    Submission,
    addresses,
    completed_in_error,
    parse_result,
    parse_status,
    parse_submission,
)
from posegen.backends.fal_request import FLUX_GENERAL, FalOptions, build_request, endpoint_of, model_name
from posegen.backends.hosted import (
    TIMED_OUT,
    Hosted,
    after_purchase,
    is_request_id,
    json_object,
    without_effect,
)
from posegen.backends.results import pixels_of
from posegen.errors import BackendError, ImageFailedError, OutcomeUnknownError, ResultGoneError
from posegen.http import Call, PollDeadlineError, poll
from posegen.images import control_map_png
from posegen.records import Conditioning, ImageTask
from posegen.settings import Settings


class FalBackend(Hosted):
    """Submits to fal's queue, journals the request id, waits, and loads the picture."""

    name = BACKEND
    default_model: str | None = FLUX_GENERAL
    conditionings: tuple[Conditioning, ...] = ("control", "prompt", "none")
    options_type: type[BaseModel] = FalOptions
    negative_prompt_note = (
        "FLUX heeds a negative prompt only with backend_options {'use_real_cfg': true}, in twice the time"
    )

    def missing(self, settings: Settings) -> list[str]:
        """Return what is missing: the key."""
        return (
            [] if settings.fal_key is not None else ["FAL_KEY is not set (a key from fal.ai/dashboard/keys)"]
        )

    def typical_s(self, width: int, height: int) -> float:
        """Return the usual seconds for one image (28 steps with a ControlNet; a guess, queues differ)."""
        return 3.0 + 9.0 * width * height / 1e6

    async def generate(self, request: ImageRequest, workshop: Workshop) -> GeneratedImage:
        """Make one image.

        Raises
        ------
        BackendError
            As the protocol says.
        """
        task = request.task
        endpoint = endpoint_of(task)
        control_map = request.control_map
        png = None if control_map is None else await workshop.on_cpu(lambda: control_map_png(control_map))
        settings = workshop.settings
        call = Call(
            "POST",
            f"{settings.fal_queue_url}/{endpoint}",
            json=build_request(task, png),
            key=settings.fal_key,
            scheme="Key",
        )
        answer = await workshop.http.purchase(call, RULES, workshop.buy)
        submission = _submission(answer, settings, endpoint)
        await workshop.submitted(submission.request_id)
        return await self._collect(task, submission, workshop)

    async def fetch(self, request: ImageRequest, request_id: str, workshop: Workshop) -> GeneratedImage:
        """Return the result of an earlier request, waiting for it if it is still in the queue.

        Raises
        ------
        ResultGoneError
            fal no longer has it (it keeps results for a limited time).
        BackendError
            As the protocol says.
        """
        if not is_request_id(request_id):
            message = f"{request_id!r} is no request id of fal"
            raise ResultGoneError(message, backend=BACKEND, code="RESULT_GONE")
        endpoint = endpoint_of(request.task)
        submission = addresses(workshop.settings.fal_queue_url, endpoint, request_id)
        return await self._collect(request.task, submission, workshop, first_s=0.0)

    async def _collect(
        self, task: ImageTask, submission: Submission, workshop: Workshop, *, first_s: float = 0.5
    ) -> GeneratedImage:
        """Wait for a request's result and return its image."""
        with after_purchase(BACKEND, submission.request_id):
            status = await self._wait(submission, workshop, first_s)
            result = await self._result(submission, status, workshop)
            loaded = await workshop.http.download(result.url, RULES)
        pixels, notes = await pixels_of(loaded.data, loaded.content_type, task, workshop)
        return GeneratedImage(
            pixels,
            conditioning=task.conditioning,
            model=model_name(task),
            provider="fal",
            request_id=submission.request_id,
            notes=(*notes, *result.notes, *_notes(task, result)),
        )

    async def _wait(self, submission: Submission, workshop: Workshop, first_s: float) -> Status:
        """Return the status of a request once it is completed; at the deadline it is cancelled."""
        http, deadline_s = workshop.http, workshop.settings.generation_timeout_s
        call = _ask(workshop, submission.status_url, {"logs": "1"})

        async def ask() -> Status | None:
            answer = await http.send(call, STATUS_RULES)
            status = parse_status(json_object(answer, BACKEND))
            workshop.progressed(status.share)
            return status if status.state == "completed" else None

        try:
            return await poll(ask, deadline_s=deadline_s, first_s=first_s, sleep=http.sleep, clock=http.clock)
        except PollDeadlineError as exc:
            await self._cancel(submission, workshop, deadline_s, exc)
            return Status("completed")

    async def _cancel(
        self, submission: Submission, workshop: Workshop, deadline_s: float, cause: PollDeadlineError
    ) -> None:
        """Cancel a request that takes too long; return if it was completed in the last moment.

        Raises
        ------
        ImageFailedError
            It is cancelled.
        OutcomeUnknownError
            Whether it is cannot be found out.
        """
        key = workshop.settings.fal_key
        call = Call("PUT", submission.cancel_url, key=key, scheme="Key")
        late = f"fal has not finished the image within {deadline_s:.0f} s"
        try:
            await workshop.http.send(call, CANCEL_RULES)
        except AlreadyCompletedError:
            return
        except BackendError as exc:
            message = f"{late}, and it cannot be cancelled: {exc}"
            raise OutcomeUnknownError(message, submission.request_id, backend=BACKEND) from exc
        message = f"{late}; it was cancelled there"
        raise ImageFailedError(message, backend=BACKEND, code=TIMED_OUT) from cause

    async def _result(self, submission: Submission, status: Status, workshop: Workshop) -> Result:
        """Return the result of a completed request; where it failed, the model's own words come first."""
        call = _ask(workshop, submission.response_url)
        try:
            answer = await workshop.http.send(call, RESULT_RULES)
        except ResultGoneError as exc:
            if status.error:
                raise completed_in_error(status) from exc
            raise
        if status.error:
            raise completed_in_error(status)
        return parse_result(json_object(answer, BACKEND), answer.headers)


def _notes(task: ImageTask, result: Result) -> tuple[str, ...]:
    other = result.seed is not None and result.seed != task.seed
    seed = (f"fal used seed {result.seed}, not {task.seed}",) if other else ()
    return seed if task.conditioning == "control" else (*seed, *without_effect(task))


def _ask(workshop: Workshop, url: str, query: dict[str, str] | None = None) -> Call:
    return Call("GET", url, query=query or {}, key=workshop.settings.fal_key, scheme="Key")


def _submission(answer: httpx.Response, settings: Settings, endpoint: str) -> Submission:
    """Return what was submitted.

    Raises
    ------
    OutcomeUnknownError
        The answer names no request id: the image may be made, and nobody can ask for it.
    """
    problem = "it names no request id"
    try:
        submission = parse_submission(json_object(answer, BACKEND), settings.fal_queue_url, endpoint)
    except ImageFailedError as exc:
        submission, problem = None, str(exc)
    if submission is None:
        message = f"fal's answer to the submission cannot be read: {problem}"
        raise OutcomeUnknownError(message, backend=BACKEND)
    return submission
