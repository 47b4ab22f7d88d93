import json
import logging

import pytest

from posegen.telemetry import JsonFormatter, logger, measure, record_metric, recording_to

Metric = tuple[str, float, str, dict[str, str]]


def test_without_a_sink_nothing_happens() -> None:
    record_metric("flux.retries", 1, "count")


def test_what_is_recorded_reaches_the_sink_of_the_block() -> None:
    seen: list[Metric] = []
    with recording_to(lambda *metric: seen.append((*metric[:3], dict(metric[3])))):
        record_metric("flux.retries", 2, "count", backend="fal")
    record_metric("flux.retries", 3, "count")
    assert seen == [("flux.retries", 2, "count", {"backend": "fal"})]


def test_measure_records_milliseconds_also_when_it_raises() -> None:
    seen: list[Metric] = []
    with (
        pytest.raises(KeyError),
        recording_to(lambda *metric: seen.append((*metric[:3], dict(metric[3])))),
        measure("store.put", mode="local"),
    ):
        raise KeyError
    name, value, unit, tags = seen[0]
    assert (name, unit, tags) == ("store.put", "ms", {"mode": "local"})
    assert value >= 0


def test_a_log_line_is_one_json_object_with_its_context() -> None:
    record = logger("flux").makeRecord(
        "posegen.flux",
        logging.WARNING,
        "f",
        1,
        "tried %d times",
        (3,),
        None,
        extra={"context": {"task": "ab"}},
    )
    line = json.loads(JsonFormatter().format(record))
    assert line["component"] == "flux"
    assert (line["level"], line["message"], line["task"]) == ("warning", "tried 3 times", "ab")
    assert line["at"].endswith("Z")


def test_an_exception_is_named_without_its_text() -> None:
    try:
        raise ValueError("a secret")
    except ValueError as exc:
        info = (type(exc), exc, exc.__traceback__)
    record = logging.LogRecord("posegen.x", logging.ERROR, "f", 1, "failed", (), info)
    line = JsonFormatter().format(record)
    assert json.loads(line)["exception"] == "ValueError"
    assert "secret" not in line
