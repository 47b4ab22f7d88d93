"""Find broken runs, go on with those that can be, close those that cannot, clean up after old ones.

Safe beside itself and beside running batches: whatever it does to a run, it owns the run first.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Literal

from posegen.errors import InputError, PosegenError, RunInterruptedError, RunOwnedError
from posegen.journal import (
    AttemptFinished,
    RunLease,
    RunState,
    SegmentWriter,
    journal_folder,
    owner_status,
    read_run,
    run_ids,
)
from posegen.parameters import RecoveryParameters
from posegen.pipeline.attempt import check_resumable
from posegen.pipeline.engine import STOP_FILE
from posegen.pipeline.paying import pay_for
from posegen.pipeline.progress import Progress, duration
from posegen.pipeline.run import resume, run_folder
from posegen.pipeline.signals import stopping_cleanly
from posegen.pipeline.tables import html_table
from posegen.settings import Settings, load_settings
from posegen.storage import control_map_key, open_storage
from posegen.storage.atomic import TEMPORARY_PREFIX
from posegen.telemetry import logger

Action = Literal["leave", "wait", "resume", "close", "clean", "delete images", "ask a person"]

log = logger("recovery")


@dataclass(frozen=True)
class Found:
    """A run as recovery sees it.

    Attributes
    ----------
    owner : str
        As `journal.OwnerStatus.state`.
    quiet : timedelta
        Since its last journalled event; nothing if a clock was set back.
    action : str
        What shall be done.
    why : str
    """

    run_id: str
    status: str
    owner: str
    quiet: timedelta
    action: Action
    why: str

    def row(self) -> dict[str, Any]:
        """Return it as a row of a table."""
        return {
            "run": self.run_id,
            "status": self.status,
            "owner": self.owner,
            "quiet": "-" if self.quiet == timedelta.max else duration(self.quiet.total_seconds()),
            "action": self.action,
            "why": self.why,
        }


@dataclass(frozen=True)
class Recovered:
    """What was done to one run.

    Attributes
    ----------
    kept, adopted, fetched, made, failed, waiting : int
        Images: journalled before, found stored, fetched by request id, made anew, failed for good, and
        waiting for a person's word.
    """

    run_id: str
    action: Action
    result: str
    kept: int = 0
    adopted: int = 0
    fetched: int = 0
    made: int = 0
    failed: int = 0
    waiting: int = 0

    def row(self) -> dict[str, Any]:
        """Return it as a row of a table."""
        return asdict(self)


@dataclass(frozen=True)
class RecoveryReport:
    """What a recovery did, run by run; runs that need nothing are only counted."""

    rows: tuple[Recovered, ...]
    runs: int

    def _repr_html_(self) -> str:
        head = f"<p>{self.runs} runs looked at, {len(self.rows)} needed something.</p>"
        return head + html_table([row.row() for row in self.rows])

    def lines(self) -> Iterator[str]:
        """Yield one line for each run that needed something, and a last one with the number of all."""
        for row in self.rows:
            counts = [f"{n} {what}" for what, n in row.row().items() if isinstance(n, int) and n]
            yield f"{row.run_id}: {row.action}: {', '.join([row.result, *counts])}"
        yield f"{self.runs} runs looked at, {len(self.rows)} needed something"


def find(
    parameters: RecoveryParameters, settings: Settings | None = None, now: datetime | None = None
) -> list[Found]:
    """Return every run with what recovery would do to it; changes nothing."""
    settings = settings or load_settings()
    moment = now or datetime.now(UTC)
    return [_found(settings, run_id, parameters, moment) for run_id in run_ids(settings.root)]


class FoundRuns(list[Found]):
    """Runs as recovery sees them, shown as a table in a notebook."""

    def _repr_html_(self) -> str:
        return html_table([run.row() for run in self]) or "<p>no runs yet</p>"


def found_runs(parameters: RecoveryParameters) -> FoundRuns:
    """Return `find`, for a notebook to show."""
    return FoundRuns(find(parameters))


def recover(
    parameters: RecoveryParameters,
    settings: Settings | None = None,
    *,
    now: Callable[[], datetime] = lambda: datetime.now(UTC),
    on_progress: Callable[[Progress], None] | None = None,
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
    """
    settings = settings or load_settings()
    settings = settings.model_copy(update={"stall_after_s": parameters.stall_after_minutes * 60})
    found = find(parameters, settings, now())
    rows = []
    for run in found:
        if run.action == "leave":
            continue
        if parameters.dry_run:
            rows.append(Recovered(run.run_id, run.action, f"would: {run.why}"))
            continue
        try:
            rows.append(_do(run, parameters, settings, now(), on_progress))
        except RunOwnedError as exc:
            rows.append(Recovered(run.run_id, "wait", str(exc)))
        except RunInterruptedError:
            raise
        except PosegenError as exc:
            log.warning("%s: %s", run.run_id, exc)
            rows.append(Recovered(run.run_id, run.action, f"failed: {exc}"))
    return RecoveryReport(tuple(rows), len(found))


