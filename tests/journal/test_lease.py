import errno
import fcntl
import os
import pickle
import signal
import subprocess
import sys
import threading
from datetime import UTC, datetime, timedelta

import msgspec
import psutil
import pytest

from posegen.errors import JournalError, ParameterError, RunOwnedError, StorageFullError
from posegen.journal import (
    AttemptFinished,
    ForeignWatch,
    Owner,
    RunLease,
    SegmentWriter,
    TaskFailed,
    current_owner,
    fold,
    journal_folder,
    owner_status,
    read_segments,
    run_lock,
    superseded,
)
from posegen.journal.claims import OwnerNote, note_path, read_note
from posegen.journal.owner import place, process_alive, started_after_boot_s

STALL = 1800.0
ELSEWHERE = Owner(pid=5, host="elsewhere.invalid", process_started_at=1.5, boot_id="another")


class Monotonic:
    """A clock that stands still until it is moved."""

    def __init__(self):
        self.now = 1000.0

    def __call__(self):
        return self.now


@pytest.fixture
def monotonic():
    return Monotonic()


@pytest.fixture
def watch(tmp_path, monotonic):
    return ForeignWatch(tmp_path, monotonic=monotonic)


def attempt(root, owner=None, *, finished=False, run_id="r"):
    """Journal an attempt and leave it; return its number."""
    with SegmentWriter.open(journal_folder(root, run_id), run_id, kind="batch", owner=owner) as writer:
        if finished:
            writer.append(AttemptFinished(outcome="interrupted")).result()
    return writer.number


def dead_owner():
    """Return a process of this machine that is no more."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return msgspec.structs.replace(current_owner(), pid=process.pid)


def leave_note(root, owner, run_id="r"):
    note = OwnerNote(owner=owner, since="2026-03-01T12:00:00.000Z", started_after_boot_s=1.0)
    note_path(root, run_id).parent.mkdir(exist_ok=True)
    note_path(root, run_id).write_bytes(msgspec.json.encode(note))


# Takes the run, begins an attempt if told so, says so, and holds on until its input ends or it is killed.
HOLDING = """
import os, subprocess, sys
from pathlib import Path
from posegen.journal import RunLease, SegmentWriter, journal_folder
root, what = Path(sys.argv[1]), sys.argv[2]
lease = RunLease.acquire(root, "r")
if what != "before its first line":
    writer = SegmentWriter.open(journal_folder(root, "r"), "r", kind="batch", after=lease.after)
else:
    journal_folder(root, "r").mkdir(parents=True)
    (journal_folder(root, "r") / "0001.jsonl").touch()
if what == "with a child":
    reading = "import os, sys; os.write(1, b'child\\\\n'); sys.stdin.read()"
    child = subprocess.Popen([sys.executable, "-c", reading])
elif what == "with a fork":
    if os.fork() == 0:
        lease.release()
        os.write(1, b"child\\n")
        sys.stdin.read()
        os._exit(0)
