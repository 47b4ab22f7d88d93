"""How a run stands, as a table and as pictures: a view of its journal."""

from __future__ import annotations

import html
import io
import json
from functools import cached_property
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from posegen.errors import ImagesFailedError
from posegen.images import contact_sheet, encode_png, recipe_json
from posegen.journal import RunState
from posegen.pipeline.accuracy_summary import accuracy_columns, accuracy_facts, accuracy_row
from posegen.pipeline.candidates import made_task
from posegen.pipeline.sheet import SKELETON_NOTE, RunSheet, sheet_item, view_label
from posegen.pipeline.tables import html_table
from posegen.pipeline.task_names import find_task
from posegen.records import ImageRecord, ImageTask
from posegen.storage import LocalStorage, Storage
from posegen.storage.atomic import write_atomically

SYNTHETIC_NOTE = (
    "Drawn by the embedded renderer: synthetic pictures, which test the chain and say nothing about a "
    "generative model."
)
LOOKED_UP_NOTE = (
    "With conditioning 'prompt' or 'none' the embedded renderer looks the pose up in the prompt's words, so "
    "how well it fits is circular."
)


class Picture:
    """A picture that a notebook shows, kept small: as JPEG, not as PNG and JPEG both.

    Attributes
    ----------
    image : PIL.Image.Image
    """

    def __init__(self, pixels: NDArray[np.uint8]) -> None:
        self.image = Image.fromarray(pixels)

    def _repr_jpeg_(self) -> bytes:
        buffer = io.BytesIO()
        self.image.save(buffer, "JPEG", quality=90)
        return buffer.getvalue()


