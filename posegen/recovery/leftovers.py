"""What a finished run leaves behind, and its images: found, and removed by whoever owns the run."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from posegen.journal import RunState
from posegen.pipeline.export_archive import archive_name
from posegen.pipeline.export_gallery import GALLERY_FOLDER, PAGE, remove_gallery
from posegen.pipeline.job import STOP_FILE
from posegen.pipeline.run import run_folder
from posegen.settings import Settings
from posegen.storage import control_map_key, open_storage, original_key, run_key
from posegen.storage.atomic import TEMPORARY_PREFIX, remove

IN_USE = timedelta(hours=1)
"""A temporary file younger than this may be one that somebody is writing."""

SHARED = ("controlnet-cache", "locks", "notebooks")
"""Folders beside the runs where a killed process may leave a temporary file."""


@dataclass(frozen=True)
class Leftovers:
    """What can be removed: files of the run's folder, and keys of cached objects."""

    files: tuple[Path, ...] = ()
    keys: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.files or self.keys)

    def remove(self, settings: Settings) -> str:
        """Remove them; return what was, in words.

        Raises
        ------
        StorageError
            Something cannot be removed.
        """
        for path in self.files:
            remove(path)
        storage = open_storage(settings.storage_mode, settings.root)
        for key in self.keys:
            storage.delete(key)
        return f"{len(self.files)} temporary and {len(self.keys)} cached files removed"


def leftovers(settings: Settings, state: RunState, maps: Iterable[str], now: datetime) -> Leftovers:
    """Return what a finished run leaves behind.

    Parameters
    ----------
    settings : Settings
    state : RunState
    maps : iterable of str
        SHA-256 of the control maps that it alone uses.
    now : datetime
    """
    folder = run_folder(settings.root, state.run_id)
    files = list(_temporary(folder.rglob(f"{TEMPORARY_PREFIX}*"), now))
    if (folder / STOP_FILE).exists():
        files.append(folder / STOP_FILE)
    storage = open_storage(settings.storage_mode, settings.root)
    keys = [key for sha256 in sorted(maps) if storage.exists(key := control_map_key(sha256))]
    return Leftovers(tuple(files), tuple(keys))


def shared_leftovers(settings: Settings, now: datetime) -> Leftovers:
    """Return temporary files that belong to no run."""
    found = (_temporary((settings.root / name).glob(f"{TEMPORARY_PREFIX}*"), now) for name in SHARED)
    return Leftovers(tuple(path for paths in found for path in paths))


def _temporary(paths: Iterable[Path], now: datetime) -> Iterator[Path]:
    for path in paths:
        try:
            old = now.timestamp() - path.stat().st_mtime > IN_USE.total_seconds()
        except FileNotFoundError:  # it was finished meanwhile
            continue
        if old and path.is_file():
            yield path


def delete_images(settings: Settings, state: RunState) -> str:
    """Delete a run's images with their recipes, and whatever shows them; return what was, in words.

    The journal stays: it says what was made and what it cost.

    Raises
    ------
    StorageError
        Something cannot be deleted.
    """
    storage = open_storage(settings.storage_mode, settings.root)
    rejected = [event.record for events in state.rejected.values() for event in events]
    keys = list({key for r in (*state.records.values(), *rejected) for key in (r.key, r.thumbnail_key)})
    keys += [original_key(state.run_id, task_id) for task_id in state.records]
    keys += storage.list(run_key(state.run_id, "exports") + "/")  # also those that were never journalled
    there = [key for key in keys if storage.exists(key)]
    for key in there:
        storage.delete(key)
    folder = run_folder(settings.root, state.run_id)
    views = [
        path
        for path in (
            folder / "contact_sheet.png",
            folder / archive_name(folder),
            folder / GALLERY_FOLDER / PAGE,
            *(folder / "notebooks").glob("*.ipynb"),
        )
        if path.exists()
    ]
    for path in views:
        remove(path)
    remove_gallery(folder)
    return (
        f"{len(there)} images, thumbnails and exports deleted, "
        f"and {len(views)} contact sheets, ZIPs, galleries and executed notebooks that show them"
    )
