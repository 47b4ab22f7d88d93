"""What a scheduler runs at night: recovery first, then the batch, then a report. One line a step."""

from __future__ import annotations

import hashlib
import re
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import yaml
from pydantic import Field

from posegen.errors import NightOwnedError, PosegenError, RunOwnedError
from posegen.journal import list_runs, owner_status, run_ids
from posegen.notebook_runs import GivenParameters, run_notebook
from posegen.notebook_runs.given import read_parameters_file
from posegen.notebook_runs.runner import dry_run
from posegen.parameters import BatchParameters, RecoveryParameters, StrictModel, check
from posegen.pipeline.signals import stopping_cleanly
from posegen.recovery import Stopper, recover
from posegen.settings import load_settings
from posegen.storage import check_writable

if TYPE_CHECKING:
    from filelock import BaseFileLock

Say = Callable[[str], None]
Wait = Callable[[float], object]

POLL_S = 5.0
"""How often a queued night looks whether the last one has ended."""

DATE = "{date}"

REPORTED = timedelta(days=1)
"""The time that the report at the end of a night covers."""


class NightlyParameters(StrictModel):
    """What `parameters/nightly.yaml` holds."""

    recovery: dict[str, Any] = {}
    """parameters of the recovery"""
    batch: dict[str, Any] = Field(default={})
    """parameters of the batch; `{date}` in run_id becomes the day (UTC): a call repeated that day goes on"""
    overlap: Literal["refuse", "queue"] = "refuse"
    """what to do while the last night is still at work: refuse this one (exit code 6), or wait for its end"""


def run_nightly(file: Path, *, say: Say, now: datetime | None = None, wait: Wait = time.sleep) -> int:
    """Recover, run the batch, report; return the exit code.

    It is the batch's, as of `posegen run`; if that went well, the recovery's.

    Raises
    ------
    InputError
        A parameter is wrong: found before anything is done.
    NightOwnedError, RunOwnedError
        The last night is still at work, and `overlap` is "refuse".
    """
    parameters = check(NightlyParameters, read_parameters_file(file))
    recovery = check(RecoveryParameters, parameters.recovery, within="recovery")
    batch = _dated(parameters.batch, now or datetime.now(UTC))
    check(BatchParameters, batch, within="batch")
    given = GivenParameters(yaml_texts=[yaml.safe_dump(batch)])
    dry_run("batch_generation", given)
    check_writable(load_settings().root)
    with _only_night(file, parameters, say, wait):
        recovered = _recover(recovery, say)
        if recovered == 5:
            return _end(5, say)
        code = _run_batch(given, say)
        say(f"report: {report(load_settings().root, (now or datetime.now(UTC)) - REPORTED)}")
        return _end(code or recovered, say)


def report(root: Path, since: datetime) -> str:
    """Return what the runs that moved since then come to, by their journals, in one line."""
    moved = [run for run in list_runs(root) if run.last_at and datetime.fromisoformat(run.last_at) >= since]
    states = ", ".join(
        f"{count} {status}" for status, count in sorted(Counter(r.status for r in moved).items())
    )
    images = f"{sum(r.made for r in moved)} images made, {sum(r.failed for r in moved)} failed"
    rejected = sum(r.rejected for r in moved)
    tries = f", {rejected} rejected tries charged to nobody" if rejected else ""
    return f"{len(moved)} runs since {since:%Y-%m-%d %H:%M} UTC ({states or 'none'}), {images}{tries}"


def _recover(parameters: RecoveryParameters, say: Say) -> int:
    stopper = Stopper()
    with stopping_cleanly(stopper.stop):
        report = recover(parameters, on_progress=lambda _: None, stopper=stopper)
    for line in report.lines():
        say(f"recovery: {line}")
    return report.exit_code


def _run_batch(given: GivenParameters, say: Say) -> int:
    try:
        code, summary = run_notebook("batch_generation", given, say=lambda line: say(f"batch: {line}"))
    except PosegenError as exc:  # refused: the report is wanted all the same
        say(f"batch: {exc}")
        return exc.exit_code
    if summary is not None:
        facts = summary.facts()
        counts = f"{facts['made']} of {facts['planned']} images made, {facts['failed']} failed"
        say(f"batch: {counts}: {facts['folder']}")
    return code


def _end(code: int, say: Say) -> int:
    say(f"exit code {code}")
    return code


def _dated(batch: Mapping[str, Any], now: datetime) -> dict[str, Any]:
    values = dict(batch)
    if isinstance(values.get("run_id"), str):
        values["run_id"] = values["run_id"].replace(DATE, f"{now:%Y%m%d}")
    return values


@contextmanager
def _only_night(file: Path, parameters: NightlyParameters, say: Say, wait: Wait) -> Iterator[None]:
    """Be the only process at work on the nights of this file; refuse or wait as long as another is."""
    told = False
    while True:
        lock = _lock(file)
        reason = _owned_night(parameters) if lock is not None else NightOwnedError(str(file))
        if lock is not None and reason is None:
            break
        if lock is not None:
            lock.release()
        if parameters.overlap == "refuse" and reason is not None:
            raise reason
        if not told:
            say(f"waiting: {reason}")
            told = True
        wait(POLL_S)
    try:
        yield
    finally:
        lock.release()


def _lock(file: Path) -> BaseFileLock | None:
    """Lock the nights of a parameters file; None if another process has it. Free as soon as that dies."""
    from filelock import FileLock, Timeout

    name = hashlib.sha256(str(file.resolve()).encode()).hexdigest()[:12]
    path = load_settings().root / "locks" / f"nightly-{name}.night"
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(path, thread_local=False, fallback_to_soft=False)
    try:
        lock.acquire(blocking=False)
    except Timeout:
        return None
    return lock


def _owned_night(parameters: NightlyParameters) -> PosegenError | None:
    """Return who drives the run of a night, if somebody does: the kernel of a killed call, or a recovery."""
    template = parameters.batch.get("run_id")
    if not isinstance(template, str):
        return None
    pattern = re.compile(re.escape(template).replace(re.escape(DATE), r"\d{8}"))
    root = load_settings().root
    for run_id in run_ids(root):
        if not pattern.fullmatch(run_id):
            continue
        status = owner_status(root, run_id)
        if status.state == "ours-alive":
            pid, host = (status.owner.pid, status.owner.host) if status.owner else (None, "")
            return RunOwnedError(run_id, pid=pid, host=host, since=status.since)
    return None
