"""Where lines go: the workspace's file, and people's standard error."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable
from typing import TextIO

from posegen.telemetry.formats import JsonFormatter
from posegen.telemetry.log_file import LogFile
from posegen.telemetry.logs import ROOT


class _Quiet(logging.Handler):
    """A handler whose failures stay its own."""

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802  (logging's own name)
        """Do nothing: logging must never fail a run, nor write about itself into its output."""


class FileHandler(_Quiet):
    """JSON lines into the workspace's log file.

    Parameters
    ----------
    file : LogFile
    told : callable
        Called once with a sentence when lines cannot be written.
    """

    def __init__(self, file: LogFile, told: Callable[[str], None]) -> None:
        super().__init__()
        self.file = file
        self._told: Callable[[str], None] | None = told
        self.setFormatter(JsonFormatter())

    def emit(self, record: logging.LogRecord) -> None:
        """Write one line."""
        try:
            written = self.file.write(self.format(record).encode(errors="backslashreplace"))
        except Exception:  # noqa: BLE001  (the same)
            return
        if not written and self._told is not None and self.file.failure is not None:
            told, self._told = self._told, None
            reason = self.file.failure.strerror or str(self.file.failure)
            told(f"logs cannot be written to {self.file.path}: {reason}")

    def close(self) -> None:
        """Close the file."""
        self.file.close()
        super().close()


class ConsoleHandler(_Quiet):
    """Lines for people on what is standard error at that moment: a kernel and a test change it."""

    def __init__(self, stream: TextIO | None = None) -> None:
        super().__init__()
        self._stream = stream

    def emit(self, record: logging.LogRecord) -> None:
        """Write one line."""
        stream = self._stream or sys.stderr
        try:
            stream.write(self.format(record) + "\n")
            stream.flush()
        except Exception:  # noqa: BLE001  (a closed pipe, no stream at all)
            return

    def say(self, message: str) -> None:
        """Write a warning about the logs themselves."""
        self.emit(logging.LogRecord(f"{ROOT}.metrics", logging.WARNING, "", 0, message, (), None))
