"""Text-to-image through Hugging Face's Inference Providers: any model, whoever serves it."""

from __future__ import annotations

import asyncio
import re
from typing import Any

import httpx
from pydantic import BaseModel, Field, field_validator

from posegen.backends import hf_mapping
from posegen.backends.base import GeneratedImage, ImageRequest, NoOptions, Workshop
from posegen.backends.hf_mapping import NOT_SERVED, Serving
from posegen.backends.hf_providers import BACKEND, PROVIDERS, Link, Outcome, Picture, Working
from posegen.backends.hosted import (
    INAPPROPRIATE,
    Hosted,
    after_purchase,
    check_extra,
    is_path,
    refused_content,
    without_effect,
)
from posegen.backends.results import bad_result, pixels_of
from posegen.errors import (
    BackendError,
    BackendUnavailableError,
    OutcomeUnknownError,
    ResultGoneError,
    UnknownNameError,
)
from posegen.http import Call, PollDeadlineError, Rules, poll
from posegen.http.answers import explanation
from posegen.records import Conditioning, ImageTask
from posegen.settings import Settings

NOT_SUPPORTED = re.compile(r"not supported|unsupported|no longer|deprecated|not enabled", re.IGNORECASE)
"""What answers with status 400 say where a provider does not serve the model."""


OURS = (
    "prompt", "inputs", "input", "parameters", "width", "height", "image_size", "size", "seed",
    "num_inference_steps", "guidance_scale", "negative_prompt", "num_images", "num_outputs", "sync_mode",
)  # fmt: skip
"""What posegen's own parameters decide, by the names of all providers."""


class HuggingFaceOptions(NoOptions):
    """Options of the Hugging Face backend."""

    provider: str | None = None
    """who shall make the images; None takes the best of those that serve the model"""
    provider_id: str | None = None
    """the provider's own id of the model; with `provider`, nothing is looked up"""
    bill_to: str | None = Field(default=None, pattern=r"^[\w.-]{1,96}$")
    """the organisation that pays, by its name on the Hub"""
    extra: dict[str, Any] = {}
    """more parameters of the provider's model, sent as they are"""

    @field_validator("provider")
    @classmethod
    def _known_provider(cls, value: str | None) -> str | None:
        if value is not None and value not in PROVIDERS:
            raise ValueError(str(UnknownNameError("provider", value, PROVIDERS)))
        return value

    @field_validator("extra")
    @classmethod
    def _nothing_of_ours(cls, value: dict[str, Any]) -> dict[str, Any]:
        return check_extra(value, OURS)

    @field_validator("provider_id")
    @classmethod
    def _plain_id(cls, value: str | None) -> str | None:
        if value is not None and not is_path(value):
            raise ValueError(f"{value!r} is no model's id")
        return value


