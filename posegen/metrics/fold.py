"""From a journal to rows: what the fold says of a run, flat enough for SQL."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime

from posegen.journal import EXPORT, MEASURE, RunState, Segment, fold
from posegen.metrics.event_rows import error_rows, event_row
from posegen.metrics.image_rows import candidate_rows, export_rows, image_rows, stage_rows
from posegen.metrics.rows import TABLES, AttemptRow, Rows, RunRow

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
    rows["images"] = list(image_rows(run_id, state, by_id))
    rows["events"] = [event_row(run_id, event) for event in events]
    rows["errors"] = list(error_rows(run_id, state, events, by_id))
    rows["exports"] = list(export_rows(run_id, state))
    rows["stages"] = list(stage_rows(run_id, state, by_id))
    rows["candidates"] = list(candidate_rows(run_id, state, by_id))
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
