"""A run's contact sheet, drawn while its images are made."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from posegen.images import ContactSheet, SheetItem, decode
from posegen.journal import TaskFailed
from posegen.records import ImageRecord, ImageTask
from posegen.storage import Storage, control_map_key


class RunSheet:
    """All images of a run on one picture, each drawn when it is there.

    Parameters
    ----------
    tasks : sequence of ImageTask
        The run's plan.
    storage : Storage
    """

    def __init__(self, tasks: Sequence[ImageTask], storage: Storage) -> None:
        self._storage = storage
        self._left = {task.task_id: (place, task) for place, task in enumerate(tasks)}
        aspect = tasks[0].width / tasks[0].height if tasks else 1.0
        self._sheet = ContactSheet.growing(len(tasks), aspect)

    def add(self, records: Mapping[str, ImageRecord]) -> None:
        """Draw those images that are new."""
        new = [task_id for task_id in records if task_id in self._left]
        self._draw([(*self._left.pop(task_id), records[task_id]) for task_id in new], {})

    def pixels(self, failures: Mapping[str, TaskFailed], title: str, subtitle: str) -> NDArray[np.uint8]:
        """Return the sheet, with a plain tile for each image that is not there: uint8, shape (H, W, 3)."""
        self._draw([(place, task, None) for place, task in self._left.values()], failures)
        self._left.clear()
        return self._sheet.pixels(title, subtitle)

    def _draw(
        self,
        new: Sequence[tuple[int, ImageTask, ImageRecord | None]],
        failures: Mapping[str, TaskFailed],
    ) -> None:
        items = {place: sheet_item(task, record, failures, self._storage) for place, task, record in new}
        if items:
            self._sheet.draw(items)


def sheet_item(
    task: ImageTask,
    record: ImageRecord | None,
    failures: Mapping[str, TaskFailed],
    storage: Storage,
    *,
    maps: bool = False,
) -> SheetItem:
    """Return an image with its caption, with its control map or from its thumbnail."""
    failure = failures.get(task.task_id)
    sha256 = task.control_map_sha256 if maps else None
    return SheetItem(
        pixels=_picture(record, storage) if record else None,
        caption=task.pose_id or task.user_prompt,
        detail=_detail(task),
        control_map=_loader(control_map_key(sha256), storage) if sha256 else None,
        failure=failure.code if failure else "not found" if record else "pending",
    )


def _picture(record: ImageRecord, storage: Storage) -> Callable[[], NDArray[np.uint8]] | None:
    """Return a function that loads a picture for a tile: the thumbnail where it shows the whole picture."""
    whole = _loader(record.key, storage)
    if whole is None or record.width != record.height:
        return whole
    return _loader(record.thumbnail_key, storage) or whole


def _loader(key: str, storage: Storage) -> Callable[[], NDArray[np.uint8]] | None:
    """Return a function that loads a stored picture when the sheet needs it; None if it is gone."""
    return (lambda: decode(storage.get(key))) if storage.exists(key) else None


def _detail(task: ImageTask) -> str:
    """Return the second line of a caption; what was asked for without a control map says so."""
    how = "" if task.conditioning == "control" else f", conditioning {task.conditioning}"
    return f"{view_label(task)}, seed {task.seed}{how}"


def view_label(task: ImageTask) -> str:
    """Return the view of a task in a few characters, such as `yaw 35, mirrored`."""
    if task.pose_id is None:
        return "-"
    return f"yaw {task.view.yaw:g}" + (", mirrored" if task.view.mirrored else "")
