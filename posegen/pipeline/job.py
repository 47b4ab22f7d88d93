"""What an attempt works on, and the word that stops it from outside."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from posegen.journal import TaskSubmitted
from posegen.pipeline.export_step import ExportJob
from posegen.pipeline.gate import Gate
from posegen.pipeline.obtain import UnknownPolicy
from posegen.records import ImageRecord, ImageTask
from posegen.storage.atomic import storage_error

STOP_FILE = "stop"


def request_stop(run_folder: Path) -> None:
    """Ask the process that drives the run to stop cleanly; it looks every half second.

    Raises
    ------
    StorageError
        The run's folder cannot be written.
    """
    try:
        run_folder.mkdir(parents=True, exist_ok=True)
        (run_folder / STOP_FILE).touch()
    except OSError as exc:
        raise storage_error(exc, "write", run_folder / STOP_FILE) from exc


@dataclass(frozen=True)
class Job:
    """What an attempt works on.

    Attributes
    ----------
    run_id : str
    folder : Path
        The run's folder.
    tasks : tuple of ImageTask
        Those still to make.
    concurrency : int
        Images that are at the backend at once; a few more are prepared before and stored after that.
    may_be_stored : bool
        An earlier attempt was cut off: look for images it stored and did not journal.
    planned, kept : int
        Images in the whole plan, and images journalled by earlier attempts.
    submissions : mapping of str to sequence of TaskSubmitted
        By task id, the requests that earlier attempts sent.
    policy : {"retry", "ask", "fail"} or None
        For tasks of unknown outcome; None decides by whether the backend is paid.
    formats : tuple of str
        Export formats to make beside each image.
    unexported : tuple of ExportJob
        Images journalled by earlier attempts whose exports are missing.
    unmeasured : tuple of (ImageTask, ImageRecord)
        Images journalled by earlier attempts that are to be measured.
    gate : Gate or None
        What is insisted on.
    unwanted : tuple of ImageRecord
        Rejected tries of earlier attempts, to be deleted.
    """

    run_id: str
    folder: Path
    tasks: tuple[ImageTask, ...]
    concurrency: int
    may_be_stored: bool
    planned: int
    kept: int
    submissions: Mapping[str, Sequence[TaskSubmitted]] = field(default_factory=dict)
    policy: UnknownPolicy | None = None
    formats: tuple[str, ...] = ()
    unexported: tuple[ExportJob, ...] = ()
    unmeasured: tuple[tuple[ImageTask, ImageRecord], ...] = ()
    gate: Gate | None = None
    unwanted: tuple[ImageRecord, ...] = ()
