"""Which process this is, and what another can tell of it: whether it is on this machine, and alive."""

from __future__ import annotations

import os
import platform
from pathlib import Path
from typing import Literal

import psutil

from posegen.journal.events import Owner

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")

# psutil adds up two times of the system, one of them known to a second and slewed with the clock.
_START_TOLERANCE_S = 2.0

Place = Literal["here", "restarted", "elsewhere"]
"""Where a process ran, as seen from another: on this machine since its last start; on this machine before
that, so it is dead for sure; on a machine that cannot be seen from here."""


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


def place(owner: Owner, me: Owner) -> Place:
    """Return where `owner` runs or ran, as `me` sees it.

    Machines that share a folder must have names of their own: two of one name look like one that restarted.
    """
    if owner.host != me.host:
        return "elsewhere"
    if owner.boot_id is not None and me.boot_id is not None and owner.boot_id != me.boot_id:
        return "restarted"
    return "here"


def started_after_boot_s() -> float:
    """Return when this process started, in seconds since the machine did: unlike a time, never set back."""
    return psutil.Process().create_time() - psutil.boot_time()


def process_alive(owner: Owner, after_boot_s: float | None = None) -> bool:
    """Return whether a process of this machine still runs; one that is stopped does.

    Parameters
    ----------
    owner : Owner
    after_boot_s : float, optional
        Its `started_after_boot_s`. Without it starts are compared by the clock, and once that has been set a
        process that runs looks dead. Only the lock is sure.
    """
    try:
        process = psutil.Process(owner.pid)
        if process.status() == psutil.STATUS_ZOMBIE:
            return False
        created = process.create_time()
    except psutil.NoSuchProcess:
        return False
    except psutil.AccessDenied:  # it is there, and may not be looked at
        return True
    if after_boot_s is not None:
        return abs(created - psutil.boot_time() - after_boot_s) <= _START_TOLERANCE_S
    return abs(created - owner.process_started_at) <= _START_TOLERANCE_S