class HuggingFaceBackend(Hosted):
    """Asks a model's inference provider through Hugging Face's router; the pose goes into the prompt."""

    name = BACKEND
    default_model: str | None = "black-forest-labs/FLUX.1-dev"
    conditionings: tuple[Conditioning, ...] = ("prompt", "none")
    options_type: type[BaseModel] = HuggingFaceOptions
    negative_prompt_note = "FLUX models heed no negative prompt, so it is not sent to them"

    def __init__(self) -> None:
        super().__init__()
        self._looking_up = asyncio.Lock()

    def missing(self, settings: Settings) -> list[str]:
        """Return what is missing: the token."""
        if settings.hf_token is not None:
            return []
        return [
            "HF_TOKEN is not set (a token that may call Inference Providers: huggingface.co/settings/tokens)"
        ]

    def typical_s(self, width: int, height: int) -> float:
        """Return the usual seconds for one image (FLUX.1-dev, 28 steps; a guess, providers differ)."""
        return 2.0 + 6.0 * width * height / 1e6

    async def generate(self, request: ImageRequest, workshop: Workshop) -> GeneratedImage:
        """Make one image.

        Raises
        ------
        BackendError
            As the protocol says.
        """
        task = request.task
        options = HuggingFaceOptions.model_validate(task.options)
        serving = await self._serving(task, options, workshop)
        rules = rules_of(serving.provider)
        form = PROVIDERS[serving.provider]
        built = form.build_request(task, serving.provider_id, {**parameters(task), **options.extra})
        headers = {**built.headers, **({"X-HF-Bill-To": options.bill_to} if options.bill_to else {})}
        call = Call("POST", _url(workshop, serving.provider, built.path), json=built.body, headers=headers)
        try:
            answer = await workshop.http.purchase(_signed(call, workshop), rules, workshop.buy)
        except BackendUnavailableError as exc:
            if exc.code == NOT_SERVED:
                hf_mapping.forget(task.model or "")
            raise
        outcome = form.parse_result(answer)
        if isinstance(outcome, Working):
            await workshop.submitted(f"{serving.provider}:{outcome.request_id}")
            outcome = await self._wait(serving.provider, outcome.request_id, workshop)
        made = await self._finish(task, serving.provider, outcome, workshop)
        return made if serving.status == "live" else _doubtful(made, serving)

    async def fetch(self, request: ImageRequest, request_id: str, workshop: Workshop) -> GeneratedImage:
        """Return the result of an earlier request, where its provider gave an id.

        Raises
        ------
        ResultGoneError
            It has none, or the provider no longer has it.
        BackendError
            As the protocol says.
        """
        provider, _, known = request_id.partition(":")
        form = PROVIDERS.get(provider)
        if form is None or form.result_path is None or not known:
            message = f"request {request_id!r} cannot be asked for at Hugging Face"
            raise ResultGoneError(message, backend=BACKEND, code="RESULT_GONE")
        try:
            outcome = await self._wait(provider, known, workshop, first_s=0.0)
        except OutcomeUnknownError as exc:
            if exc.code == NOT_SERVED:
                raise ResultGoneError(str(exc), backend=BACKEND, code="RESULT_GONE") from exc
            raise
        return await self._finish(request.task, provider, outcome, workshop)

    async def _serving(self, task: ImageTask, options: HuggingFaceOptions, workshop: Workshop) -> Serving:
        """Return who makes the image: by the options, or by the Hub's list."""
        if options.provider and options.provider_id:
            return Serving(options.provider, options.provider_id, "live")
        model = task.model or self.default_model or ""
        async with self._looking_up:  # the first images of a run ask at the same moment
            servings = await hf_mapping.look_up(model, workshop, rules_of("the Hub"))
        serving = hf_mapping.choose(model, servings, options.provider)
        if options.provider_id:
            return Serving(serving.provider, options.provider_id, serving.status)
        return serving

    async def _wait(
        self, provider: str, known: str, workshop: Workshop, *, first_s: float = 1.0
    ) -> Picture | Link:
        """Ask for a result until it is there.

        Raises
        ------
        OutcomeUnknownError
            It is not there in time, or cannot be asked for.
        """
        form, request_id = PROVIDERS[provider], f"{provider}:{known}"
        path = form.result_path(known) if form.result_path else ""
        call = _signed(Call("GET", _url(workshop, provider, path)), workshop)

        async def ask() -> Picture | Link | None:
            outcome = form.parse_result(await workshop.http.send(call, rules_of(provider)))
            return None if isinstance(outcome, Working) else outcome

        http, deadline_s = workshop.http, workshop.settings.generation_timeout_s
        try:
            with after_purchase(BACKEND, request_id):
                return await poll(
                    ask, deadline_s=deadline_s, first_s=first_s, sleep=http.sleep, clock=http.clock
                )
        except PollDeadlineError as exc:
            message = f"{provider} has not finished the image within {deadline_s:.0f} s"
            raise OutcomeUnknownError(message, request_id, backend=BACKEND) from exc
        except BackendUnavailableError as exc:
            if exc.code != NOT_SERVED:
                raise
            raise OutcomeUnknownError(str(exc), request_id, backend=BACKEND, code=NOT_SERVED) from exc

    async def _finish(
        self, task: ImageTask, provider: str, outcome: Outcome, workshop: Workshop
    ) -> GeneratedImage:
        """Return the image that an outcome names."""
        request_id = None
        if isinstance(outcome, Link):
            request_id = f"{provider}:{outcome.request_id}" if outcome.request_id else None
            with after_purchase(BACKEND, request_id):
                loaded = await workshop.http.download(outcome.url, rules_of(provider))
            data, content_type = loaded.data, loaded.content_type
        elif isinstance(outcome, Picture):
            data, content_type = outcome.data, outcome.content_type
        else:
            raise bad_result(BACKEND, f"{provider} gives no picture")
        pixels, notes = await pixels_of(data, content_type, task, workshop)
        return GeneratedImage(
            pixels,
            conditioning="none" if task.conditioning == "none" else "prompt",
            model=task.model,
            provider=provider,
            request_id=request_id,
            notes=(*notes, *without_effect(task)),
        )


def parameters(task: ImageTask) -> dict[str, Any]:
    """Return the parameters that the task sets, by the names of diffusers, which the router takes."""
    negative = None if is_flux(task.model) else task.negative_prompt or None
    given = {
        "width": task.width,
        "height": task.height,
        "seed": task.seed,
        "num_inference_steps": task.num_inference_steps,
        "guidance_scale": task.guidance_scale,
        "negative_prompt": negative,
    }
    return {name: value for name, value in given.items() if value is not None}


def is_flux(model: str | None) -> bool:
    """Return whether a model is one of FLUX, which cannot be told what to leave out."""
    return "flux" in (model or "").lower()


def rules_of(provider: str) -> Rules:
    """Return how answers are read that come from a provider through the router."""
    rules = Rules(BACKEND, f"Hugging Face ({provider})", "HF_TOKEN")

    def own_error(answer: httpx.Response, sentence: str) -> BackendError | None:
        entry = refused_content(answer)
        if entry is not None:
            return rules.failed(f"{provider} refuses the prompt: {explanation(answer)}", INAPPROPRIATE)
        if answer.status_code in (404, 410) or (answer.status_code == 400 and NOT_SUPPORTED.search(sentence)):
            return rules.unavailable(
                f"{provider} does not serve what was asked for ({sentence}); "
                "backend_options 'provider' or another model helps",
                NOT_SERVED,
            )
        return None

    return Rules(rules.backend, rules.provider, rules.key_variable, own_error=own_error)


def _url(workshop: Workshop, provider: str, path: str) -> str:
    return f"{workshop.settings.hf_router_url}/{provider}/{path}"


def _signed(call: Call, workshop: Workshop) -> Call:
    """Return the call with the token; only what goes to the router gets it."""
    return Call(call.method, call.url, call.json, call.headers, key=workshop.settings.hf_token)


def _doubtful(made: GeneratedImage, serving: Serving) -> GeneratedImage:
    note = f"{serving.provider} serves this model with status {serving.status!r}, not live"
    return GeneratedImage(
        made.pixels, made.conditioning, made.model, made.provider, made.request_id, notes=(*made.notes, note)
    )