class RunSummary:
    """A run's images, figures and pictures.

    Parameters
    ----------
    state : RunState
        The fold of the run's journal.
    root : Path
        The folder that holds `runs/`.
    """

    def __init__(self, state: RunState, root: Path, storage: Storage | None = None) -> None:
        self.state = state
        self.folder = root / "runs" / state.run_id
        self._storage = storage or LocalStorage(root)

    @property
    def exit_code(self) -> int:
        """0 all made, 3 some failed, 4 none made, 5 interrupted or cut off and resumable."""
        if self.state.status != "finished":
            return 5
        if not self.state.failed:
            return 0
        return 3 if self.state.made else 4

    @property
    def contact_sheet_path(self) -> Path:
        """Where `save_contact_sheet` writes."""
        return self.folder / "contact_sheet.png"

    @cached_property
    def records(self) -> dict[str, ImageRecord]:
        """The images made, by task id."""
        return self.state.records

    def raise_for_failures(self) -> None:
        """Raise if an image failed for good, so that a scheduler sees it.

        Raises
        ------
        ImagesFailedError
        """
        if self.state.failed:
            raise ImagesFailedError(self.state.run_id, self.state.failed, len(self.state.tasks))

    def rows(self) -> list[dict[str, Any]]:
        """Return one row an image, in the plan's order."""
        return [self._row(task) for task in self.state.tasks]

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the rows' values that a table for people shows."""
        exporting = bool(self.state.exports or self.state.export_failures)
        shown = (*_SHOWN, *accuracy_columns(self.state), "failure")
        return (*shown, *_SHOWN_OF_EXPORTS) if exporting else shown

    def _row(self, task: ImageTask) -> dict[str, Any]:
        record = self.records.get(task.task_id)
        failure = self.state.failures.get(task.task_id)
        waiting = self.state.unknown.get(task.task_id)
        status = "made" if record else "failed" if failure else "unknown" if waiting else "pending"
        return {
            "task_id": task.task_id,
            "pose": task.pose_id,
            "view": view_label(task),
            "seed": made_task(task, record).seed if record else task.seed,
            "status": status,
            "conditioning": record.conditioning if record else None,
            "seconds": round(record.duration_ms / 1000, 2) if record else None,
            "kilobytes": round(record.size_bytes / 1000) if record else None,
            "image": record.key if record else None,
            **accuracy_row(self.state, task.task_id),
            "exports": len(self.state.exports.get(task.task_id, {})),
            "exports_failed": [
                f"{name}: {event.code}"
                for name, event in self.state.export_failures.get(task.task_id, {}).items()
            ],
            "failure": f"{failure.code}: {failure.message}"
            if failure
            else waiting.reason
            if waiting
            else None,
            "notes": list(record.notes) if record else [],
        }

    def task_facts(self, task_id: str) -> dict[str, Any]:
        """Return one image's whole recipe, with what was made of it.

        Raises
        ------
        InputError
            No task, or several, with an id that starts so.
        """
        task = find_task(self.state.tasks, task_id)
        record = self.records.get(task.task_id)
        failure = self.state.failures.get(task.task_id)
        return {
            "recipe": json.loads(recipe_json(made_task(task, record) if record else task)),
            "image": msgspec.to_builtins(record) if record else None,
            "accuracy": msgspec.to_builtins(self.state.measurements.get(task.task_id)),
            "rejected": msgspec.to_builtins(self.state.rejected.get(task.task_id, [])),
            "exports": msgspec.to_builtins(self.state.exports.get(task.task_id, {})),
            "export_failures": msgspec.to_builtins(self.state.export_failures.get(task.task_id, {})),
            "failure": msgspec.to_builtins(failure) if failure else None,
        }

    def facts(self) -> dict[str, Any]:
        """Return the run's figures as one flat mapping."""
        made = list(self.records.values())
        return {
            "run_id": self.state.run_id,
            "status": self.state.status,
            "planned": len(self.state.tasks),
            "made": self.state.made,
            "failed": self.state.failed,
            "exports_made": sum(map(len, self.state.exports.values())),
            "exports_failed": sum(map(len, self.state.export_failures.values())),
            "synthetic": sum(record.synthetic for record in made),
            "attempts": len(self.state.attempts),
            "mean_seconds": round(sum(r.duration_ms for r in made) / len(made) / 1000, 2) if made else None,
            "image_megabytes": round(sum(r.size_bytes for r in made) / 1e6, 2),
            **accuracy_facts(self.state),
            "folder": str(self.folder),
        }

    @cached_property
    def _sheet(self) -> NDArray[np.uint8]:
        return self._finished(RunSheet(self.state.tasks, self._storage))

    def _finished(self, sheet: RunSheet) -> NDArray[np.uint8]:
        sheet.add(self.records, {task_id: self.state.measurements.get(task_id) for task_id in self.records})
        said = [SKELETON_NOTE, *self.notes()] if self.state.measurements else self.notes()
        return sheet.pixels(self.state.failures, self._title(), " ".join(said))

    def save_contact_sheet(self, begun: RunSheet | None = None) -> Path:
        """Write the contact sheet into the run's folder, `begun` while it ran or not; return its path."""
        pixels = self._sheet if begun is None else self._finished(begun)
        write_atomically(self.contact_sheet_path, encode_png(pixels))
        return self.contact_sheet_path

    def contact_sheet(self) -> Picture:
        """Return all images with their captions on one picture."""
        return Picture(self._sheet)

    def beside_control_maps(self, most: int = 24) -> Picture:
        """Return the first `most` images, each beside the control map that asked for it."""
        items = [
            sheet_item(task, self.records.get(task.task_id), self.state.failures, self._storage, maps=True)
            for task in self.state.tasks[:most]
        ]
        return Picture(contact_sheet(items, title=self._title(), control_maps="beside"))

    def _title(self) -> str:
        facts = self.facts()
        return f"{facts['run_id']}: {facts['made']} of {facts['planned']} images"

    def __repr__(self) -> str:
        """Return the figures as one line."""
        facts = self.facts()
        return (
            f"<run {facts['run_id']}: {facts['made']} of {facts['planned']} made, {facts['failed']} failed>"
        )

    def notes(self) -> list[str]:
        """Return what must be said wherever the images are shown."""
        notes = [SYNTHETIC_NOTE] if any(record.synthetic for record in self.records.values()) else []
        if any(task.backend == "figure" and task.conditioning != "control" for task in self.state.tasks):
            notes.append(LOOKED_UP_NOTE)
        return notes

    def _repr_html_(self) -> str:
        rows = [{name: row[name] for name in self.columns} for row in self.rows()]
        figures = html_table([{k: v for k, v in self.facts().items() if k != "folder"}])
        return (
            figures
            + html_table(rows)
            + "".join(f"<p><em>{html.escape(note)}</em></p>" for note in self.notes())
        )


_SHOWN = ("pose", "view", "seed", "status", "conditioning", "seconds", "kilobytes")
_SHOWN_OF_EXPORTS = ("exports", "exports_failed")
