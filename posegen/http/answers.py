"""What an answer means: whether to ask again, how long to wait, and which error it is, in words."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

import httpx

from posegen.errors import BackendError, BackendUnavailableError, ImageFailedError

RETRYABLE = frozenset({408, 429, 500, 502, 503, 504})
"""Statuses that may go away by themselves (huggingface/hub-docs, fal-ai/fal `fal_client`)."""

MAX_RETRIES = "FLUX_MAX_RETRIES_EXCEEDED"
"""Code of an image that was tried as often as allowed."""

LONGEST_DETAIL = 300


def is_retryable(answer: httpx.Response) -> bool:
    """Return whether the same request may get a better answer later."""
    return answer.status_code in RETRYABLE


def no_error(answer: httpx.Response, sentence: str) -> BackendError | None:
    """Return None: the general table says what the status means."""
    del answer, sentence
    return None


@dataclass(frozen=True)
class Rules:
    """How one provider's answers are read.

    Attributes
    ----------
    backend : str
    provider : str
        In words, for messages; its pace is kept under the backend's name.
    key_variable : str
        Environment variable of the key, for messages.
    may_retry : callable
        Whether an answer with an error status may be asked for again.
    own_error : callable
        From an answer and what it says in words, the error it means where the provider has a meaning of its
        own; None leaves it to the general table.
    """

    backend: str
    provider: str
    key_variable: str = ""
    may_retry: Callable[[httpx.Response], bool] = is_retryable
    own_error: Callable[[httpx.Response, str], BackendError | None] = no_error

    def error(self, answer: httpx.Response) -> BackendError:
        """Return the error that an answer means."""
        sentence = explanation(answer)
        return self.own_error(answer, sentence) or self._general(answer.status_code, sentence)

    def _general(self, status: int, sentence: str) -> BackendError:
        said = f"{self.provider} answered {status}: {sentence}"
        if status == 402:
            return self.unavailable(f"{self.provider}: the account is empty ({sentence})", "ACCOUNT_EMPTY")
        if status in (401, 403):
            hint = f"; check {self.key_variable}" if self.key_variable else ""
            return self.unavailable(f"{self.provider} refuses the key ({sentence}){hint}", "KEY_REFUSED")
        if status in (400, 422):
            return self.failed(said, "REQUEST_REFUSED")
        if status in (404, 410):
            return self.unavailable(said, "NOT_SERVED")
        return self.failed(said, f"HTTP_{status}")

    def failed(self, message: str, code: str) -> ImageFailedError:
        """Return the error of one image."""
        return ImageFailedError(message, backend=self.backend, code=code)

    def unavailable(self, message: str, code: str) -> BackendUnavailableError:
        """Return an error that every image of the run would meet."""
        return BackendUnavailableError(message, backend=self.backend, code=code)


def explanation(answer: httpx.Response) -> str:
    """Return what an error answer says, as one short line of text, whatever form it has."""
    header = answer.headers.get("X-Error-Message")
    try:
        said = header or _sentence(answer.json())
    except (ValueError, RecursionError):  # not JSON, or nested to do harm
        said = _plain(answer)
    line = _without_key(" ".join(said.split()), answer) or answer.reason_phrase or "no reason given"
    return line if len(line) <= LONGEST_DETAIL else line[: LONGEST_DETAIL - 1] + "…"


def _without_key(line: str, answer: httpx.Response) -> str:
    """Return what a server says without the key that it was sent, which some repeat."""
    try:
        key = answer.request.headers.get("Authorization", "").rpartition(" ")[2]
    except RuntimeError:  # made by a test, for no request
        return line
    return line.replace(key, "***") if key else line


def _sentence(body: Any) -> str:
    """Return the words in a JSON error: {"error"}, {"detail"}, {"message"}, lists of {"msg"}, nested."""
    if isinstance(body, str):
        return body
    if isinstance(body, list):
        return "; ".join(filter(None, (_sentence(entry) for entry in body)))
    if not isinstance(body, dict):
        return ""
    if "msg" in body:
        loc = body.get("loc")
        place = ".".join(str(part) for part in loc if part != "body") if isinstance(loc, list) else ""
        return f"{place}: {body['msg']}" if place else str(body["msg"])
    for name in ("error", "detail", "message", "errors", "title"):
        if body.get(name):
            return _sentence(body[name])
    return ""


def _plain(answer: httpx.Response) -> str:
    if "html" in answer.headers.get("content-type", ""):
        title = re.search(r"<title>([^<]{1,200})</title>", answer.text[:10_000], re.IGNORECASE)
        return title[1] if title else ""
    return answer.text[:1000] if answer.headers.get("content-type", "").startswith("text/") else ""


def asked_to_wait_s(answer: httpx.Response, now: Callable[[], datetime] | None = None) -> float | None:
    """Return the seconds an answer asks to wait, by `Retry-After`, `RateLimit` or `estimated_time`.

    Returns
    -------
    float or None
        At least 0; None if it does not ask.

    References
    ----------
    RFC 9110, 10.2.3 (Retry-After: seconds or a date); draft-ietf-httpapi-ratelimit-headers (`RateLimit:
    "name";r=remaining;t=seconds`); the older huggingface answer {"estimated_time": 20.0} while a model loads.
    """
    after = answer.headers.get("Retry-After", "").strip()
    if re.fullmatch(r"\d+(\.\d+)?", after):
        return float(after)
    if after:
        try:
            moment = parsedate_to_datetime(after)
        except ValueError:
            return None
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=UTC)
        return max(0.0, (moment - (now() if now else datetime.now(UTC))).total_seconds())
    limit = answer.headers.get("RateLimit", "")
    spent, until = re.search(r"\br=0\b", limit), re.search(r"\bt=(\d+)", limit)
    if spent and until:
        return float(until[1])
    return _estimated_s(answer)


def _estimated_s(answer: httpx.Response) -> float | None:
    if answer.status_code != 503 or "json" not in answer.headers.get("content-type", ""):
        return None
    try:
        body = answer.json()
    except (ValueError, RecursionError):
        return None
    seconds = body.get("estimated_time") if isinstance(body, dict) else None
    if not isinstance(seconds, int | float) or not seconds <= sys.float_info.max:
        return None
    return max(0.0, float(seconds))
