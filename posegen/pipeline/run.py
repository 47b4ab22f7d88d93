"""A run from outside: start it or go on with it, wait for it, and see how it stands."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from posegen.errors import RunConflictError, RunInterruptedError
from posegen.journal import RunPlanned, RunState, read_run, run_exists
from posegen.parameters.pictures import DEFAULT_CONCURRENCY
from posegen.pipeline.attempt import Begin, begin_attempt, check_resumable
from posegen.pipeline.engine import DRAIN_S, Engine
from posegen.pipeline.obtain import UnknownPolicy
from posegen.pipeline.progress import Display, Progress, choose_display
from posegen.pipeline.run_plan import RunPlan
from posegen.pipeline.sheet import RunSheet
from posegen.pipeline.signals import stopping_cleanly
from posegen.pipeline.summary import RunSummary
from posegen.settings import Settings, load_settings
from posegen.storage import open_storage

WAIT_SLICE_S = 0.1

INTERRUPTED = "interrupted"
"""The reason that a run is journalled with which a person or a front end interrupted."""


NOTHING_TO_MAKE = "is finished: nothing to make"


class Run:
    """One attempt of a run, or a finished run with nothing left to make."""

    def __init__(
        self, run_id: str, settings: Settings, engine: Engine | None, idle: str = NOTHING_TO_MAKE
    ) -> None:
        self.run_id = run_id
        self.folder = run_folder(settings.root, run_id)
        self._settings = settings
        self._engine = engine
        self._idle = idle

    def __repr__(self) -> str:
        """Name the run and how far it is."""
        return f"<Run {self.run_id}: {self.progress.line()}>"

    @property
    def progress(self) -> Progress:
        """How far the run is."""
        if self._engine is None:
            state = self.state()
            return Progress(planned=len(state.tasks), kept=state.made, failed=state.failed)
        return self._engine.progress

    @property
    def running(self) -> bool:
        """Whether images are still being made."""
        return self._engine is not None and not self._engine.join(0)

    @property
    def stopped(self) -> bool:
        """Whether this attempt was told to stop before its end."""
        return self._engine is not None and self._engine.stop_reason is not None

    def state(self) -> RunState:
        """Return how the run stands by its journal."""
        return read_run(self._settings.root, self.run_id)

    def summary(self) -> RunSummary:
        """Return what the journal says was made, with the pictures at hand."""
        return RunSummary(self.state(), self._settings.root)

    def stop(self, reason: str = "stopped by the user") -> None:
        """Start no more images; those in flight get a few seconds. The run can be gone on with."""
        if self._engine is not None:
            self._engine.stop(reason)

    def interrupt(self) -> None:
        """Stop as an interrupt does, and wait until what is in flight has had its seconds."""
        if self._engine is not None:
            self._engine.stop(INTERRUPTED)
            self._engine.join(DRAIN_S + 1)

    def wait(self, on_progress: Callable[[Progress], None] | None = None) -> RunSummary:
        """Wait for the end, showing progress; return how the run stands.

        Parameters
        ----------
        on_progress : callable, optional
            Gets the progress several times a second, in place of a bar or lines.

        Raises
        ------
        RunInterruptedError
            It was stopped: by `stop`, by the kernel's interrupt, or from another process.
        PosegenError
            The whole run failed: a full disk, a journal that cannot be written.
        """
        sheet: RunSheet | None = None
        if self._engine is not None:
            sheet = self._follow(self._engine, on_progress)
            if self._engine.error is not None:
                raise self._engine.error
        summary = self.summary()
        if self._engine is not None and self._engine.stop_reason:
            made, planned = summary.state.made, len(summary.state.tasks)
            raise RunInterruptedError(self.run_id, made, planned, self._engine.stop_reason)
        if self._engine is None:
            print(f"run {self.run_id} {self._idle}")  # noqa: T201  (shown in the notebook)
        summary.save_contact_sheet(sheet)
        return summary

    def wait_stoppable(self) -> RunSummary:
        """Wait as `wait`, in a process of its own: the first SIGINT or SIGTERM stops the run cleanly.

        Returns
        -------
        RunSummary
            Also of a run that was stopped.
        """
        with stopping_cleanly(lambda: self.stop("asked to stop by a signal")):
            try:
                return self.wait()
            except RunInterruptedError:
                return self.summary()

    def counts(self) -> dict[str, int]:
        """Return how many images this attempt kept, adopted, fetched, made, and so on."""
        moment = self.progress
        names = ("kept", "adopted", "fetched", "made", "failed", "waiting")
        return {name: getattr(moment, name) for name in names}

    def _sheet(self) -> RunSheet:
        storage = open_storage(self._settings.storage_mode, self._settings.root)
        return RunSheet(self.state().tasks, storage)

    def _follow(self, engine: Engine, on_progress: Callable[[Progress], None] | None) -> RunSheet | None:
        """Show progress until the end; return the contact sheet of what was made meanwhile."""
        sheet: RunSheet | None = None
        display: Display | None = None
        show = on_progress
        try:
            if show is None:
                display = choose_display(engine.job.planned, self._settings.progress)
                show = display.update
            while not engine.join(WAIT_SLICE_S):
                show(engine.progress)
                sheet = sheet or self._sheet()
                sheet.add(
                    dict(engine.records), dict(engine.measuring.results) if engine.measuring.on else None
                )
        except KeyboardInterrupt:
            self.interrupt()
        finally:
            if show is not None:
                show(engine.progress)
            if display is not None:
                display.close(engine.progress)
        return sheet


def start(plan: RunPlan, settings: Settings | None = None, *, unknown: UnknownPolicy | None = None) -> Run:
    """Start the run of a plan, or go on with it where it was left; returns at once.

    Parameters
    ----------
    plan : RunPlan
        Of a batch or of an experiment.
    settings : Settings, optional
    unknown : {"retry", "ask", "fail"}, optional
        What to do with images that were sent to a provider and whose outcome cannot be found out. By default
        asks where images are paid for and retries where they are free.

    Raises
    ------
    RunConflictError
        The run id belongs to another plan.
    RunOwnedError
        Another process has the run.
    InsufficientCreditsError
        The user cannot pay; nothing is held.
    StorageError
        The folder cannot be written.
    """
    settings = settings or load_settings()
    state = check_run(plan, settings)
    run_id = plan.parameters.run_id or new_run_id()
    if state is not None and state.status == "finished":
        return Run(run_id, settings, None)
    planned = RunPlanned(
        spec=plan.spec,
        spec_hash=plan.spec_hash,
        tasks=plan.tasks,
        project=plan.parameters.project,
        user=plan.parameters.user,
    )
    begin = Begin(run_id, "batch", plan.parameters.concurrency, unknown, planned)
    return Run(run_id, settings, begin_attempt(begin, settings))


def resume(
    run_id: str,
    settings: Settings | None = None,
    *,
    unknown: UnknownPolicy | None = None,
    concurrency: int = DEFAULT_CONCURRENCY,
) -> Run:
    """Go on with a run by its own plan; returns at once. A finished run has nothing to make.

    Raises
    ------
    RunNotFoundError
        Names the nearest runs.
    InputError
        The run was cut off before it had a plan, or its backend is gone.
    RunOwnedError, InsufficientCreditsError, StorageError
        As `start`.
    """
    settings = settings or load_settings()
    state = read_run(settings.root, run_id)
    if state.status == "finished":
        return Run(run_id, settings, None)
    check_resumable(state)
    begin = Begin(run_id, "resume", concurrency, unknown, None)
    return Run(run_id, settings, begin_attempt(begin, settings))


def check_run(plan: RunPlan, settings: Settings) -> RunState | None:
    """Return the state of the run that the plan's run id names, if there is one; changes nothing.

    Raises
    ------
    RunConflictError
        It was planned from other parameters; names them.
    """
    run_id = plan.parameters.run_id
    if run_id is None or not run_exists(settings.root, run_id):
        return None
    state = read_run(settings.root, run_id)
    if state.tasks and state.spec_hash != plan.spec_hash:
        differences = _differences(state, plan)
        if differences:  # else it was planned before some parameter existed
            raise RunConflictError(run_id, differences)
    return state


def _differences(state: RunState, plan: RunPlan) -> list[str]:
    """Return one line for each parameter in which a run and a plan differ.

    What a run's spec does not name was not known when it was planned: it has the default.
    """
    before = {**plan.defaults, **(state.spec or {})}
    names = [name for name in (plan.spec | before) if before.get(name) != plan.spec.get(name)]
    return [f"{name}: it has {before.get(name)!r}, now {plan.spec.get(name)!r}" for name in names]


def open_run(run_id: str, settings: Settings | None = None) -> RunSummary:
    """Return how a run stands: its figures, images and contact sheet.

    Raises
    ------
    RunNotFoundError
        Names the nearest runs.
    """
    root = (settings or load_settings()).root
    return RunSummary(read_run(root, run_id), root)


def new_run_id(now: datetime | None = None) -> str:
    """Return a run id from the time (UTC), sorting by it, with four random digits."""
    return f"{now or datetime.now(UTC):%Y%m%d-%H%M%S}-{secrets.token_hex(2)}"


def run_folder(root: Path, run_id: str) -> Path:
    """Return the folder of a run."""
    return root / "runs" / run_id
