"""Which providers serve a model, by the Hub's own list."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from posegen.backends.base import Workshop
from posegen.backends.hf_providers import BACKEND, PROVIDERS
from posegen.backends.hosted import is_path, json_object
from posegen.errors import BackendUnavailableError
from posegen.http import Call, Rules

TASK = "text-to-image"
NOT_SERVED = "NOT_SERVED"

STATUSES = ("live", "staging", "error")
"""Best first; "error" means that the Hub's last test of it failed."""


@dataclass(frozen=True)
class Serving:
    """One provider that serves a model.

    Attributes
    ----------
    provider : str
    provider_id : str
        The provider's own id of the model.
    status : str
        "live", "staging" or "error".
    """

    provider: str
    provider_id: str
    status: str
    task: str = TASK


_cache: dict[tuple[str, str], tuple[Serving, ...]] = {}
"""By the Hub's address and model; for the life of the process, or until a provider no longer serves it."""


async def look_up(model: str, workshop: Workshop, rules: Rules) -> tuple[Serving, ...]:
    """Return who serves a model, asking the Hub once.

    Raises
    ------
    BackendUnavailableError
        There is no such model, or the Hub cannot be asked.
    """
    hub = workshop.settings.hf_hub_url
    if (hub, model) not in _cache:
        if not is_path(model):
            raise _unserved(f"{model!r} is no model's name; it has the form owner/name")
        call = Call(
            "GET",
            f"{hub}/api/models/{model}",
            query={"expand[]": "inferenceProviderMapping"},
            key=workshop.settings.hf_token,
        )
        answer = await workshop.http.send(call, rules)
        _cache[hub, model] = tuple(parse_mapping(json_object(answer, BACKEND)))
    return _cache[hub, model]


def forget(model: str) -> None:
    """Ask the Hub anew the next time: who serves the model has changed."""
    for key in [key for key in _cache if key[1] == model]:
        _cache.pop(key, None)


def parse_mapping(body: dict[str, Any]) -> Iterable[Serving]:
    """Return the entries of the Hub's answer, which is an object by provider or a list."""
    mapping = body.get("inferenceProviderMapping") or {}
    entries = (
        [{"provider": name, **entry} for name, entry in mapping.items() if isinstance(entry, dict)]
        if isinstance(mapping, dict)
        else [entry for entry in mapping if isinstance(entry, dict)]
        if isinstance(mapping, list)
        else []
    )
    for entry in entries:
        name, provider_id = str(entry.get("provider", "")), str(entry.get("providerId", ""))
        if is_path(provider_id):
            status, task = str(entry.get("status", "")), str(entry.get("task", ""))
            yield Serving(name, provider_id, status, task)


def choose(model: str, servings: Iterable[Serving], wanted: str | None) -> Serving:
    """Return the provider to ask: the one that is wanted, or the best one that posegen speaks with.

    Raises
    ------
    BackendUnavailableError
        None fits; lists what serves the model.
    """
    found = [serving for serving in servings if serving.task == TASK]
    usable = [
        serving
        for serving in found
        if serving.provider in PROVIDERS and wanted in (None, serving.provider) and serving.status in STATUSES
    ]
    if usable:
        return min(usable, key=lambda serving: STATUSES.index(serving.status))
    served = ", ".join(f"{serving.provider} ({serving.status})" for serving in found)
    if not served:
        raise _unserved(f"no provider serves {model} for {TASK}; its page on the Hub lists what there is")
    if wanted is not None:
        raise _unserved(f"{wanted} does not serve {model} for {TASK}; what serves it: {served}")
    raise _unserved(f"{model} is served by {served}; posegen speaks with {', '.join(PROVIDERS)}")


def _unserved(message: str) -> BackendUnavailableError:
    return BackendUnavailableError(message, backend=BACKEND, code=NOT_SERVED)
