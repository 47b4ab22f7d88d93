"""What every plan is, of a batch or of an experiment: parameters, and the image tasks they come to."""

from __future__ import annotations

import hashlib
from collections import Counter
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import msgspec

from posegen import credits as prices
from posegen.backends import get_backend
from posegen.parameters import PictureParameters
from posegen.pipeline.progress import duration
from posegen.pipeline.tables import html_table
from posegen.records import ImageTask
from posegen.settings import Settings, load_settings

NOT_THE_SPEC = ("run_id", "concurrency")
"""Parameters that may differ between the attempts of one run."""


@dataclass(frozen=True, repr=False)
class RunPlan:
    """What a run will make.

    Attributes
    ----------
    parameters : PictureParameters
    tasks : tuple of ImageTask
        In order, no two with the same id.
    notes : tuple of str
        What the user should know before it starts.
    """

    parameters: PictureParameters
    tasks: tuple[ImageTask, ...]
    notes: tuple[str, ...] = ()

    @cached_property
    def spec(self) -> dict[str, Any]:
        """The parameters as plain values, without those that may differ between attempts."""
        values = self.parameters.model_dump(mode="json")
        return {name: value for name, value in values.items() if name not in NOT_THE_SPEC}

    @property
    def defaults(self) -> dict[str, Any]:
        """What the spec has where nothing is asked for."""
        fields = type(self.parameters).model_fields
        return {
            name: msgspec.to_builtins(field.get_default(call_default_factory=True))
            for name, field in fields.items()
            if name not in NOT_THE_SPEC and not field.is_required()
        }

    @property
    def spec_hash(self) -> str:
        """Hash of the spec. A run that exists goes on by its own plan, whatever the spec comes to today."""
        return content_hash(self.spec)

    @property
    def cost_credits(self) -> int:
        """Credits for all images."""
        return prices.price(len(self.tasks))

    @property
    def backends(self) -> tuple[str, ...]:
        """Names of the backends that make the images."""
        return tuple(dict.fromkeys(task.backend for task in self.tasks)) or (self.parameters.backend,)

    def facts(self) -> dict[str, Any]:
        """Return what the plan comes to, as one flat mapping."""
        settings, parameters = load_settings(), self.parameters
        return {
            **self._what(settings),
            "credits": self.cost_credits,
            "estimated_time": duration(self.estimated_s(settings.cpu_threads)),
            "run_id": parameters.run_id or "made from the time at the start",
            "goes_to": str(settings.root / "runs" / (parameters.run_id or "<run id>")),
            "lacks": [line for name in self.backends for line in get_backend(name).missing(settings)],
            "notes": list(self.notes),
        }

    def _what(self, settings: Settings) -> dict[str, Any]:
        """Return what will be made."""
        raise NotImplementedError

    def __repr__(self) -> str:
        """Name the number of images and their price."""
        return f"<{type(self).__name__}: {len(self.tasks)} images, {self.cost_credits} credits>"

    def _repr_html_(self) -> str:
        facts = {name: value for name, value in self.facts().items() if value != []}
        return html_table([{"what": name.replace("_", " "), "value": value} for name, value in facts.items()])

    def estimated_s(self, cpu_threads: int) -> float:
        """Return the expected seconds, given how many threads draw at once."""
        sizes = Counter((task.backend, task.width, task.height) for task in self.tasks)
        total = 0.0
        for (name, width, height), count in sizes.items():
            backend, places = get_backend(name), self.parameters.concurrency
            at_once = min(places, cpu_threads) if backend.version else places
            total += count * backend.typical_s(width, height) / max(1, min(at_once, count))
        return total


def content_hash(value: object) -> str:
    """Return 32 hexadecimal digits that stand for `value` (plain values; key order does not matter)."""
    return hashlib.sha256(msgspec.json.encode(value, order="deterministic")).hexdigest()[:32]
