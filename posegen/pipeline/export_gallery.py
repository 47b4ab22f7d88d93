"""A run's exports as a gallery: a folder with a page, thumbnails and the files, to open or to give away."""

from __future__ import annotations

import hashlib
import os
import secrets
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import groupby
from pathlib import Path

from posegen.errors import StorageError
from posegen.exports.archive import LeftOut
from posegen.exports.formats import load_formats
from posegen.exports.gallery import Card, Tile, file_size, gallery_page, thumbnail
from posegen.journal import ImageExported, RunState
from posegen.pipeline.export_choice import TEXT, Choice
from posegen.pipeline.export_pictures import Picture, exported_pictures
from posegen.pipeline.sheet import view_label
from posegen.pipeline.summary import RunSummary
from posegen.settings import Settings
from posegen.storage import LocalStorage, Storage
from posegen.storage.atomic import (
    TEMPORARY_PREFIX,
    make_folders,
    remove,
    storage_error,
    write_atomically,
    written_atomically,
)

GALLERY_FOLDER = "gallery"
PAGE = "index.html"


@dataclass(frozen=True)
class Gallery:
    """A gallery that was written.

    Attributes
    ----------
    path : Path
        Its page.
    pictures : int
    left_out : tuple of LeftOut
        Pictures that are gone or not what was journalled; the page says so in their place.
    """

    path: Path
    pictures: int
    left_out: tuple[LeftOut, ...]


def gallery_pictures(state: RunState, choice: Choice, settings: Settings) -> list[Picture]:
    """Return what a gallery shows: a choice, in every format there is unless formats were named."""
    if not choice.narrowed:
        there = {name for exports in state.exports.values() for name in exports}
        there |= {one.name for one in choice.formats}
        known = load_formats(settings.export_formats)
        choice = replace(choice, formats=tuple(one for name, one in known.items() if name in there))
    return exported_pictures(state, choice)


def build_gallery(
    state: RunState,
    pictures: Sequence[Picture],
    storage: Storage,
    settings: Settings,
    *,
    told: Callable[[], bool] = lambda: False,
    count: Callable[[], None] = lambda: None,
) -> Gallery | None:
    """Write the gallery of a run into its folder; the run must be ours.

    Files come first and the page last, so that the page that is there always finds what it names; what the
    new page does not name goes at the end. Pictures are linked where the file system can, else copied.

    Returns
    -------
    Gallery or None
        None if it was told to stop; the old page is then still there.

    Raises
    ------
    StorageFullError, StorageError
        It cannot be written.
    """
    folder = settings.root / "runs" / state.run_id / GALLERY_FOLDER
    builder = _Builder(folder, storage)

    def tile(picture: Picture) -> Tile | None:
        if told():
            return None
        made = builder.tile(picture)
        count()
        return made

    with ThreadPoolExecutor(settings.cpu_threads, thread_name_prefix="posegen-gallery") as pool:
        tiles = [made for made in pool.map(tile, pictures) if made is not None]
    if told() or len(tiles) < len(pictures):
        return None
    cards = _cards(pictures, tiles)
    notes = RunSummary(state, settings.root).notes()
    with written_atomically(folder / PAGE) as file:
        for text in gallery_page(f"Exports of {state.run_id}", _facts(state, tiles, cards), notes, cards):
            file.write(text.encode())
    _keep_only(folder, {PAGE, *(path for one in tiles for path in (one.file, one.thumbnail) if path)})
    there = sum(bool(one.file) for one in tiles)
    return Gallery(folder / PAGE, there, tuple(builder.left_out))


