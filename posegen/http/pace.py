"""How fast a provider is asked, by all processes of a workspace together.

The generic cell rate algorithm over a small file under an OS lock: each caller books the next free moment and
sleeps until then. After a refusal nobody books ahead: who comes too early looks again, so that easing is felt
by all who wait. No library serves here: those that limit across processes without a server (pyrate-limiter
on SQLite) neither slow down when a provider says so nor run with the filelock releases that posegen needs.

References
----------
ITU-T I.371 (the generic cell rate algorithm); the slowing is additive-increase, multiplicative-decrease as in
RFC 5681.
"""

from __future__ import annotations

import asyncio
import json
import math
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from functools import lru_cache
from pathlib import Path

from filelock import FileLock, Timeout

BURST_S = 1.0
"""What was not asked for within the last second may be asked for at once."""

SLOWEST_S = 10.0
"""Seconds between two requests at most, however often a provider says that it is too much."""

FIRST_SLOWING_S = 0.5
"""Seconds between two requests after a provider has first said so, where nothing limited it before."""

EASING = 0.5
"""What an answer that came through makes of the slowing."""

LOOK_AGAIN_S = 1.0
"""How often those look again who wait while a provider is asked more slowly."""

FORGOTTEN_S = 3600.0
"""A moment further ahead than this was booked by another clock."""

LOCK_TIMEOUT_S = 10.0


@dataclass(frozen=True)
class Booked:
    """What the processes share.

    Attributes
    ----------
    next_at : float
        The next free moment, seconds of the machine's monotonic clock.
    slowing_s : float
        Seconds between requests that the provider's refusals have brought about.
    slowed_at : float
        When they last did.
    boot : str
        The machine's start that `next_at` counts from, where the system tells.
    """

    next_at: float = 0.0
    slowing_s: float = 0.0
    slowed_at: float = 0.0
    boot: str = ""


class LongWaitError(Exception):
    """The provider has asked for a longer wait than anybody wants to wait.

    Parameters
    ----------
    wait_s : float
    """

    def __init__(self, wait_s: float) -> None:
        super().__init__(f"a wait of {wait_s:.0f} s")
        self.wait_s = wait_s


class Pace:
    """The pace towards one provider.

    Parameters
    ----------
    folder : Path
        Where the processes of a workspace keep their locks.
    provider : str
    per_minute : float or None
        Requests a minute; None sets no limit, but refusals still slow it down.
    """

    def __init__(
        self,
        folder: Path,
        provider: str,
        per_minute: float | None = None,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._file = folder / f"pace-{provider}.json"
        self._interval_s = 60.0 / per_minute if per_minute else 0.0
        self._clock, self._sleep = clock, sleep

    async def turn(self, longest_s: float = math.inf) -> float:
        """Wait for the next free moment; return the seconds waited.

        Raises
        ------
        LongWaitError
            After a refusal it lies more than `longest_s` ahead.
        """
        if not self._interval_s and not self._read().next_at:  # nothing limits it: no thread, no lock
            return 0.0
        waited_s = 0.0
        while True:
            wait_s, booked = await asyncio.to_thread(self._book)
            if not booked:
                if wait_s > longest_s:
                    raise LongWaitError(wait_s)
                wait_s = min(wait_s, LOOK_AGAIN_S)
            if wait_s > 0:
                await self._sleep(wait_s)
            waited_s += wait_s
            if booked:
                return waited_s

    async def slow_down(self, wait_s: float | None, sent_at: float | None = None) -> None:
        """Ask for less from now on: the provider has refused, perhaps saying for how long.

        What was sent before the last slowing is refused for the same reason and slows no further: else one
        moment of too much, with many requests on their way, would slow down to the limit.
        """

        def slower(booked: Booked, now: float) -> Booked:
            slowing_s, slowed_at = booked.slowing_s, booked.slowed_at
            if not slowing_s or sent_at is None or sent_at > slowed_at:
                slowing_s = min(max(slowing_s * 2, FIRST_SLOWING_S, self._interval_s), SLOWEST_S)
                slowed_at = now
            next_at = max(booked.next_at, now + min(wait_s or slowing_s, FORGOTTEN_S))
            return replace(booked, next_at=next_at, slowing_s=slowing_s, slowed_at=slowed_at)

        await asyncio.to_thread(self._change, slower)

    async def speed_up(self) -> None:
        """Ask for a little more: a request came through."""

        def faster(booked: Booked, now: float) -> Booked:
            del now
            slowing_s = booked.slowing_s * EASING
            return replace(booked, slowing_s=slowing_s if slowing_s > 0.01 else 0.0)

        if self._read().slowing_s > 0:
            await asyncio.to_thread(self._change, faster)

    def _book(self) -> tuple[float, bool]:
        """Return the seconds to the next free moment, and whether it is now this caller's."""
        wait_s, taken = 0.0, True

        def book(booked: Booked, now: float) -> Booked:
            nonlocal wait_s, taken
            interval_s = max(self._interval_s, booked.slowing_s)
            burst_s = 0.0 if booked.slowing_s else max(0.0, BURST_S - interval_s)
            mine = max(booked.next_at, now - burst_s)
            wait_s = max(0.0, mine - now)
            taken = not (booked.slowing_s and wait_s)
            return replace(booked, next_at=mine + interval_s) if taken else booked

        self._change(book)
        return wait_s, taken

    def _change(self, change: Callable[[Booked, float], Booked]) -> None:
        """Replace what is booked, alone; past a lock that nobody gives up, for a pace is no promise."""
        self._file.parent.mkdir(parents=True, exist_ok=True)
        lock = FileLock(f"{self._file}.lock", timeout=LOCK_TIMEOUT_S, fallback_to_soft=False)
        with suppress(Timeout), lock:
            changed = change(self._read(), self._clock())
            scratch = self._file.with_suffix(".new")
            scratch.write_text(json.dumps(asdict(changed)), encoding="utf-8")
            scratch.replace(self._file)

    def _read(self) -> Booked:
        try:
            found = json.loads(self._file.read_text(encoding="utf-8"))
            next_at, slowing_s, slowed_at = (float(found[n]) for n in ("next_at", "slowing_s", "slowed_at"))
            booked = Booked(next_at, slowing_s, slowed_at, boot=str(found["boot"]))
        except (OSError, ValueError, KeyError, TypeError):
            return Booked(boot=boot_id())
        ahead_s = booked.next_at - self._clock()
        forgotten = ahead_s > FORGOTTEN_S or booked.boot != boot_id()
        return Booked(boot=boot_id()) if forgotten else booked


@lru_cache(maxsize=1)
def boot_id() -> str:
    """Return what tells one start of the machine from another; empty where the system does not say."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return ""