os.write(1, b"held\\n")
sys.stdin.read()
"""


@pytest.fixture
def holder(tmp_path, project_root):
    """Start a process that owns the run; returns it once it does."""
    started = []

    def start(what="an attempt"):
        process = subprocess.Popen(
            [sys.executable, "-c", HOLDING, str(tmp_path), what],
            cwd=project_root,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        started.append(process)
        expected = {b"held\n", b"child\n"} if what.startswith("with") else {b"held\n"}
        assert {process.stdout.readline() for _ in expected} == expected
        return process

    yield start
    for process in started:
        if process.returncode is None:
            process.kill()
        process.stdin.close()
        process.wait()
        process.stdout.read()  # ends when a child that outlived it has ended too
        process.stdout.close()


def test_a_run_has_one_owner_at_a_time(tmp_path, clock):
    with RunLease.acquire(tmp_path, "r", clock=clock) as lease:
        assert (lease.run_id, lease.after, lease.owner) == ("r", 0, current_owner())
        assert lease.since == "2026-03-01T12:00:01.000Z"
        with pytest.raises(RunOwnedError) as refused:
            RunLease.acquire(tmp_path, "r")
        with RunLease.acquire(tmp_path, "s"):
            pass
    assert (refused.value.run_id, refused.value.pid) == ("r", os.getpid())
    assert (refused.value.host, refused.value.since) == (current_owner().host, lease.since)
    assert refused.value.exit_code == 6
    assert refused.value.claimable_in_s is None
    assert str(refused.value) == (
        f"run r is owned by process {os.getpid()} on {current_owner().host} since 2026-03-01T12:00:01.000Z; "
        "`posegen stop r` stops it cleanly"
    )
    lease.release()
    with RunLease.acquire(tmp_path, "r") as again:
        lease.release()
        with pytest.raises(RunOwnedError):
            RunLease.acquire(tmp_path, "r")
    assert again.after == 0


def test_another_thread_is_refused_too_and_may_give_it_back(tmp_path):
    lease = RunLease.acquire(tmp_path, "r")
    refused = []

    def second():
        try:
            RunLease.acquire(tmp_path, "r")
        except RunOwnedError as error:
            refused.append(error.pid)
        lease.release()

    thread = threading.Thread(target=second)
    thread.start()
    thread.join()
    assert refused == [os.getpid()]
    RunLease.acquire(tmp_path, "r").release()


def test_the_file_that_is_locked_stays_and_the_note_goes(tmp_path):
    with RunLease.acquire(tmp_path, "r"):
        inode = run_lock.lock_path(tmp_path, "r").stat().st_ino
        assert read_note(tmp_path, "r").owner == current_owner()
    with RunLease.acquire(tmp_path, "r"):
        assert run_lock.lock_path(tmp_path, "r").stat().st_ino == inode
    assert sorted(path.name for path in (tmp_path / "locks").iterdir()) == ["r.lock"]


def test_a_lease_knows_the_last_attempt(tmp_path):
    attempt(tmp_path)
    attempt(tmp_path)
    with RunLease.acquire(tmp_path, "r") as lease:
        assert lease.after == 2
        with SegmentWriter.open(
            journal_folder(tmp_path, "r"), "r", kind="resume", after=lease.after
        ) as writer:
            assert writer.number == 3


@pytest.mark.faults
@pytest.mark.parametrize("what", ["an attempt", "before its first line"])
def test_a_killed_process_owns_nothing(tmp_path, holder, what):
    process = holder(what)
    with pytest.raises(RunOwnedError) as refused:
        RunLease.acquire(tmp_path, "r")
    assert refused.value.pid == process.pid
    status = owner_status(tmp_path, "r")
    assert (status.state, status.owner.pid, status.since) == ("ours-alive", process.pid, refused.value.since)
    process.kill()
    process.wait()
    assert owner_status(tmp_path, "r").state == "dead"
    with RunLease.acquire(tmp_path, "r") as lease:
        assert lease.after == 1
        assert owner_status(tmp_path, "r").owner == current_owner()


@pytest.mark.faults
def test_a_stopped_process_keeps_its_run(tmp_path, holder):
    process = holder()
    process.send_signal(signal.SIGSTOP)
    os.waitpid(process.pid, os.WUNTRACED)
    with pytest.raises(RunOwnedError) as refused:
        RunLease.acquire(tmp_path, "r", stall_after_s=0)
    assert refused.value.pid == process.pid
    assert owner_status(tmp_path, "r").state == "ours-alive"


@pytest.mark.faults
@pytest.mark.parametrize("what", ["with a child", "with a fork"])
def test_a_child_does_not_keep_the_run_of_its_parent(tmp_path, holder, what):
    process = holder(what)
    (child,) = psutil.Process(process.pid).children()
    with pytest.raises(RunOwnedError) as refused:  # nor does it give it back
        RunLease.acquire(tmp_path, "r")
    assert refused.value.pid == process.pid
    process.kill()
    process.wait()
    assert child.is_running()
    RunLease.acquire(tmp_path, "r").release()
    assert child.is_running()


@pytest.mark.faults
def test_a_lock_removed_under_its_owner_gives_nothing_away(tmp_path, holder):
    process = holder()
    run_lock.lock_path(tmp_path, "r").unlink()
    for _ in range(2):
        with pytest.raises(RunOwnedError) as refused:
            RunLease.acquire(tmp_path, "r")
        assert refused.value.pid == process.pid
        assert owner_status(tmp_path, "r").state == "ours-alive"
    note_path(tmp_path, "r").unlink()
    with pytest.raises(RunOwnedError) as refused:
        RunLease.acquire(tmp_path, "r")
    assert refused.value.pid == process.pid
    assert owner_status(tmp_path, "r").state == "ours-alive"
    process.kill()
    process.wait()
    assert owner_status(tmp_path, "r").state == "dead"
    RunLease.acquire(tmp_path, "r").release()


RACING = """
import sys
from pathlib import Path
from posegen.errors import RunOwnedError
from posegen.journal import RunLease
leases = {}
print("ready", flush=True)
for line in sys.stdin:
    root, run_id = line.split()
    if run_id in leases:
        leases.pop(run_id).release()
    try:
        leases[run_id] = RunLease.acquire(Path(root), run_id)
        print("won", flush=True)
    except RunOwnedError as error:
        print(error.pid, flush=True)
