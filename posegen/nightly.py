"""What a scheduler runs at night: recovery first, then the batch. One line a step."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import Field

from posegen.errors import RunOwnedError
from posegen.journal import OwnerStatus, owner_status, run_ids
from posegen.notebook_runs import GivenParameters, run_notebook
from posegen.notebook_runs.given import read_parameters_file
from posegen.parameters import BatchParameters, RecoveryParameters, StrictModel, check
from posegen.recovery import recover
from posegen.settings import load_settings

Say = Callable[[str], None]

POLL_S = 5.0
"""How often a queued night looks whether the others have ended."""


class NightlyParameters(StrictModel):
    """What `parameters/nightly.yaml` holds."""

    recovery: dict[str, Any] = {}
    """parameters of the recovery"""
    batch: dict[str, Any] = Field(default={})
    """parameters of the batch; `{date}` in run_id becomes the day: a call repeated that day goes on"""
    overlap: Literal["refuse", "queue"] = "refuse"
    """what to do while another process still works on a run: leave it (exit code 6), or wait"""


def run_nightly(
    file: Path, *, say: Say, now: datetime | None = None, wait: Callable[[float], None] | None = None
) -> int:
    """Recover, then run the batch; return the exit code, as of `posegen run`.

    Raises
    ------
    InputError
        A parameter is wrong: found before anything is done.
    RunOwnedError
        Another process is still at work, and `overlap` is "refuse".
    """
    parameters = check(NightlyParameters, read_parameters_file(file))
    recovery = check(RecoveryParameters, parameters.recovery, within="recovery")
    batch = _dated(parameters.batch, now or datetime.now(UTC))
    check(BatchParameters, batch, within="batch")
    _wait_for_others(parameters.overlap, say, wait)
    for line in recover(recovery, on_progress=lambda _: None).lines():
        say(f"recovery: {line}")
    given = GivenParameters(yaml_texts=[yaml.safe_dump(batch)])
    code, summary = run_notebook("batch_generation", given, say=lambda line: say(f"batch: {line}"))
    if summary is not None:
        facts = summary.facts()
        counts = f"{facts['made']} of {facts['planned']} images made, {facts['failed']} failed"
        say(f"batch: {counts}: {facts['folder']}")
    say(f"exit code {code}")
    return code


def _dated(batch: Mapping[str, Any], now: datetime) -> dict[str, Any]:
    values = dict(batch)
    if isinstance(values.get("run_id"), str):
        values["run_id"] = values["run_id"].replace("{date}", f"{now:%Y%m%d}")
    return values


def _wait_for_others(overlap: str, say: Say, wait: Callable[[float], None] | None) -> None:
    """Return when no other process of this machine is at work on a run."""
    root = load_settings().root
    told = False
    while (busy := _busy(root)) is not None:
        run_id, owner = busy
        if overlap == "refuse":
            pid, host = (owner.owner.pid, owner.owner.host) if owner.owner else (None, "")
            raise RunOwnedError(run_id, pid=pid, host=host, since=owner.since)
        if not told:
            say(f"waiting: run {run_id} is still being made")
            told = True
        (wait or time.sleep)(POLL_S)


def _busy(root: Path) -> tuple[str, OwnerStatus] | None:
    """Return a run that a process of this machine works on, with its owner."""
    for run_id in run_ids(root):
        owner = owner_status(root, run_id)
        if owner.state == "ours-alive":
            return run_id, owner
    return None
