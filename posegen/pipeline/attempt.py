"""Begins an attempt at a run: own it, plan it if it has no plan, pay for it, and hand it to an engine."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import psutil

from posegen.accuracy.process import EstimatorPool
from posegen.backends import get_backend
from posegen.errors import BackendUnavailableError, InsufficientCreditsError, ParameterError, UserLimitError
from posegen.failpoints import reach
from posegen.journal import (
    AttemptFinished,
    RunLease,
    RunPlanned,
    RunState,
    SegmentWriter,
    journal_folder,
    read_run,
    run_exists,
    superseded,
)
from posegen.moderation import open_moderation
from posegen.pipeline.engine import Engine
from posegen.pipeline.estimators import estimators_for
from posegen.pipeline.export_step import missing_exports
from posegen.pipeline.gate import Gate, rejected_for_good
from posegen.pipeline.job import STOP_FILE, Job
from posegen.pipeline.measure_step import unmeasured
from posegen.pipeline.obtain import UnknownPolicy
from posegen.pipeline.paying import Payment, check_credits, pay_for
from posegen.records import ImageTask
from posegen.settings import Settings
from posegen.storage import check_writable, open_storage
from posegen.storage.atomic import TEMPORARY_PREFIX, remove
from posegen.telemetry import logger

STORED_IN = ("images", "originals", "thumbnails", "exports")
"""Folders of a run that only its owner writes to."""


log = logger("worker")

PARENT_GONE = "the process that ran this notebook is gone"
"""Why a kernel stops what it is making."""


@dataclass(frozen=True)
class Begin:
    """What to begin.

    Attributes
    ----------
    kind : str
        What the attempt is for: "batch", "resume".
    unknown : {"retry", "ask", "fail"} or None
    planned : RunPlanned or None
        The plan of a run that has none yet.
    """

    run_id: str
    kind: str
    concurrency: int
    unknown: UnknownPolicy | None
    planned: RunPlanned | None


def begin_attempt(begin: Begin, settings: Settings) -> Engine | None:
    """Begin an attempt and return its working engine; None if the run turns out to be finished.

    Raises
    ------
    RunOwnedError
        Another process has the run.
    BackendUnavailableError
        A key, a package or a server's address is missing; nothing is held.
    InsufficientCreditsError, UserLimitError
        Nothing is held.
    ParameterError
        What moderation or measuring needs is missing or wrong.
    EstimatorError
        A gate needs an estimator that cannot be opened.
    StorageError, JournalError
        The folder cannot be written.
    """
    check_writable(settings.root)
    with ExitStack() as undo:
        lease = RunLease.acquire(settings.root, begin.run_id, stall_after_s=settings.stall_after_s)
        undo.callback(lease.release)
        state = _state(settings.root, begin.run_id)  # read anew: it is ours from here on
        if state.status == "finished":
            return None
        sweep(settings.root / "runs" / begin.run_id)
        if (
            begin.kind == "resume"
        ):  # a word to stop that an earlier owner never saw; a batch's may be meant for it
            remove(settings.root / "runs" / begin.run_id / STOP_FILE)
        planned = begin.planned if state.spec_hash is None else None
        check_backends(planned.tasks if planned is not None else state.pending, settings)
        moderation = open_moderation(settings)
        estimators = (
            estimators_for(planned.spec, settings) if planned is not None else _still_there(state, settings)
        )
        if planned is not None:
            check_credits(settings, planned.user or "", len(planned.tasks), begin.run_id)
        writer = SegmentWriter.open(
            journal_folder(settings.root, begin.run_id), begin.run_id, kind=begin.kind, after=lease.after
        )
        undo.callback(writer.close)
        reach("attempt_started")
        if planned is not None:
            writer.append(planned).result()
            reach("run_planned")
            state = _state(settings.root, begin.run_id)
        payment = _pay(settings, state, writer)
        engine = Engine(
            _job(begin, state, settings, writer.number, measure=estimators is not None),
            open_storage(settings.storage_mode, settings.root),
            writer,
            settings,
            moderation=moderation,
            estimators=estimators,
            price=payment.per_image,
            settle=lambda: payment.settle(read_run(settings.root, begin.run_id)),
            stop_if=reason_to_stop(settings, begin.run_id, writer.number),
            at_end=lease.release,
        )
        engine.start()
        undo.pop_all()
    return engine


def sweep(folder: Path) -> None:
    """Remove what earlier owners were writing when they were killed; the run must be ours.

    Only where images are written: other files of the run (its notebook, its sheet) have writers of their own.
    """
    for part in STORED_IN:
        for unfinished in (folder / part).rglob(f"{TEMPORARY_PREFIX}*"):
            remove(unfinished)


def check_resumable(state: RunState) -> None:
    """Refuse a run that cannot be gone on with.

    Raises
    ------
    ParameterError
        It was cut off before it had a plan.
    UnknownNameError
        Its backend is gone.
    """
    if state.spec_hash is None:
        raise ParameterError(
            "run", f"{state.run_id} was cut off before it was planned; run it again with its parameters"
        )
    for name in {task.backend for task in state.tasks}:
        get_backend(name)


def check_backends(tasks: Iterable[ImageTask], settings: Settings) -> None:
    """Refuse what could only fail here.

    Raises
    ------
    BackendUnavailableError
        Says what the backend lacks.
    """
    for name in sorted({task.backend for task in tasks}):
        missing = get_backend(name).missing(settings)
        if missing:
            raise BackendUnavailableError(f"backend {name!r}: {'; '.join(missing)}", backend=name)


def _still_there(state: RunState, settings: Settings) -> EstimatorPool | None:
    """Return what measures a run that is gone on with; None if that is gone, and no gate needs it."""
    spec = state.spec or {}
    try:
        return estimators_for(spec, settings)
    except ParameterError as exc:
        if spec.get("min_oks") is not None:
            raise
        log.warning("%s goes on unmeasured: %s", state.run_id, exc)
        return None


def _state(root: Path, run_id: str) -> RunState:
    return read_run(root, run_id) if run_exists(root, run_id) else RunState(run_id=run_id)


def _pay(settings: Settings, state: RunState, writer: SegmentWriter) -> Payment:
    try:
        return pay_for(settings, state, writer, state.user or "", len(state.pending))
    except (InsufficientCreditsError, UserLimitError):
        writer.append(AttemptFinished(outcome="refused")).result()
        raise


def _job(begin: Begin, state: RunState, settings: Settings, attempt: int, *, measure: bool) -> Job:
    gate = Gate.of(state)
    formats = tuple(dict.fromkeys((state.spec or {}).get("exports", ())))
    return Job(
        run_id=begin.run_id,
        folder=settings.root / "runs" / begin.run_id,
        tasks=state.pending,
        concurrency=begin.concurrency,
        may_be_stored=state.attempts[-1].number < attempt,
        planned=len(state.tasks),
        kept=len(state.tasks) - len(state.pending),
        submissions=state.submissions,
        policy=begin.unknown,
        formats=formats,
        unexported=missing_exports(state, formats),
        unmeasured=unmeasured(state) if measure else (),
        gate=gate,
        unwanted=rejected_for_good(state) if gate is not None and not gate.keep_rejected else (),
    )


def reason_to_stop(settings: Settings, run_id: str, attempt: int) -> Callable[[], str | None]:
    """Return what the engine asks every half second; it gives a reason, or None to go on."""
    folder = settings.root / "runs" / run_id
    parent = _parent_to_watch(settings.kernel_parent_pid)

    def reason() -> str | None:
        if superseded(folder, attempt):
            return "another process has taken over the run"
        if parent is not None and os.getppid() != parent:
            return PARENT_GONE
        return None

    return reason


def _parent_to_watch(kernel_parent: int | None) -> int | None:
    """Return the parent whose end shall stop this kernel; None in a process that is no kernel.

    Whatever a notebook starts (`!posegen resume RUN` in a cell) inherits the variable that says it, and has
    another parent from the start.
    """
    if kernel_parent is None or os.getppid() == kernel_parent:
        return kernel_parent
    try:
        alive = psutil.Process(kernel_parent).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        alive = False
    return None if alive else kernel_parent
