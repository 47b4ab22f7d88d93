"""How far a run is, and ways to show it: a bar in JupyterLab, one line at a time in a log."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, Protocol

LINE_EVERY_S = 5.0
"""A log gets a line at each tenth of the run, and at least this often while images arrive."""


@dataclass(frozen=True)
class Progress:
    """A moment of a run.

    Attributes
    ----------
    planned, made, kept, adopted, fetched, failed, waiting : int
        Images: in the plan, made by this attempt, kept from earlier attempts, found stored, fetched from the
        provider by request id, failed for good, and waiting for a person's word.
    elapsed_s : float
        Since this attempt started.
    latest : str
        A few words on what happened last.
    """

    planned: int
    made: int = 0
    kept: int = 0
    adopted: int = 0
    fetched: int = 0
    failed: int = 0
    waiting: int = 0
    elapsed_s: float = 0.0
    latest: str = ""

    @property
    def done(self) -> int:
        """Images that need no more work."""
        return self.made + self.kept + self.adopted + self.fetched + self.failed

    @property
    def images_per_s(self) -> float:
        """Images made a second by this attempt; 0 before the first."""
        worked = self.made + self.failed
        return worked / self.elapsed_s if worked and self.elapsed_s > 0 else 0.0

    @property
    def left_s(self) -> float | None:
        """Expected seconds to the end; None before the first image."""
        rate = self.images_per_s
        return (self.planned - self.done) / rate if rate else None

    def line(self) -> str:
        """Return the moment as one line of text."""
        parts = [f"{self.done}/{self.planned} images"]
        if self.failed:
            parts.append(f"{self.failed} failed")
        if self.waiting:
            parts.append(f"{self.waiting} wait for a person's word")
        if self.kept or self.adopted or self.fetched:
            parts.append(f"{self.kept + self.adopted + self.fetched} from before")
        if self.images_per_s:
            parts.append(f"{self.images_per_s:.2f}/s")
        if self.left_s and self.done < self.planned:
            parts.append(f"about {duration(self.left_s)} left")
        return ", ".join(parts) + (f" | {self.latest}" if self.latest else "")


def duration(seconds: float) -> str:
    """Return seconds as words.

    >>> duration(0.42), duration(75), duration(7300)
    ('0.4 s', '1 min 15 s', '2 h 1 min')
    """
    if seconds < 10:
        return f"{seconds:.1f} s"
    if seconds < 60:
        return f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    return f"{minutes // 60} h {minutes % 60} min"


class Display(Protocol):
    """Shows progress."""

    def update(self, progress: Progress) -> None:
        """Show a moment; called several times a second."""

    def close(self, progress: Progress) -> None:
        """Show the last moment."""


class Lines:
    """One line at a time, for logs: at each tenth of the run, at failures, and every few seconds between."""

    def __init__(
        self, write: Callable[[str], None] | None = None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._write = write or _print_line
        self._clock = clock
        self._shown: Progress | None = None
        self._shown_at = clock()

    def update(self, progress: Progress) -> None:
        """Write a line if there is enough news."""
        if self._is_news(progress):
            self._show(progress)

    def close(self, progress: Progress) -> None:
        """Write the last line, unless it stands there already."""
        if self._shown is None or progress.done != self._shown.done:
            self._show(progress)

    def _is_news(self, progress: Progress) -> bool:
        if self._shown is None:
            return progress.done > 0
        if progress.done == self._shown.done:
            return False
        tenth = max(1, progress.planned // 10)
        return (
            progress.done // tenth > self._shown.done // tenth
            or progress.failed > self._shown.failed
            or self._clock() - self._shown_at >= LINE_EVERY_S
        )

    def _show(self, progress: Progress) -> None:
        self._write(progress.line())
        self._shown, self._shown_at = progress, self._clock()


def _print_line(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


class Bar:
    """tqdm's notebook bar, which becomes a plain text bar where there is no widget front end."""

    def __init__(self, planned: int, unit: str = "image") -> None:
        from tqdm.auto import tqdm

        self._bar: Any = tqdm(total=planned, unit=unit, desc="posegen")

    def update(self, progress: Progress) -> None:
        """Move the bar."""
        self._bar.n = progress.done
        self._bar.set_postfix_str(progress.latest[:60], refresh=False)
        self._bar.refresh()

    def close(self, progress: Progress) -> None:
        """Move the bar to where the run ended and leave it there."""
        self.update(progress)
        self._bar.close()


def choose_display(
    planned: int,
    wanted: Literal["auto", "bar", "lines"] = "auto",
    *,
    unit: str = "image",
    write: Callable[[str], None] | None = None,
) -> Display:
    """Return the display for where this runs; `write` takes the lines, where there are lines."""
    if wanted == "bar" or (wanted == "auto" and in_front_end()):
        return Bar(planned, unit)
    return Lines(write)


def in_front_end() -> bool:
    """Whether a person's notebook front end asked for the running cell.

    JupyterLab and Notebook name the cell in the request's metadata; papermill, nbconvert and nbclient do not.
    """
    if "IPython" not in sys.modules:
        return False
    from IPython import get_ipython

    kernel = getattr(get_ipython(), "kernel", None)
    if kernel is None:
        return False
    metadata = kernel.get_parent().get("metadata", {})
    return "cellId" in metadata or "deletedCells" in metadata
