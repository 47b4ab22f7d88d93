"""The one fold: what a run's events add up to."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from posegen.journal.events import (
    AnyEvent,
    AttemptFinished,
    AttemptStarted,
    CandidateRejected,
    CreditsHeld,
    ExportFailed,
    ImageAdopted,
    ImageExported,
    ImageMeasured,
    ImageStored,
    ImageWithheld,
    Interrupted,
    MeasureFailed,
    Metric,
    Owner,
    RunPlanned,
    TaskFailed,
    TaskSubmitted,
    TaskUnknown,
    TaskWithdrawn,
)
from posegen.journal.segments import Segment
from posegen.records import ImageRecord, ImageTask, Measurement

RunStatus = Literal["empty", "unfinished", "interrupted", "waiting", "closed", "refused", "finished"]
"""By the journal alone: "empty" has no plan; "unfinished" is being made, or its process died; "interrupted"
was told to stop, "waiting" needs a person's word on tasks of unknown outcome, "closed" was given up by
recovery, "refused" lacked credits, and all four can be resumed; "finished" has nothing left to make."""

TaskStatus = Literal["pending", "stored", "failed"]

EXPORT, MEASURE = "export", "measure"
"""Kinds of attempts that make exports of a run's images or measure them: how the run stands does not depend
on these."""


@dataclass
class Attempt:
    """One attempt of a run.

    Attributes
    ----------
    number : int
    kind : str
    owner : Owner or None
        None if the attempt's first line is lost.
    started_at, last_at : str
        Of its first and its last event.
    finished_at, outcome : str or None
        None as long as it has not ended in an orderly way.
    interrupted : str or None
        The reason, if it was told to stop.
    """

    number: int
    kind: str = ""
    owner: Owner | None = None
    posegen_version: str = ""
    started_at: str = ""
    last_at: str = ""
    finished_at: str | None = None
    outcome: str | None = None
    interrupted: str | None = None


@dataclass
class RunState:
    """A run as its journal tells it. `apply` moves it on by further events.

    Attributes
    ----------
    run_id : str
    spec, spec_hash, project, user
        What was asked for; None before it was planned.
    tasks : tuple of ImageTask
        In the plan's order.
    stored : dict
        By task id, the event that says its image is durable.
    records : dict of str to ImageRecord
        By task id, the images made.
    failures : dict of str to TaskFailed
        By task id, those that failed or were withheld, and were not made later.
    measurements : dict of str to Measurement
        By task id, the newest of each image.
    measure_failures : dict of str to MeasureFailed
        By task id, those that could not be measured, and were not later.
    rejected : dict of str to list of CandidateRejected
        By task id, the tries that lie below the bar, whether one of them became the image or not.
    exports : dict of str to dict of str to ImageExported
        By task id and format, the newest of each.
    export_failures : dict of str to dict of str to ExportFailed
        By task id and format, those that failed and were not made before or later.
    unknown : dict of str to TaskUnknown
        By task id, those that wait for a person's word.
    holds : list of CreditsHeld
    submissions : dict of str to list of TaskSubmitted
        By task id, every request a provider took, or may have taken.
    attempts : list of Attempt
    metrics : list of Metric
    torn_lines, fenced_lines, unknown_events, foreign_lines : int
        Lines that did not count; see `Segment`.
    first_at, last_at : str
        Of the first and the last event; empty if there is none.
    """

    run_id: str = ""
    spec: dict[str, Any] | None = None
    spec_hash: str | None = None
    project: str | None = None
    user: str | None = None
    tasks: tuple[ImageTask, ...] = ()
    stored: dict[str, ImageStored | ImageAdopted] = field(default_factory=dict)
    records: dict[str, ImageRecord] = field(default_factory=dict)
    failures: dict[str, TaskFailed] = field(default_factory=dict)
    measurements: dict[str, Measurement] = field(default_factory=dict)
    measure_failures: dict[str, MeasureFailed] = field(default_factory=dict)
    rejected: dict[str, list[CandidateRejected]] = field(default_factory=dict)
    exports: dict[str, dict[str, ImageExported]] = field(default_factory=dict)
    export_failures: dict[str, dict[str, ExportFailed]] = field(default_factory=dict)
    unknown: dict[str, TaskUnknown] = field(default_factory=dict)
    holds: list[CreditsHeld] = field(default_factory=list)
    submissions: dict[str, list[TaskSubmitted]] = field(default_factory=dict)
    attempts: list[Attempt] = field(default_factory=list)
    metrics: list[Metric] = field(default_factory=list)
    torn_lines: int = 0
    fenced_lines: int = 0
    unknown_events: int = 0
    foreign_lines: int = 0
    first_at: str = ""
    last_at: str = ""

    @property
    def made(self) -> int:
        """Images made."""
        return len(self.records)

    @property
    def failed(self) -> int:
        """Images that failed and were not made later."""
        return len(self.failures)

    @property
    def pending(self) -> tuple[ImageTask, ...]:
        """Tasks neither made nor failed, in the plan's order."""
        return tuple(task for task in self.tasks if self.task_status(task.task_id) == "pending")

    @property
    def status(self) -> RunStatus:
        """How the run stands by its journal; whether a process works on it is not for the journal to say."""
        if self.spec_hash is None:
            return "empty"
        making = self._making
        if any(attempt.outcome == "finished" for attempt in making) and not self.pending:
            return "finished"
        last = making[-1] if making else Attempt(0)
        if last.outcome in ("waiting", "closed", "refused"):
            return last.outcome  # type: ignore[return-value]  # mypy does not narrow a str by `in`
        stopped = last.interrupted is not None or last.outcome == "interrupted"
        return "interrupted" if stopped else "unfinished"

    @property
    def closed(self) -> bool:
        """Whether recovery has given the run up and nobody has gone on with it."""
        return bool(self._making) and self._making[-1].outcome == "closed"

    @property
    def _making(self) -> list[Attempt]:
        """The attempts at the images; they are exported and measured whatever became of the run."""
        return [attempt for attempt in self.attempts if attempt.kind not in (EXPORT, MEASURE)]

    @property
    def rejected_for_good(self) -> tuple[CandidateRejected, ...]:
        """The tries below the bar that did not become the image, also of images that are not there yet."""
        return tuple(
            event
            for task_id, events in self.rejected.items()
            for event in events
            if task_id not in self.records or event.record.candidate != self.records[task_id].candidate
        )

    def task_status(self, task_id: str) -> TaskStatus:
        """Return what became of a task; "pending" also for one that is not in the plan."""
        if task_id in self.records:
            return "stored"
        return "failed" if task_id in self.failures else "pending"

    def rows(self) -> Iterator[tuple[ImageTask, ImageRecord | TaskFailed | None]]:
        """Yield each task with its image, its failure or None, in the plan's order."""
        for task in self.tasks:
            yield task, self.records.get(task.task_id) or self.failures.get(task.task_id)

    def apply(self, events: Sequence[AnyEvent]) -> None:
        """Take in the next events of the journal, all of one attempt."""
        if not events:
            return
        first, last = events[0], events[-1]
        if not self.attempts or self.attempts[-1].number != first.attempt:
            self.attempts.append(Attempt(first.attempt, started_at=first.at))
        if not self.first_at:
            self.run_id, self.first_at = first.run_id, first.at
        self.last_at = self.attempts[-1].last_at = last.at
        for event in events:
            _HANDLERS[type(event)](self, event)


