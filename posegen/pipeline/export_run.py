"""Exports of a run that has ended: what is missing or out of date is made, then a ZIP or a gallery of it."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path

from posegen.exports.archive import Archive
from posegen.journal import EXPORT, RunLease, SegmentWriter, journal_folder, read_run
from posegen.pipeline.attempt import reason_to_stop, sweep
from posegen.pipeline.engine import DRAIN_S
from posegen.pipeline.export_archive import archive_exports, archive_path
from posegen.pipeline.export_check import Checked, check_exports
from posegen.pipeline.export_choice import Choice, choose
from posegen.pipeline.export_engine import ExportEngine, ExportProgress
from posegen.pipeline.export_gallery import Gallery, build_gallery, gallery_pictures
from posegen.pipeline.export_pictures import exported_pictures
from posegen.pipeline.export_report import ExportReport
from posegen.pipeline.job import STOP_FILE, Job
from posegen.pipeline.progress import Progress, choose_display
from posegen.pipeline.run import INTERRUPTED, WAIT_SLICE_S, run_folder
from posegen.pipeline.task_names import file_stem
from posegen.settings import Settings, load_settings
from posegen.storage import check_writable, open_storage
from posegen.storage.atomic import remove

Show = Callable[[Progress], None]

QUICK_S = 1.0
"""What is zipped or drawn within this time is shown when it is done."""


def export_run(
    run_id: str,
    *,
    poses: Iterable[str] = (),
    formats: Iterable[str] = (),
    task: str | None = None,
    zip_file: Path | str | bool | None = None,
    gallery: bool = False,
    settings: Settings | None = None,
) -> ExportReport:
    """Make what is missing or out of date of a run's exports; safe to repeat.

    Parameters
    ----------
    run_id : str
        A run that nobody drives, finished or not.
    poses : iterable of str
        Pose ids (`text` for images without one) and task ids; none: all.
    formats : iterable of str
        None: those that the run's parameters name, else `instagram_post` and `tiktok`.
    task : str, optional
        One image, by its task id or its beginning: exported again whatever is there.
    zip_file : path or bool, optional
        Write them into this ZIP; True: `poses-<run>.zip` in the run's folder.
    gallery : bool
        Write the gallery page into the run's folder.
    settings : Settings, optional

    Raises
    ------
    RunNotFoundError, UnknownNameError
        Name the nearest; nothing has been done.
    RunOwnedError
        Another process has the run.
    StorageFullError, StorageError
        What was journalled until then stays.
    """
    exporter = Exporter(run_id, settings)
    return exporter.export(poses=poses, formats=formats, task=task, zip_file=zip_file, gallery=gallery)


class Exporter:
    """Exports a run, and can be told to stop from a signal handler or another thread.

    Parameters
    ----------
    run_id : str
    settings : Settings, optional
    on_progress : callable, optional
        Gets the progress, in place of a bar or lines.
    """

    def __init__(
        self,
        run_id: str,
        settings: Settings | None = None,
        *,
        on_progress: Show | None = None,
    ) -> None:
        self.run_id = run_id
        self._settings = settings or load_settings()
        self._on_progress = on_progress
        self._folder = run_folder(self._settings.root, run_id)
        self._storage = open_storage(self._settings.storage_mode, self._settings.root)
        self._told = threading.Event()
        self._reason = ""
        self._engine: ExportEngine | None = None

    def stop(self, reason: str) -> None:
        """Begin no more; what is being made gets a few seconds, and half a ZIP is thrown away."""
        self._reason = self._reason or reason
        self._told.set()
        if self._engine is not None:
            self._engine.stop(reason)

    def export(
        self,
        *,
        poses: Iterable[str] = (),
        formats: Iterable[str] = (),
        task: str | None = None,
        zip_file: Path | str | bool | None = None,
        gallery: bool = False,
    ) -> ExportReport:
        """Do what `export_run` says; told to stop, it returns what was done until then."""
        state = read_run(self._settings.root, self.run_id)
        choice = choose(state, self._settings, poses=poses, formats=formats, task=task)
        archive = archive_path(zip_file, self._folder)
        try:
            report = self._make(choice)
            if archive is not None and report.there and not self._reason:
                report.archive = self._archive(choice, archive)
            if gallery and report.there and not self._reason:
                report.gallery = self._gallery(choice)
        except KeyboardInterrupt:
            self.stop(INTERRUPTED)
            if self._engine is not None:
                self._engine.join(DRAIN_S + 1)
            raise
        complete = not report.left and (archive is None or report.archive) and (not gallery or report.gallery)
        report.stopped = "" if complete else self._reason
        return report

    def _make(self, choice: Choice) -> ExportReport:
        check_writable(self._settings.root)
        checked, engine = self._begin(choice)
        report = ExportReport(self.run_id, checked, self._names(choice))
        self._engine = engine
        if engine is None:
            return report
        if self._told.is_set():  # before there was an engine to tell
            engine.stop(self._reason)
        with self._showing(engine.progress.planned) as show:
            while not engine.join(WAIT_SLICE_S):
                show(engine.progress)
            show(engine.progress)
        if engine.error is not None:
            raise engine.error
        self._reason = self._reason or engine.stop_reason or ""
        report.made, report.failures = engine.made, tuple(engine.failures)
        return report

    def _names(self, choice: Choice) -> dict[str, str]:
        return {task.task_id: file_stem(task, choice.planned) for task in choice.tasks}

    def _begin(self, choice: Choice) -> tuple[Checked, ExportEngine | None]:
        """Own the run, look what has to be made, and begin to make it; None if that is nothing."""
        settings, root = self._settings, self._settings.root
        with ExitStack() as undo:
            lease = RunLease.acquire(root, self.run_id, stall_after_s=settings.stall_after_s)
            undo.callback(lease.release)
            checked = check_exports(
                read_run(root, self.run_id),  # anew: it is ours from here on
                choice,
                self._storage,
                threads=settings.cpu_threads,
                told=self._told.is_set,
            )
            if not checked.jobs or self._told.is_set():
                return checked, None
            sweep(self._folder)
            remove(self._folder / STOP_FILE)  # a word to stop that an earlier owner never saw
            writer = SegmentWriter.open(
                journal_folder(root, self.run_id), self.run_id, kind=EXPORT, after=lease.after
            )
            undo.callback(writer.close)
            engine = ExportEngine(
                self._job(checked),
                self._storage,
                writer,
                settings,
                stop_if=reason_to_stop(settings, self.run_id, writer.number),
                at_end=lease.release,
            )
            engine.start()
            undo.pop_all()
        return checked, engine

    def _job(self, checked: Checked) -> Job:
        return Job(
            run_id=self.run_id,
            folder=self._folder,
            tasks=(),
            concurrency=self._settings.cpu_threads,
            may_be_stored=False,
            planned=len(checked.jobs),
            kept=0,
            unexported=checked.jobs,
        )

    def _archive(self, choice: Choice, path: Path) -> Archive | None:
        state = read_run(self._settings.root, self.run_id)
        pictures = exported_pictures(state, choice)
        with self._counting(len(pictures), "pictures zipped") as count:
            return archive_exports(state, pictures, self._storage, path, told=self._told.is_set, count=count)

    def _gallery(self, choice: Choice) -> Gallery | None:
        settings = self._settings
        with RunLease.acquire(settings.root, self.run_id, stall_after_s=settings.stall_after_s):
            state = read_run(settings.root, self.run_id)
            pictures = gallery_pictures(state, choice, settings)
            with self._counting(len(pictures), "pictures in the gallery") as count:
                return build_gallery(
                    state, pictures, self._storage, settings, told=self._told.is_set, count=count
                )

    @contextmanager
    def _counting(self, planned: int, unit: str) -> Iterator[Callable[[], None]]:
        """Show how far something is that is counted one by one, from any thread."""
        started = time.monotonic()
        moment = ExportProgress(planned=planned, unit=unit)
        lock = threading.Lock()
        with self._showing(planned) as show:

            def count() -> None:
                nonlocal moment
                with lock:
                    elapsed_s = time.monotonic() - started
                    moment = replace(moment, made=moment.made + 1, elapsed_s=elapsed_s)
                    if elapsed_s > QUICK_S:
                        show(moment)

            yield count

    @contextmanager
    def _showing(self, planned: int) -> Iterator[Show]:
        if self._on_progress is not None:
            yield self._on_progress
            return
        display = choose_display(planned, self._settings.progress, unit="export", write=_write_line)
        latest: list[Progress] = []

        def show(moment: Progress) -> None:
            latest[:] = [moment]
            display.update(moment)

        try:
            yield show
        finally:
            if latest:
                display.close(latest[0])


def _write_line(line: str) -> None:
    sys.stderr.write(line + "\n")
    sys.stderr.flush()
