"""Structured logs, timings and metrics.

Low layers log, time and record without knowing where that goes. Nobody's logging is configured by an import:
the command line does it, a Jupyter kernel does it when it begins a run, and an application that wants
posegen's files calls `configure_logging`. Whoever drives a run installs a sink with `recording_to`, which
gets what is recorded in its context (in threads and tasks too, where they copy the context).
"""

from posegen.telemetry.configure import configure_in_kernel, configure_logging
from posegen.telemetry.context import bound
from posegen.telemetry.formats import JsonFormatter, ReadableFormatter
from posegen.telemetry.logs import COMPONENTS, logger
from posegen.telemetry.masking import protect
from posegen.telemetry.recording import MetricSink, measure, record_metric, recording_to, timed

__all__ = [
    "COMPONENTS",
    "JsonFormatter",
    "MetricSink",
    "ReadableFormatter",
    "bound",
    "configure_in_kernel",
    "configure_logging",
    "logger",
    "measure",
    "protect",
    "record_metric",
    "recording_to",
    "timed",
]
