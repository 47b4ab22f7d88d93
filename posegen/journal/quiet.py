"""For how long a run's journal has not grown, by this machine's own monotonic clock.

Whether a process on another machine is alive cannot be seen. What can be seen is whether its run grows.
Clocks of two machines disagree and can be set, so nothing is compared with the times in the journal: an
observer notes when it first saw the journal as it is now. The note is kept in `<root>/locks/quiet-<boot>/`.
The monotonic clock is the same in all processes until the machine restarts, so a later one goes on with it.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from pathlib import Path

import msgspec

from posegen.errors import JournalError, StorageError
from posegen.journal.owner import current_owner
from posegen.journal.runs import journal_folder
from posegen.journal.segments import list_segments
from posegen.storage import atomic


class _Seen(msgspec.Struct, frozen=True):
    """What a journal looked like, and when it was first seen so, on the monotonic clock."""

    mark: str
    monotonic_s: float


class ForeignWatch:
    """Remembers since when runs owned elsewhere have been quiet.

    Parameters
    ----------
    root : path
        The folder that `runs` is in.
    monotonic : callable
        Seconds on a clock that is never set and that all processes of this machine share until it restarts.
    boot_id : str, optional
        Names the time since this machine's last start; by default what the system says. Where it says
        nothing, only this object remembers.
    """

    def __init__(
        self, root: Path, *, monotonic: Callable[[], float] = time.monotonic, boot_id: str | None = None
    ) -> None:
        self._root = root
        self._monotonic = monotonic
        boot_id = boot_id or current_owner().boot_id
        self._folder = root / "locks" / f"quiet-{boot_id[:13]}" if boot_id else None
        self._seen: dict[str, _Seen] = {}

    def quiet_s(self, run_id: str) -> float:
        """Look at a run's journal; return for how many seconds it has been seen as it is, 0 the first time.

        Raises
        ------
        JournalError
            The journal cannot be looked at.
        """
        mark = self._mark(run_id)
        now = self._monotonic()
        seen = self._seen.get(run_id) or self._load(run_id)
        if seen is None or seen.mark != mark or seen.monotonic_s > now:
            seen = _Seen(mark, now)
            self._store(run_id, seen)
        self._seen[run_id] = seen
        return now - seen.monotonic_s

    def forget(self, run_id: str) -> None:
        """Drop what is remembered of a run: it was driven to its end here."""
        self._seen.pop(run_id, None)
        if self._folder is not None:
            with contextlib.suppress(OSError):
                self._path(self._folder, run_id).unlink()

    def _mark(self, run_id: str) -> str:
        """Return what changes whenever a journal grows."""
        folder = journal_folder(self._root, run_id)
        try:
            sizes = [(segment.number, segment.path.stat().st_size) for segment in list_segments(folder)]
        except OSError as exc:
            raise JournalError(str(atomic.storage_error(exc, "look at the journal", folder))) from exc
        return f"{sizes[-1][0] if sizes else 0}:{sum(size for _, size in sizes)}"

    def _load(self, run_id: str) -> _Seen | None:
        if self._folder is None:
            return None
        try:
            return msgspec.json.decode(self._path(self._folder, run_id).read_bytes(), type=_Seen)
        except (OSError, msgspec.DecodeError, UnicodeDecodeError):
            return None

    def _store(self, run_id: str, seen: _Seen) -> None:
        if self._folder is None:
            return
        # Whoever may only read here still remembers in this object.
        with contextlib.suppress(StorageError):
            atomic.write_atomically(self._path(self._folder, run_id), msgspec.json.encode(seen))

    @staticmethod
    def _path(folder: Path, run_id: str) -> Path:
        return folder / f"{run_id}.json"
