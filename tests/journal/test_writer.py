import errno
import os
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from posegen.errors import JournalError, StorageFullError
from posegen.journal import (
    AttemptFinished,
    AttemptStarted,
    Interrupted,
    Metric,
    SegmentWriter,
    TaskFailed,
    current_owner,
    fold,
    read_segments,
)
from posegen.journal import writer as writer_module


@pytest.fixture
def begin(folder, owner, clock):
    opened = []

    def begin(run_id="r", **options):
        writer = SegmentWriter.open(folder, run_id, kind="batch", owner=owner, clock=clock, **options)
        opened.append(writer)
        return writer

    yield begin
    for writer in opened:
        writer.close()


def failure(number):
    return TaskFailed(task_id=f"{number}", code="X", message="m")


def task_ids(folder):
    return [e.task_id for s in read_segments(folder) for e in s.events if isinstance(e, TaskFailed)]


def test_the_first_line_starts_the_attempt_durably(folder, begin, owner):
    begin()
    (segment,) = read_segments(folder)
    (event,) = segment.events
    assert isinstance(event, AttemptStarted)
    assert (event.kind, event.owner, event.lengths) == ("batch", owner, {})
    assert (event.run_id, event.attempt, event.seq, event.schema) == ("r", 1, 0, 1)
    assert event.at == "2026-03-01T12:00:01.000Z"


def test_lines_are_in_order_and_stamped(folder, begin):
    writer = begin()
    futures = [writer.append(failure(n)) for n in range(50)]
    assert [future.result() for future in futures] == list(range(1, 51))
    events = read_segments(folder)[0].events
    assert [event.seq for event in events] == list(range(51))
    assert [event.at for event in events] == sorted(event.at for event in events)
    assert task_ids(folder) == [str(n) for n in range(50)]


def test_many_threads_share_syncs_and_lose_nothing(folder, begin, monkeypatch):
    syncs = []
    real = writer_module._sync
    monkeypatch.setattr(writer_module, "_sync", lambda fd: (syncs.append(1), real(fd)))
    writer = begin()
    with ThreadPoolExecutor(16) as pool:
        list(pool.map(lambda n: writer.append(failure(n)).result(), range(400)))
    assert sorted(map(int, task_ids(folder))) == list(range(400))
    assert len(syncs) < 400
    assert [event.seq for event in read_segments(folder)[0].events] == list(range(401))


def test_a_durable_line_is_acknowledged_after_its_sync(begin, monkeypatch):
    gate, entered = threading.Event(), threading.Event()
    writer = begin()

    def wait(_):
        entered.set()
        assert gate.wait(30)

    monkeypatch.setattr(writer_module, "_sync", wait)
    future = writer.append(failure(1))
    assert entered.wait(30)
    assert not future.done()
    gate.set()
    assert future.result(30) == 1


def test_metrics_are_written_without_a_sync(folder, begin, monkeypatch):
    writer = begin()
    syncs = []
    monkeypatch.setattr(writer_module, "_sync", syncs.append)
    writer.append(Metric(name="m", value=1.0), durable=False).result()
    assert syncs == []
    assert len(read_segments(folder)[0].events) == 2
    writer.flush()
    assert len(syncs) == 1
    writer.flush()
    assert len(syncs) == 1, "nothing new to sync"


def test_closing_writes_what_is_left_and_ends_the_writer(folder, begin):
    writer = begin()
    for number in range(20):
        writer.append(failure(number), durable=False)
    writer.close()
    writer.close()
    writer.flush()
    assert len(task_ids(folder)) == 20
    with pytest.raises(JournalError, match="closed"):
        writer.append(failure(99)).result()


def test_a_with_block_closes(folder, owner, clock):
    with SegmentWriter.open(folder, "r", kind="batch", owner=owner, clock=clock) as writer:
        writer.append(failure(1))
    assert task_ids(folder) == ["1"]
    assert writer.append(failure(2)).exception() is not None


def test_by_default_the_owner_is_this_process(folder):
    with SegmentWriter.open(folder, "r", kind="batch"):
        pass
    event = read_segments(folder)[0].events[0]
    assert isinstance(event, AttemptStarted)
    assert event.owner == current_owner()
    assert event.owner.pid == os.getpid()


def test_what_cannot_be_written_raises_and_harms_nothing(folder, begin):
    writer = begin()
    with pytest.raises(ValueError, match="cannot be journalled"):
        writer.append(Interrupted(reason="\udfff"))
    assert writer.append(failure(1)).result() == 1
    assert task_ids(folder) == ["1"]


# Takeover.


