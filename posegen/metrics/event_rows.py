"""The rows that are of an event: every line that counts, and those that tell of a failure."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from posegen.journal import (
    AnyEvent,
    AttemptFinished,
    AttemptStarted,
    ExportFailed,
    ImageWithheld,
    Interrupted,
    MeasureFailed,
    Metric,
    RunState,
    TaskFailed,
)
from posegen.metrics.image_rows import Tasks, backend_of
from posegen.metrics.rows import ErrorRow, EventRow


def event_row(run_id: str, event: AnyEvent) -> EventRow:
    """Return an event with what it says in words that many events share."""
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


def error_rows(run_id: str, state: RunState, events: Sequence[AnyEvent], by_id: Tasks) -> Iterator[ErrorRow]:
    """Yield the failures, and whether what failed was made later."""
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
                backend=backend_of(by_id, event.task_id),
            )
