"""A run's contact sheet, drawn while its images are made."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from posegen.accuracy.measure import measured_keypoints
from posegen.images import ContactSheet, SheetItem, Strokes, decode
from posegen.journal import TaskFailed
from posegen.pipeline.candidates import made_task
from posegen.pipeline.measure_step import accuracy_target
from posegen.records import ImageRecord, ImageTask, Measurement
from posegen.skeletons import COCO_17
from posegen.storage import Storage, control_map_key

TARGET_COLOR, FOUND_COLOR = "#0072b2", "#e69f00"
"""Blue and orange, told apart by everybody (Okabe & Ito, "Color Universal Design", 2008)."""

_SHOULDERS = (5, 6)  # COCO_17; the keypoints before them are the face's

SKELETON_NOTE = "Blue: the skeleton asked for. Orange: the one found."


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

    def add(
        self, records: Mapping[str, ImageRecord], measurements: Mapping[str, Measurement | None] | None = None
    ) -> None:
        """Draw those images that are new and, where there are measurements, those that have theirs."""
        ready = records if measurements is None else measurements
        new = [task_id for task_id in records if task_id in self._left and task_id in ready]
        found = {task_id: (measurements or {}).get(task_id) for task_id in new}
        self._draw([(*self._left.pop(task_id), records[task_id]) for task_id in new], {}, found)

    def pixels(self, failures: Mapping[str, TaskFailed], title: str, subtitle: str) -> NDArray[np.uint8]:
        """Return the sheet, with a plain tile for each image that is not there: uint8, shape (H, W, 3)."""
        self._draw([(place, task, None) for place, task in self._left.values()], failures, {})
        self._left.clear()
        return self._sheet.pixels(title, subtitle)

    def _draw(
        self,
        new: Sequence[tuple[int, ImageTask, ImageRecord | None]],
        failures: Mapping[str, TaskFailed],
        measurements: Mapping[str, Measurement | None],
    ) -> None:
        items = {
            place: sheet_item(
                task, record, failures, self._storage, measurement=measurements.get(task.task_id)
            )
            for place, task, record in new
        }
        if items:
            self._sheet.draw(items)


def sheet_item(
    task: ImageTask,
    record: ImageRecord | None,
    failures: Mapping[str, TaskFailed],
    storage: Storage,
    *,
    maps: bool = False,
    measurement: Measurement | None = None,
) -> SheetItem:
    """Return an image with its caption, with its control map or from its thumbnail.

    With a measurement the skeletons asked for and found lie over it.
    """
    failure = failures.get(task.task_id)
    if record is not None:
        task = made_task(task, record)
    sha256 = task.control_map_sha256 if maps else None
    return SheetItem(
        pixels=_picture(record, storage) if record else None,
        caption=task.pose_id or task.user_prompt,
        detail=_detail(task) if measurement is None else f"OKS {measurement.oks:.2f}, {_detail(task)}",
        control_map=_loader(control_map_key(sha256), storage) if sha256 else None,
        failure=failure.code if failure else "not found" if record else "pending",
        strokes=skeletons(task, record, measurement) if record and measurement else (),
    )


def skeletons(task: ImageTask, record: ImageRecord, measurement: Measurement) -> tuple[Strokes, ...]:
    """Return the skeleton that was asked for and the one that was found, as lines over the image."""
    size = np.array([record.width, record.height])
    target, found = accuracy_target(task, record.width, record.height), measured_keypoints(measurement)
    drawn = [] if target is None else [(target.keypoints, TARGET_COLOR)]
    drawn += [] if found is None else [(found, FOUND_COLOR)]
    return tuple(Strokes((_lines(points[:, :2]) + 0.5) / size, color) for points, color in drawn)


def _lines(points: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the body's limbs and a line from nose to neck, shape (N, 2, 2): more would hide a small face."""
    neck = (points[_SHOULDERS[0]] + points[_SHOULDERS[1]]) / 2
    limbs = [points[list(limb)] for limb in COCO_17.limbs if min(limb) >= _SHOULDERS[0]]
    return np.array([*limbs, [points[0], neck]])


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
