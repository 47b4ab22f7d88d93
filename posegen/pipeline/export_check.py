"""Which exports are missing or out of date, by the journal and by what is stored."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from posegen.errors import StorageError
from posegen.exports.formats import ExportFormat
from posegen.journal import ImageExported, RunState
from posegen.pipeline.export_choice import Choice
from posegen.pipeline.export_step import ExportJob
from posegen.records import ImageRecord, ImageTask
from posegen.storage import Storage


@dataclass(frozen=True)
class Checked:
    """What is to make of a choice, and what is not.

    Attributes
    ----------
    jobs : tuple of ExportJob
    up_to_date : int
        Exports that are there as they should be.
    unmade : int
        Images that the run has not made, of which there is nothing to export.
    """

    jobs: tuple[ExportJob, ...]
    up_to_date: int
    unmade: int

    @property
    def wanted(self) -> int:
        """Exports to make."""
        return sum(len(job.formats) for job in self.jobs)


def check_exports(
    state: RunState,
    choice: Choice,
    storage: Storage,
    *,
    threads: int,
    told: Callable[[], bool] = lambda: False,
) -> Checked:
    """Return which exports of a choice have to be made.

    Out of date is one that was made from another image or by another rule than today's, or is not stored as
    it was journalled. Whatever `choice.again` names has to be made.

    Parameters
    ----------
    state : RunState
    choice : Choice
    storage : Storage
        Every export that the journal has is read, for its hash.
    threads : int
        That read side by side.
    told : callable
        Whether to stop early; the rest then counts as out of date.
    """
    made = [(task, record) for task in choice.tasks if (record := state.records.get(task.task_id))]

    def job(one: tuple[ImageTask, ImageRecord]) -> ExportJob:
        task, record = one
        exports = state.exports.get(task.task_id, {})
        left = (
            wanted.name
            for wanted in choice.formats
            if choice.again or told() or not is_current(exports.get(wanted.name), record, wanted, storage)
        )
        return ExportJob(task, record, tuple(left), state.measurements.get(task.task_id))

    with ThreadPoolExecutor(threads, thread_name_prefix="posegen-check") as pool:
        jobs = tuple(one for one in pool.map(job, made) if one.formats)
    wanted = sum(len(one.formats) for one in jobs)
    return Checked(jobs, len(made) * len(choice.formats) - wanted, len(choice.tasks) - len(made))


def is_current(
    event: ImageExported | None, record: ImageRecord, wanted: ExportFormat, storage: Storage
) -> bool:
    """Return whether an export is what would be made now, and stored as it was journalled."""
    if event is None or not follows(event, record, wanted):
        return False
    try:
        stored = storage.stat(event.key)
    except StorageError:  # gone, or it cannot be read: making it again will tell
        return False
    return (stored.sha256, stored.size) == (event.sha256, event.size_bytes)


def follows(event: ImageExported, record: ImageRecord, wanted: ExportFormat) -> bool:
    """Return whether an export was made from this very image by the rule of today."""
    return event.source_sha256 == record.sha256 and event.rule == wanted.rule
