"""What backends at a paid provider have in common."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import httpx

from posegen.backends.results import bad_result
from posegen.errors import ImageFailedError, OutcomeUnknownError
from posegen.http import load_transport
from posegen.http.answers import MAX_RETRIES
from posegen.records import ImageTask, StickScale

TIMED_OUT = "GENERATION_TIMED_OUT"
"""Code of an image that its provider did not finish in time."""

UNKNOWN_STATUS = "UNKNOWN_STATUS"
"""Code of an image whose provider says something about it that nobody here understands."""

INAPPROPRIATE = "INAPPROPRIATE_PROMPT"
"""Code of an image whose prompt is refused."""

CONTROL_ONLY = ("controlnet_conditioning_scale", "control_guidance_end")


class Hosted:
    """What a backend at a provider with a key is: paid for each image."""

    version: str | None = None
    paid = True
    keeps_results = True

    def __init__(self) -> None:
        load_transport()

    def stick_scale(self, model: str | None, options: Mapping[str, object]) -> StickScale:
        """Return "none": the maps are drawn as OpenPose draws them, which FLUX ControlNets know."""
        del model, options
        return "none"


@contextmanager
def after_purchase(backend: str, request_id: str | None) -> Iterator[None]:
    """Lose no image that was bought: one that cannot be asked for at the moment is unknown, not failed."""
    try:
        yield
    except ImageFailedError as exc:
        if exc.code != MAX_RETRIES or request_id is None:
            raise
        message = f"{exc}; it was asked for there: going on with the run asks for its result"
        raise OutcomeUnknownError(message, request_id, backend=backend) from exc


def json_object(answer: httpx.Response, backend: str) -> dict[str, Any]:
    """Return the JSON object in an answer.

    Raises
    ------
    ImageFailedError
        With code BAD_RESULT: it is none.
    """
    try:
        body = answer.json()
    except (ValueError, RecursionError) as exc:
        raise bad_result(backend, "the answer is not JSON") from exc
    if not isinstance(body, dict):
        raise bad_result(backend, f"the answer is a JSON {type(body).__name__}, not an object")
    return body


def is_request_id(value: object) -> bool:
    """Return whether a provider's request id may become part of a URL."""
    return isinstance(value, str) and re.fullmatch(r"[A-Za-z0-9_-]{1,128}", value) is not None


def is_path(value: str) -> bool:
    """Return whether a model's id may become the path of a URL, and leads nowhere else.

    >>> is_path("fal-ai/flux/dev"), is_path("owner/name:0a1b"), is_path("../admin"), is_path("a?b")
    (True, True, False, False)
    """
    parts = value.split("/")
    return all(re.fullmatch(r"[\w.:-]+", part) and part not in (".", "..") for part in parts)


def check_extra(extra: dict[str, Any], taken: Iterable[str]) -> dict[str, Any]:
    """Return what is sent beside posegen's own parameters; it may not stand in their place.

    Else an image could be made of a prompt that was not screened, or of a seed that its recipe does not name.

    Raises
    ------
    ValueError
        It sets one of them.
    """
    own = sorted(set(extra) & set(taken))
    if own:
        raise ValueError(f"{', '.join(own)} cannot be set here: posegen sets it")
    return extra


def without_effect(task: ImageTask) -> tuple[str, ...]:
    """Return a note on what was given for a ControlNet that the image does not go through."""
    given = [name for name in CONTROL_ONLY if getattr(task, name) is not None]
    return (f"without effect, since no ControlNet is used: {', '.join(given)}",) if given else ()


def refused_content(answer: httpx.Response) -> dict[str, Any] | None:
    """Return the entry of a fal error that says that content was refused, if there is one.

    References
    ----------
    fal.ai/docs/documentation/model-apis/errors: `content_policy_violation` with `loc`, `msg`, `categories`.
    """
    try:
        body = answer.json()
    except (ValueError, RecursionError):
        return None
    detail = body.get("detail") if isinstance(body, dict) else body
    for entry in detail if isinstance(detail, list) else ():
        if isinstance(entry, dict) and entry.get("type") == "content_policy_violation":
            return entry
    return None