"""


@pytest.fixture
def racers(project_root):
    started = [
        subprocess.Popen(
            [sys.executable, "-c", RACING],
            cwd=project_root,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(4)
    ]
    for racer in started:
        assert racer.stdout.readline() == "ready\n"
    yield started
    for racer in started:
        racer.stdin.close()
        assert racer.wait(60) == 0
        racer.stdout.close()


def test_of_many_who_race_for_a_run_one_wins(tmp_path, racers):
    gone = dead_owner()
    for number in range(30):
        run_id = f"race{number}"
        if number % 2:  # left behind by a process that was killed
            attempt(tmp_path, gone, run_id=run_id)
            leave_note(tmp_path, gone, run_id)
        for racer in racers:
            racer.stdin.write(f"{tmp_path} {run_id}\n")
            racer.stdin.flush()
        answers = {racer.pid: racer.stdout.readline().strip() for racer in racers}
        (winner,) = [pid for pid, answer in answers.items() if answer == "won"]
        assert {answer for answer in answers.values() if answer != "won"} == {str(winner)}


def test_looking_never_takes_a_run_from_who_wants_it(tmp_path):
    attempt(tmp_path, dead_owner())
    RunLease.acquire(tmp_path, "r").release()
    done = threading.Event()
    seen = set()

    def look():
        while not done.is_set():
            seen.add(owner_status(tmp_path, "r").state)

    thread = threading.Thread(target=look)
    thread.start()
    try:
        for _ in range(60):
            RunLease.acquire(tmp_path, "r").release()
    finally:
        done.set()
        thread.join()
    assert seen <= {"ours-alive", "dead"}


def test_who_begins_while_one_looks_is_not_taken_for_dead(tmp_path, monkeypatch):
    attempt(tmp_path, dead_owner())
    RunLease.acquire(tmp_path, "r").release()
    leases = []

    def begin_after_the_look(root, run_id, me):
        held = run_lock.is_locked(root, run_id, me)
        if not leases:
            leases.append(RunLease.acquire(root, run_id))
            attempt(root)
        return held

    monkeypatch.setattr("posegen.journal.lease.is_locked", begin_after_the_look)
    assert owner_status(tmp_path, "r").state == "ours-alive"
    leases[0].release()


def test_a_run_left_on_another_machine_is_claimed_when_it_was_seen_quiet(tmp_path, watch, monotonic):
    attempt(tmp_path, ELSEWHERE)
    since = fold(read_segments(journal_folder(tmp_path, "r"))).attempts[0].started_at
    with pytest.raises(RunOwnedError) as refused:
        RunLease.acquire(tmp_path, "r", stall_after_s=STALL, watch=watch)
    error = refused.value
    assert (error.pid, error.host, error.since) == (5, "elsewhere.invalid", since)
    assert (error.quiet_s, error.claimable_in_s) == (0, STALL)
    monotonic.now += 1799
    with pytest.raises(RunOwnedError) as refused:
        RunLease.acquire(tmp_path, "r", stall_after_s=STALL, watch=watch)
    assert (refused.value.quiet_s, refused.value.claimable_in_s) == (1799, 1)
    assert str(refused.value) == (
        f"run r is owned by process 5 on elsewhere.invalid since {since}. Whether that is alive cannot be "
        "seen from here: its journal has not grown for 30 min of watching. It can be claimed after 30 min, "
        "in 1 s at the earliest"
    )
    assert owner_status(tmp_path, "r").state == "foreign"
    monotonic.now += 1
    with RunLease.acquire(tmp_path, "r", stall_after_s=STALL, watch=watch) as lease:
        assert lease.after == 1
        assert owner_status(tmp_path, "r").owner == current_owner()


def test_a_journal_that_grows_is_not_quiet(tmp_path, watch, monotonic):
    with SegmentWriter.open(journal_folder(tmp_path, "r"), "r", kind="batch", owner=ELSEWHERE) as writer:
        assert watch.quiet_s("r") == 0
        monotonic.now += 1700
        writer.append(TaskFailed(task_id="a", code="X", message="")).result()
        assert watch.quiet_s("r") == 0
        monotonic.now += 1700
        assert watch.quiet_s("r") == 1700
    attempt(tmp_path, ELSEWHERE)
    assert watch.quiet_s("r") == 0


def test_a_later_process_goes_on_watching(tmp_path, watch, monotonic):
    attempt(tmp_path, ELSEWHERE)
    assert watch.quiet_s("r") == 0
    monotonic.now += STALL
    assert ForeignWatch(tmp_path, monotonic=monotonic, boot_id="restarted-since").quiet_s("r") == 0
    later = ForeignWatch(tmp_path, monotonic=monotonic)
    assert later.quiet_s("r") == STALL
    RunLease.acquire(tmp_path, "r", watch=later).release()
    assert ForeignWatch(tmp_path, monotonic=monotonic).quiet_s("r") == 0, "what was claimed is forgotten"


def test_what_cannot_have_been_seen_is_not_believed(tmp_path, watch, monotonic):
    attempt(tmp_path, ELSEWHERE)
    watch.quiet_s("r")
    monotonic.now -= 500
    assert ForeignWatch(tmp_path, monotonic=monotonic).quiet_s("r") == 0
    (record,) = (tmp_path / "locks").glob("quiet-*/r.json")
    record.write_bytes(b"\xff torn")
    monotonic.now += STALL
    assert ForeignWatch(tmp_path, monotonic=monotonic).quiet_s("r") == 0


def test_without_a_place_to_write_or_a_boot_id_the_object_remembers(tmp_path, monkeypatch, monotonic):
    attempt(tmp_path, ELSEWHERE)
    (tmp_path / "locks").write_text("a file in the way", encoding="ascii")
    cannot_write = ForeignWatch(tmp_path, monotonic=monotonic)
    monkeypatch.setattr(
        "posegen.journal.quiet.current_owner", lambda: msgspec.structs.replace(current_owner(), boot_id=None)
    )
    cannot_tell = ForeignWatch(tmp_path, monotonic=monotonic)
    for one in (cannot_write, cannot_tell):
        assert one.quiet_s("r") == 0
    monotonic.now += 7
    for one in (cannot_write, cannot_tell):
        assert one.quiet_s("r") == 7
        one.forget("r")
        assert one.quiet_s("r") == 0


def test_a_journal_that_cannot_be_looked_at_is_an_error(tmp_path, watch):
    attempt(tmp_path, ELSEWHERE)
    path = journal_folder(tmp_path, "r") / "0001.jsonl"
    path.unlink()
    path.symlink_to(path)
    with pytest.raises(JournalError, match="look at the journal"):
        watch.quiet_s("r")
    with pytest.raises(JournalError, match="read the journal"):
        owner_status(tmp_path, "r")


def test_an_attempt_that_ended_elsewhere_leaves_no_owner(tmp_path):
    attempt(tmp_path, ELSEWHERE, finished=True)
    status = owner_status(tmp_path, "r")
    assert (status.state, status.owner) == ("none", ELSEWHERE)
    RunLease.acquire(tmp_path, "r").release()


def test_a_machine_that_restarted_owns_nothing(tmp_path):
    attempt(tmp_path, msgspec.structs.replace(current_owner(), boot_id="before"))
    assert owner_status(tmp_path, "r").state == "dead"
    RunLease.acquire(tmp_path, "r").release()


def test_an_empty_segment_frees_no_run_of_another_machine(tmp_path, watch):
    attempt(tmp_path, ELSEWHERE)
    (journal_folder(tmp_path, "r") / "0002.jsonl").touch()
    assert owner_status(tmp_path, "r").state == "foreign"
    with pytest.raises(RunOwnedError):
        RunLease.acquire(tmp_path, "r", watch=watch)


def test_an_empty_segment_after_an_end_is_nobodys(tmp_path):
    attempt(tmp_path, ELSEWHERE, finished=True)
    (journal_folder(tmp_path, "r") / "0002.jsonl").touch()
    status = owner_status(tmp_path, "r")
    assert (status.state, status.owner) == ("dead", None)
    with RunLease.acquire(tmp_path, "r") as lease:
        assert lease.after == 2


def test_only_an_end_is_taken_for_one(tmp_path):
    with SegmentWriter.open(journal_folder(tmp_path, "r"), "r", kind="batch") as writer:
        writer.append(TaskFailed(task_id="a", code="X", message='"attempt_finished"')).result()
        writer.append(TaskFailed(task_id="attempt_finished", code="X", message="")).result()
    assert owner_status(tmp_path, "r").state == "dead"
    with writer.path.open("ab") as file:
        file.write(b'{"event":"attempt_finished","outcome":"finished"}')  # torn: no end of line
    assert owner_status(tmp_path, "r").state == "dead"


def test_a_run_taken_elsewhere_and_not_begun_is_owned(tmp_path, watch):
    leave_note(tmp_path, ELSEWHERE)
    assert owner_status(tmp_path, "r").owner == ELSEWHERE
    with pytest.raises(RunOwnedError) as refused:
        RunLease.acquire(tmp_path, "r", watch=watch)
    assert (refused.value.pid, refused.value.host) == (5, "elsewhere.invalid")
    assert read_note(tmp_path, "r").owner == ELSEWHERE


def test_a_dead_container_of_this_machine_owns_nothing(tmp_path):
    container = msgspec.structs.replace(current_owner(), host="3f2a9c", pid=7)
    attempt(tmp_path, container)
    assert owner_status(tmp_path, "r").state == "foreign", "nobody says that it took the lock"
    leave_note(tmp_path, container)
    assert owner_status(tmp_path, "r").state == "dead"
    RunLease.acquire(tmp_path, "r").release()


def test_a_living_container_of_this_machine_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr(run_lock, "_LOOK_AGAIN_S", 0)
    with RunLease.acquire(tmp_path, "r"):
        leave_note(tmp_path, msgspec.structs.replace(current_owner(), host="3f2a9c", pid=7))
        with pytest.raises(RunOwnedError, match="process 7 on 3f2a9c"):
            RunLease.acquire(tmp_path, "r")
        assert owner_status(tmp_path, "r").state == "ours-alive"


def test_who_holds_it_and_has_not_said_so_is_waited_for_a_moment(tmp_path, monkeypatch):
    monkeypatch.setattr(run_lock, "_LOOK_AGAIN_S", 0)
    with RunLease.acquire(tmp_path, "r"):
        note_path(tmp_path, "r").write_bytes(b"\xff")
        with pytest.raises(RunOwnedError, match="another process that has only just begun") as refused:
            RunLease.acquire(tmp_path, "r")
        assert (refused.value.pid, refused.value.host) == (None, "")
        assert owner_status(tmp_path, "r").state == "ours-alive"


def test_what_another_machine_wrote_after_its_claim_stays(tmp_path):
    lease = RunLease.acquire(tmp_path, "r")
    leave_note(tmp_path, ELSEWHERE)
    assert owner_status(tmp_path, "r").state == "foreign"
    lease.release()
    assert read_note(tmp_path, "r").owner == ELSEWHERE


# Another machine's process, which has no lock here: writes to the journals it is told until it may no longer.
ELSEWHERE_WRITING = """
import sys
from pathlib import Path
from posegen.errors import JournalError
from posegen.journal import Metric, Owner, SegmentWriter, TaskFailed, superseded
owner = Owner(pid=5, host="elsewhere.invalid", process_started_at=1.5, boot_id="another")
print("ready", flush=True)
for line in sys.stdin:
    run = Path(line.strip())
    with SegmentWriter.open(run / "journal", "r", kind="batch", owner=owner) as writer:
        for number in range(1_000_000):
            writer.append(Metric(name="n", value=number), durable=False)
            error = writer.append(TaskFailed(task_id=f"old-{number}", code="X", message="")).exception()
            if error is not None:
                break
            if number == 3:
                print("writes", flush=True)
    print(isinstance(error, JournalError), superseded(run, writer.number), number, flush=True)