def test_the_next_attempt_fences_the_one_before(folder, begin):
    old = begin()
    old.append(failure(1)).result()
    new = begin()
    assert new.number == 2
    with pytest.raises(JournalError, match="attempt 2 has taken over"):
        old.append(failure(2)).result()
    with pytest.raises(JournalError, match="attempt 2 has taken over"):
        old.append(failure(3)).result()
    with pytest.raises(JournalError):
        old.flush()
    assert isinstance(old.failure, JournalError)
    new.append(failure(4)).result()
    assert task_ids(folder) == ["1", "4"]
    assert fold(read_segments(folder)).fenced_lines == 1


@pytest.mark.parametrize("moment", ["before the sync", "after the sync"])
def test_a_takeover_at_the_worst_moment_loses_no_acknowledged_line(folder, begin, monkeypatch, moment):
    old = begin()
    real, after = writer_module._sync, []

    def sync(descriptor):
        monkeypatch.setattr(writer_module, "_sync", real)
        if moment == "after the sync":
            real(descriptor)
        after.append(begin())
        if moment == "before the sync":
            real(descriptor)

    monkeypatch.setattr(writer_module, "_sync", sync)
    # The line was measured by the successor, so it counts; but the old owner cannot know and must not say so.
    assert isinstance(old.append(failure(1)).exception(30), JournalError)
    after[0].append(failure(2)).result()
    assert task_ids(folder) == ["1", "2"]


def test_an_overtaken_opening_fails(folder, begin, monkeypatch):
    """Attempt 2 has made its file and measured; attempt 3 starts before attempt 2's first line."""
    begin().append(failure(1)).result()
    real = writer_module.accepted_lengths

    def measure(*arguments):
        monkeypatch.setattr(writer_module, "accepted_lengths", real)
        lengths = real(*arguments)
        begin()
        return lengths

    monkeypatch.setattr(writer_module, "accepted_lengths", measure)
    with pytest.raises(JournalError, match="attempt 3 has taken over"):
        begin()
    segments = read_segments(folder)
    assert [len(segment.events) for segment in segments] == [2, 0, 1]


def test_a_first_attempt_that_is_overtaken_does_not_pull_its_file_from_under_the_next(
    folder, begin, monkeypatch
):
    real = writer_module.accepted_lengths

    def measure(*arguments):
        monkeypatch.setattr(writer_module, "accepted_lengths", real)
        begin()
        return real(*arguments)

    monkeypatch.setattr(writer_module, "accepted_lengths", measure)
    with pytest.raises(JournalError, match="attempt 2 has taken over"):
        begin()
    assert [len(segment.events) for segment in read_segments(folder)] == [0, 1]


def test_a_segment_that_vanishes_while_it_is_measured_counts_nothing(folder, begin, monkeypatch):
    begin().close()
    real = writer_module.list_segments

    def then_gone(path):
        found = real(path)
        (path / "0001.jsonl").unlink()
        return found

    monkeypatch.setattr(writer_module, "list_segments", then_gone)
    begin().append(failure(1)).result()
    assert task_ids(folder) == ["1"]


def test_a_segment_that_vanishes_while_it_is_read_is_empty(folder, begin, monkeypatch):
    begin().close()
    found = writer_module.list_segments(folder)
    (folder / "0001.jsonl").unlink()
    monkeypatch.setattr("posegen.journal.segments.list_segments", lambda _: found)
    assert [segment.events for segment in read_segments(folder)] == [[]]


def test_a_file_made_at_the_same_instant_wins(folder, begin, monkeypatch):
    real = writer_module.list_segments

    def outdated(path):
        found = real(path)
        path.mkdir(parents=True, exist_ok=True)
        (path / "0001.jsonl").touch()
        return found

    monkeypatch.setattr(writer_module, "list_segments", outdated)
    with pytest.raises(JournalError, match="attempt 1 was started by another process"):
        begin()


def test_a_caller_that_saw_an_older_journal_is_refused(folder, begin):
    begin(after=0).append(failure(1)).result()
    with pytest.raises(JournalError, match="attempt 1 was started by another"):
        begin(after=0)
    begin(after=1)
    assert len(read_segments(folder)) == 2


def test_torn_tails_are_not_accepted(folder, begin):
    begin().close()
    path = folder / "0001.jsonl"
    whole = path.stat().st_size
    with path.open("ab") as file:
        file.write(b'{"event":"task_fai')
    begin()
    event = read_segments(folder)[1].events[0]
    assert isinstance(event, AttemptStarted)
    assert event.lengths == {"0001.jsonl": whole}


def test_a_long_history_keeps_its_fences(folder, begin):
    for number in range(6):
        begin().append(failure(number)).result()
    assert task_ids(folder) == [str(n) for n in range(6)]
    event = read_segments(folder)[-1].events[0]
    assert isinstance(event, AttemptStarted)
    assert sorted(event.lengths) == [f"{n:04d}.jsonl" for n in range(1, 6)]


def test_another_runs_journal_is_refused(folder, begin):
    begin()
    with pytest.raises(JournalError, match="belongs to run 'r', not to 'renamed'"):
        begin("renamed")
    assert len(read_segments(folder)) == 1


