"""From a journal to rows: what the fold says of a run, flat enough for SQL."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from typing import Any

from posegen.journal import (
    EXPORT,
    MEASURE,
    AnyEvent,
    AttemptFinished,
    AttemptStarted,
    ExportFailed,
    ImageAdopted,
    ImageStored,
    ImageWithheld,
    Interrupted,
    MeasureFailed,
    Metric,
    RunState,
    Segment,
    TaskFailed,
    fold,
)
from posegen.metrics.rows import (
    TABLES,
    AttemptRow,
    CandidateRow,
    ErrorRow,
    EventRow,
    ExportRow,
    ImageRow,
    Rows,
    RunRow,
    StageRow,
)
from posegen.records import ImageRecord, ImageTask

ENDED = frozenset({"finished", "closed", "refused"})
"""Statuses of a run that nobody works on any more, unless somebody goes on with it."""


def rows_of(run_id: str, segments: Sequence[Segment], journal_bytes: int) -> tuple[Rows, RunState]:
    """Return a run's rows by table, and its state.

    Parameters
    ----------
    run_id : str
        The name of the run's folder, which decides even if its journal names another run.
    segments : sequence of Segment
        The whole journal, oldest first.
    journal_bytes : int
        The journal's size on disk.
    """
    state = fold(segments)
    by_id = {task.task_id: task for task in state.tasks}
    events = [event for segment in segments for event in segment.events]
    rows: Rows = {name: [] for name in TABLES}
    rows["runs"] = [_run_row(run_id, state, journal_bytes)]
    rows["images"] = list(_image_rows(run_id, state, by_id))
    rows["events"] = [_event_row(run_id, event) for event in events]
    rows["errors"] = list(_error_rows(run_id, state, events, by_id))
    rows["exports"] = list(_export_rows(run_id, state))
    rows["stages"] = list(_stage_rows(run_id, state, by_id))
    rows["candidates"] = list(_candidate_rows(run_id, state, by_id))
    rows["attempts"] = list(_attempt_rows(run_id, state))
    return rows, state


def unreadable(run_id: str) -> Rows:
    """Return the rows of a run whose journal nobody may read: it is counted, not left out."""
    return {**{name: [] for name in TABLES}, "runs": [RunRow(run_id=run_id, status="unreadable")]}


def _run_row(run_id: str, state: RunState, journal_bytes: int) -> RunRow:
    making = [attempt for attempt in state.attempts if attempt.kind not in (EXPORT, MEASURE)]
    durations = [_between_ms(one.started_at, one.finished_at or one.last_at) for one in making]
    rejected = state.rejected_for_good
    exports = [event for formats in state.exports.values() for event in formats.values()]
    records = state.records.values()
    costs = [one.cost_usd for one in (*records, *(event.record for event in rejected))]
    return RunRow(
        run_id=run_id,
        status=state.status,
        outcome=outcome_of(state),
        project=state.project,
        user=state.user,
        planned=len(state.tasks),
        made=state.made,
        failed=state.failed,
        pending=len(state.pending),
        rejected=len(rejected),
        measured=sum(task_id in state.records for task_id in state.measurements),
        exported=len(exports),
        attempts=len(state.attempts),
        started_at=state.first_at or None,
        ended_at=(making[-1].finished_at or making[-1].last_at) if making else None,
        duration_ms=sum(durations) if making else None,
        cost_usd=_sum_known(costs),
        image_bytes=sum(record.size_bytes for record in records),
        thumbnail_bytes=sum(record.thumbnail_bytes for record in records),
        export_bytes=sum(event.size_bytes for event in exports),
        rejected_bytes=sum(event.record.size_bytes for event in rejected),
        journal_bytes=journal_bytes,
        posegen_version=next((one.posegen_version for one in making if one.posegen_version), None),
        torn_lines=state.torn_lines,
        fenced_lines=state.fenced_lines,
        unknown_events=state.unknown_events,
        foreign_lines=state.foreign_lines,
    )


def outcome_of(state: RunState) -> str | None:
    """Return "successful" if all images of a run that has ended were made, "failed" if not; None before.

    A run that was given up ("closed") or that could not be paid ("refused") has failed; one that is being
    made, was interrupted or waits for a person's word has not ended.
    """
    if state.status not in ENDED:
        return None
    whole = state.status == "finished" and state.made > 0 and not state.failed
    return "successful" if whole else "failed"


def _sum_known(costs: Sequence[float | None]) -> float | None:
    known = [cost for cost in costs if cost is not None]
    return sum(known) if known else None


def _between_ms(start: str, end: str) -> int:
    try:
        return round((datetime.fromisoformat(end) - datetime.fromisoformat(start)).total_seconds() * 1000)
    except (ValueError, TypeError):  # not a time, or only one of them names its zone
        return 0


def _image_rows(run_id: str, state: RunState, by_id: dict[str, ImageTask]) -> Iterator[ImageRow]:
    planned_elsewhere = [key for key in (*state.records, *state.failures) if key not in by_id]
    for task_id in (*by_id, *dict.fromkeys(planned_elsewhere)):
        fields: dict[str, Any] = {"status": state.task_status(task_id)}
        if task_id in by_id:
            fields |= _asked(by_id[task_id])
        if task_id in state.stored:
            fields |= _made(state.stored[task_id], fields.get("model"))
        elif task_id in state.failures:
            fields["code"] = state.failures[task_id].code
        if task_id in state.measurements:
            fields |= _accuracy(state, task_id)
        fields["tries"] = len(_tries(state, task_id))
        yield ImageRow(
            run_id=run_id,
            task_id=task_id,
            user=state.user,
            project=state.project,
            run_started_at=state.first_at or None,
            **fields,
        )


def _asked(task: ImageTask) -> dict[str, Any]:
    return {
        "position": task.index,
        "pose_id": task.pose_id,
        "yaw_deg": task.view.yaw,
        "mirrored": task.view.mirrored,
        "backend": task.backend,
        "model": task.model,
        "conditioning_asked": task.conditioning,
        "width": task.width,
        "height": task.height,
    }


def _made(event: ImageStored | ImageAdopted, model: str | None) -> dict[str, Any]:
    record: ImageRecord = event.record
    names = ("provider", "conditioning", "synthetic", "width", "height", "size_bytes", "thumbnail_bytes")
    return {
        **{name: getattr(record, name) for name in (*names, "duration_ms", "cost_usd", "key")},
        "made_at": event.at,
        "attempt": event.attempt,
        "adopted": isinstance(event, ImageAdopted),
        "model": record.model or model,
    }


def _accuracy(state: RunState, task_id: str) -> dict[str, Any]:
    found = state.measurements[task_id]
    names = ("estimator", "people", "oks", "pck_10", "pck_20", "mean_error", "angle_error_deg", "swapped")
    return {**{name: getattr(found, name) for name in names}, "keypoints_counted": found.counted}


def _tries(state: RunState, task_id: str) -> set[int]:
    tried = {event.record.candidate for event in state.rejected.get(task_id, ())}
    return tried | {state.records[task_id].candidate} if task_id in state.records else tried


def _event_row(run_id: str, event: AnyEvent) -> EventRow:
    record = getattr(event, "record", None)
    said = {name: getattr(event, name, None) for name in ("format", "code", "message")}
    fields = {**said, **_said_otherwise(event)}
    return EventRow(
        run_id=run_id,
        attempt=event.attempt,
        seq=event.seq,
        logged_at=event.at,
        event=str(event.__struct_config__.tag),
        schema_version=event.schema,
        task_id=getattr(event, "task_id", None) or (record.task_id if record is not None else None),
        **fields,
    )


def _said_otherwise(event: AnyEvent) -> dict[str, Any]:
    """Return what some events say in words of their own."""
    if isinstance(event, Metric):
        tags = json.dumps(event.tags, ensure_ascii=False, sort_keys=True) if event.tags else None
        return {"name": event.name, "value": event.value, "unit": event.unit, "tags": tags}
    if isinstance(event, AttemptStarted):
        return {"code": event.kind}
    if isinstance(event, AttemptFinished):
        return {"code": event.outcome, "value": event.duration_ms}
    if isinstance(event, Interrupted):
        return {"message": event.reason}
    return {}


_KINDS: dict[type, tuple[str, Callable[[RunState, Any], AnyEvent | None]]] = {
    TaskFailed: ("generate", lambda state, event: state.failures.get(event.task_id)),
    ImageWithheld: ("withheld", lambda state, event: state.failures.get(event.task_id)),
    MeasureFailed: ("measure", lambda state, event: state.measure_failures.get(event.task_id)),
    ExportFailed: (
        "export",
        lambda state, event: state.export_failures.get(event.task_id, {}).get(event.format),
    ),
}


def _error_rows(
    run_id: str, state: RunState, events: Sequence[AnyEvent], by_id: dict[str, ImageTask]
) -> Iterator[ErrorRow]:
    for event in events:
        if isinstance(event, TaskFailed | MeasureFailed | ExportFailed):
            kind, standing = _KINDS[type(event)]
            yield ErrorRow(
                run_id=run_id,
                task_id=event.task_id,
                kind=kind,
                format=getattr(event, "format", None),
                code=event.code,
                message=event.message,
                failed_at=event.at,
                attempt=event.attempt,
                final=standing(state, event) is event,
                backend=_backend(by_id, event.task_id),
            )


def _backend(by_id: dict[str, ImageTask], task_id: str | None) -> str | None:
    task = by_id.get(task_id or "")
    return task.backend if task is not None else None


def _export_rows(run_id: str, state: RunState) -> Iterator[ExportRow]:
    for formats in state.exports.values():
        for made in formats.values():
            names = ("task_id", "format", "attempt", "key", "size_bytes", "width", "height", "quality")
            said = {name: getattr(made, name) for name in names}
            yield ExportRow(run_id=run_id, status="made", exported_at=made.at, **said)
    for failures in state.export_failures.values():
        for gone in failures.values():
            said = {name: getattr(gone, name) for name in ("task_id", "format", "attempt", "code")}
            yield ExportRow(run_id=run_id, status="failed", exported_at=gone.at, **said)


def _stage_rows(run_id: str, state: RunState, by_id: dict[str, ImageTask]) -> Iterator[StageRow]:
    for task_id, event in state.stored.items():
        stages = dict(event.record.stage_ms)
        if task_id in state.measurements:
            stages["measure"] = state.measurements[task_id].duration_ms
        for stage, spent in stages.items():
            yield StageRow(
                run_id=run_id,
                task_id=task_id,
                stage=stage,
                duration_ms=spent,
                timed_at=event.at,
                backend=_backend(by_id, task_id),
            )
    for metric in state.metrics:
        if metric.unit == "ms":
            task = metric.tags.get("task_id")
            backend = metric.tags.get("backend") or _backend(by_id, task)
            yield StageRow(
                run_id=run_id,
                task_id=task,
                stage=metric.name,
                duration_ms=metric.value,
                timed_at=metric.at,
                backend=backend,
            )


def _candidate_rows(run_id: str, state: RunState, by_id: dict[str, ImageTask]) -> Iterator[CandidateRow]:
    for task_id, rejected in state.rejected.items():
        for event in rejected:
            record, kept = event.record, state.records.get(task_id)
            yield CandidateRow(
                run_id=run_id,
                task_id=task_id,
                candidate=record.candidate,
                kept=kept is not None and kept.candidate == record.candidate,
                rejected_at=event.at,
                backend=_backend(by_id, task_id),
                oks=event.measurement.oks,
                min_oks=event.min_oks,
                size_bytes=record.size_bytes,
                duration_ms=record.duration_ms,
                cost_usd=record.cost_usd,
            )


def _attempt_rows(run_id: str, state: RunState) -> Iterator[AttemptRow]:
    made_in = [event.attempt for event in state.stored.values()]
    failed_in = [event.attempt for event in state.failures.values()]
    for attempt in state.attempts:
        names = ("kind", "started_at", "last_at", "outcome", "interrupted")
        yield AttemptRow(
            run_id=run_id,
            attempt=attempt.number,
            ended_at=attempt.finished_at,
            posegen_version=attempt.posegen_version or None,
            found=sum(number < attempt.number for number in made_in),
            made=made_in.count(attempt.number),
            failed=failed_in.count(attempt.number),
            **{name: getattr(attempt, name) for name in names},
        )
