import pytest

from posegen.errors import JournalError
from posegen.journal import AttemptStarted, Interrupted, Owner, fold, list_segments, read_segments
from posegen.journal.events import encode_line

OWNER = Owner(pid=1, host="h", process_started_at=0.0)


def started(number, lengths=None, run_id="r"):
    return encode_line(
        AttemptStarted(kind="batch", owner=OWNER, lengths=lengths or {}, run_id=run_id, attempt=number, seq=0)
    )


def line(number, reason, seq=1, run_id="r"):
    return encode_line(Interrupted(reason=reason, run_id=run_id, attempt=number, seq=seq))


def reasons(segments):
    return [
        event.reason for segment in segments for event in segment.events if isinstance(event, Interrupted)
    ]


@pytest.fixture
def write(folder):
    folder.mkdir(parents=True)

    def write(number, *parts):
        (folder / f"{number:04d}.jsonl").write_bytes(b"".join(parts))
        return sum(map(len, parts))

    return write


def test_no_folder_is_no_journal(folder):
    assert list_segments(folder) == []
    assert read_segments(folder) == []
    assert fold(read_segments(folder)).status == "empty"


def test_segments_are_found_by_number_and_nothing_else_is(folder, write):
    for number in (2, 10, 1, 12345):
        write(number, b"")
    for name in (
        "1.jsonl",
        "00001.jsonl",
        "0000.jsonl",
        "0003.jsonl.bak",
        ".tmp-x",
        "notes.txt",
        "0004.json",
    ):
        (folder / name).write_bytes(b"x\n")
    assert [file.number for file in list_segments(folder)] == [1, 2, 10, 12345]


def test_a_folder_in_a_segments_place_is_a_journal_error(folder, write):
    (folder / "0001.jsonl").mkdir()
    with pytest.raises(JournalError, match="cannot read"):
        read_segments(folder)


def test_an_unreadable_folder_is_a_journal_error(folder, write, monkeypatch):
    def refuse(_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("pathlib.Path.iterdir", refuse)
    with pytest.raises(JournalError, match="Permission denied"):
        list_segments(folder)


@pytest.mark.parametrize("tail", [b"{", b'{"event":"inter', b"\x00" * 40, line(1, "cut")[:-1]])
def test_a_torn_tail_is_counted_and_swallows_nothing(folder, write, tail):
    accepted = write(1, started(1), line(1, "a"))
    write(1, started(1), line(1, "a"), tail)
    write(2, started(2, {"0001.jsonl": accepted}), line(2, "b"))
    first, second = read_segments(folder)
    assert reasons([first, second]) == ["a", "b"]
    assert (first.accepted, first.torn_lines, first.foreign_lines) == (accepted, 1, 0)
    assert second.torn_lines == 0


def test_lines_after_a_takeover_do_not_exist(folder, write):
    accepted = write(1, started(1), line(1, "a"))
    write(1, started(1), line(1, "a"), line(1, "late"), line(1, "later"), b"{torn")
    write(2, started(2, {"0001.jsonl": accepted}), line(2, "b"))
    first, second = read_segments(folder)
    assert reasons([first, second]) == ["a", "b"]
    assert (first.fenced_lines, first.torn_lines, first.foreign_lines) == (2, 1, 0)


def test_an_earlier_fence_is_not_moved_by_a_later_one(folder, write):
    accepted = write(1, started(1), line(1, "a"))
    whole = write(1, started(1), line(1, "a"), line(1, "late"))
    second = write(2, started(2, {"0001.jsonl": accepted}))
    write(3, started(3, {"0001.jsonl": whole, "0002.jsonl": second}))
    assert reasons(read_segments(folder)) == ["a"]


def test_a_fence_beyond_the_fence_does_not_count(folder, write):
    """Attempt 2 made its file, was overtaken by attempt 3 before its first line, then woke up."""
    first = write(1, started(1), line(1, "a"))
    write(2, started(2, {"0001.jsonl": 0}), line(2, "zombie"))
    write(3, started(3, {"0001.jsonl": first, "0002.jsonl": 0}), line(3, "c"))
    segments = read_segments(folder)
    assert reasons(segments) == ["a", "c"]
    assert segments[1].events == []
    assert segments[1].fenced_lines == 2


def test_a_fence_within_a_line_leaves_that_line_out(folder, write):
    whole = write(1, started(1), line(1, "a"))
    write(2, started(2, {"0001.jsonl": whole - 1}))
    assert reasons(read_segments(folder)) == []


def test_a_fence_longer_than_the_file_is_no_harm(folder, write):
    write(1, started(1), line(1, "a"))
    write(2, started(2, {"0001.jsonl": 10**9, "0009.jsonl": 5}))
    assert reasons(read_segments(folder)) == ["a"]


def test_an_empty_segment_is_an_attempt_that_never_began(folder, write):
    write(1, started(1), line(1, "a"))
    write(2, b"")
    write(3, b'{"event":"attempt_sta')
    segments = read_segments(folder)
    assert reasons(segments) == ["a"]
    assert [segment.accepted for segment in segments[1:]] == [0, 0]
    assert len(fold(segments).attempts) == 1


def test_events_of_a_newer_version_are_counted_and_skipped(folder, write):
    newer = b'{"event":"image_measured","schema":2,"run_id":"r","attempt":1,"seq":1,"oks":0.9}\n'
    write(1, started(1), newer, line(1, "a", 2))
    (segment,) = read_segments(folder)
    assert reasons([segment]) == ["a"]
    assert (segment.unknown_events, segment.foreign_lines) == (1, 0)
    assert fold([segment]).unknown_events == 1


@pytest.mark.parametrize(
    "foreign",
    [
        b"hello\n",
        b"\x00\xff\xfe\n",
        b"[]\n",
        b"{}\n",
        b'{"event":"later"}\n',
        b'{"event":"later","run_id":"other"}\n',
        b'{"event":3,"run_id":"r"}\n',
        line(1, "of another run", run_id="other"),
        line(7, "of another attempt"),
    ],
)
def test_lines_of_somebody_else_are_counted_and_skipped(folder, write, foreign):
    write(1, started(1), foreign, b"\n", line(1, "a"))
    (segment,) = read_segments(folder)
    assert reasons([segment]) == ["a"]
    assert (segment.unknown_events, segment.foreign_lines) == (0, 1)
    assert fold([segment]).foreign_lines == 1


def test_a_copied_segment_fences_nothing(folder, write):
    write(1, started(1), line(1, "a"))
    write(2, started(1, {"0001.jsonl": 0}), line(1, "a"))
    write(3, started(3, {"0001.jsonl": 0}, run_id="other"))
    segments = read_segments(folder)
    assert reasons(segments) == ["a"]
    assert [segment.foreign_lines for segment in segments] == [0, 2, 1]


def test_a_lost_first_line_loses_no_other(folder, write):
    write(1, b"\x00" * 60 + b"\n", line(1, "a"))
    size = write(2, started(2, {"0001.jsonl": 10**6}))
    assert size
    segments = read_segments(folder)
    assert reasons(segments) == ["a"]
    state = fold(segments)
    assert state.attempts[0].owner is None
    assert state.foreign_lines == 1


def test_without_any_first_line_nothing_is_trusted(folder, write):
    write(1, line(1, "a"))
    (segment,) = read_segments(folder)
    assert segment.events == []
    assert segment.foreign_lines == 1
