"""Writing a journal: one segment, one writer, durable before it is acknowledged."""

from __future__ import annotations

import contextlib
import os
import queue
import threading
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Self

import msgspec

from posegen import __version__
from posegen.errors import JournalError, PosegenError, RunTakenOverError, StorageFullError
from posegen.journal.events import AttemptStarted, Event, Owner, encode_line, timestamp, utc_now
from posegen.journal.owner import current_owner
from posegen.journal.segments import SegmentFile, accepted_lengths, list_segments, owning_run, segment_name
from posegen.storage import atomic

Clock = Callable[[], datetime]


@dataclass(frozen=True)
class _Line:
    data: bytes
    durable: bool
    future: Future[int]
    seq: int = -1


class SegmentWriter:
    """Appends to one new segment of a run's journal; made by `open`.

    Lines that arrive while others are being synced share the next fsync. Any failure to write or sync is
    final: the kernel may have dropped the pages, so nothing is tried again and every later append fails.
    """

    def __init__(self, folder: Path, number: int, run_id: str, clock: Clock, descriptor: int) -> None:
        self.run_id = run_id
        self.number = number
        self.path = folder / segment_name(number)
        self._next_path = folder / segment_name(number + 1)
        self._clock = clock
        self._descriptor = descriptor
        self._seq = 0
        self._lock = threading.Lock()
        self._failure: PosegenError | None = None
        self._closed = False
        self._unsynced = False
        self._lines: queue.SimpleQueue[_Line | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._work, name=f"posegen-journal-{number}", daemon=True)

    @classmethod
    def open(
        cls,
        folder: Path,
        run_id: str,
        *,
        kind: str,
        owner: Owner | None = None,
        clock: Clock = utc_now,
        after: int | None = None,
    ) -> SegmentWriter:
        """Take over the journal: make its next segment, fence the earlier ones, start the attempt.

        The new file is made first and the earlier ones are measured after that. A writer looks for its
        successor after each fsync and before it acknowledges, so a line is either acknowledged and measured,
        or not acknowledged.

        Parameters
        ----------
        folder : path
            The journal's folder; made if missing.
        run_id : str
        kind : str
            What the attempt is for.
        owner : Owner, optional
            By default this process.
        clock : callable
            Returns the time, with its zone.
        after : int, optional
            The last attempt the caller has seen; if another has started since, this fails.

        Raises
        ------
        JournalError
            Another attempt started at the same moment, or the folder cannot be written.
        StorageFullError
        """
        earlier = list_segments(folder)
        last = earlier[-1].number if earlier else 0
        if after is not None and last != after:
            raise _taken(run_id, last)
        _check_run(earlier, run_id)
        descriptor = _create(folder / segment_name(last + 1), run_id)
        writer = cls(folder, last + 1, run_id, clock, descriptor)
        try:
            writer._begin(kind, owner or current_owner(), earlier)
        except BaseException:
            writer._abandon()
            raise
        return writer

    def _begin(self, kind: str, owner: Owner, earlier: list[SegmentFile]) -> None:
        try:
            atomic.sync_folder(self.path.parent)
            contents = [(file, _read_durably(file.path)) for file in earlier]
        except OSError as exc:
            raise _journal_error(exc, self.path) from exc
        self._thread.start()
        started = AttemptStarted(
            kind=kind,
            owner=owner,
            lengths=accepted_lengths(contents, self.run_id),
            posegen_version=__version__,
        )
        self.append(started).result()

    def _abandon(self) -> None:
        """Close a segment that could not be started."""
        self.close()
        if self.number == 1 and not self._next_path.exists():
            # Leave no run behind that never was. A later segment stays, empty: an earlier writer looks for
            # its successor by name.
            with contextlib.suppress(OSError):
                self.path.unlink()

    @property
    def failure(self) -> PosegenError | None:
        """What ended this writer before its time."""
        return self._failure

    def append(self, event: Event, *, durable: bool = True) -> Future[int]:
        """Write an event as the next line.

        Parameters
        ----------
        event : Event
            The common fields are filled in here.
        durable : bool
            Whether the future waits for fsync; metrics need none.

        Returns
        -------
        concurrent.futures.Future of int
            The line's `seq`, once it is written (and durable). Its exception is a JournalError or a
            StorageFullError; the line may then be there or not.

        Raises
        ------
        ValueError
            The event holds what JSON cannot.
        """
        future: Future[int] = Future()
        with self._lock:
            if self._failure is not None or self._closed:
                future.set_exception(self._failure or JournalError(f"the journal {self.path} is closed"))
                return future
            stamped = msgspec.structs.replace(
                event, run_id=self.run_id, attempt=self.number, seq=self._seq, at=timestamp(self._clock())
            )
            self._lines.put(_Line(encode_line(stamped), durable, future, self._seq))
            self._seq += 1
        return future

    def flush(self) -> None:
        """Return when every line appended so far is durable; raise what prevented it."""
        with self._lock:
            if self._failure is not None:
                raise self._failure
            if self._closed:
                return
            barrier: Future[int] = Future()
            self._lines.put(_Line(b"", durable=True, future=barrier))
        barrier.result()

    def close(self) -> None:
        """Write what is left, sync and close the file. Later appends fail; a second call does nothing."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
            self._lines.put(_Line(b"", durable=True, future=Future()))
            self._lines.put(None)
        if self._thread.ident is not None:
            self._thread.join()
        os.close(self._descriptor)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _work(self) -> None:
        """Write lines in groups until the end mark comes."""
        ended = False
        while not ended:
            group = [self._lines.get()]
            while True:
                try:
                    group.append(self._lines.get_nowait())
                except queue.Empty:
                    break
            ended = None in group
            self._commit([line for line in group if line is not None])

    def _commit(self, lines: list[_Line]) -> None:
        durable = any(line.durable for line in lines)
        if self._failure is None:
            try:
                data = b"".join(line.data for line in lines)
                atomic.write_all(self._descriptor, data)
                self._unsynced |= bool(data)
                if durable and self._unsynced:
                    _sync(self._descriptor)
                    self._check_still_owner()
                    self._unsynced = False
            except OSError as exc:
                self._fail(_journal_error(exc, self.path))
            except JournalError as exc:
                self._fail(exc)
        for line in lines:
            if self._failure is not None:
                line.future.set_exception(self._failure)
            else:
                line.future.set_result(line.seq)

    def _check_still_owner(self) -> None:
        """Refuse to acknowledge what a successor may not have counted, or what nobody can find."""
        if self._next_path.exists():
            raise RunTakenOverError(
                f"run {self.run_id}: attempt {self.number + 1} has taken over from attempt {self.number}"
            )
        if os.fstat(self._descriptor).st_nlink == 0:
            raise JournalError(f"the journal {self.path} was deleted while it was written")

    def _fail(self, error: PosegenError) -> None:
        with self._lock:
            self._failure = error


def _create(path: Path, run_id: str) -> int:
    """Make a segment's file, which nobody else has made; return its descriptor."""
    try:
        atomic.make_folders(path.parent)
    except OSError as exc:
        raise _journal_error(exc, path) from exc
    try:
        return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o666)
    except FileExistsError as exc:
        raise _taken(run_id, int(path.stem)) from exc
    except OSError as exc:
        raise _journal_error(exc, path) from exc