"""


@pytest.mark.faults
def test_an_owner_that_wakes_after_its_run_was_claimed_writes_nothing(tmp_path, project_root, monotonic):
    command = [sys.executable, "-c", ELSEWHERE_WRITING]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, cwd=project_root, **pipes) as old:
        assert old.stdout.readline() == "ready\n"
        for number in range(5):
            root = tmp_path / str(number)
            old.stdin.write(f"{root / 'runs' / 'r'}\n")
            old.stdin.flush()
            assert old.stdout.readline() == "writes\n"
            old.send_signal(signal.SIGSTOP)
            os.waitpid(old.pid, os.WUNTRACED)
            watch = ForeignWatch(root, monotonic=monotonic)
            with pytest.raises(RunOwnedError):
                RunLease.acquire(root, "r", watch=watch)
            monotonic.now += STALL
            with RunLease.acquire(root, "r", watch=watch) as lease:
                folder = journal_folder(root, "r")
                with SegmentWriter.open(folder, "r", kind="resume", after=lease.after) as writer:
                    before = set(fold(read_segments(folder)).failures)
                    old.send_signal(signal.SIGCONT)
                    told = old.stdout.readline().split()
                    writer.append(TaskFailed(task_id="new", code="X", message="")).result()
            assert told[:2] == ["True", "True"]
            state = fold(read_segments(folder))
            assert set(state.failures) == before | {"new"}
            # All it was told is durable counts, and at most one line more, which it was not told.
            assert len(before) - int(told[2]) in {0, 1}
        old.stdin.close()


def test_superseded_is_a_later_segment(tmp_path, monkeypatch):
    run = journal_folder(tmp_path, "r").parent
    assert not superseded(run, 1)
    attempt(tmp_path)
    assert not superseded(run, 1)
    attempt(tmp_path)
    assert superseded(run, 1)
    assert not superseded(run, 2)

    def fail(*args, **options):
        raise PermissionError(errno.EACCES, "no")

    monkeypatch.setattr("pathlib.Path.stat", fail)
    assert not superseded(run, 1)


def test_the_clock_decides_nothing(tmp_path, watch, monotonic):
    future = datetime.now(UTC) + timedelta(hours=1)
    with SegmentWriter.open(
        journal_folder(tmp_path, "r"), "r", kind="batch", owner=ELSEWHERE, clock=lambda: future
    ):
        pass
    assert watch.quiet_s("r") == 0
    monotonic.now += STALL
    an_hour_ago = datetime.now(UTC) - timedelta(hours=1)
    with RunLease.acquire(tmp_path, "r", watch=watch, clock=lambda: an_hour_ago):
        with pytest.raises(RunOwnedError) as refused:
            RunLease.acquire(tmp_path, "r", clock=lambda: future)
        assert refused.value.pid == os.getpid()


def test_a_process_is_known_again_after_the_clock_was_set():
    me = current_owner()
    started = started_after_boot_s()
    assert process_alive(me)
    moved = msgspec.structs.replace(me, process_started_at=me.process_started_at + 3600)
    assert not process_alive(moved)
    assert process_alive(moved, started)
    assert not process_alive(me, started - 3600)


def test_a_process_is_alive_until_it_is_gone(monkeypatch):
    assert not process_alive(dead_owner())
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)  # gone, and nobody has asked for its end
        started = psutil.Process(process.pid).create_time()
        gone = msgspec.structs.replace(current_owner(), pid=process.pid, process_started_at=started)
        assert not process_alive(gone)

    def refuse(process):
        raise psutil.AccessDenied(process.pid)

    monkeypatch.setattr(psutil.Process, "status", refuse)
    assert process_alive(current_owner())


def test_machines_are_told_apart():
    me = Owner(pid=1, host="a", process_started_at=1.0, boot_id="x")
    change = msgspec.structs.replace
    assert place(change(me, pid=2), me) == "here"
    assert place(change(me, boot_id="y"), me) == "restarted"
    assert place(change(me, host="b"), me) == "elsewhere"
    assert place(change(me, boot_id=None), me) == "here"
    unknown = change(me, boot_id=None)
    note = OwnerNote(owner=me, since="", started_after_boot_s=1.0)
    assert note.kernel_is_ours(unknown)
    assert not note.kernel_is_ours(change(unknown, host="b"))


def test_a_run_that_does_not_exist_has_no_owner_and_looking_makes_nothing(tmp_path):
    assert owner_status(tmp_path, "r").state == "none"
    assert owner_status(tmp_path, "../r").state == "none"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.faults
def test_a_folder_that_may_only_be_read_can_still_be_asked(tmp_path, monkeypatch, holder):
    process = holder()

    def refuse(*args):
        raise PermissionError(errno.EACCES, "no")

    monkeypatch.setattr(run_lock, "_try_lock", refuse)
    assert owner_status(tmp_path, "r").state == "ours-alive"
    (journal_folder(tmp_path, "r") / "0001.jsonl").rename(tmp_path / "not yet begun")
    assert owner_status(tmp_path, "r").owner.pid == process.pid
    (tmp_path / "not yet begun").rename(journal_folder(tmp_path, "r") / "0001.jsonl")
    with pytest.raises(JournalError, match="permission denied"):
        RunLease.acquire(tmp_path, "r")
    process.kill()
    process.wait()
    assert owner_status(tmp_path, "r").state == "dead"


@pytest.mark.parametrize("name", ["", "..", "a/b", ".hidden"])
def test_what_cannot_be_a_run_cannot_be_owned(tmp_path, name):
    with pytest.raises(ParameterError, match="run_id"):
        RunLease.acquire(tmp_path, name)
    assert list(tmp_path.iterdir()) == []


def test_a_file_system_without_locks_is_refused(tmp_path, monkeypatch):
    def missing(*args):
        raise OSError(errno.ENOSYS, "Function not implemented")

    monkeypatch.setattr(fcntl, "flock", missing)
    with pytest.raises(JournalError, match="must be on a file system with locks"):
        RunLease.acquire(tmp_path, "r")
    assert not note_path(tmp_path, "r").exists()


def test_a_full_disk_is_said_and_the_run_is_free_again(tmp_path, monkeypatch):
    def full(*args):
        raise OSError(errno.ENOSPC, "full")

    with monkeypatch.context() as patched:
        patched.setattr("posegen.storage.atomic._write_file", full)
        with pytest.raises(StorageFullError):
            RunLease.acquire(tmp_path, "r")
    with monkeypatch.context() as patched:
        patched.setattr(run_lock, "_try_lock", full)
        with pytest.raises(StorageFullError):
            RunLease.acquire(tmp_path, "r")
    RunLease.acquire(tmp_path, "r").release()


def test_the_error_survives_pickling():
    error = RunOwnedError("r", pid=5, host="h", since="s", quiet_s=12.0, stall_after_s=STALL)
    again = pickle.loads(pickle.dumps(error))
    assert str(again) == str(error)
    assert (again.run_id, again.pid, again.host, again.since) == ("r", 5, "h", "s")
    assert again.claimable_in_s == 1788.0
    assert "for 12 s of watching. It can be claimed after 30 min" in str(again)
