"""Does what runs need: goes on with them, closes them, cleans up after them."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator

from posegen.errors import PosegenError, RunInterruptedError, RunOwnedError
from posegen.executed_notebook import mend_notebooks
from posegen.journal import AttemptFinished, RunLease, SegmentWriter, journal_folder, read_run
from posegen.parameters import RecoveryParameters
from posegen.pipeline.attempt import PARENT_GONE
from posegen.pipeline.paying import accounts_of, pay_for
from posegen.pipeline.progress import Progress
from posegen.pipeline.run import INTERRUPTED, Run, resume, run_folder
from posegen.pipeline.signals import stopping_cleanly
from posegen.recovery.leftovers import delete_images, shared_leftovers
from posegen.recovery.look import Clock, Found, Observer, check_names, utc_now
from posegen.recovery.report import Recovered, RecoveryReport
from posegen.settings import Settings, load_settings
from posegen.telemetry import bound, configure_in_kernel, logger

ENDS_THE_RECOVERY = (INTERRUPTED, PARENT_GONE)
"""What is journalled when this very process is interrupted (by a person or a front end), or is the kernel of
a notebook whose parent is gone: then no other run may be begun. `posegen stop` ends only its run."""

log = logger("recovery")

OnProgress = Callable[[Progress], None]


class Stopper:
    """Ends a recovery cleanly, from a signal handler or another thread."""

    def __init__(self) -> None:
        self.told = threading.Event()
        self._run: Run | None = None

    def stop(self) -> None:
        """Begin nothing more; the run that is being gone on with stops cleanly."""
        self.told.set()
        if self._run is not None:
            self._run.stop("recovery was told to stop")

    def watch(self, run: Run) -> None:
        """Take note of the run that is being gone on with."""
        self._run = run
        if self.told.is_set():
            self.stop()


def recover(
    parameters: RecoveryParameters,
    settings: Settings | None = None,
    *,
    now: Clock = utc_now,
    on_progress: OnProgress | None = None,
    stopper: Stopper | None = None,
) -> RecoveryReport:
    """Do to every run what it needs, and report it. With `dry_run` nothing is changed.

    Parameters
    ----------
    parameters : RecoveryParameters
    settings : Settings, optional
    now : callable
        Gives the time, with its zone.
    on_progress : callable, optional
        As in `Run.wait`.
    stopper : Stopper, optional
        Ends it early.

    Raises
    ------
    RunNotFoundError
        `delete_images_of` names a run that does not exist.
    RunInterruptedError
        The process was interrupted, or its notebook's parent is gone. (A run stopped by `posegen stop` does
        not keep the others waiting.)
    """
    settings = settings or load_settings()
    configure_in_kernel(settings)
    settings = settings.model_copy(update={"stall_after_s": parameters.stall_after_minutes * 60})
    check_names(parameters, settings)
    recovery = _Recovery(Observer(parameters, settings, now), settings, on_progress, stopper or Stopper())
    found = recovery.observer.all()
    rows: list[Recovered] = []
    for run in found:
        if recovery.stopper.told.is_set():
            break
        row = recovery.treat(run)
        if row is not None:
            rows.append(row)
    shared = shared_leftovers(settings, now())
    if shared and not recovery.stopper.told.is_set():
        said = (
            f"would: {len(shared.files)} temporary files" if parameters.dry_run else shared.remove(settings)
        )
        rows.append(Recovered("(no run)", "clean", said))
    return RecoveryReport(tuple(rows), len(found), recovery.stopper.told.is_set())


def repeat(
    work: Callable[[], RecoveryReport],
    period_s: float | None,
    *,
    stopper: Stopper,
    wait: Callable[[float], object] | None = None,
) -> Iterator[RecoveryReport]:
    """Yield the report of `work`, once, or again after each period until SIGINT or SIGTERM.

    Parameters
    ----------
    work : callable
        Ends early when the stopper is told.
    period_s : float or None
        None: once.
    stopper : Stopper
        Told by the signals.
    wait : callable, optional
        Waits so many seconds; returns what is true when it is time to end.
    """
    pause = wait or stopper.told.wait
    with stopping_cleanly(stopper.stop):
        yield work()
        while period_s is not None and not stopper.told.is_set() and not pause(period_s):
            yield work()


class _Recovery:
    def __init__(
        self, observer: Observer, settings: Settings, on_progress: OnProgress | None, stopper: Stopper
    ) -> None:
        self.observer = observer
        self.stopper = stopper
        self._parameters = observer.parameters
        self._settings = settings
        self._on_progress = on_progress

    def treat(self, found: Found) -> Recovered | None:
        """Do to a run what it needs; None if that is nothing."""
        if found.action == "leave":
            return None
        if self._parameters.dry_run:
            return Recovered(found.run_id, found.action, f"would: {found.why}")
        run = self.observer.look(found.run_id)  # again: going on with the others may have taken hours
        if run.action == "leave":
            return Recovered(run.run_id, "leave", f"it has moved since: {run.why}")
        try:
            with bound(run=run.run_id):
                log.info("%s: %s", run.action, run.why)
                return self._do(run)
        except RunOwnedError as exc:
            return Recovered(run.run_id, "wait", str(exc))
        except RunInterruptedError:
            raise
        except (PosegenError, OSError) as exc:  # whatever it is, the other runs do not wait for it
            log.warning("%s: %s", run.run_id, exc)
            return Recovered(run.run_id, run.action, f"failed: {exc}", fault=True)

    def _do(self, run: Found) -> Recovered:
        if run.action == "resume":
            return self._resume(run)
        if run.action == "close":
            return self._close(run)
        if run.action in ("clean", "delete images"):
            return self._clean(run)
        return Recovered(run.run_id, run.action, run.why, fault=run.status == "unreadable")

    def _resume(self, run: Found) -> Recovered:
        parameters = self._parameters
        before = read_run(self._settings.root, run.run_id)
        attempt = resume(
            run.run_id, self._settings, unknown=parameters.unknown, concurrency=parameters.concurrency
        )
        self.stopper.watch(attempt)
        try:
            mend_notebooks(run_folder(self._settings.root, run.run_id), before)
            summary = attempt.wait(self._on_progress)
        except KeyboardInterrupt:
            attempt.interrupt()
            raise
        except RunInterruptedError:
            summary = attempt.summary()
            if summary.state.attempts[-1].interrupted in ENDS_THE_RECOVERY:
                raise
        state = summary.state
        return Recovered(run.run_id, "resume", state.status, fault=False, **attempt.counts())

    def _close(self, run: Found) -> Recovered:
        """Give a run up: what was not made is refunded, and a later resume takes a new hold."""
        root = self._settings.root
        with RunLease.acquire(root, run.run_id, stall_after_s=self._settings.stall_after_s) as lease:
            if self.observer.look(run.run_id, ours=True).action != "close":
                return Recovered(run.run_id, "leave", "it has moved since")
            state = read_run(root, run.run_id)
            folder = journal_folder(root, run.run_id)
            with SegmentWriter.open(folder, run.run_id, kind="close", after=lease.after) as writer:
                held = accounts_of(self._settings).holds(run.run_id)
                if held and held[-1].is_open:
                    pay_for(self._settings, state, writer, state.user or "", len(state.pending)).settle(state)
                writer.append(AttemptFinished(outcome="closed")).result()
            mend_notebooks(run_folder(root, run.run_id), state)
        return Recovered(run.run_id, "close", run.why, kept=state.made, failed=state.failed)

    def _clean(self, run: Found) -> Recovered:
        root = self._settings.root
        with RunLease.acquire(root, run.run_id, stall_after_s=self._settings.stall_after_s):
            if self.observer.look(run.run_id, ours=True).action != run.action:
                return Recovered(run.run_id, "leave", "it has moved since")
            state = read_run(root, run.run_id)
            removed = self.observer.left_by(state).remove(self._settings)
            if run.action == "delete images":
                removed += f", {delete_images(self._settings, state)}"
        return Recovered(run.run_id, run.action, removed, kept=state.made)
