"""Journals under `kill -9` and under several processes that start at once."""

import random
import signal
import subprocess
import sys

import pytest

from posegen.journal import SegmentWriter, TaskFailed, fold, read_segments

pytestmark = pytest.mark.faults

# Three threads append and say on standard output what was acknowledged.
APPENDING = """
import sys, threading
from pathlib import Path
from posegen.journal import Metric, SegmentWriter, TaskFailed
folder, name = Path(sys.argv[1]), sys.argv[2]
print("begins", flush=True)
writer = SegmentWriter.open(folder, "r", kind="batch")
said = threading.Lock()
def work(thread):
    for number in range(100_000):
        task_id = f"{name}-{thread}-{number}"
        future = writer.append(TaskFailed(task_id=task_id, code="X", message="m" * (number % 700)))
        writer.append(Metric(name="n", value=number), durable=False)
        future.result()
        with said:
            print(task_id, flush=True)
for thread in range(3):
    threading.Thread(target=work, args=(thread,), daemon=True).start()
threading.Event().wait()
"""


def acknowledged_before_kill(folder, name, lines, cwd):
    """Let a process append, kill it after some lines of its output, return all it acknowledged."""
    command = [sys.executable, "-c", APPENDING, str(folder), name]
    with subprocess.Popen(command, cwd=cwd, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        said = [process.stdout.readline() for _ in range(lines)]
        process.send_signal(signal.SIGKILL)
        said += process.stdout.readlines()
    # The last line may be cut: its line in the journal is there all the same.
    return [line.decode().strip() for line in said if line.endswith(b"\n")][1:]


def test_no_acknowledged_line_is_lost_to_a_kill(folder, project_root):
    acknowledged = []
    chance = random.Random(7)
    for kill in range(15):
        lines = chance.choice([1, 1, 2, 5, 20, 60])
        acknowledged += acknowledged_before_kill(folder, f"k{kill}", lines, project_root)
        segments = read_segments(folder)
        found = {event.task_id for one in segments for event in one.events if isinstance(event, TaskFailed)}
        assert set(acknowledged) <= found
        assert sum(one.foreign_lines for one in segments) == 0
    assert len(acknowledged) > 15
    with SegmentWriter.open(folder, "r", kind="resume") as writer:
        writer.append(TaskFailed(task_id="last", code="X", message="")).result()
    state = fold(read_segments(folder))
    assert set(acknowledged) | {"last"} <= set(state.failures)


# Each process opens the journal it is told to and appends; what is acknowledged is said.
RACING = """
import sys
from pathlib import Path
from posegen.errors import JournalError
from posegen.journal import SegmentWriter, TaskFailed
name = sys.argv[1]
print("ready", flush=True)
for line in sys.stdin:
    folder, after = line.split()
    said = []
    try:
        seen = None if after == "-" else int(after)
        writer = SegmentWriter.open(Path(folder), "r", kind="batch", after=seen)
    except JournalError:
        print("lost", flush=True)
        continue
    for number in range(5):
        task_id = f"{name}-{number}"
        if writer.append(TaskFailed(task_id=task_id, code="X", message="")).exception() is None:
            said.append(task_id)
    writer.close()
    print(writer.number, *said, flush=True)
"""


@pytest.fixture
def racers(project_root):
    started = [
        subprocess.Popen(
            [sys.executable, "-c", RACING, f"p{number}"],
            cwd=project_root,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for number in range(5)
    ]
    for racer in started:
        assert racer.stdout.readline() == "ready\n"
    yield started
    for racer in started:
        racer.stdin.close()
        assert racer.wait(60) == 0
        racer.stdout.close()


def race(racers, folder, after):
    for racer in racers:
        racer.stdin.write(f"{folder} {after}\n")
        racer.stdin.flush()
    return [answer.split() for answer in (racer.stdout.readline() for racer in racers) if answer != "lost\n"]


def test_of_those_who_saw_the_same_journal_one_wins(tmp_path, racers):
    for number in range(25):
        folder = tmp_path / str(number) / "journal"
        for after in (0, 1):
            winners = race(racers, folder, after)
            assert [winner[0] for winner in winners] == [str(after + 1)]
            assert len(winners[0]) == 6, "and everything it wrote was acknowledged"
        assert len(fold(read_segments(folder)).failures) in {5, 10}


def test_without_that_check_the_last_wins_and_no_acknowledged_line_is_lost(tmp_path, racers):
    for number in range(25):
        folder = tmp_path / str(number) / "journal"
        winners = race(racers, folder, "-")
        assert winners
        assert len({winner[0] for winner in winners}) == len(winners)
        acknowledged = {task_id for winner in winners for task_id in winner[1:]}
        state = fold(read_segments(folder))
        assert acknowledged <= set(state.failures)
        last = max(winners, key=lambda winner: int(winner[0]))
        assert len(last) == 6
        assert state.foreign_lines == 0