def test_a_deleted_journal_is_noticed(folder, begin):
    writer = begin()
    writer.path.unlink()
    with pytest.raises(JournalError, match="deleted"):
        writer.append(failure(1)).result()


# Faults of the disk.


def fail(monkeypatch, name, nth, code=errno.ENOSPC, *, partial=0):
    """Make the nth call fail, after writing some bytes if it is a write."""
    real, count = getattr(os, name), [0]

    def call(descriptor, *arguments):
        count[0] += 1
        if count[0] >= nth:
            if partial:
                real(descriptor, bytes(arguments[0][:partial]))
            raise OSError(code, os.strerror(code))
        return real(descriptor, *arguments)

    monkeypatch.setattr(os, name, call)
    return count


@pytest.mark.parametrize(
    ("name", "code", "error"),
    [
        ("write", errno.ENOSPC, StorageFullError),
        ("write", errno.EIO, JournalError),
        ("fdatasync", errno.ENOSPC, StorageFullError),
        ("fdatasync", errno.EIO, JournalError),
    ],
)
def test_a_failure_is_final_and_never_tried_again(folder, begin, monkeypatch, name, code, error):
    writer = begin()
    assert writer.append(failure(1)).result() == 1
    with monkeypatch.context() as patch:
        count = fail(patch, name, 1, code)
        assert isinstance(writer.append(failure(2)).exception(30), error)
        assert isinstance(writer.append(failure(3)).exception(30), error)
        with pytest.raises(error):
            writer.flush()
        assert count == [1]
    assert isinstance(writer.append(failure(4)).exception(30), error), "room again, but this writer is done"
    writer.close()
    begin().append(failure(5)).result()
    found = task_ids(folder)
    assert found[0] == "1"
    assert found[-1] == "5"
    assert "3" not in found
    assert "4" not in found


def test_a_line_torn_by_a_full_disk_swallows_nothing(folder, begin, monkeypatch):
    writer = begin()
    with monkeypatch.context() as patch:
        fail(patch, "write", 1, partial=30)
        assert isinstance(writer.append(failure(1)).exception(30), StorageFullError)
    writer.close()
    begin().append(failure(2)).result()
    assert task_ids(folder) == ["2"]
    assert fold(read_segments(folder)).torn_lines == 1


def test_on_a_full_disk_every_acknowledged_line_is_there_whichever_write_fails(tmp_path, owner, clock):
    for nth in range(1, 12):
        folder = tmp_path / str(nth) / "journal"
        acknowledged = []
        with pytest.MonkeyPatch.context() as patch:
            fail(patch, "write", nth, partial=nth * 7)
            try:
                writer = SegmentWriter.open(folder, "r", kind="batch", owner=owner, clock=clock)
            except StorageFullError:
                assert list(folder.iterdir()) == [], "no run is left behind that never was"
                continue
            for number in range(8):
                future = writer.append(failure(number))
                if future.exception() is None:
                    acknowledged.append(str(number))
            writer.close()
        assert task_ids(folder) == acknowledged
    assert len(acknowledged) == 8


def test_an_attempt_that_cannot_start_leaves_the_run_readable(folder, begin, monkeypatch):
    begin().append(failure(1)).result()
    with monkeypatch.context() as patch:
        fail(patch, "write", 1, partial=20)
        with pytest.raises(StorageFullError):
            begin()
    begin().append(failure(2)).result()
    assert task_ids(folder) == ["1", "2"]


def test_a_folder_that_cannot_be_written_is_named(tmp_path, owner):
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(JournalError, match="file"):
        SegmentWriter.open(tmp_path / "file" / "journal", "r", kind="batch", owner=owner)


@pytest.mark.parametrize("name", ["fsync", "open"])
def test_faults_while_opening_are_journal_errors(folder, begin, monkeypatch, name):
    begin().append(failure(1)).result()
    with monkeypatch.context() as patch:
        fail(patch, name, 1, errno.EIO)
        with pytest.raises(JournalError, match="input/output"):
            begin()
    begin()
    assert task_ids(folder) == ["1"]


def test_an_unreadable_earlier_segment_is_a_journal_error(folder, begin):
    begin().close()
    (folder / "0002.jsonl").mkdir()
    with pytest.raises(JournalError, match="cannot write the journal"):
        begin()


def test_without_fdatasync_the_whole_file_is_synced(folder, begin, monkeypatch):
    monkeypatch.delattr(os, "fdatasync")
    begin().append(AttemptFinished(outcome="finished")).result()
    assert len(read_segments(folder)[0].events) == 2


def test_a_machine_without_a_boot_id(tmp_path):
    from posegen.journal.owner import _boot_id

    assert _boot_id(tmp_path / "missing") is None
