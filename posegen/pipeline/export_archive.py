"""A run's exports as a ZIP."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from posegen.errors import ParameterError
from posegen.exports.archive import Archive, Entry, LeftOut, write_archive
from posegen.images import recipe_json
from posegen.journal import ImageExported, RunState
from posegen.pipeline.export_pictures import Picture
from posegen.storage import Storage

MANIFEST_SCHEMA = 1


def archive_path(wanted: Path | str | bool | None, folder: Path) -> Path | None:
    """Return where a ZIP shall be; None if none is wanted.

    Parameters
    ----------
    wanted : path, bool or None
        A file, or a folder that is there; True for the run's own.
    folder : Path
        The run's folder.

    Raises
    ------
    ParameterError
        Something that is no file stands there.
    """
    if wanted is None or wanted is False:
        return None
    name = archive_name(folder)
    if wanted is True:
        return folder / name
    path = Path(wanted).expanduser()
    if path.is_dir():
        path /= name
    if path.exists() and not path.is_file():
        raise ParameterError("zip", f"{path} is there and is not a file")
    return path.absolute()


def archive_name(folder: Path) -> str:
    """Return how the ZIP of a run is called, by the run's folder."""
    return f"poses-{folder.name}.zip"


def archive_exports(
    state: RunState,
    pictures: Sequence[Picture],
    storage: Storage,
    path: Path,
    *,
    told: Callable[[], bool],
    count: Callable[[], None],
) -> Archive | None:
    """Write the ZIP of a run's exported pictures; see `write_archive`."""
    # Sorted as the names do: whoever lists it sees the order of a folder.
    ordered = sorted(pictures, key=lambda picture: picture.name)
    entries = [_entry(state, picture, picture.event) for picture in ordered if picture.event is not None]
    missing = [_missing(picture) for picture in ordered if picture.event is None]
    head = {"schema": MANIFEST_SCHEMA, "run_id": state.run_id, "project": state.project}
    return write_archive(path, entries, storage.get, head, missing=missing, told=told, count=count)


def _entry(state: RunState, picture: Picture, event: ImageExported) -> Entry:
    return Entry(picture.name, event.key, event.sha256, partial(_facts, state, picture, event))


def _facts(state: RunState, picture: Picture, event: ImageExported) -> dict[str, Any]:
    task = picture.task
    recipe = json.loads(recipe_json(task))
    recipe["posegen"] = _version_that_made(state, task.task_id)
    return {
        "format": event.format,
        "rule": event.rule,
        "outdated": picture.outdated,
        "width": event.width,
        "height": event.height,
        "quality": event.quality or None,
        "notes": list(event.notes),
        "task_id": task.task_id,
        "source_sha256": event.source_sha256 or None,
        "pose": task.pose_id,
        "view": {"yaw": task.view.yaw, "mirrored": task.view.mirrored},
        "seed": task.seed,
        "recipe": recipe,
    }


def _version_that_made(state: RunState, task_id: str) -> str:
    number = state.stored[task_id].attempt
    return next((one.posegen_version for one in state.attempts if one.number == number), "")


def _missing(picture: Picture) -> LeftOut:
    failure = picture.failure
    if failure is None:
        return LeftOut(picture.name, "NOT_EXPORTED", "it was never exported")
    return LeftOut(picture.name, failure.code, failure.message)
