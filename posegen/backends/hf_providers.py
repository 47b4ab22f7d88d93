"""How each inference provider behind Hugging Face's router is asked, and what its answers mean.

Pure: requests are built and answers read here, and sent elsewhere. The forms are those of
huggingface_hub 2.4, `inference/_providers`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import httpx

from posegen.backends.hosted import UNKNOWN_STATUS, is_request_id, json_object
from posegen.backends.results import bad_result
from posegen.errors import ImageFailedError, ImageWithheldError
from posegen.records import ImageTask

BACKEND = "huggingface"


@dataclass(frozen=True)
class Request:
    """What is sent: a path below the router's address for the provider, and a body."""

    path: str
    body: dict[str, Any]
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Picture:
    """The answer is the picture itself."""

    data: bytes = field(repr=False)
    content_type: str


@dataclass(frozen=True)
class Link:
    """The picture lies at a URL."""

    url: str
    request_id: str | None = None


@dataclass(frozen=True)
class Working:
    """The provider is still at it; the result can be asked for by id."""

    request_id: str


Outcome = Picture | Link | Working


@dataclass(frozen=True)
class Provider:
    """One provider's form.

    Attributes
    ----------
    build_request : callable
        From the task, the provider's id of the model and the parameters.
    parse_result : callable
        From an answer with a good status.
    result_path : callable or None
        From a request id, the path of its result; None where there are no ids.
    """

    build_request: Callable[[ImageTask, str, dict[str, Any]], Request]
    parse_result: Callable[[httpx.Response], Outcome]
    result_path: Callable[[str], str] | None = None


def hf_inference_request(task: ImageTask, model: str, parameters: dict[str, Any]) -> Request:
    """Return the request for Hugging Face's own servers."""
    body = {"inputs": task.prompt, "parameters": parameters}
    return Request(f"models/{model}", body, {"Accept": "image/png"})


def hf_inference_result(answer: httpx.Response) -> Outcome:
    """Return the picture: the answer's body."""
    return Picture(answer.content, answer.headers.get("content-type", ""))


def fal_ai_request(task: ImageTask, model: str, parameters: dict[str, Any]) -> Request:
    """Return the request for fal: everything flat, the size in a field of its own."""
    body = {"prompt": task.prompt, **parameters}
    body["image_size"] = {"width": body.pop("width"), "height": body.pop("height")}
    return Request(model, body)


def fal_ai_result(answer: httpx.Response) -> Outcome:
    """Return where the first image lies; a flagged one is withheld."""
    body = json_object(answer, BACKEND)
    _refuse_flagged(body.get("has_nsfw_concepts"), "fal-ai")
    return Link(_url(body.get("images"), "fal-ai"))


def replicate_request(task: ImageTask, model: str, parameters: dict[str, Any]) -> Request:
    """Return the request for Replicate: by model, or by version where the id names one after a colon."""
    body: dict[str, Any] = {"input": {"prompt": task.prompt, **parameters}}
    name, _, version = model.partition(":")
    wait = {"Prefer": "wait"}
    if version:
        return Request("v1/predictions", {**body, "version": version}, wait)
    return Request(f"v1/models/{name}/predictions", body, wait)


def replicate_result(answer: httpx.Response) -> Outcome:
    """Return where the image lies, or that it is still being made (it waits for a minute at most)."""
    body = json_object(answer, BACKEND)
    status, request_id = body.get("status"), body.get("id")
    if status in ("failed", "canceled", "aborted"):
        raise _failed("replicate", status, body.get("error"))
    if status not in ("starting", "processing", "succeeded", "successful"):
        raise _unknown("replicate", status)
    known = str(request_id) if is_request_id(request_id) else None
    if body.get("output") is not None:
        return Link(_url(body["output"], "replicate"), known)
    if known is None or status.startswith("succe"):
        raise bad_result(BACKEND, f"replicate says {status!r} and gives neither a picture nor an id to ask")
    return Working(known)


def wavespeed_request(task: ImageTask, model: str, parameters: dict[str, Any]) -> Request:
    """Return the request for WaveSpeed; its seeds have 31 bits, and its size is one text."""
    body = {"prompt": task.prompt, **parameters, "size": f"{task.width}*{task.height}"}
    body["seed"] = int(body["seed"]) % 2**31
    return Request(f"api/v3/{model}", body)


def wavespeed_result(answer: httpx.Response) -> Outcome:
    """Return where the image lies, or that it is still being made."""
    data = json_object(answer, BACKEND).get("data")
    body = data if isinstance(data, dict) else {}
    status, request_id = body.get("status"), body.get("id")
    if status == "failed":
        raise _failed("wavespeed", status, body.get("error"))
    if status == "completed":
        _refuse_flagged(body.get("has_nsfw_contents"), "wavespeed")
        return Link(
            _url(body.get("outputs"), "wavespeed"), str(request_id) if is_request_id(request_id) else None
        )
    if status not in ("created", "processing"):
        raise _unknown("wavespeed", status)
    if not is_request_id(request_id):
        raise bad_result(BACKEND, "wavespeed gives no id to ask for the picture")
    return Working(str(request_id))


def _url(found: Any, provider: str) -> str:
    """Return the first URL of an answer: a text, {"url"}, or a list of either."""
    first = found[0] if isinstance(found, list) and found else found
    url = first.get("url") if isinstance(first, dict) else first
    if not isinstance(url, str) or not url:
        raise bad_result(BACKEND, f"{provider} names no picture in its answer")
    return url


def _refuse_flagged(flags: Any, provider: str) -> None:
    if isinstance(flags, list) and any(flag is True for flag in flags):
        raise ImageWithheldError(
            f"{provider} flags the image as not safe for work", backend=BACKEND, by=provider, label="nsfw"
        )


def _failed(provider: str, status: str, reason: Any) -> ImageFailedError | ImageWithheldError:
    said = " ".join(str(reason or "no reason given").split())[:300]
    if "nsfw" in said.lower():
        return ImageWithheldError(
            f"{provider} flags the image: {said}", backend=BACKEND, by=provider, label="nsfw"
        )
    return ImageFailedError(f"{provider} says {status}: {said}", backend=BACKEND, code="GENERATION_FAILED")


def _unknown(provider: str, status: Any) -> ImageFailedError:
    return ImageFailedError(
        f"{provider} answers with a status nobody knows: {status!r:.100}",
        backend=BACKEND,
        code=UNKNOWN_STATUS,
    )


PROVIDERS: dict[str, Provider] = {
    "hf-inference": Provider(hf_inference_request, hf_inference_result),
    "fal-ai": Provider(fal_ai_request, fal_ai_result),
    "replicate": Provider(replicate_request, replicate_result, lambda known: f"v1/predictions/{known}"),
    "wavespeed": Provider(
        wavespeed_request, wavespeed_result, lambda known: f"api/v3/predictions/{known}/result"
    ),
}
"""By the name that the Hub's provider mapping uses; adding one is a line here and two functions above."""
