"""A run's lock: taking it, and seeing whether it is held."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

from posegen.errors import JournalError, StorageFullError
from posegen.journal.claims import last_attempt, read_note, runs_unlocked
from posegen.journal.events import Owner
from posegen.journal.runs import journal_folder
from posegen.storage import atomic

if TYPE_CHECKING:
    from filelock import BaseFileLock

# The lock is held for an instant by whoever only looks, and for some milliseconds by an owner that has not
# said who it is. Whoever finds it held by nobody known looks again this often.
_LOOKS = 25
_LOOK_AGAIN_S = 0.01


def lock_path(root: Path, run_id: str) -> Path:
    """Return the file that is locked; it is made once and never removed."""
    return root / "locks" / f"{run_id}.lock"


def lock_run(root: Path, run_id: str, me: Owner) -> BaseFileLock | None:
    """Lock a run; None if another has it, or works on it without a lock on this machine.

    Raises
    ------
    JournalError, StorageFullError
        The lock's file cannot be made, or the file system has no locks.
    """
    path = lock_path(root, run_id)
    try:
        atomic.make_folders(path.parent)
        if not path.exists():  # nobody ever locked it, or somebody removed the file under its owner
            last = last_attempt(journal_folder(root, run_id))
            if last.owner is not None and not last.finished and runs_unlocked(last.owner, me):
                return None
        return _try_lock(root, run_id, me)
    except OSError as exc:
        error = atomic.storage_error(exc, "lock the run with", path)
        if isinstance(error, StorageFullError):
            raise error from exc
        raise JournalError(f"{error}; a run's folder must be on a file system with locks") from exc


def _try_lock(root: Path, run_id: str, me: Owner) -> BaseFileLock | None:
    from filelock import FileLock, Timeout  # takes 50 ms, and most commands own no run

    for look in range(_LOOKS):
        if look:
            time.sleep(_LOOK_AGAIN_S)
        # A new object each time, because the same one again would pass; not bound to this thread, because
        # another may give it back.
        lock = FileLock(lock_path(root, run_id), thread_local=False, fallback_to_soft=False)
        try:
            lock.acquire(blocking=False)
            return lock
        except Timeout:
            note = read_note(root, run_id)
            if note is not None and note.alive_here(me):
                return None
    return None


def is_locked(root: Path, run_id: str, me: Owner) -> bool | None:
    """Return whether a run's lock is held; None if there is no lock to ask."""
    path = lock_path(root, run_id)
    try:
        if not path.exists():
            return None
        lock = _try_lock(root, run_id, me)
    except OSError:  # somebody else's folder, which we may only read
        return None
    if lock is None:
        return True
    lock.release()
    return False
