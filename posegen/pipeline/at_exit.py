"""What a process does with the runs it still drives when it ends.

Python refuses new work on thread pools before it calls what `atexit` holds, so runs must be told before that,
through the hook that `concurrent.futures` itself uses.
"""

from __future__ import annotations

import atexit
import threading
import weakref
from typing import Protocol

PROCESS_ENDED = "its process ended"
"""The reason that such a run is journalled with."""


class Driven(Protocol):
    """A run that this process drives."""

    def stop(self, reason: str) -> None:
        """Start nothing more."""

    def join(self, timeout_s: float) -> bool:
        """Wait for the end."""


_DRIVEN: weakref.WeakSet[Driven] = weakref.WeakSet()
_LOCK = threading.Lock()
_JOIN_S = 5.0


def stop_at_exit(driven: Driven) -> None:
    """Stop a run cleanly when this process ends before the run does."""
    with _LOCK:
        if not _DRIVEN:
            _register()
        _DRIVEN.add(driven)


def _register() -> None:
    # Each time anew: what is registered last is called first, and a pool may have come before us.
    getattr(threading, "_register_atexit", atexit.register)(_stop_all)


def _stop_all() -> None:
    running = [driven for driven in _DRIVEN if not driven.join(0)]
    for driven in running:
        driven.stop(PROCESS_ENDED)
    for driven in running:
        driven.join(_JOIN_S)
