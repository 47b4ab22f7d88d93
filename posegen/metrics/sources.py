"""What the views are made of: journals, accounts, the pose library."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from posegen.credits import ACCOUNTS_FILE, Entry
from posegen.credits.ledger import read_ledger
from posegen.errors import JournalError
from posegen.journal import RunState, journal_folder, read_segments
from posegen.metrics import fold
from posegen.metrics.load import encode
from posegen.metrics.manifest import Extent, LedgerMark, extent_of
from posegen.metrics.rows import CreditRow, PoseRow
from posegen.poses.library import PoseLibrary


def read_run(root: Path, run_id: str) -> tuple[dict[str, bytes], RunState | None, Extent]:
    """Return a run's rows as lines of JSON, its state (None if unreadable) and its journal's extent.

    The extent is taken before the journal is read, so that it never claims more than the rows hold.
    """
    try:
        extent = extent_of(root, run_id)
        rows, state = fold.rows_of(run_id, read_segments(journal_folder(root, run_id)), extent.total_bytes)
        return encode(rows), state, extent
    except (JournalError, ValueError):
        return encode(fold.unreadable(run_id)), None, Extent({}, 0)


def live_rows(root: Path, run_ids: Iterable[str]) -> Iterator[dict[str, bytes]]:
    """Yield the rows of runs, folded from their journals."""
    for run_id in run_ids:
        yield read_run(root, run_id)[0]


def credit_rows(root: Path, mark: LedgerMark | None) -> tuple[list[CreditRow], bool]:
    """Return the accounts' entries after those that are compacted, and whether these still hold.

    If the accounts are other ones than were compacted, all of their entries are returned; none if there are
    no accounts.

    Raises
    ------
    StorageError
        The accounts' file is damaged, or not ours.
    """
    path = root / ACCOUNTS_FILE
    if mark is not None:
        rows = _rows(read_ledger(path, after=mark.entry_id - 1))
        if rows and mark_of(rows[0]) == mark:  # entries are never changed or removed
            return rows[1:], True
    return _rows(read_ledger(path)), False


def mark_of(row: CreditRow) -> LedgerMark:
    """Return what tells an entry from that of another ledger."""
    return LedgerMark(row.entry_id, row.user, row.kind, row.entered_at)


def _rows(entries: Iterable[Entry]) -> list[CreditRow]:
    return [
        CreditRow(
            entry_id=entry.entry_id,
            user=entry.user,
            kind=entry.kind,
            amount=entry.amount,
            run_id=entry.run_id,
            attempt=entry.attempt,
            task_id=entry.task_id,
            hold_id=entry.hold_id,
            charged=entry.charged,
            entered_at=entry.at,
            note=entry.note,
        )
        for entry in entries
    ]


def pose_rows() -> list[PoseRow]:
    """Return the poses of the built-in library."""
    library = PoseLibrary.builtin()
    return [PoseRow(pose_id=pose.id, pose_name=pose.name, category=pose.category) for pose in library]
