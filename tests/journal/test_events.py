import json
from datetime import UTC, datetime, timedelta, timezone

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from posegen.journal import (
    AttemptFinished,
    AttemptStarted,
    ExportFailed,
    ImageExported,
    ImageStored,
    ImageWithheld,
    Interrupted,
    Metric,
    Owner,
    RunPlanned,
    TaskFailed,
    TaskSubmitted,
)
from posegen.journal.events import decoder, encode_line, timestamp
from posegen.journal.segments import decode_events
from posegen.records import ImageRecord, ImageTask

texts = st.text(st.characters(exclude_categories=["Cs"]))
numbers = st.floats(allow_nan=False, allow_infinity=False)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=8,
)
tasks = st.builds(
    ImageTask,
    task_id=texts, index=st.integers(0, 10**6), backend=texts, user_prompt=texts, prompt=texts,
    seed=st.integers(0, 2**63 - 1), width=st.integers(1, 4096), height=st.integers(1, 4096),
    conditioning=st.sampled_from(["none", "prompt", "control"]), options=st.dictionaries(texts, json_values),
)  # fmt: skip
records = st.builds(
    ImageRecord,
    task_id=texts, key=texts, thumbnail_key=texts, sha256=texts, size_bytes=st.integers(0, 2**40),
    thumbnail_bytes=st.integers(0, 2**40), width=st.integers(1, 4096), height=st.integers(1, 4096),
    duration_ms=numbers, conditioning=st.sampled_from(["none", "prompt", "control"]),
    stage_ms=st.dictionaries(texts, numbers), notes=st.lists(texts).map(tuple), cost_usd=st.none() | numbers,
)  # fmt: skip
names_to_lengths = st.dictionaries(texts, st.integers(0, 2**40))
owners = st.builds(Owner, pid=st.integers(1, 2**22), host=texts, process_started_at=numbers)
events = st.one_of(
    st.builds(AttemptStarted, kind=texts, owner=owners, lengths=names_to_lengths),
    st.builds(
        RunPlanned,
        spec=st.dictionaries(texts, json_values), spec_hash=texts,
        tasks=st.lists(tasks, max_size=3).map(tuple),
    ),
    st.builds(TaskSubmitted, task_id=texts, request_id=texts, provider=st.none() | texts),
    st.builds(ImageStored, record=records),
    st.builds(
        ImageExported,
        task_id=texts, format=texts, key=texts, sha256=texts, size_bytes=st.integers(0, 2**40),
        width=st.integers(1, 9000), height=st.integers(1, 9000),
    ),
    st.builds(ExportFailed, task_id=texts, format=texts, code=texts, message=texts),
    st.builds(TaskFailed, task_id=texts, code=texts, message=texts, refunded=st.integers(0, 1000)),
    st.builds(
        ImageWithheld,
        task_id=texts, code=texts, message=texts, refunded=st.integers(0, 1000), by=texts, label=texts,
        score=st.none() | numbers,
    ),
    st.builds(Metric, name=texts, value=numbers, unit=texts, tags=st.dictionaries(texts, texts)),
    st.builds(Interrupted, reason=texts),
    st.builds(AttemptFinished, outcome=texts, made=st.none() | st.integers(0, 10**6)),
)  # fmt: skip


@given(events)
def test_every_event_is_one_line_and_comes_back(event):
    line = encode_line(event)
    assert line.count(b"\n") == 1
    assert line.endswith(b"\n")
    assert decoder.decode(line) == event
    assert json.loads(line)["schema"] == 1


@given(st.lists(events, max_size=5), st.integers(0, 60))
def test_a_tail_cut_anywhere_leaves_the_lines_before_it(several, cut):
    stamped = [
        msgspec.structs.replace(event, run_id="r", attempt=1, seq=seq) for seq, event in enumerate(several)
    ]
    data = b"".join(map(encode_line, stamped))
    kept = data[: max(0, len(data) - cut)]
    whole = kept[: kept.rfind(b"\n") + 1]
    found, unknown, foreign = decode_events(whole, "r", 1)
    assert found == stamped[: whole.count(b"\n")]
    assert (unknown, foreign) == (0, 0)


def test_the_event_is_named_first():
    assert encode_line(Interrupted(reason="x")).startswith(b'{"event":"interrupted","schema":1,')


def test_unknown_fields_are_skipped():
    line = b'{"event":"interrupted","reason":"x","later":{"a":[1]},"run_id":"r"}'
    assert decoder.decode(line) == Interrupted(reason="x", run_id="r")


def test_a_metric_that_is_no_number_is_null():
    assert decoder.decode(encode_line(Metric(name="m", value=float("nan")))) == Metric(name="m", value=None)


def test_what_cannot_be_read_back_is_refused(record):
    with pytest.raises(ValueError, match="cannot be journalled"):
        encode_line(ImageStored(record=record(1, duration_ms=float("nan"))))
    with pytest.raises(ValueError, match="cannot be journalled"):
        encode_line(Interrupted(reason="\ud800"))


def test_timestamps_are_utc_with_milliseconds():
    east = timezone(timedelta(hours=2))
    assert timestamp(datetime(2026, 3, 1, 1, 0, 0, 999999, east)) == "2026-02-28T23:00:00.999Z"
    assert timestamp(datetime(2026, 3, 1, tzinfo=UTC)) == "2026-03-01T00:00:00.000Z"
