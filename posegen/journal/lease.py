"""Who drives a run: one process, which holds the run's lock for as long as it lives.

The lock is the system's own (flock), on `<root>/locks/<run_id>.lock`: it is free the moment its process
dies, however it dies, and stays held while the process is only stopped. The file is never removed, since
whoever locks a new file of that name would be a second owner. Beside it `<run_id>.json` says who holds it.

A lock says nothing about another machine. A run left unfinished by one may be claimed when its journal has
not grown for a while (`ForeignWatch`). Should its owner be alive after all, the journal's fence keeps out
what it writes, and `superseded` tells it to stop.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Literal, Self

import msgspec

from posegen.errors import ParameterError, RunOwnedError
from posegen.journal.claims import (
    OwnerNote,
    last_attempt,
    left_elsewhere,
    note_path,
    read_note,
    runs_unlocked,
)
from posegen.journal.events import Owner, timestamp, utc_now
from posegen.journal.owner import current_owner, place, started_after_boot_s
from posegen.journal.quiet import ForeignWatch
from posegen.journal.run_lock import is_locked, lock_run
from posegen.journal.runs import journal_folder
from posegen.journal.segments import list_segments, segment_name
from posegen.storage import atomic, is_safe_name

if TYPE_CHECKING:
    from filelock import BaseFileLock

STALL_AFTER_S = 30 * 60.0
"""A journal that has not grown for this long may be taken from an owner on another machine."""

OwnerState = Literal["ours-alive", "dead", "foreign", "none"]


@dataclass(frozen=True)
class OwnerStatus:
    """Whether a run has an owner.

    Attributes
    ----------
    state : str
        "ours-alive": a process of this machine drives it, or is stopped and will go on. "dead": its last
        owner is gone and left it unfinished; it can be claimed at once. "foreign": its owner is on another
        machine and may be alive. "none": nobody works on it, and nobody left it unfinished.
    owner : Owner or None
        As far as it is known.
    since : str
        When the owner began, by its own clock; empty if it is not known.
    """

    state: OwnerState
    owner: Owner | None = None
    since: str = ""


class RunLease:
    """The right to drive a run, made by `acquire`. Keep it: a lease that nobody refers to is given back.

    Attributes
    ----------
    run_id : str
    owner : Owner
        This process.
    since : str
        When it was acquired.
    after : int
        The journal's last attempt then; for `SegmentWriter.open(after=...)`, so that of two machines that
        claim a run at the same time one wins.
    """

    def __init__(
        self, lock: BaseFileLock, root: Path, run_id: str, note: OwnerNote, after: int, watch: ForeignWatch
    ) -> None:
        self.run_id = run_id
        self.owner = note.owner
        self.since = note.since
        self.after = after
        self._lock = lock
        self._root = root
        self._watch = watch

    @classmethod
    def acquire(
        cls,
        root: Path,
        run_id: str,
        *,
        stall_after_s: float = STALL_AFTER_S,
        watch: ForeignWatch | None = None,
        clock: Callable[[], datetime] = utc_now,
    ) -> RunLease:
        """Take a run for this process, or say who has it; never waits for it.

        Parameters
        ----------
        root : path
            The folder that `runs` is in.
        run_id : str
            The run need not exist yet.
        stall_after_s : float
            For how long the journal of a run owned elsewhere must not have grown.
        watch : ForeignWatch, optional
            What knows for how long it has not; one is made by default, which goes on with what earlier
            processes saw.
        clock : callable
            Returns the time, with its zone; it decides nothing.

        Raises
        ------
        RunOwnedError
            Another process, or another part of this one, drives the run; or it was left unfinished by another
            machine and may not be claimed yet.
        ParameterError
            The run id cannot be one.
        JournalError, StorageError
            The lock, the note or the journal cannot be read or written.
        """
        _check_name(run_id)
        me = current_owner()
        lock = lock_run(root, run_id, me)
        if lock is None:
            raise _owned_here(root, run_id, me)
        try:
            watch = watch or ForeignWatch(root)
            after = _check_claim(root, run_id, me, watch, stall_after_s)
            note = OwnerNote(owner=me, since=timestamp(clock()), started_after_boot_s=started_after_boot_s())
            atomic.write_atomically(note_path(root, run_id), msgspec.json.encode(note))
        except BaseException:
            lock.release()
            raise
        return cls(lock, root, run_id, note, after, watch)

    def release(self) -> None:
        """Give the run back, from any thread; a second call does nothing, nor does one in a forked child."""
        if os.getpid() != self.owner.pid or not self._lock.is_locked:
            return
        # Before the lock: after it the note may be another's. It is even now, if another machine claimed the
        # run.
        note = read_note(self._root, self.run_id)
        if note is not None and note.owner == self.owner:
            with contextlib.suppress(OSError):
                note_path(self._root, self.run_id).unlink()
        self._watch.forget(self.run_id)
        self._lock.release()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()


def owner_status(root: Path, run_id: str) -> OwnerStatus:
    """Return whether a run has an owner, at once.

    On this machine the lock says so; processes are looked at only where there is no lock to ask. A run that
    does not exist has no owner.

    Raises
    ------
    JournalError
        The journal cannot be read.
    """
    if not is_safe_name(run_id):
        return OwnerStatus("none")
    me = current_owner()
    folder = journal_folder(root, run_id)
    for _ in range(3):
        # An attempt that was there before the lock was found free, and is not finished after that, is dead.
        newest = _newest(folder)
        held = is_locked(root, run_id, me)
        last = last_attempt(folder)
        if held or last.number == newest:
            break
    note = read_note(root, run_id)
    if held:
        return _holder(note, me)
    elsewhere = left_elsewhere(last, note, me)
    if elsewhere is not None:
        return OwnerStatus("foreign", *elsewhere)
    if held is None and note is not None and note.alive_here(me):
        return _holder(note, me)
    if last.number == 0 or last.finished:
        return OwnerStatus("none", last.owner, last.since)
    alive = held is None and last.owner is not None and runs_unlocked(last.owner, me)
    return OwnerStatus("ours-alive" if alive else "dead", last.owner, last.since)


def _newest(folder: Path) -> int:
    return max((segment.number for segment in list_segments(folder)), default=0)


def _holder(note: OwnerNote | None, me: Owner) -> OwnerStatus:
    if note is None:  # it has not said yet
        return OwnerStatus("ours-alive")
    return OwnerStatus("ours-alive" if note.kernel_is_ours(me) else "foreign", note.owner, note.since)


def superseded(run_folder: Path, attempt: int) -> bool:
    """Return whether a later attempt of the run has begun: then nothing this one writes counts any more.

    Cheap enough to ask every half second. If the folder cannot be looked at the answer is no: the writer's
    next line will tell.
    """
    try:
        return (run_folder / "journal" / segment_name(attempt + 1)).exists()
    except OSError:
        return False


def _check_claim(root: Path, run_id: str, me: Owner, watch: ForeignWatch, stall_after_s: float) -> int:
    """Refuse a run that another machine may be working on; return its last attempt. The lock must be held."""
    last = last_attempt(journal_folder(root, run_id))
    elsewhere = left_elsewhere(last, read_note(root, run_id), me)
    if elsewhere is not None:
        owner, since = elsewhere
        quiet_s = watch.quiet_s(run_id)
        if quiet_s < stall_after_s:
            raise RunOwnedError(
                run_id,
                pid=owner.pid,
                host=owner.host,
                since=since,
                quiet_s=quiet_s,
                stall_after_s=stall_after_s,
            )
    return last.number


def _owned_here(root: Path, run_id: str, me: Owner) -> RunOwnedError:
    note = read_note(root, run_id)
    if note is not None and (note.alive_here(me) or place(note.owner, me) == "elsewhere"):
        return RunOwnedError(run_id, pid=note.owner.pid, host=note.owner.host, since=note.since)
    last = last_attempt(journal_folder(root, run_id))
    if last.owner is not None and not last.finished and runs_unlocked(last.owner, me):
        return RunOwnedError(run_id, pid=last.owner.pid, host=last.owner.host, since=last.since)
    return RunOwnedError(run_id, pid=None, host="", since="")


def _check_name(run_id: str) -> None:
    if not is_safe_name(run_id):
        raise ParameterError("run_id", f"{run_id!r} cannot be one; letters, digits, '_', '-' and '.' can")
