"""The exported pictures of a choice, as a ZIP and a gallery show them."""

from __future__ import annotations

from dataclasses import dataclass

from posegen.exports.formats import EXTENSIONS, ExportFormat
from posegen.journal import ExportFailed, ImageExported, RunState
from posegen.pipeline.candidates import made_task
from posegen.pipeline.export_check import follows
from posegen.pipeline.export_choice import Choice
from posegen.pipeline.task_names import file_stem
from posegen.records import ImageRecord, ImageTask


@dataclass(frozen=True)
class Picture:
    """An image in one format.

    Attributes
    ----------
    name : str
        A path that sorts and explains itself: the format, then the place in the plan, pose, view and seed.
    event : ImageExported or None
        None if there is no such export; `failure` says why, if that is known.
    """

    name: str
    task: ImageTask
    record: ImageRecord
    format: ExportFormat
    event: ImageExported | None
    failure: ExportFailed | None

    @property
    def outdated(self) -> bool:
        """Whether the image or the format's rule has changed since, and it could not be made again."""
        return self.event is not None and not follows(self.event, self.record, self.format)


def exported_pictures(state: RunState, choice: Choice) -> list[Picture]:
    """Return each image of a choice that was made, in each of its formats: by image, then by format."""
    found = []
    for task in choice.tasks:
        record = state.records.get(task.task_id)
        if record is None:
            continue
        stem = file_stem(made_task(task, record), len(state.tasks))
        exports = state.exports.get(task.task_id, {})
        failures = state.export_failures.get(task.task_id, {})
        for one in choice.formats:
            event = exports.get(one.name)
            ending = event.key.rpartition(".")[2] if event is not None else one.extension
            if ending not in EXTENSIONS.values():
                ending = one.extension
            name = f"{one.name}/{stem}.{ending}"
            found.append(Picture(name, task, record, one, event, failures.get(one.name)))
    return found
