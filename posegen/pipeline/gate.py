"""The quality gate: an image below the bar is tried again with the next seed, and the best is kept."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec

from posegen.errors import BackendUnavailableError, JournalError, OutcomeUnknownError, StorageError
from posegen.failpoints import reach
from posegen.journal import CandidateRejected, ImageMeasured, RunState
from posegen.pipeline.candidates import candidate_task
from posegen.pipeline.measuring import Measuring
from posegen.pipeline.obtain import How
from posegen.pipeline.task_pools import NotStartedError
from posegen.records import ImageRecord, ImageTask
from posegen.storage import Storage
from posegen.telemetry import logger

log = logger("worker")

Obtain = Callable[[ImageTask], Awaitable[tuple[ImageRecord, How]]]

NOT_THE_IMAGE = (StorageError, JournalError, NotStartedError, BackendUnavailableError, OutcomeUnknownError)
"""What says nothing about the image: the run stops, or the image waits."""


@dataclass(frozen=True)
class Gate:
    """What a batch insists on.

    Attributes
    ----------
    min_oks : float
        The bar: the least OKS that an image is accepted with at once.
    max_candidates : int
        Images made at most for one that is asked for.
    keep_rejected : bool
        Whether the others stay in storage.
    rejected : mapping of str to sequence of CandidateRejected
        By task id, the tries of earlier attempts.
    """

    min_oks: float
    max_candidates: int
    keep_rejected: bool = False
    rejected: Mapping[str, Sequence[CandidateRejected]] = field(default_factory=dict)

    @classmethod
    def of(cls, state: RunState) -> Gate | None:
        """Return what a run insists on; None if it takes every image."""
        spec: Mapping[str, Any] = state.spec or {}
        if spec.get("min_oks") is None:
            return None
        return cls(spec["min_oks"], spec["max_candidates"], spec["keep_rejected"], state.rejected)


@dataclass(frozen=True)
class Accepted:
    """The image that is kept, with its measurement if there is one, and the tries that are not."""

    record: ImageRecord
    how: How
    measured: ImageMeasured | None = None
    others: tuple[ImageRecord, ...] = ()


@dataclass(frozen=True)
class GateKeeper:
    """Lets images through a gate.

    Attributes
    ----------
    gate : Gate
    measuring : Measuring
    journal : callable
        Journals a rejected try.
    stopping : callable
        Says whether the run was told to stop: then no further try is begun.
    said : callable
        Shows a sentence on an image.
    """

    gate: Gate
    measuring: Measuring
    journal: Callable[[CandidateRejected], Awaitable[None]]
    stopping: Callable[[], bool]
    said: Callable[[ImageTask, str], None]

    async def best_of(self, task: ImageTask, obtain: Obtain) -> Accepted:
        """Return the first try that reaches the bar, or the best of all.

        Parameters
        ----------
        task : ImageTask
        obtain : callable
            Adopts, fetches or makes the image of a try.

        Raises
        ------
        NotStartedError
            The run was told to stop, and tries are left.
        Exception
            What `obtain` raised for the first try; after it, a try that fails ends the trying.
        """
        below = list(self.gate.rejected.get(task.task_id, ()))
        for number in range(len(below), self.gate.max_candidates):
            tried = candidate_task(task, number)
            try:
                record, how = await obtain(tried)
            except NOT_THE_IMAGE:
                raise
            except Exception as exc:
                if not below:
                    raise
                log.warning("%s: try %d failed (%s): the best so far is kept", task.task_id, number + 1, exc)
                break
            record = msgspec.structs.replace(record, task_id=task.task_id, candidate=number)
            outcome = await self._measured(task, record)
            if outcome is None:  # that is not the image's fault; the tries that are known stay beside it
                notes = (*record.notes, f"not measured: taken without min_oks {self.gate.min_oks:g}")
                return Accepted(msgspec.structs.replace(record, notes=notes), how)
            if outcome.measurement.oks >= self.gate.min_oks:
                return Accepted(record, how, outcome, _records(below))
            below.append(await self._reject(task, record, outcome))
            if number + 1 < self.gate.max_candidates and self.stopping():
                raise NotStartedError
        return self._best(task, below)

    async def _measured(self, task: ImageTask, record: ImageRecord) -> ImageMeasured | None:
        """Return a try's figures; None if the estimator failed twice.

        Raises
        ------
        NotStartedError
            It failed, and the run was told to stop: the next attempt finds the try where it is stored.
        """
        for _ in range(2):  # what died is started again
            outcome = await self.measuring.now(task, record)
            if isinstance(outcome, ImageMeasured):
                return outcome
            if self.stopping():
                raise NotStartedError
        return None

    async def _reject(
        self, task: ImageTask, record: ImageRecord, outcome: ImageMeasured
    ) -> CandidateRejected:
        event = CandidateRejected(
            task_id=task.task_id,
            record=record,
            measurement=outcome.measurement,
            min_oks=self.gate.min_oks,
        )
        await self.journal(event)
        reach("candidate_rejected")
        self.said(task, f"OKS {outcome.measurement.oks:.2f} below {self.gate.min_oks:g}")
        return event

    def _best(self, task: ImageTask, below: Sequence[CandidateRejected]) -> Accepted:
        best = max(below, key=lambda event: event.measurement.oks)
        tries = f"the best of {len(below)} tries, OKS {best.measurement.oks:.2f}"
        note = f"below min_oks {self.gate.min_oks:g}: {tries}"
        record = msgspec.structs.replace(best.record, notes=(*best.record.notes, note))
        outcome = ImageMeasured(task_id=task.task_id, measurement=best.measurement)
        others = _records(event for event in below if event is not best)
        return Accepted(record, "made", outcome, others)


def _records(events: Iterable[CandidateRejected]) -> tuple[ImageRecord, ...]:
    return tuple(event.record for event in events)


def rejected_for_good(state: RunState) -> tuple[ImageRecord, ...]:
    """Return the tries that did not become the image, of the images that are there and have figures."""
    return tuple(
        event.record
        for event in state.rejected_for_good
        if event.task_id in state.records and event.task_id in state.measurements
    )


def drop(records: Iterable[ImageRecord], storage: Storage) -> None:
    """Delete images with their thumbnails; safe to repeat.

    Raises
    ------
    StorageError
        One cannot be deleted.
    """
    for record in records:
        for key in (record.key, record.thumbnail_key):
            storage.delete(key)
