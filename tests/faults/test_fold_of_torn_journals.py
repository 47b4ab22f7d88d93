"""The journal's fold over what a crash may leave: any prefix of any segment, torn at any byte."""

from __future__ import annotations

import shutil
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from posegen.journal import (
    AttemptFinished,
    CreditsHeld,
    Event,
    ImageAdopted,
    ImageExported,
    ImageStored,
    Interrupted,
    Metric,
    RunPlanned,
    RunState,
    SegmentWriter,
    TaskFailed,
    TaskSubmitted,
    TaskUnknown,
    fold,
    read_segments,
)
from posegen.records import ImageRecord, ImageTask

TASKS = tuple(
    ImageTask(
        task_id=f"{number:032x}", index=number, backend="plain", user_prompt="a person", prompt="ünï",
        seed=number, width=256, height=256, conditioning="none",
    )
    for number in range(9)
)  # fmt: skip


def record(number: int) -> ImageRecord:
    return ImageRecord(
        task_id=f"{number:032x}", key=f"k{number}", thumbnail_key="t", sha256="0" * 64, size_bytes=1,
        thumbnail_bytes=1, width=256, height=256, duration_ms=1.5, conditioning="none",
    )  # fmt: skip


def first_attempt() -> list[Event]:
    events: list[Event] = [
        RunPlanned(spec={"width": 256}, spec_hash="s", tasks=TASKS, project="p", user="ann"),
        CreditsHeld(user="ann", amount=270, key="hold:r", images=9),
    ]
    for number in range(3):
        events.append(TaskSubmitted(task_id=TASKS[number].task_id, request_id=f"q{number}"))
        events.append(ImageStored(record=record(number)))
        events.append(Metric(name="n", value=1.0))
    return [*events, TaskFailed(task_id=TASKS[8].task_id, code="X", message="m")]


def later_attempts() -> list[list[Event]]:
    exported = ImageExported(
        task_id=TASKS[0].task_id, format="tiktok", key="e", sha256="1" * 64, size_bytes=1, width=1, height=1
    )
    second: list[Event] = [ImageAdopted(record=record(3)), exported, Interrupted(reason="stop")]
    third: list[Event] = [ImageStored(record=record(number)) for number in range(4, 8)]
    unknown = TaskUnknown(task_id=TASKS[8].task_id, reason="who knows")
    return [second, [unknown, *third, AttemptFinished(outcome="finished")]]


@pytest.fixture(scope="module")
def journal(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """Return a journal of three attempts; the first left a line that nobody was told is safe."""
    folder = tmp_path_factory.mktemp("journal")
    for events in (first_attempt(), *later_attempts()):
        with SegmentWriter.open(folder, "r", kind="batch") as writer:
            for event in events:
                writer.append(event).result()
    segments = {path.name: path.read_bytes() for path in sorted(folder.iterdir())}
    late = ImageStored(record=record(8), run_id="r", attempt=1, seq=99, at="2026-03-01T12:00:00.000Z")
    segments["0001.jsonl"] += msgspec.json.encode(late) + b"\n"
    return segments


def folded(folder: Path, segments: dict[str, bytes]) -> RunState:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    for name, data in segments.items():
        (folder / name).write_bytes(data)
    return fold(read_segments(folder))


def known(state: RunState) -> set[tuple[str, ...]]:
    """Return all that a state holds, as a set that only grows."""
    found = {("image", task, record.sha256) for task, record in state.records.items()}
    found |= {("request", task, one.request_id) for task, all_ in state.submissions.items() for one in all_}
    found |= {("hold", hold.key) for hold in state.holds}
    found |= {("task", task.task_id) for task in state.tasks}
    found |= {("export", task, name) for task, names in state.exports.items() for name in names}
    return found | {("failed", task) for task in state.failures if task not in state.records}


@settings(max_examples=250)
@given(data=st.data())
def test_any_prefix_of_any_segment_gives_a_state_and_a_longer_one_loses_nothing(
    journal: dict[str, bytes], tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    folder = tmp_path_factory.getbasetemp() / "torn"
    torn = data.draw(st.sampled_from(sorted(journal)))
    cuts = sorted(data.draw(st.lists(st.integers(0, len(journal[torn])), min_size=2, max_size=2)))
    there = {name: one for name, one in journal.items() if name < torn}  # it is the newest that is torn
    if data.draw(st.booleans()):
        there = dict(journal)  # or any: a disk may lose the end of any file
    short, long = (folded(folder, {**there, torn: journal[torn][:cut]}) for cut in cuts)
    for state, cut in ((short, cuts[0]), (long, cuts[1])):
        assert state.unknown_events + state.foreign_lines == 0
        assert state.torn_lines == int(cut > 0 and journal[torn][:cut][-1:] != b"\n")
        assert len(state.tasks) in {0, len(TASKS)}
        assert state.status in {"empty", "unfinished", "interrupted", "finished"}
    late = {("image", TASKS[8].task_id, "0" * 64)}  # beyond the fence, once there is a fence
    assert known(short) - late <= known(long)


def test_the_whole_journal_is_finished_and_knows_nothing_of_the_late_line(
    journal: dict[str, bytes], tmp_path: Path
) -> None:
    state = folded(tmp_path / "whole", journal)
    assert (state.status, state.made, state.failed, state.fenced_lines) == ("finished", 8, 1, 1)
