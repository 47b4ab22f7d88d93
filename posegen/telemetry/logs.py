"""One logger per component."""

from __future__ import annotations

import functools
import logging
from typing import Any, cast

import structlog
from structlog.stdlib import BoundLogger
from structlog.typing import EventDict

from posegen.telemetry.masking import mask, mask_text

COMPONENTS = {
    "accuracy": "finding people in images and comparing them with their poses",
    "controlnet": "control maps",
    "export": "export formats",
    "flux": "backends making an image; the field `backend` says which",
    "http": "requests to providers, tries and waits",
    "images": "encoding",
    "metrics": "what is recorded",
    "moderation": "screening of prompts and images",
    "recovery": "going on with runs that were cut off",
    "storage": "storing images",
    "worker": "planning and driving a run",
}
"""The components that log, each with what it does."""

ROOT = "posegen"


@functools.cache
def logger(component: str) -> BoundLogger:
    """Return the logger of one component (`posegen.<component>`).

    A logger of the standard library stands behind it: an application that configures that sees posegen's
    lines as it sees all others, the fields in the record's `context`.
    """
    made = structlog.wrap_logger(
        logging.getLogger(f"{ROOT}.{component}"),
        processors=[
            structlog.stdlib.filter_by_level,
            structlog.contextvars.merge_contextvars,
            _to_record,
        ],
        wrapper_class=BoundLogger,
        context_class=dict,
    )
    return cast("BoundLogger", made.bind())


def _to_record(_logger: object, _method: str, event: EventDict) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Return what the standard library's logger gets: one masked message, and the fields as `context`."""
    message, arguments = str(event.pop("event", "")), event.pop("positional_args", ())
    kwargs: dict[str, Any] = {name: event.pop(name) for name in ("exc_info", "stack_info") if name in event}
    for name in ("extra", "stacklevel"):
        event.pop(name, None)
    try:
        message = message % arguments if arguments else message
    except Exception:  # noqa: BLE001  (a wrong line must not break what it is about)
        message = f"{message} {arguments!r}"
    context = {name: mask(value, name) for name, value in event.items()}
    return ("%s", mask_text(message)), {**kwargs, "extra": {"context": context}}
