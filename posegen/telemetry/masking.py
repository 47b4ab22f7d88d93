"""What no log line shows: the values of secret settings, and prompts unless a setting allows them.

Secrets are known by their values and masked wherever they turn up: in messages, in nested values, in the text
of exceptions. A prompt is known by the name of its field, or because the context's work is about it.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Mapping
from functools import lru_cache
from itertools import takewhile
from typing import Any
from urllib.parse import quote

from pydantic import SecretStr

from posegen.settings import Settings
from posegen.telemetry.context import prompts_at_hand

HIDDEN = "***"
"""What stands in place of a secret."""

SECRET_HEAD = 8
"""Characters by which a secret is known that was cut off by whoever quoted it."""

PROMPT_HEAD = 24
"""The same for prompts: shorter beginnings are everyday English."""

SHORTEST_PROMPT = 4
"""A shorter one is not looked for in text: it would be found everywhere."""

LONGEST = 8_000
"""Characters of one value; the middle of a longer one is left out."""

_SECRET_NAME = re.compile(
    r"(^|_|-)(token|secret|password|passwd|authorization|cookie|api_?key|fal_key)$", re.IGNORECASE
)
_PROMPT_NAME = re.compile(r"(^|_)prompts?$", re.IGNORECASE)
_IN_ADDRESS = re.compile(r"(?<=://)[^/\s@'\"]+(?=@)")
_CREDENTIALS = re.compile(r"(?i)\b(Bearer|Basic|Key|Token)(\s+)(?=[\w.~+/:=-]*\d)[\w.~+/:=-]{12,}")
_SIGNATURE = re.compile(r"(?i)([?&](?:x-amz-signature|x-amz-credential|signature|sig|token|key)=)[^&\s'\"]+")
_BRIEF = re.compile(r"<prompt: \d+ characters, [0-9a-f]{8}>")
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")

_secrets: list[str] = []
_policy = {"prompts": False}


def protect(settings: Settings, *, prompts: bool = False) -> None:
    """Mask the secrets of `settings` from here on, in every line of this process.

    Parameters
    ----------
    settings : Settings
    prompts : bool
        Whether the settings decide if prompts are shown, too; else that stays as it is.
    """
    if prompts:
        _policy["prompts"] = settings.log_prompts == "on"
    for name in type(settings).model_fields:
        value = getattr(settings, name)
        if isinstance(value, SecretStr) and value.get_secret_value():
            _keep_secret(value.get_secret_value())


def _keep_secret(secret: str) -> None:
    # The longest first: one may hold another.
    found = sorted({*_secrets, *_spellings(secret)}, key=len, reverse=True)
    if len(found) > len(_secrets):
        _secrets[:] = found


def _spellings(text: str) -> set[str]:
    """Return a text as it may be written: plain, in an address, in JSON, in a Python literal."""
    dumped = (json.dumps(text, ensure_ascii=ascii_only)[1:-1] for ascii_only in (True, False))
    return {text, quote(text, safe=""), repr(text)[1:-1], *dumped}


def mask(value: Any, name: str = "") -> Any:
    """Return `value` as JSON may hold it, with nothing in it that must not be seen; never raises.

    Parameters
    ----------
    value : object
        Mappings and sequences are gone through; what JSON does not know becomes text.
    name : str
        What the value is called: a field named as a key or a prompt is masked whatever it holds.
    """
    try:
        return _mask(value, name, depth=0)
    except Exception as exc:  # noqa: BLE001  (a value that cannot be shown must not break who logs it)
        return f"<not shown: {type(exc).__name__}>"


def _mask(value: Any, name: str, depth: int) -> Any:
    if value is None or isinstance(value, bool):
        return value
    if _SECRET_NAME.search(name) or isinstance(value, SecretStr):
        return HIDDEN
    if _PROMPT_NAME.search(name) and isinstance(value, str) and not _policy["prompts"]:
        return value if _BRIEF.fullmatch(value) else brief(value)  # a line may be masked twice
    if isinstance(value, str):
        return mask_text(value)
    if isinstance(value, int | float):
        return value if math.isfinite(value) else str(value)
    if depth < 6 and isinstance(value, Mapping):
        return {mask_text(str(key)): _mask(entry, str(key), depth + 1) for key, entry in value.items()}
    if depth < 6 and isinstance(value, list | tuple | set | frozenset):
        return [_mask(entry, name, depth + 1) for entry in value]
    return mask_text(value.decode(errors="replace") if isinstance(value, bytes) else str(value))


def mask_text(text: str) -> str:
    """Return `text` without secrets, prompts of the context's work, control characters, and undue length."""
    for secret in _secrets:
        text = _without(text, secret, SECRET_HEAD, HIDDEN)
    if "://" in text:
        text = _IN_ADDRESS.sub(HIDDEN, text)
    if "=" in text:
        text = _SIGNATURE.sub(rf"\1{HIDDEN}", text)
    text = _CREDENTIALS.sub(rf"\1\2{HIDDEN}", text)
    if not _policy["prompts"]:
        for spelling, instead in _prompt_spellings(prompts_at_hand()):
            text = _without(text, spelling, PROMPT_HEAD, instead)
    text = _CONTROL.sub(lambda found: f"\\x{ord(found[0]):02x}", text)
    if len(text) > LONGEST:
        half = LONGEST // 2
        text = f"{text[:half]} [{len(text) - LONGEST} characters left out] {text[-half:]}"
    return text


@lru_cache(maxsize=256)  # a task logs many lines
def _prompt_spellings(prompts: tuple[str, ...]) -> tuple[tuple[str, str], ...]:
    """Return what to look for, the longest first, each with what stands in its place."""
    found = {
        spelling: brief(prompt)
        for prompt in prompts
        if len(prompt) >= SHORTEST_PROMPT
        for spelling in _spellings(prompt)
    }
    return tuple(sorted(found.items(), key=lambda pair: len(pair[0]), reverse=True))


def brief(prompt: str) -> str:
    """Return what stands in place of a prompt: its length, and a hash by which two can be compared.

    >>> brief("studio photo of a person")
    '<prompt: 24 characters, bcbc8f66>'
    """
    digest = hashlib.sha256(prompt.encode(errors="surrogatepass")).hexdigest()[:8]
    return f"<prompt: {len(prompt)} characters, {digest}>"


def _without(text: str, hidden: str, head: int, instead: str) -> str:
    """Return `text` with `instead` in place of `hidden`, also where only its beginning is quoted."""
    start, rest = hidden[:head], hidden[head:]
    if start not in text:
        return text
    kept, at = [], 0
    while (found := text.find(start, at)) >= 0:
        kept += [text[at:found], instead]
        at = found + len(start)
        at += sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(rest, text[at:], strict=False)))
    return "".join([*kept, text[at:]])
