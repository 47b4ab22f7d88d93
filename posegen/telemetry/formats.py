"""How a line looks: JSON for machines, text for people; both masked."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from typing import Any

import structlog

from posegen.telemetry.logs import ROOT
from posegen.telemetry.masking import mask, mask_text

_FIRST = ("run", "attempt", "task")
_RESERVED = ("at", "level", "component", "message", "exception", "traceback")


def _line(record: logging.LogRecord) -> dict[str, Any]:
    """Return a record as a masked mapping: also one that never went through `logger`."""
    stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
    line: dict[str, Any] = {
        "at": f"{stamp}.{int(record.msecs):03d}Z",
        "level": record.levelname.lower(),
        "component": record.name.removeprefix(f"{ROOT}."),
        "message": mask_text(record.getMessage()),
    }
    context = getattr(record, "context", None)
    if isinstance(context, Mapping):
        context = {name: context[name] for name in _FIRST if name in context} | dict(context)
        line |= {
            (name if name not in _RESERVED else f"{name}_"): mask(value, name)
            for name, value in context.items()
        }
    if record.exc_info and record.exc_info[0] is not None:
        line["exception"] = record.exc_info[0].__name__
        # Never with the frames' variables: keys lie in them.
        line["traceback"] = mask_text(logging.Formatter().formatException(record.exc_info))
    return line


class JsonFormatter(logging.Formatter):
    """One JSON object a line: time (UTC), level, component, message, and the fields bound and given."""

    _render = structlog.processors.JSONRenderer(ensure_ascii=False)

    def format(self, record: logging.LogRecord) -> str:
        """Return `record` as one line of JSON."""
        return str(self._render(None, "", _line(record)))


class ReadableFormatter(logging.Formatter):
    """A line for people.

    Parameters
    ----------
    colors : bool
        Whether the reader is a terminal.
    """

    def __init__(self, *, colors: bool = False) -> None:
        super().__init__()
        self._render = structlog.dev.ConsoleRenderer(
            colors=colors, sort_keys=False, exception_formatter=structlog.dev.plain_traceback
        )

    def format(self, record: logging.LogRecord) -> str:
        """Return `record` as text."""
        line = _line(record)
        line.pop("exception", None)
        event: dict[str, Any] = {
            "timestamp": line.pop("at")[11:19],
            "level": line.pop("level"),
            "event": f"{line.pop('component')}: {line.pop('message')}".replace("\n", "\\n"),
        }
        trace = line.pop("traceback", None)
        if trace is not None:
            event["exception"] = trace
        return str(self._render(None, "", {**event, **line}))
