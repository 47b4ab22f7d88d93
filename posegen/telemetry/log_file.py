"""The file that all processes of a workspace log to, bounded in size.

Each line is one write to a file opened for appending, which the system keeps apart from those of other
processes. A process that finds the file too long renames it and removes the oldest; the others notice by its
inode and open the new one. No lock: what is written meanwhile lands in the renamed file, and two that rename
at once make one short file more. Nothing here raises or waits: a line that cannot be written is lost, and so
are those of the next `RETRY_S` seconds.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable
from pathlib import Path

NAME = "posegen.jsonl"
PARTS = 4
"""The size allowed is shared by the file in use and the renamed ones: a quarter each."""

RETRY_S = 10.0


class LogFile:
    """Appends lines to `posegen.jsonl` in a folder, made when the first line comes.

    Parameters
    ----------
    folder : Path
    most_bytes : int
        Of this file and the older ones together.
    clock : callable
        Seconds, for the pause after a failure.

    Attributes
    ----------
    failure : OSError or None
        Why the last line could not be written.
    """

    def __init__(self, folder: Path, most_bytes: int, clock: Callable[[], float] = time.monotonic) -> None:
        self.folder = folder
        self.path = folder / NAME
        self.failure: OSError | None = None
        self._part = max(1, most_bytes // PARTS)
        self._clock = clock
        self._descriptor: int | None = None
        self._torn = False
        self._silent_until = float("-inf")

    def write(self, line: bytes) -> bool:
        """Append a line, without its end; return whether that could be done."""
        if self._clock() < self._silent_until:
            return False
        try:
            self._append(line + b"\n")
        except OSError as exc:
            self.failure = exc
            self._silent_until = self._clock() + RETRY_S
            self.close()
            return False
        self.failure = None
        return True

    def close(self) -> None:
        """Close the file; the next line opens it again."""
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            with contextlib.suppress(OSError):
                os.close(descriptor)

    def _append(self, data: bytes) -> None:
        descriptor = self._current()
        if self._torn:
            data = b"\n" + data  # so that only the torn line is lost
        written = os.write(descriptor, data)
        self._torn = written < len(data)
        if self._torn:
            raise OSError(f"only {written} of {len(data)} bytes could be written")

    def _current(self) -> int:
        """Return the descriptor of the file that is in use now, after renaming one that is too long."""
        if self._descriptor is not None:
            mine = os.fstat(self._descriptor)
            try:
                there = self.path.stat()
            except FileNotFoundError:  # renamed by another process, or deleted by a person
                there = None
            if there is not None and os.path.samestat(mine, there):
                if mine.st_size < self._part:
                    return self._descriptor
                self._rotate()
            self.close()
        self.folder.mkdir(parents=True, exist_ok=True)
        self._descriptor = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o666)
        return self._descriptor

    def _rotate(self) -> None:
        stamp = time.strftime("%Y%m%dT%H%M%S", time.gmtime())
        older = self.path.with_name(f"posegen-{stamp}-{time.time_ns() % 10**9:09d}-{os.getpid()}.jsonl")
        with contextlib.suppress(FileNotFoundError):  # another process was quicker
            self.path.rename(older)
        left = self._part * (PARTS - 1)
        for old in sorted(self.folder.glob("posegen-*.jsonl"), reverse=True):
            with contextlib.suppress(FileNotFoundError):
                left -= old.stat().st_size
                if left < 0:
                    old.unlink()
