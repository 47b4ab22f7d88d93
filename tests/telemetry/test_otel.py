import io
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import StatusCode
from pydantic import SecretStr

from posegen.settings import Settings, load_settings
from posegen.telemetry import (
    bound,
    configure_logging,
    logger,
    masking,
    measure,
    protect,
    record_metric,
    recording,
    timed,
)
from posegen.telemetry.otel import OpenTelemetry, open_sdk
from posegen.telemetry.recording import export_to

KEY = "fal-0123456789abcdef"


class Collector:
    """What the SDK's own exporters keep in memory."""

    def __init__(self) -> None:
        self.spans = InMemorySpanExporter()
        self.reader = InMemoryMetricReader()
        self.told: list[Exception] = []
        self.exporter = OpenTelemetry(
            lambda: open_sdk(SimpleSpanProcessor(self.spans), self.reader), self.told.append
        )

    def metrics(self) -> dict[str, list[Any]]:
        data = self.reader.get_metrics_data()
        assert data is not None
        found = data.resource_metrics[0].scope_metrics[0].metrics
        return {one.name: [one.unit, *one.data.data_points] for one in found}


@pytest.fixture
def collector() -> Iterator[Collector]:
    made = Collector()
    export_to(made.exporter)
    yield made
    export_to(None)
    made.exporter.close()


def test_timings_are_spans_within_each_other_and_histograms(collector: Collector) -> None:
    with bound(run="r", attempt=2, task="t"), measure("worker.image"), timed("flux.generate", backend="fal"):
        pass
    inner, outer = collector.spans.get_finished_spans()
    assert (outer.name, inner.name) == ("worker.image", "flux.generate")
    assert inner.parent is not None
    assert inner.parent.span_id == outer.context.span_id
    assert dict(inner.attributes or {}) == {"run": "r", "attempt": 2, "task": "t", "backend": "fal"}
    assert inner.resource.attributes["service.name"] == "posegen"
    unit, point = collector.metrics()["posegen.flux.generate"]
    assert (unit, point.count, dict(point.attributes)) == ("ms", 1, {"backend": "fal"})


def test_counts_add_up_and_other_values_are_the_last(collector: Collector) -> None:
    for value in (1, 2):
        record_metric("http.retries", value, "count", backend="fal")
        record_metric("flux.queue_length", value, "")
    found = collector.metrics()
    assert found["posegen.http.retries"][1].value == 3
    assert found["posegen.flux.queue_length"][1].value == 2


def test_an_error_is_told_by_its_class_and_nothing_of_a_key_leaves(
    collector: Collector, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(masking, "_secrets", [])
    protect(Settings(root=tmp_path, fal_key=SecretStr(KEY)))
    with pytest.raises(ValueError, match="fal-"), bound(run=KEY), measure("flux.generate", seen=KEY):
        raise ValueError(KEY)
    (span,) = collector.spans.get_finished_spans()
    assert span.status.status_code is StatusCode.ERROR
    assert (span.status.description, span.events) == ("ValueError", ())
    assert (span.attributes or {})["error.type"] == "ValueError"
    assert KEY not in span.to_json()
    assert KEY not in str(collector.reader.get_metrics_data())


def test_an_exporter_that_fails_fails_nobody() -> None:
    def broken() -> Any:
        raise OSError("no")

    told: list[Exception] = []
    export_to(OpenTelemetry(broken, told.append))
    try:
        for _ in range(2):
            with measure("flux.generate"):
                record_metric("http.retries", 1, "count")
    finally:
        export_to(None)
    assert [str(error) for error in told] == ["no"], "once"


def test_without_the_extra_a_line_in_the_file_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "opentelemetry.exporter", None)
    env = {"STORAGE_LOCAL_PATH": str(tmp_path), "OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9/"}
    stream = io.StringIO()
    undo = configure_logging(load_settings(env), stream=stream)
    assert recording._exporter
    with measure("flux.generate"):
        pass
    undo()
    assert not recording._exporter
    assert stream.getvalue() == ""
    assert "the extra `otel` is not installed" in (tmp_path / "logs/posegen.jsonl").read_text("utf-8")


def test_without_an_endpoint_nothing_is_exported(tmp_path: Path) -> None:
    undo = configure_logging(Settings(root=tmp_path))
    assert not recording._exporter
    logger("flux").debug("x")
    undo()