def _sync(descriptor: int) -> None:
    if hasattr(os, "fdatasync"):  # leaves out the file's times, keeps its length
        os.fdatasync(descriptor)
    else:
        atomic.sync_file(descriptor)


def _read_durably(path: Path) -> bytes:
    """Return a file's bytes once they are on the disk: what is counted now must outlive a power cut."""
    try:
        with path.open("rb") as file:
            data = file.read()
            atomic.sync_file(file.fileno())
    except FileNotFoundError:  # a first attempt that could not start has removed it
        return b""
    return data


def _check_run(earlier: list[SegmentFile], run_id: str) -> None:
    """Refuse to add to another run's journal: readers would take the lines for foreign ones."""
    try:
        first_lines = []
        for segment in earlier:
            with contextlib.suppress(FileNotFoundError), segment.path.open("rb") as file:
                first_lines.append((segment, file.readline()))
    except OSError as exc:
        raise _journal_error(exc, earlier[0].path) from exc
    owner = owning_run(first_lines)
    if owner not in {None, run_id}:
        raise JournalError(
            f"the journal {earlier[0].path.parent} belongs to run {owner!r}, not to {run_id!r}"
        )


def _taken(run_id: str, number: int) -> RunTakenOverError:
    return RunTakenOverError(
        f"run {run_id}: attempt {number} was started by another process at the same time"
    )


def _journal_error(exc: OSError, path: Path) -> PosegenError:
    error = atomic.storage_error(exc, "write the journal", path)
    return error if isinstance(error, StorageFullError) else JournalError(str(error))