def repeat(
    work: Callable[[], RecoveryReport], period_s: float | None, wait: Callable[[float], object] | None = None
) -> Iterator[RecoveryReport]:
    """Yield the report of `work`, once, or again after each period until SIGINT or SIGTERM.

    Parameters
    ----------
    work : callable
    period_s : float or None
        None: once.
    wait : callable, optional
        Waits so many seconds; returns what is true when it is time to end.
    """
    ended = threading.Event()
    pause = wait or ended.wait
    yield work()
    if period_s is None:
        return
    with stopping_cleanly(ended.set):
        while not pause(period_s):
            yield work()


def _found(settings: Settings, run_id: str, parameters: RecoveryParameters, now: datetime) -> Found:
    try:
        state = read_run(settings.root, run_id)
    except PosegenError as exc:
        return Found(run_id, "unreadable", "none", timedelta(0), "ask a person", str(exc))
    owner = owner_status(settings.root, run_id).state
    quiet = max(now - datetime.fromisoformat(state.last_at), timedelta(0)) if state.last_at else timedelta.max
    action, why = _decide(settings, state, owner, quiet, parameters)
    return Found(run_id, state.status, owner, quiet, action, why)


def _decide(
    settings: Settings, state: RunState, owner: str, quiet: timedelta, parameters: RecoveryParameters
) -> tuple[Action, str]:
    if owner == "ours-alive":
        return "leave", "its owner is alive"
    if state.run_id in parameters.delete_images_of:
        if state.status == "finished":
            return "delete images", "asked for by name"
        return "leave", "its images are not deleted: it is not finished"
    if state.status == "finished":
        old = quiet > timedelta(days=parameters.clean_after_days)
        if old and any(_leftovers(settings, state)):
            return "clean", f"finished, and untouched for {quiet.days} days"
        return "leave", "finished"
    if state.status in ("closed", "refused"):
        return "leave", f"{state.status}: `posegen resume {state.run_id}` goes on with it"
    return _decide_unfinished(state, quiet, parameters)


def _decide_unfinished(
    state: RunState, quiet: timedelta, parameters: RecoveryParameters
) -> tuple[Action, str]:
    too_old = quiet > timedelta(hours=parameters.fail_after_hours)
    try:
        check_resumable(state)
    except InputError as exc:
        return ("close" if too_old else "wait"), str(exc)
    if state.status == "waiting" and parameters.unknown in (None, "ask"):
        asked = f"`posegen resume {state.run_id} --unknown retry` or `fail`"
        return (
            "close" if too_old else "ask a person"
        ), f"{len(state.unknown)} images of unknown outcome: {asked}"
    return "resume", "cut off" if state.status == "unfinished" else state.status


def _do(
    run: Found,
    parameters: RecoveryParameters,
    settings: Settings,
    now: datetime,
    on_progress: Callable[[Progress], None] | None,
) -> Recovered:
    if run.action == "resume":
        return _resume(run, parameters, settings, on_progress)
    if run.action == "close":
        return _close(run, parameters, settings, now)
    if run.action in ("clean", "delete images"):
        return _clean(run, parameters, settings, now)
    return Recovered(run.run_id, run.action, run.why)


