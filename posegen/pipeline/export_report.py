"""What became of exporting a run."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from posegen.exports.archive import Archive, LeftOut
from posegen.exports.gallery import file_size
from posegen.journal import ExportFailed
from posegen.pipeline.export_check import Checked
from posegen.pipeline.export_gallery import Gallery
from posegen.pipeline.tables import html_table

_SHOWN = 20
"""Lines at most about what failed; the journal has all."""


@dataclass
class ExportReport:
    """What was made, what was there, and what failed.

    Attributes
    ----------
    checked : Checked
        What had to be made.
    names : mapping of str to str
        By task id, what people call an image.
    made : int
    failures : tuple of ExportFailed
    archive : Archive or None
    gallery : Gallery or None
    stopped : str
        The reason why it ended early; empty if it did not.
    """

    run_id: str
    checked: Checked = field(repr=False)
    names: Mapping[str, str] = field(repr=False)
    made: int = 0
    failures: tuple[ExportFailed, ...] = ()
    archive: Archive | None = None
    gallery: Gallery | None = None
    stopped: str = ""

    @property
    def up_to_date(self) -> int:
        """Exports that were there as they should be."""
        return self.checked.up_to_date

    @property
    def failed(self) -> int:
        """Exports that could not be made."""
        return len(self.failures)

    @property
    def there(self) -> int:
        """Exports that are there now, of those asked for."""
        return self.made + self.up_to_date

    @property
    def left(self) -> int:
        """Exports that have not been tried."""
        return self.checked.wanted - self.made - self.failed

    @property
    def left_out(self) -> tuple[LeftOut, ...]:
        """Pictures that the ZIP or the gallery lacks because their files are gone or damaged."""
        parts = (self.archive, self.gallery)
        return tuple(dict.fromkeys(one for part in parts if part is not None for one in part.left_out))

    @property
    def exit_code(self) -> int:
        """0 all are there, 3 some failed, 4 there is none, 5 stopped before the end."""
        if self.stopped:
            return 5
        if not self.there:
            return 4
        return 3 if self.failures or self.left_out else 0

    def facts(self) -> dict[str, Any]:
        """Return the report as plain values."""
        return {
            "run_id": self.run_id,
            "made": self.made,
            "up_to_date": self.up_to_date,
            "failed": self.failed,
            "left": self.left,
            "images_not_made": self.checked.unmade,
            "zip": str(self.archive.path) if self.archive else None,
            "zip_pictures": self.archive.pictures if self.archive else None,
            "zip_bytes": self.archive.size_bytes if self.archive else None,
            "gallery": str(self.gallery.path) if self.gallery else None,
            "stopped": self.stopped or None,
            "failures": list(self.problems()),
        }

    def problems(self) -> Iterator[dict[str, str]]:
        """Yield what failed or was left out: name, code, message."""
        for one in self.failures:
            name = f"{one.format}/{self.names.get(one.task_id, one.task_id)}"
            yield {"name": name, "task_id": one.task_id, "code": one.code, "message": one.message}
        for out in self.left_out:
            yield {"name": out.name, "code": out.code, "message": out.message}

    def count_line(self) -> str:
        """Return the counts as one line."""
        line = f"{self.made:,} made, {self.up_to_date:,} up to date, {self.failed:,} failed"
        if self.left_out:
            line += f", {len(self.left_out):,} left out"
        if self.stopped:
            line += f"; stopped ({self.stopped}) with {self.left:,} to go: the same command makes the rest"
        elif self.checked.unmade and not self.there:
            line += f"; the run has made none of the {self.checked.unmade:,} images"
        return line

    def problem_lines(self) -> list[str]:
        """Return a line for each of the first problems."""
        found = list(self.problems())
        lines = [f"{one['name']}: {one['code']}: {one['message']}" for one in found[:_SHOWN]]
        if len(found) > _SHOWN:
            lines.append(f"... and {len(found) - _SHOWN:,} more; `posegen show {self.run_id} --json` has all")
        return lines

    def archive_line(self) -> str:
        """Return what is in the ZIP; empty without one."""
        if self.archive is None:
            return ""
        return f"{self.archive.pictures:,} pictures, {file_size(self.archive.size_bytes)}"

    def _repr_html_(self) -> str:
        facts = {
            k: v for k, v in self.facts().items() if v is not None and k not in {"failures", "zip_bytes"}
        }
        return html_table([facts]) + html_table(list(self.problems()))
