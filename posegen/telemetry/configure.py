"""Switches the logs on, where somebody asks for it."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable
from typing import TextIO

from posegen.settings import Settings
from posegen.telemetry.formats import JsonFormatter, ReadableFormatter
from posegen.telemetry.handlers import ConsoleHandler, FileHandler
from posegen.telemetry.log_file import LogFile
from posegen.telemetry.logs import ROOT
from posegen.telemetry.masking import protect

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
    protect(settings, prompts=True)
    logs = logging.getLogger(ROOT)
    before = (logs.level, logs.propagate)
    console = ConsoleHandler(stream)
    terminal = _is_terminal(stream or sys.stderr)
    console.setFormatter(JsonFormatter() if verbose and not terminal else ReadableFormatter(colors=terminal))
    console.setLevel(logging.DEBUG if verbose else logging.WARNING)
    handlers: list[logging.Handler] = [console]
    if settings.log_max_mb:
        file = LogFile(settings.root / "logs", settings.log_max_mb * 1_000_000)
        handlers.append(FileHandler(file, console.say))
        handlers[-1].setLevel(LEVELS[settings.log_level])
    for handler in handlers:
        logs.addHandler(handler)
    logs.setLevel(min(handler.level for handler in handlers))
    logs.propagate = False

    def undo() -> None:
        if undo not in _undo:
            return
        _undo.remove(undo)
        for handler in handlers:
            logs.removeHandler(handler)
            handler.close()
        logs.setLevel(before[0])
        logs.propagate = before[1]

    _undo.append(undo)
    return undo


def _is_terminal(stream: TextIO | None) -> bool:
    try:
        return stream is not None and stream.isatty()
    except (AttributeError, ValueError):  # closed, or not quite a stream
        return False


_kernels_root: list[object] = []


def configure_in_kernel(settings: Settings) -> None:
    """Configure logging if this process is a Jupyter kernel in which nobody has configured posegen's."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    if getattr(shell, "kernel", None) is None:
        return
    chosen = (settings.root, settings.log_level, settings.log_max_mb, settings.log_prompts)
    ours = bool(_undo) and _kernels_root == [chosen]
    foreign = logging.getLogger(ROOT).handlers and not _kernels_root
    if not ours and not foreign:
        configure_logging(settings)
        _kernels_root[:] = [chosen]