def _resume(
    run: Found,
    parameters: RecoveryParameters,
    settings: Settings,
    on_progress: Callable[[Progress], None] | None,
) -> Recovered:
    attempt = resume(run.run_id, settings, unknown=parameters.unknown, concurrency=parameters.concurrency)
    summary = attempt.wait(on_progress)
    after = attempt.progress
    return Recovered(
        run.run_id,
        "resume",
        summary.state.status,
        kept=after.kept,
        adopted=after.adopted,
        fetched=after.fetched,
        made=after.made,
        failed=after.failed,
        waiting=after.waiting,
    )


def _close(run: Found, parameters: RecoveryParameters, settings: Settings, now: datetime) -> Recovered:
    """Give a run up: what was not made is refunded, and a later resume takes a new hold."""
    with RunLease.acquire(settings.root, run.run_id, stall_after_s=settings.stall_after_s) as lease:
        again = _found_action(settings, run.run_id, parameters, now)
        if again != "close":
            return Recovered(run.run_id, "leave", "it has moved since")
        state = read_run(settings.root, run.run_id)
        folder = journal_folder(settings.root, run.run_id)
        with SegmentWriter.open(folder, run.run_id, kind="close", after=lease.after) as writer:
            if state.spec_hash is not None:
                pay_for(settings, state, writer, state.user or "", len(state.pending)).settle(state)
            writer.append(AttemptFinished(outcome="closed")).result()
    return Recovered(run.run_id, "close", run.why, kept=state.made, failed=state.failed)


def _found_action(settings: Settings, run_id: str, parameters: RecoveryParameters, now: datetime) -> Action:
    """Return what a run that is now ours needs."""
    state = read_run(settings.root, run_id)
    quiet = max(now - datetime.fromisoformat(state.last_at), timedelta(0)) if state.last_at else timedelta.max
    return _decide(settings, state, "none", quiet, parameters)[0]


def _clean(run: Found, parameters: RecoveryParameters, settings: Settings, now: datetime) -> Recovered:
    with RunLease.acquire(settings.root, run.run_id, stall_after_s=settings.stall_after_s):
        if _found_action(settings, run.run_id, parameters, now) != run.action:
            return Recovered(run.run_id, "leave", "it has moved since")
        state = read_run(settings.root, run.run_id)
        files = list(_leftovers(settings, state))
        for path in files:
            path.unlink(missing_ok=True)
        removed = f"{len(files)} temporary and cached files removed"
        if run.action == "delete images":
            storage = open_storage(settings.storage_mode, settings.root)
            keys = [key for r in state.records.values() for key in (r.key, r.thumbnail_key)]
            keys += [e.key for formats in state.exports.values() for e in formats.values()]
            for key in keys:
                storage.delete(key)
            removed += f", {len(keys)} images, thumbnails and exports deleted"
    return Recovered(run.run_id, run.action, removed, kept=state.made)


def _leftovers(settings: Settings, state: RunState) -> Iterator[Path]:
    """Yield what a finished run leaves behind that can be made again or is of no use."""
    folder = run_folder(settings.root, state.run_id)
    yield from (
        path for path in folder.rglob("*") if path.is_file() and path.name.startswith(TEMPORARY_PREFIX)
    )
    if (folder / STOP_FILE).exists():
        yield folder / STOP_FILE
    wanted = _maps_of_others(settings, state.run_id)
    for sha256 in {task.control_map_sha256 for task in state.tasks if task.control_map_sha256} - wanted:
        path = settings.root / control_map_key(sha256)
        if path.exists():
            yield path


def _maps_of_others(settings: Settings, run_id: str) -> set[str]:
    """Return the control maps that other runs use."""
    maps: set[str] = set()
    for other in run_ids(settings.root):
        if other != run_id:
            tasks = read_run(settings.root, other).tasks
            maps.update(task.control_map_sha256 for task in tasks if task.control_map_sha256)
    return maps
