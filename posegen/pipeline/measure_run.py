"""Measures the images of a run that is there: those without figures, or all of them again."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from typing import Any

from posegen.accuracy.estimator import EstimatorInfo
from posegen.accuracy.process import shared_pool
from posegen.accuracy.registry import DEFAULT_ESTIMATOR, ESTIMATORS
from posegen.errors import ParameterError
from posegen.journal import MEASURE, RunLease, RunState, SegmentWriter, journal_folder, read_run
from posegen.pipeline.attempt import reason_to_stop
from posegen.pipeline.engine import Engine
from posegen.pipeline.estimators import estimator_of
from posegen.pipeline.export_engine import ExportProgress
from posegen.pipeline.job import STOP_FILE, Job
from posegen.pipeline.measure_step import unmeasured
from posegen.pipeline.progress import Progress
from posegen.pipeline.run import Run, run_folder
from posegen.records import ImageRecord, ImageTask
from posegen.settings import Settings, load_settings
from posegen.storage import check_writable, open_storage
from posegen.storage.atomic import remove

Images = tuple[tuple[ImageTask, ImageRecord], ...]


class MeasureEngine(Engine):
    """Measures images that are there, makes none and holds no credits."""

    @property
    def progress(self) -> Progress:
        """How far it is."""
        done, planned = len(self.measuring.results), len(self.job.unmeasured)
        return ExportProgress(planned=planned, made=done, elapsed_s=self._elapsed_s(), unit="images measured")


def measure_run(
    run_id: str,
    *,
    estimator: str = "auto",
    options: Mapping[str, Any] | None = None,
    again: bool = False,
    settings: Settings | None = None,
) -> Run:
    """Measure the images of a run that have a pose and no figures yet; returns at once.

    The newest figures of an image count. How the run stands does not change.

    Parameters
    ----------
    run_id : str
        A run that nobody drives, finished or not.
    estimator : str
        A name, or "auto" for the one that the run was asked to be measured by, else the default one.
    options : mapping, optional
        The estimator's own.
    again : bool
        All images, also those that have figures.
    settings : Settings, optional

    Raises
    ------
    RunNotFoundError, UnknownNameError
        Name the nearest; nothing has been done.
    ParameterError
        The estimator cannot be used here.
    EstimatorError
        It cannot be opened.
    RunOwnedError
        Another process has the run.
    """
    settings = settings or load_settings()
    state = read_run(settings.root, run_id)
    asked = {"estimator": estimator, "estimator_options": dict(options or {})}
    own = estimator == "auto" and not options and (state.spec or {}).get("estimator", "auto") != "off"
    spec = estimator_of(state.spec or {} if own else asked, settings)
    if spec is None:
        why = ESTIMATORS[DEFAULT_ESTIMATOR].missing() or ["'off' measures nothing"]
        raise ParameterError("estimator", f"{estimator!r}: {why[0]}")
    pool = shared_pool(spec, settings.cpu_threads)
    _check_same(state, pool.open(), again=again)
    check_writable(settings.root)
    with ExitStack() as undo:
        lease = RunLease.acquire(settings.root, run_id, stall_after_s=settings.stall_after_s)
        undo.callback(lease.release)
        images = images_of(read_run(settings.root, run_id), again=again)  # anew: it is ours from here on
        if not images:
            return Run(run_id, settings, None, "has no images left to measure")
        folder = run_folder(settings.root, run_id)
        remove(folder / STOP_FILE)  # a word to stop that an earlier owner never saw
        writer = SegmentWriter.open(
            journal_folder(settings.root, run_id), run_id, kind=MEASURE, after=lease.after
        )
        undo.callback(writer.close)
        job = Job(
            run_id=run_id, folder=folder, tasks=(), concurrency=1, may_be_stored=False,
            planned=len(images), kept=0, unmeasured=images,
        )  # fmt: skip
        engine = MeasureEngine(
            job,
            open_storage(settings.storage_mode, settings.root),
            writer,
            settings,
            estimators=pool,
            stop_if=reason_to_stop(settings, run_id, writer.number),
            at_end=lease.release,
        )
        engine.start()
        undo.pop_all()
    return Run(run_id, settings, engine)


def _check_same(state: RunState, info: EstimatorInfo, *, again: bool) -> None:
    """Refuse to put figures of two estimators side by side.

    Raises
    ------
    ParameterError
        Some images have figures of another estimator, and these are to stay.
    """
    others = {
        f"{one.estimator} {one.estimator_version}"
        for one in state.measurements.values()
        if (one.estimator, one.weights_sha256) != (info.name, info.weights_sha256)
    }
    if others and not again:
        raise ParameterError(
            "estimator",
            f"{info.name} {info.version} is not what measured the others ({', '.join(sorted(others))}), and "
            "figures of two are not to be compared; --again (again=True) measures all of them anew",
        )


def images_of(state: RunState, *, again: bool) -> Images:
    """Return the images of a run that are to be measured."""
    if not again:
        return unmeasured(state)
    made = ((task, state.records.get(task.task_id)) for task in state.tasks if task.pose is not None)
    return tuple((task, record) for task, record in made if record is not None)
