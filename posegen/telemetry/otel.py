"""Spans and metrics to an OpenTelemetry collector: the one module that imports its packages, when first used.

Attributes are masked as log lines are; of an exception only its class is told, for its text may hold all.
What is sent leaves by threads of the SDK's own, for which nobody waits.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from structlog.contextvars import get_contextvars

from posegen import __version__
from posegen.telemetry.masking import mask, mask_text
from posegen.telemetry.recording import Tags

if TYPE_CHECKING:
    from opentelemetry.metrics import Meter
    from opentelemetry.sdk.metrics.export import MetricReader
    from opentelemetry.sdk.trace import SpanProcessor
    from opentelemetry.trace import Tracer

SCOPE = "posegen"
TIMEOUT_S = 3
"""For one request to the collector: a process that ends waits so long for one that does not answer."""

BOUND = ("run", "attempt", "task")
"""What spans tell beside their tags; metrics do not, so that their series stay few."""


@dataclass
class Opened:
    """The SDK at work."""

    tracer: Tracer
    meter: Meter
    close: Callable[[], None]
    instruments: dict[tuple[str, str], Callable[[float, Tags], None]] = field(default_factory=dict)


class OpenTelemetry:
    """An exporter as `recording.Exporter` describes it, opened when something is first timed or recorded.

    Parameters
    ----------
    make : callable
        Opens the SDK. Where it raises, nothing is exported.
    told : callable
        Called once with the reason.
    """

    def __init__(self, make: Callable[[], Opened], told: Callable[[Exception], None]) -> None:
        self._make, self._told = make, told
        self._opened: Opened | None = None
        self._tried = False
        self._lock = threading.Lock()

    @contextmanager
    def span(self, name: str, tags: Tags) -> Iterator[None]:
        """Hold a span open for the block."""
        opened = self._open()
        if opened is None:
            yield
            return
        from opentelemetry.trace import Status, StatusCode

        bound = get_contextvars()
        attributes: dict[str, Any] = {key: mask(bound[key], key) for key in BOUND if key in bound}
        attributes |= _masked(tags)
        with opened.tracer.start_as_current_span(
            name, attributes=attributes, record_exception=False, set_status_on_exception=False
        ) as span:
            try:
                yield
            except BaseException as exc:
                kind = type(exc).__name__
                span.set_attribute("error.type", kind)
                span.set_status(Status(StatusCode.ERROR, kind))
                raise

    def metric(self, name: str, value: float, unit: str, tags: Tags) -> None:
        """Take one value: milliseconds into a histogram, counts into a counter, others into a gauge."""
        opened = self._open()
        if opened is not None:
            take = opened.instruments.get((name, unit))
            if take is None:
                take = opened.instruments[name, unit] = _instrument(opened.meter, f"{SCOPE}.{name}", unit)
            take(value, _masked(tags))

    def close(self) -> None:
        """Send what is left, and end."""
        with self._lock:
            opened, self._opened, self._tried = self._opened, None, True
        if opened is not None:
            opened.close()

    def _open(self) -> Opened | None:
        if not self._tried:
            with self._lock:
                if not self._tried:
                    try:
                        self._opened = self._make()
                    except Exception as exc:  # noqa: BLE001  (a package is missing, or a variable of its is wrong)
                        self._told(exc)
                    self._tried = True
        return self._opened


def _masked(tags: Tags) -> dict[str, str]:
    return {key: mask_text(str(value)) for key, value in tags.items()}


def _instrument(meter: Meter, name: str, unit: str) -> Callable[[float, Tags], None]:
    if unit == "ms":
        histogram = meter.create_histogram(name, unit="ms")
        return lambda value, tags: histogram.record(value, dict(tags))
    if unit == "count":
        counter = meter.create_counter(name, unit="1")
        return lambda value, tags: counter.add(value, dict(tags))
    gauge = meter.create_gauge(name, unit=unit)
    return lambda value, tags: gauge.set(value, dict(tags))


def open_sdk(processor: SpanProcessor, reader: MetricReader) -> Opened:
    """Return the SDK with one way out for spans and one for metrics; no global provider is set."""
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider

    resource = Resource.create()  # reads OTEL_SERVICE_NAME and OTEL_RESOURCE_ATTRIBUTES
    if str(resource.attributes.get("service.name", "")).startswith("unknown_service"):
        resource = resource.merge(Resource({"service.name": SCOPE, "service.version": __version__}))
    tracers, meters = TracerProvider(resource=resource), MeterProvider([reader], resource=resource)
    tracers.add_span_processor(processor)

    def close() -> None:
        tracers.shutdown()
        meters.shutdown()

    return Opened(tracers.get_tracer(SCOPE, __version__), meters.get_meter(SCOPE, __version__), close)


def open_otlp(endpoint: str) -> Opened:
    """Return the SDK sending to a collector by OTLP over HTTP; headers and more by OTEL_EXPORTER_OTLP_*."""
    from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    return open_sdk(
        BatchSpanProcessor(OTLPSpanExporter(f"{endpoint}/v1/traces", timeout=TIMEOUT_S)),
        PeriodicExportingMetricReader(OTLPMetricExporter(f"{endpoint}/v1/metrics", timeout=TIMEOUT_S)),
    )
