"""What a recovery did, run by run."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

from posegen.errors import ImagesFailedError, RecoveryFailedError
from posegen.pipeline.tables import html_table
from posegen.recovery.look import Action


@dataclass(frozen=True)
class Recovered:
    """What was done to one run.

    Attributes
    ----------
    kept, adopted, fetched, made, failed, waiting : int
        Images: journalled before, found stored, fetched by request id, made anew, failed for good, and
        waiting for a person's word.
    fault : bool
        It could not be done; `result` says why.
    """

    run_id: str
    action: Action
    result: str
    kept: int = 0
    adopted: int = 0
    fetched: int = 0
    made: int = 0
    failed: int = 0
    waiting: int = 0
    fault: bool = False

    @property
    def images(self) -> int:
        """All images of the run that it came by."""
        return self.kept + self.adopted + self.fetched + self.made + self.failed + self.waiting

    def row(self) -> dict[str, Any]:
        """Return it as a row of a table."""
        row = asdict(self)
        del row["fault"]
        return row


@dataclass(frozen=True)
class RecoveryReport:
    """What a recovery did; runs that need nothing are only counted.

    Attributes
    ----------
    interrupted : bool
        It was told to stop before it had come to every run.
    """

    rows: tuple[Recovered, ...]
    runs: int
    interrupted: bool = False

    @property
    def exit_code(self) -> int:
        """5 it was interrupted, 1 something could not be done, 3 images failed for good, 0 all went well."""
        if self.interrupted:
            return 5
        return 1 if any(row.fault for row in self.rows) else 3 if self._with_failed_images else 0

    @property
    def _with_failed_images(self) -> list[Recovered]:
        return [row for row in self.rows if row.action == "resume" and row.failed]

    def raise_for_failures(self) -> None:
        """Raise if something could not be done or an image failed for good, so that a scheduler sees it.

        Raises
        ------
        RecoveryFailedError, ImagesFailedError
        """
        faults = [row.run_id for row in self.rows if row.fault]
        if faults:
            raise RecoveryFailedError(faults)
        for row in self._with_failed_images:
            raise ImagesFailedError(row.run_id, row.failed, row.images)

    def _repr_html_(self) -> str:
        head = f"<p>{self.runs} runs looked at, {len(self.rows)} needed something.</p>"
        return head + html_table([row.row() for row in self.rows])

    def lines(self) -> Iterator[str]:
        """Yield a line for each run that needed something, and a last one with the number of all."""
        for row in self.rows:
            counts = [f"{n} {what}" for what, n in row.row().items() if isinstance(n, int) and n]
            yield f"{row.run_id}: {row.action}: {', '.join([row.result, *counts])}"
        stopped = "stopped: " if self.interrupted else ""
        yield f"{stopped}{self.runs} runs looked at, {len(self.rows)} needed something"
