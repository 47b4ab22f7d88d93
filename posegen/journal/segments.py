"""Reading a journal: its segments, and the fence that makes one writer's lines count at a time.

A run's journal is a folder of segments, `0001.jsonl`, `0002.jsonl` ..., one per attempt. The first line of a
segment, `attempt_started`, names the accepted length of every earlier one. Bytes beyond that do not exist:
they were written by an owner that had been taken over. Reading works at any moment, also while a line is
being written.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from posegen.errors import JournalError
from posegen.journal.events import AnyEvent, AttemptStarted, decoder

_SEGMENT_NAME = re.compile(r"(\d{4,})\.jsonl")


@dataclass(frozen=True)
class Segment:
    """What one attempt wrote, as far as it counts.

    Attributes
    ----------
    number : int
        The attempt, from 1.
    name : str
        The file's name.
    events : sequence of events
        In the order they were written.
    accepted : int
        Bytes that count: whole lines, within the fence.
    torn_lines : int
        1 if the last line was cut off by a crash, or is being written just now.
    fenced_lines : int
        Whole lines beyond the fence, which do not count.
    unknown_events : int
        Lines of a newer posegen.
    foreign_lines : int
        Lines that are no event of this run at all.
    """

    number: int
    name: str
    events: Sequence[AnyEvent]
    accepted: int
    torn_lines: int = 0
    fenced_lines: int = 0
    unknown_events: int = 0
    foreign_lines: int = 0


@dataclass(frozen=True)
class SegmentFile:
    """A segment's file."""

    number: int
    path: Path

    @property
    def name(self) -> str:
        """The file's name, by which the fence knows it."""
        return self.path.name


def segment_name(number: int) -> str:
    """Return the file name of a segment.

    >>> segment_name(1), segment_name(12345)
    ('0001.jsonl', '12345.jsonl')
    """
    return f"{number:04d}.jsonl"


def list_segments(folder: Path) -> list[SegmentFile]:
    """Return a journal's segments by number; other files are left out; empty if there is no folder.

    Raises
    ------
    JournalError
        The folder cannot be read.
    """
    try:
        names = [path.name for path in folder.iterdir()]
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as exc:
        raise JournalError(f"cannot read the journal {folder}: {exc.strerror or exc}") from exc
    found = []
    for name in names:
        match = _SEGMENT_NAME.fullmatch(name)
        if match and name == segment_name(int(match.group(1))) and int(match.group(1)) > 0:
            found.append(SegmentFile(int(match.group(1)), folder / name))
    return sorted(found, key=lambda file: file.number)


def read_segments(folder: Path) -> list[Segment]:
    """Return a journal's segments, oldest first, as far as they count.

    Raises
    ------
    JournalError
        A file cannot be read.
    """
    contents = [(file, _read(file.path)) for file in list_segments(folder)]
    run_id = owning_run(contents)
    lengths = accepted_lengths(contents, run_id)
    return [_segment(file, data, lengths[file.name], run_id) for file, data in contents]


def accepted_lengths(contents: Iterable[tuple[SegmentFile, bytes]], run_id: str | None) -> dict[str, int]:
    """Return how many bytes of each segment count: whole lines, within every later segment's fence.

    A fence counts only if the line that sets it does, so the newest segment is looked at first.
    """
    fence: dict[str, int] = {}
    lengths: dict[str, int] = {}
    for file, data in sorted(contents, key=lambda pair: pair[0].number, reverse=True):
        limit = min(len(data), fence.get(file.name, len(data)))
        lengths[file.name] = data.rfind(b"\n", 0, limit) + 1
        started = _first_event(file, data[: lengths[file.name]])
        if started is not None and started.run_id == run_id:
            for name, length in started.lengths.items():
                fence[name] = min(length, fence.get(name, length))
    return lengths


def owning_run(contents: Iterable[tuple[SegmentFile, bytes]]) -> str | None:
    """Return the run that a journal's oldest readable first line names; None if there is none.

    Not the folder's name: somebody may have renamed it. First lines are enough for `contents`.
    """
    for file, data in contents:
        started = _first_event(file, data)
        if started is not None:
            return started.run_id
    return None


def _first_event(file: SegmentFile, data: bytes) -> AttemptStarted | None:
    """Return a segment's first line if it is whole and what it should be."""
    end = data.find(b"\n")
    try:
        event = decoder.decode(data[:end]) if end >= 0 else None
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
    return event if isinstance(event, AttemptStarted) and event.attempt == file.number else None


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:  # removed since it was listed: a first attempt that could not start
        return b""
    except OSError as exc:
        raise JournalError(f"cannot read the journal {path}: {exc.strerror or exc}") from exc


def _segment(file: SegmentFile, data: bytes, accepted: int, run_id: str | None) -> Segment:
    last_newline = data.rfind(b"\n") + 1
    events, unknown, foreign = decode_events(data[:accepted], run_id, file.number)
    return Segment(
        number=file.number,
        name=file.name,
        events=events,
        accepted=accepted,
        torn_lines=int(last_newline < len(data)),
        fenced_lines=data.count(b"\n", accepted, last_newline),
        unknown_events=unknown,
        foreign_lines=foreign,
    )


def decode_events(data: bytes, run_id: str | None, attempt: int) -> tuple[list[AnyEvent], int, int]:
    """Return the events of whole lines, the number of unknown ones and of foreign lines.

    Parameters
    ----------
    data : bytes
        Whole lines.
    run_id : str or None
        The run they should belong to; None if nobody knows, and then nothing is trusted.
    attempt : int
        The attempt they should belong to.
    """
    try:
        events = decoder.decode_lines(data)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return _decode_one_by_one(data, run_id, attempt)
    # Sets, because this is looked at for every line of every run that is listed.
    if {event.run_id for event in events} <= {run_id} and {event.attempt for event in events} <= {attempt}:
        return events, 0, 0
    return _decode_one_by_one(data, run_id, attempt)


def _decode_one_by_one(data: bytes, run_id: str | None, attempt: int) -> tuple[list[AnyEvent], int, int]:
    events: list[AnyEvent] = []
    unknown = foreign = 0
    for line in data.split(b"\n"):
        if not line.strip():
            continue
        event: AnyEvent | None
        try:
            event = decoder.decode(line)
            known = event.run_id == run_id and event.attempt == attempt
        except (msgspec.DecodeError, UnicodeDecodeError):
            event, known = None, False
        if event is not None and known:
            events.append(event)
        elif event is None and _is_unknown_event(line, run_id):
            unknown += 1
        else:
            foreign += 1
    return events, unknown, foreign


class _AnyLine(msgspec.Struct):
    event: str
    run_id: str


def _is_unknown_event(line: bytes, run_id: str | None) -> bool:
    try:
        return msgspec.json.decode(line, type=_AnyLine).run_id == run_id
    except (msgspec.DecodeError, UnicodeDecodeError):
        return False