def fold(segments: Iterable[Segment]) -> RunState:
    """Return the state that segments, oldest first, add up to; no segments give an empty state."""
    state = RunState()
    for segment in segments:
        state.apply(segment.events)
        state.torn_lines += segment.torn_lines
        state.fenced_lines += segment.fenced_lines
        state.unknown_events += segment.unknown_events
        state.foreign_lines += segment.foreign_lines
    return state


def _started(state: RunState, event: AttemptStarted) -> None:
    attempt = state.attempts[-1]
    attempt.kind = event.kind
    attempt.owner = event.owner
    attempt.posegen_version = event.posegen_version


def _planned(state: RunState, event: RunPlanned) -> None:
    if state.spec_hash is not None:  # a run has one plan, the first
        return
    state.spec, state.spec_hash = event.spec, event.spec_hash
    state.project, state.user = event.project, event.user
    state.tasks = event.tasks


def _submitted(state: RunState, event: TaskSubmitted) -> None:
    state.submissions.setdefault(event.task_id, []).append(event)


def _withdrawn(state: RunState, event: TaskWithdrawn) -> None:
    sent = state.submissions.get(event.task_id, [])
    if sent and not sent[-1].request_id:
        sent.pop()
    if not sent:
        state.submissions.pop(event.task_id, None)


def _held(state: RunState, event: CreditsHeld) -> None:
    state.holds.append(event)


def _unknown(state: RunState, event: TaskUnknown) -> None:
    if event.task_id not in state.records:
        state.unknown[event.task_id] = event


def _stored(state: RunState, event: ImageStored | ImageAdopted) -> None:
    task_id = event.record.task_id
    state.stored[task_id] = event
    state.records[task_id] = event.record
    if state.failures:
        state.failures.pop(task_id, None)
    state.unknown.pop(task_id, None)


def _failed(state: RunState, event: TaskFailed) -> None:
    if event.task_id not in state.records:  # an image that is there stays
        state.failures[event.task_id] = event
        state.unknown.pop(event.task_id, None)


def _measured(state: RunState, event: ImageMeasured) -> None:
    state.measurements[event.task_id] = event.measurement
    state.measure_failures.pop(event.task_id, None)


def _measure_failed(state: RunState, event: MeasureFailed) -> None:
    if event.task_id not in state.measurements:  # what was measured stays
        state.measure_failures[event.task_id] = event


def _rejected(state: RunState, event: CandidateRejected) -> None:
    state.rejected.setdefault(event.task_id, []).append(event)


def _exported(state: RunState, event: ImageExported) -> None:
    state.exports.setdefault(event.task_id, {})[event.format] = event
    state.export_failures.get(event.task_id, {}).pop(event.format, None)


def _export_failed(state: RunState, event: ExportFailed) -> None:
    if event.format not in state.exports.get(event.task_id, {}):  # an export that is there stays
        state.export_failures.setdefault(event.task_id, {})[event.format] = event


def _metric(state: RunState, event: Metric) -> None:
    state.metrics.append(event)


def _interrupted(state: RunState, event: Interrupted) -> None:
    state.attempts[-1].interrupted = event.reason


def _finished(state: RunState, event: AttemptFinished) -> None:
    attempt = state.attempts[-1]
    attempt.finished_at, attempt.outcome = event.at, event.outcome


_HANDLERS: dict[type, Callable[[RunState, Any], None]] = {
    AttemptStarted: _started,
    RunPlanned: _planned,
    CreditsHeld: _held,
    TaskUnknown: _unknown,
    TaskSubmitted: _submitted,
    TaskWithdrawn: _withdrawn,
    ImageStored: _stored,
    ImageAdopted: _stored,
    ImageMeasured: _measured,
    MeasureFailed: _measure_failed,
    CandidateRejected: _rejected,
    ImageExported: _exported,
    ExportFailed: _export_failed,
    TaskFailed: _failed,
    ImageWithheld: _failed,
    Metric: _metric,
    Interrupted: _interrupted,
    AttemptFinished: _finished,
}
