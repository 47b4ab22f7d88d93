"""Switches the logs on, and OpenTelemetry, where somebody asks for it."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from typing import TextIO

from posegen.settings import Settings
from posegen.telemetry.formats import JsonFormatter, ReadableFormatter
from posegen.telemetry.handlers import ConsoleHandler, FileHandler
from posegen.telemetry.log_file import LogFile
from posegen.telemetry.logs import ROOT, logger
from posegen.telemetry.masking import protect
from posegen.telemetry.otel import OpenTelemetry, open_otlp
from posegen.telemetry.recording import export_to

LEVELS = {"debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}

_undo: list[Callable[[], None]] = []


def configure_logging(
    settings: Settings, *, verbose: bool = False, stream: TextIO | None = None
) -> Callable[[], None]:
    """Write posegen's logs: JSON lines to a file below the root, warnings to standard error.

    For the command line, a kernel, or an application that wants this; importing posegen configures nothing. A
    second call takes the first one's place. Other libraries' logs are left alone, posegen's go no further up.

    Parameters
    ----------
    settings : Settings
        `log_level` of the file, `log_max_mb` it may take (0: no file), `log_prompts`, and secrets to mask.
    verbose : bool
        Everything to standard error: readable in a terminal, JSON lines elsewhere.
    stream : text stream, optional
        In place of standard error.

    Returns
    -------
    callable
        Takes all of it back.
    """
    for earlier in _undo[:]:
        earlier()
    _kernels_choice.clear()
    protect(settings, prompts=True)
    handlers = _handlers(settings, stream, verbose=verbose)
    with ExitStack() as stack:
        _install(logging.getLogger(ROOT), handlers, stack)
        if settings.otel_endpoint is not None:
            # What the SDK says of a collector that does not answer is for the file, not for people.
            _install(logging.getLogger("opentelemetry"), handlers[1:] or [logging.NullHandler()], stack)
            _export(settings.otel_endpoint, stack)
        installed = stack.pop_all()

    def undo() -> None:
        if undo in _undo:
            _undo.remove(undo)
            installed.close()

    _undo.append(undo)
    return undo


def _handlers(settings: Settings, stream: TextIO | None, *, verbose: bool) -> list[logging.Handler]:
    """Return people's handler, and the file's if there is to be one."""
    console = ConsoleHandler(stream)
    terminal = _is_terminal(stream or sys.stderr)
    console.setFormatter(JsonFormatter() if verbose and not terminal else ReadableFormatter(colors=terminal))
    console.setLevel(logging.DEBUG if verbose else logging.WARNING)
    if not settings.log_max_mb:
        return [console]
    to_file = FileHandler(LogFile(settings.root / "logs", settings.log_max_mb * 1_000_000), console.say)
    to_file.setLevel(LEVELS[settings.log_level])
    return [console, to_file]


def _install(logs: logging.Logger, handlers: list[logging.Handler], stack: ExitStack) -> None:
    """Let `logs` go to `handlers` and no further, until the stack is unwound."""
    stack.callback(logs.setLevel, logs.level)
    stack.callback(setattr, logs, "propagate", logs.propagate)
    for handler in handlers:
        logs.addHandler(handler)
        stack.callback(handler.close)
        stack.callback(logs.removeHandler, handler)
    logs.setLevel(min(handler.level for handler in handlers))
    logs.propagate = False


def _export(endpoint: str, stack: ExitStack) -> None:
    exporter = OpenTelemetry(partial(open_otlp, endpoint), _say_why_not)
    export_to(exporter)
    stack.callback(exporter.close)
    stack.callback(export_to, None)


def _say_why_not(error: Exception) -> None:
    missing = "; the extra `otel` is not installed" if isinstance(error, ModuleNotFoundError) else ""
    logger("metrics").info("nothing goes to OpenTelemetry: %s%s", error, missing)


def _is_terminal(stream: TextIO | None) -> bool:
    try:
        return stream is not None and stream.isatty()
    except (AttributeError, ValueError):  # closed, or not quite a stream
        return False


_kernels_choice: list[tuple[object, ...]] = []


def configure_in_kernel(settings: Settings) -> None:
    """Configure logging if this process is a Jupyter kernel in which nobody has configured posegen's."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    if getattr(shell, "kernel", None) is None:
        return
    names = ("root", "log_level", "log_max_mb", "log_prompts", "otel_endpoint")
    choice = tuple(getattr(settings, name) for name in names)
    foreign = logging.getLogger(ROOT).handlers and not _kernels_choice
    if not foreign and _kernels_choice != [choice]:
        configure_logging(settings)
        _kernels_choice.append(choice)