class _Builder:
    """Puts pictures and thumbnails into the folder."""

    def __init__(self, folder: Path, storage: Storage) -> None:
        self._folder = folder
        self._storage = storage
        self.left_out: list[LeftOut] = []

    def tile(self, picture: Picture) -> Tile:
        """Return what the page shows of a picture, with its files in place."""
        event = picture.event
        if event is None:
            failure = picture.failure
            why = f"{failure.code}: {failure.message}" if failure else "never exported in this format"
            return _empty(picture, why)
        try:
            data = self._storage.get(event.key)
        except StorageError as exc:
            return self._left_out(picture, "EXPORT_MISSING", str(exc))
        if hashlib.sha256(data).hexdigest() != event.sha256:
            why = f"{event.key!r} is not the file that was journalled"
            return self._left_out(picture, "EXPORT_CHANGED", why)
        name, small = f"files/{picture.name}", f"thumbnails/{event.sha256[:32]}.jpg"
        self._put(event, self._folder / name, data)
        if not (self._folder / small).exists():
            write_atomically(self._folder / small, thumbnail(data))
        notes = (*event.notes, *(["made before the image or the format changed"] if picture.outdated else []))
        return Tile(
            picture.format, name, small, event.size_bytes, event.width, event.height, event.quality, notes
        )

    def _put(self, event: ImageExported, path: Path, data: bytes) -> None:
        source = self._storage.path(event.key) if isinstance(self._storage, LocalStorage) else None
        if source is None or not _link(source, path):
            write_atomically(path, data)

    def _left_out(self, picture: Picture, code: str, why: str) -> Tile:
        self.left_out.append(LeftOut(picture.name, code, why))
        return _empty(picture, f"{code}: {why}")


def _empty(picture: Picture, why: str) -> Tile:
    return Tile(picture.format, "", "", 0, picture.format.width, picture.format.height, notes=(why,))


def _link(source: Path, path: Path) -> bool:
    """Give a file a second name, in place of what is there; return whether the file system could."""
    temporary = path.with_name(f"{TEMPORARY_PREFIX}{secrets.token_hex(8)}")
    try:
        if path.exists() and path.samefile(source):
            return True
        make_folders(path.parent)
        os.link(source, temporary)
        temporary.replace(path)
    except OSError:  # another disk, a file system without links: a copy then, whose errors are told
        remove(temporary)
        return False
    return True


def _cards(pictures: Sequence[Picture], tiles: Sequence[Tile]) -> list[Card]:
    cards = []
    pairs = zip(pictures, tiles, strict=True)
    for task, group in groupby(pairs, key=lambda pair: pair[0].task):
        view = "" if task.pose_id is None else view_label(task)
        shown = tuple(tile for _, tile in group)
        cards.append(Card(task.index + 1, task.pose_id or TEXT, view, task.seed, task.user_prompt, shown))
    return cards


def _facts(state: RunState, tiles: Sequence[Tile], cards: Sequence[Card]) -> list[str]:
    there = [tile for tile in tiles if tile.file]
    formats = len({tile.format.name for tile in tiles})
    return [
        f"{len(cards):,} image{'s' * (len(cards) != 1)}",
        f"{formats} format{'s' * (formats != 1)}",
        f"{len(there):,} files, {file_size(sum(tile.size_bytes for tile in there))}",
        f"run of {state.first_at[:10]}",
    ]


def remove_gallery(run_folder: Path) -> None:
    """Remove the gallery in a run's folder, if there is one.

    Raises
    ------
    StorageError
        Something in it cannot be removed.
    """
    _keep_only(run_folder / GALLERY_FOLDER, ())


def _keep_only(folder: Path, names: Iterable[str]) -> None:
    """Remove what an earlier page needed and this one does not, and what a killed process was writing."""
    kept = {folder / name for name in names}
    try:
        for path in sorted(folder.rglob("*"), reverse=True):  # a folder comes after what is in it
            if path.is_dir() and not path.is_symlink():
                if not any(path.iterdir()):
                    path.rmdir()
            elif path not in kept:
                remove(path)
        if not kept and folder.is_dir():
            folder.rmdir()
    except OSError as exc:
        raise storage_error(exc, "tidy", folder) from exc
