"""What is known of a run's owner: the note beside its lock, and the newest attempt of its journal."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import msgspec

from posegen.errors import JournalError
from posegen.journal.events import AttemptFinished, AttemptStarted, Owner, decoder
from posegen.journal.owner import place, process_alive
from posegen.journal.segments import list_segments
from posegen.storage import atomic


class OwnerNote(msgspec.Struct, frozen=True, kw_only=True):
    """Who holds a run's lock, from taking it to giving it back; stays if its process is killed.

    Attributes
    ----------
    owner : Owner
    since : str
        When the lock was taken, UTC, ISO 8601.
    started_after_boot_s : float
        When the process started, in seconds since its machine did.
    """

    owner: Owner
    since: str
    started_after_boot_s: float

    def alive_here(self, me: Owner) -> bool:
        """Return whether that process can be seen to run on this machine."""
        return place(self.owner, me) == "here" and process_alive(self.owner, self.started_after_boot_s)

    def kernel_is_ours(self, me: Owner) -> bool:
        """Return whether our lock would show it: also from a container, whose host has another name."""
        if self.owner.boot_id is not None and me.boot_id is not None:
            return self.owner.boot_id == me.boot_id
        return self.owner.host == me.host


@dataclass(frozen=True)
class LastAttempt:
    """A journal's newest attempt; `number` 0 if there is none, `owner` None if its first line is missing."""

    number: int = 0
    owner: Owner | None = None
    since: str = ""
    finished: bool = False


def note_path(root: Path, run_id: str) -> Path:
    """Return where the note of a run's owner is."""
    return root / "locks" / f"{run_id}.json"


def read_note(root: Path, run_id: str) -> OwnerNote | None:
    """Return who holds a run's lock, or was killed holding it; None if nobody says so."""
    try:
        return msgspec.json.decode(note_path(root, run_id).read_bytes(), type=OwnerNote)
    except (OSError, msgspec.DecodeError, UnicodeDecodeError):
        return None


def last_attempt(folder: Path) -> LastAttempt:
    """Return a journal's newest attempt.

    If its first line is missing (its process was killed at once), the owner is the one that an unfinished
    attempt before it had.

    Raises
    ------
    JournalError
        A file cannot be read.
    """
    files = list_segments(folder)
    for file in reversed(files):
        try:
            data = file.path.read_bytes()
        except FileNotFoundError:  # a first attempt that could not start has removed it
            continue
        except OSError as exc:
            raise JournalError(str(atomic.storage_error(exc, "read the journal", file.path))) from exc
        lines = data[: data.rfind(b"\n") + 1]
        started = _decode(lines[: lines.find(b"\n") + 1])
        if isinstance(started, AttemptStarted):
            finished = _is_finished(lines)
            if file is files[-1]:
                return LastAttempt(file.number, started.owner, started.at, finished)
            owner = None if finished else started.owner
            return LastAttempt(files[-1].number, owner, started.at if owner else "")
    return LastAttempt(files[-1].number if files else 0)


def left_elsewhere(last: LastAttempt, note: OwnerNote | None, me: Owner) -> tuple[Owner, str] | None:
    """Return who on another machine left the run unfinished, or never gave its lock back, and since when.

    None if nobody did. The run's lock must have been found free.
    """
    if note is not None and not note.kernel_is_ours(me) and place(note.owner, me) == "elsewhere":
        return note.owner, note.since
    if last.owner is None or last.finished or place(last.owner, me) != "elsewhere":
        return None
    if note is not None and _same_process(note.owner, last.owner):
        return None  # from a container of this machine: it took this very lock, which is free
    return last.owner, last.since


def _same_process(one: Owner, other: Owner) -> bool:
    # Not the start: it is reckoned from the clock, which may have been set.
    return (one.pid, one.host, one.boot_id) == (other.pid, other.host, other.boot_id)


def runs_unlocked(owner: Owner, me: Owner) -> bool:
    """Return whether an owner without a lock is alive on this machine; this process itself has its locks."""
    return place(owner, me) == "here" and owner.pid != me.pid and process_alive(owner)


def _is_finished(lines: bytes) -> bool:
    # Not the fold: a long journal is mostly images, and only this one line is asked for.
    position = lines.find(b'"attempt_finished"')
    while position >= 0:
        end = lines.find(b"\n", position)
        if isinstance(_decode(lines[lines.rfind(b"\n", 0, position) + 1 : end]), AttemptFinished):
            return True
        position = lines.find(b'"attempt_finished"', end)
    return False


def _decode(line: bytes) -> object:
    try:
        return decoder.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
