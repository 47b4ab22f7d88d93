import json
import logging
from pathlib import Path

import pytest
from pydantic import SecretStr

from posegen.settings import Settings
from posegen.telemetry import JsonFormatter, logger, measure, protect, record_metric, recording_to

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
    assert (name, unit, tags) == ("store.put", "ms", {"mode": "local", "error": "KeyError"})
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


def test_an_exception_is_named_and_its_text_masked(tmp_path: Path) -> None:
    protect(Settings(root=tmp_path, fal_key=SecretStr("a-secret-of-somebody")))
    try:
        raise ValueError("it has a-secret-of-somebody in it")
    except ValueError as exc:
        info = (type(exc), exc, exc.__traceback__)
    record = logging.LogRecord("posegen.x", logging.ERROR, "f", 1, "failed", (), info)
    line = JsonFormatter().format(record)
    assert json.loads(line)["exception"] == "ValueError"
    assert json.loads(line)["traceback"].endswith("ValueError: it has *** in it")
    assert "somebody" not in line
