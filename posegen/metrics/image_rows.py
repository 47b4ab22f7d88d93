"""The rows that are of an image: itself, its rejected tries, its stages, its exports."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from posegen.journal import ImageAdopted, ImageStored, RunState
from posegen.metrics.rows import CandidateRow, ExportRow, ImageRow, StageRow
from posegen.records import ImageRecord, ImageTask

Tasks = Mapping[str, ImageTask]
"""A run's image tasks by id."""


def image_rows(run_id: str, state: RunState, by_id: Tasks) -> Iterator[ImageRow]:
    """Yield a row for each image that was planned, and for one that is there without a plan."""
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


def backend_of(by_id: Tasks, task_id: str | None) -> str | None:
    """Return the backend that an image was asked of."""
    task = by_id.get(task_id or "")
    return task.backend if task is not None else None


def export_rows(run_id: str, state: RunState) -> Iterator[ExportRow]:
    """Yield the newest export of each image and format, and those that failed."""
    for formats in state.exports.values():
        for made in formats.values():
            names = ("task_id", "format", "attempt", "key", "size_bytes", "width", "height", "quality")
            said = {name: getattr(made, name) for name in names}
            yield ExportRow(run_id=run_id, status="made", exported_at=made.at, **said)
    for failures in state.export_failures.values():
        for gone in failures.values():
            said = {name: getattr(gone, name) for name in ("task_id", "format", "attempt", "code")}
            yield ExportRow(run_id=run_id, status="failed", exported_at=gone.at, **said)


def stage_rows(run_id: str, state: RunState, by_id: Tasks) -> Iterator[StageRow]:
    """Yield the stages of each image that was made, and what `measure` timed."""
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
                backend=backend_of(by_id, task_id),
            )
    for metric in state.metrics:
        if metric.unit == "ms":
            task = metric.tags.get("task_id")
            backend = metric.tags.get("backend") or backend_of(by_id, task)
            yield StageRow(
                run_id=run_id,
                task_id=task,
                stage=metric.name,
                duration_ms=metric.value,
                timed_at=metric.at,
                backend=backend,
            )


def candidate_rows(run_id: str, state: RunState, by_id: Tasks) -> Iterator[CandidateRow]:
    """Yield the tries below the bar."""
    for task_id, rejected in state.rejected.items():
        for event in rejected:
            record, kept = event.record, state.records.get(task_id)
            yield CandidateRow(
                run_id=run_id,
                task_id=task_id,
                candidate=record.candidate,
                kept=kept is not None and kept.candidate == record.candidate,
                rejected_at=event.at,
                backend=backend_of(by_id, task_id),
                oks=event.measurement.oks,
                min_oks=event.min_oks,
                size_bytes=record.size_bytes,
                duration_ms=record.duration_ms,
                cost_usd=record.cost_usd,
            )
