"""fal's queue: what its addresses and answers mean. Pure; `fal` sends.

References
----------
fal.ai/docs/documentation/model-apis (queue, errors, request-errors); fal-ai/fal, `fal_client` 1.0.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import httpx

from posegen.backends.hosted import INAPPROPRIATE, UNKNOWN_STATUS, is_request_id, refused_content
from posegen.backends.results import bad_result
from posegen.errors import BackendError, ImageFailedError, ImageWithheldError, ResultGoneError
from posegen.http import Rules
from posegen.http.answers import is_retryable

BACKEND = "fal"
NAMESPACES = ("workflows", "comfy")
"""What may stand before the owner in an endpoint's id."""

State = Literal["queued", "working", "completed"]
STATES: dict[str, State] = {"IN_QUEUE": "queued", "IN_PROGRESS": "working", "COMPLETED": "completed"}

EMPTY_ACCOUNT = re.compile(r"balance|top up|locked", re.IGNORECASE)
"""fal answers an empty account with 403: "User is locked. Reason: Exhausted balance. Top up your balance"."""

OF_THE_ACCOUNT = (401, 402, 403)
"""Statuses that every image of a run would meet, whatever type of error they name."""

BILLABLE_UNITS = "x-fal-billable-units"

_SHARE = re.compile(r"(\d{1,3})%\|")
"""How far a model is, as its progress bar writes it into the logs."""


class AlreadyCompletedError(BackendError):
    """What should be cancelled is done already; never leaves the fal backend."""


@dataclass(frozen=True)
class Submission:
    """A request in the queue: its id and the addresses to ask at."""

    request_id: str
    response_url: str
    status_url: str
    cancel_url: str


@dataclass(frozen=True)
class Status:
    """What the queue says of a request.

    Attributes
    ----------
    share : float
        How far it is, from 0 to 1, by the model's own logs.
    error, error_type : str
        Why a completed request has no image; empty if it has.
    """

    state: State
    position: int | None = None
    share: float = 0.0
    error: str = ""
    error_type: str = ""


@dataclass(frozen=True)
class Result:
    """A finished image.

    Attributes
    ----------
    url : str
    seed : int or None
        The one that was really used.
    notes : tuple of str
    """

    url: str
    seed: int | None = None
    notes: tuple[str, ...] = field(default=())


def addresses(queue_url: str, endpoint: str, request_id: str) -> Submission:
    """Return a request's addresses, built from its id: they name the owner and the app, not the rest.

    >>> addresses("https://queue.fal.run", "fal-ai/flux/dev", "r1").status_url
    'https://queue.fal.run/fal-ai/flux/requests/r1/status'
    """
    parts = endpoint.split("/")
    app = "/".join(parts[: 3 if parts[0] in NAMESPACES else 2])
    base = f"{queue_url}/{app}/requests/{request_id}"
    return Submission(request_id, base, f"{base}/status", f"{base}/cancel")


def parse_submission(body: dict[str, Any], queue_url: str, endpoint: str) -> Submission | None:
    """Return what was submitted; None if the answer names no usable request id.

    The addresses are the answer's own where they are below the queue's: the key goes nowhere else.
    """
    request_id = body.get("request_id")
    if not is_request_id(request_id):
        return None
    built = addresses(queue_url, endpoint, str(request_id))
    given = {
        name: body[name]
        for name in ("response_url", "status_url", "cancel_url")
        if _is_below(body.get(name), queue_url)
    }
    return replace(built, **given)


def _is_below(url: Any, queue_url: str) -> bool:
    if not isinstance(url, str):
        return False
    try:
        ours, theirs = httpx.URL(queue_url), httpx.URL(url)
    except httpx.InvalidURL:
        return False
    same = (ours.scheme, ours.host, ours.port) == (theirs.scheme, theirs.host, theirs.port)
    return same and not theirs.userinfo and theirs.path.startswith(ours.path.rstrip("/") + "/")


def parse_status(body: dict[str, Any]) -> Status:
    """Return what the queue says.

    Raises
    ------
    ImageFailedError
        A status that nobody here knows.
    """
    said = body.get("status")
    state = STATES.get(said) if isinstance(said, str) else None
    if state is None:
        raise ImageFailedError(
            f"fal answers with a status nobody knows: {said!r:.100}", backend=BACKEND, code=UNKNOWN_STATUS
        )
    position = body.get("queue_position")
    return Status(
        state,
        position if isinstance(position, int) else None,
        _share(body.get("logs")),
        _text(body.get("error")),
        _text(body.get("error_type")),
    )


def _share(logs: Any) -> float:
    """Return how far a model is by the last of its logs that says so."""
    for entry in reversed(logs if isinstance(logs, list) else []):
        found = _SHARE.findall(str(entry.get("message", ""))) if isinstance(entry, dict) else []
        if found:
            return min(int(found[-1]), 100) / 100
    return 0.0


