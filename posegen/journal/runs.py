"""The runs of a root folder: find one, list all, follow one that is being made."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import msgspec

from posegen.errors import JournalError, RunNotFoundError
from posegen.journal.segments import list_segments, read_segments
from posegen.journal.state import RunState, RunStatus, fold
from posegen.storage import is_safe_name


class RunSummary(msgspec.Struct, frozen=True, kw_only=True):
    """A run in one line.

    Attributes
    ----------
    status : str
        As `RunState.status`, or "unreadable".
    mean_oks : float or None
        Pose accuracy over the images that were measured.
    rejected : int
        Tries below the bar of the quality gate that did not become the image.
    started_at, last_at : str
        First and last event, UTC; empty if there is none.
    """

    run_id: str
    status: RunStatus | Literal["unreadable"]
    planned: int = 0
    made: int = 0
    failed: int = 0
    attempts: int = 0
    mean_oks: float | None = None
    rejected: int = 0
    project: str | None = None
    user: str | None = None
    started_at: str = ""
    last_at: str = ""

    def row(self) -> dict[str, Any]:
        """Return it as plain values, for tables and JSON."""
        return msgspec.structs.asdict(self)


def journal_folder(root: Path, run_id: str) -> Path:
    """Return where a run's journal is."""
    return root / "runs" / run_id / "journal"


def run_exists(root: Path, run_id: str) -> bool:
    """Return whether anything was ever journalled for this run."""
    return is_safe_name(run_id) and bool(list_segments(journal_folder(root, run_id)))


def read_run(root: Path, run_id: str) -> RunState:
    """Return how a run stands.

    Raises
    ------
    RunNotFoundError
        It has no journal; names the nearest runs.
    JournalError
        The journal cannot be read.
    """
    if not run_exists(root, run_id):
        raise RunNotFoundError(run_id, run_ids(root))
    state = fold(read_segments(journal_folder(root, run_id)))
    state.run_id = state.run_id or run_id  # a journal killed before its first line says nothing
    return state


def run_ids(root: Path) -> list[str]:
    """Return the ids of all runs, sorted; foreign files and folders without a journal are left out.

    Raises
    ------
    JournalError
        The folder of runs cannot be read.
    """
    folder = root / "runs"
    try:
        names = sorted(path.name for path in folder.iterdir())
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as exc:
        raise JournalError(f"cannot list the runs in {folder}: {exc.strerror or exc}") from exc
    return [name for name in names if has_journal(root, name)]


def has_journal(root: Path, run_id: str) -> bool:
    """Return whether a folder is a run's: as `run_exists`, and also if its journal may not be read."""
    try:
        return run_exists(root, run_id)
    except JournalError:  # a journal nobody may read is still a run
        return True


def list_runs(root: Path) -> list[RunSummary]:
    """Return all runs, the newest first."""
    summaries = [_summary(root, run_id) for run_id in run_ids(root)]
    return sorted(summaries, key=lambda run: (run.started_at, run.run_id), reverse=True)


def _summary(root: Path, run_id: str) -> RunSummary:
    try:
        state = read_run(root, run_id)
    except JournalError:
        return RunSummary(run_id=run_id, status="unreadable")
    return RunSummary(
        run_id=run_id,
        status=state.status,
        planned=len(state.tasks),
        made=state.made,
        failed=state.failed,
        attempts=len(state.attempts),
        mean_oks=_mean_oks(state),
        rejected=len(state.rejected_for_good),
        project=state.project,
        user=state.user,
        started_at=state.first_at,
        last_at=state.last_at,
    )


def _mean_oks(state: RunState) -> float | None:
    found = [state.measurements[task_id].oks for task_id in state.records if task_id in state.measurements]
    return round(sum(found) / len(found), 3) if found else None
