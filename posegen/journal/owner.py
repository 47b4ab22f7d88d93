"""Which process this is, so that another can tell whether it is still alive."""

from __future__ import annotations

import os
import platform
from pathlib import Path

import psutil

from posegen.journal.events import Owner

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


def current_owner() -> Owner:
    """Return this process, on this machine, since its last start."""
    return Owner(
        pid=os.getpid(),
        host=platform.node(),
        process_started_at=psutil.Process().create_time(),
        boot_id=_boot_id(_BOOT_ID),
    )


def _boot_id(path: Path) -> str | None:
    try:
        return path.read_text(encoding="ascii").strip() or None
    except OSError:  # only Linux has one
        return None