def _text(value: Any) -> str:
    return " ".join(str(value).split())[:300] if value else ""


def parse_result(body: dict[str, Any], headers: httpx.Headers) -> Result:
    """Return the finished image.

    Raises
    ------
    ImageWithheldError
        fal flags it.
    ImageFailedError
        The answer names no image.
    """
    flags = body.get("has_nsfw_concepts")
    if isinstance(flags, list) and flags and flags[0] is True:
        message = "fal flags the image as not safe for work"
        raise ImageWithheldError(message, backend=BACKEND, by="fal", label="nsfw")
    images = body.get("images")
    first = images[0] if isinstance(images, list) and images else None
    url = first.get("url") if isinstance(first, dict) else None
    if not isinstance(url, str):
        raise bad_result(BACKEND, "the answer names no image")
    seed = body.get("seed")
    units = headers.get(BILLABLE_UNITS)
    notes = (f"fal bills {units} units",) if units and re.fullmatch(r"[\d.]{1,20}", units) else ()
    return Result(url, seed if isinstance(seed, int) else None, notes)


def completed_in_error(status: Status) -> ImageFailedError:
    """Return the error of a request that ended without an image."""
    code = status.error_type.upper() if re.fullmatch(r"[a-z_]{1,60}", status.error_type) else ""
    return ImageFailedError(
        f"fal ended without an image: {status.error}", backend=BACKEND, code=code or "GENERATION_FAILED"
    )


def may_retry(answer: httpx.Response) -> bool:
    """Return whether the same request may get a better answer later.

    As `fal_client` does: 408, 409, 429, and 502-504 where a proxy made them; never where a time limit of
    the request has passed, nor where fal says that it is of no use.
    """
    headers = answer.headers
    if headers.get("X-Fal-Retryable", "").lower() == "false":
        return False
    if answer.status_code in (408, 409, 429):
        return True
    from_fal = "x-fal-request-id" in headers or bool(headers.get("X-Fal-Error-Type") or _error_type(answer))
    return (
        answer.status_code in (502, 503, 504) and not from_fal and "X-Fal-Request-Timeout-Type" not in headers
    )


def own_error(answer: httpx.Response, sentence: str) -> BackendError | None:
    """Return what an error answer of fal means, beyond its status."""
    entry = refused_content(answer)
    if entry is not None:
        return _refused(entry, sentence)
    if answer.status_code == 403 and EMPTY_ACCOUNT.search(sentence):
        return RULES.unavailable(f"fal: the account is empty ({sentence})", "ACCOUNT_EMPTY")
    kind = answer.headers.get("X-Fal-Error-Type") or _error_type(answer)
    if answer.status_code not in OF_THE_ACCOUNT and kind and re.fullmatch(r"[a-z_]{1,60}", kind):
        return RULES.failed(f"fal could not run the model: {sentence}", kind.upper())
    return None


def _error_type(answer: httpx.Response) -> str:
    try:
        body = answer.json()
    except (ValueError, RecursionError):
        return ""
    return str(body.get("error_type") or "") if isinstance(body, dict) else ""


def _refused(entry: dict[str, Any], sentence: str) -> BackendError:
    """Return the error of refused content: the prompt's if it lies in what was sent, else the image's."""
    categories = entry.get("categories")
    label = ", ".join(map(str, categories))[:100] if isinstance(categories, list) else ""
    place = entry.get("loc")
    if isinstance(place, list) and place[:1] == ["body"]:
        return RULES.failed(
            f"fal refuses the prompt: {sentence}{f' ({label})' if label else ''}", INAPPROPRIATE
        )
    return ImageWithheldError(f"fal withholds the image: {sentence}", backend=BACKEND, by="fal", label=label)


def result_error(answer: httpx.Response, sentence: str) -> BackendError | None:
    """Return what an error answer means where a result or a status is asked for."""
    if answer.status_code in (404, 410):
        return ResultGoneError(
            f"fal no longer has the result ({answer.status_code}: {sentence})",
            backend=BACKEND,
            code="RESULT_GONE",
        )
    return own_error(answer, sentence)


def cancel_error(answer: httpx.Response, sentence: str) -> BackendError | None:
    """Return what an error answer means where a request is cancelled."""
    if "ALREADY_COMPLETED" in answer.text[:1000]:
        return AlreadyCompletedError(sentence, backend=BACKEND)
    return result_error(answer, sentence)


RULES = Rules(BACKEND, "fal", "FAL_KEY", may_retry=may_retry, own_error=own_error)
RESULT_RULES = replace(RULES, own_error=result_error)
STATUS_RULES = replace(RESULT_RULES, may_retry=lambda answer: may_retry(answer) or is_retryable(answer))
"""A question about a request costs nothing, and its image is bought: no passing fault may lose it."""
CANCEL_RULES = replace(RULES, own_error=cancel_error)
