"""Structured logs, timings and metrics.

Low layers record without knowing the journal: they call `record_metric` or `measure`, and whoever drives a
run installs a sink with `recording_to`, which gets what is recorded in its context (in threads and tasks too,
where they copy the context).
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar

MetricSink = Callable[[str, float, str, Mapping[str, str]], None]

_sink: ContextVar[MetricSink | None] = ContextVar("posegen_metric_sink", default=None)


def logger(component: str) -> logging.Logger:
    """Return the logger of one component (`posegen.<component>`)."""
    return logging.getLogger(f"posegen.{component}")


class JsonFormatter(logging.Formatter):
    """One JSON object a line: time (UTC), level, component, message and the record's `context`."""

    def format(self, record: logging.LogRecord) -> str:
        """Return `record` as one line of JSON."""
        stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
        line: dict[str, object] = {
            "at": f"{stamp}.{int(record.msecs):03d}Z",
            "level": record.levelname.lower(),
            "component": record.name.removeprefix("posegen."),
            "message": record.getMessage(),
        }
        context = getattr(record, "context", None)
        if isinstance(context, Mapping):
            line.update(context)
        if record.exc_info and record.exc_info[0] is not None:
            line["exception"] = record.exc_info[0].__name__
        return json.dumps(line, ensure_ascii=False, default=str)


@contextmanager
def recording_to(sink: MetricSink) -> Iterator[None]:
    """Send what is recorded in this context to `sink(name, value, unit, tags)`."""
    token = _sink.set(sink)
    try:
        yield
    finally:
        _sink.reset(token)


def record_metric(name: str, value: float, unit: str, **tags: str) -> None:
    """Hand one measured value to the sink, if there is one."""
    sink = _sink.get()
    if sink is not None:
        sink(name, value, unit, tags)


@contextmanager
def measure(name: str, **tags: str) -> Iterator[None]:
    """Record and log how long the block took, in milliseconds, also when it raises."""
    started = time.perf_counter()
    try:
        yield
    finally:
        elapsed_ms = (time.perf_counter() - started) * 1000
        record_metric(name, elapsed_ms, "ms", **tags)
        component, _, _ = name.partition(".")
        logger(component).debug("%s completed in %.0f ms", name, elapsed_ms, extra={"context": tags})
