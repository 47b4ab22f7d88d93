"""A ZIP of exported pictures with a manifest: streamed, checked as it is written, the same each time."""

from __future__ import annotations

import hashlib
import json
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from posegen.errors import ObjectNotFoundError, StorageError
from posegen.storage import is_safe_name
from posegen.storage.atomic import written_atomically

MANIFEST = "manifest.json"

_LONG_AGO = (1980, 1, 1, 0, 0, 0)
"""The first moment that a ZIP can hold (APPNOTE 4.4.6): when a picture was zipped is nobody's business."""

_PLAIN_FILE = 0o100644 << 16
_UNIX = 3
_MANY = 100_000
"""Of so many pictures the manifest may pass 2 GiB, which has to be known before it is written."""


@dataclass(frozen=True)
class Entry:
    """A picture to put in.

    Attributes
    ----------
    name : str
        Its path in the ZIP.
    key : str
        Where it is stored.
    sha256 : str
        Of its bytes, as they were when it was stored.
    describe : callable
        Gives what the manifest says of it besides path, hash and size; called late, so that 12,000 recipes
        are never in memory at once.
    """

    name: str
    key: str
    sha256: str
    describe: Callable[[], Mapping[str, Any]]


@dataclass(frozen=True)
class LeftOut:
    """A picture that was wanted and is not in the ZIP.

    Attributes
    ----------
    name : str
    code : str
        Stable, upper case.
    message : str
        One sentence for people.
    """

    name: str
    code: str
    message: str


@dataclass(frozen=True)
class Archive:
    """A ZIP that was written.

    Attributes
    ----------
    pictures : int
        In it, beside the manifest.
    left_out : tuple of LeftOut
        Those that are gone or not what was journalled, beside those that the caller knew to be missing.
    """

    path: Path
    pictures: int
    size_bytes: int
    left_out: tuple[LeftOut, ...]


def write_archive(
    path: Path,
    entries: Sequence[Entry],
    read: Callable[[str], bytes],
    head: Mapping[str, Any],
    *,
    missing: Sequence[LeftOut] = (),
    told: Callable[[], bool] = lambda: False,
    count: Callable[[], None] = lambda: None,
) -> Archive | None:
    """Write a ZIP of pictures, with a manifest as its last entry.

    A file that is there is replaced when the new one is whole. One picture is in memory at a time; they are
    stored, not deflated: they are compressed already.

    Parameters
    ----------
    path : path
    entries : sequence of Entry
        In the order that they are written in.
    read : callable
        Gives the bytes of a storage key. What is gone, or has another hash than its entry, is left out.
    head : mapping
        What the manifest says before its files.
    missing : sequence of LeftOut
        What the caller knows to be missing, for the manifest.
    told : callable
        Asked before each picture; if true everything is thrown away.
    count : callable
        Called after each picture.

    Returns
    -------
    Archive or None
        None if it was told to stop.

    Raises
    ------
    StorageFullError, StorageError
        It cannot be written; nothing of it is left.
    ValueError
        A name would leave the folder, or comes twice.
    """
    _check_names(entries)
    left_out: list[LeftOut] = []
    try:
        with written_atomically(path) as file, zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
            written = []
            for entry in entries:
                if told():
                    raise _ToldToStopError
                found = _read(entry, read)
                if isinstance(found, LeftOut):
                    left_out.append(found)
                else:
                    archive.writestr(_info(entry.name), found)
                    written.append((entry, len(found)))
                count()
            large = len(entries) > _MANY
            with archive.open(_info(MANIFEST), "w", force_zip64=large) as manifest:
                for text in _manifest(head, written, [*missing, *left_out]):
                    manifest.write(text.encode())
    except _ToldToStopError:
        return None
    return Archive(path, len(written), path.stat().st_size, tuple(left_out))


class _ToldToStopError(Exception):
    """Undoes what has been written."""


def _check_names(entries: Sequence[Entry]) -> None:
    names = {entry.name for entry in entries}
    if len(names) < len(entries):
        raise ValueError("two pictures have one name")
    for name in names:
        if name == MANIFEST or not all(map(is_safe_name, name.split("/"))):
            raise ValueError(f"not a name for a file in a ZIP: {name!r}")


def _read(entry: Entry, read: Callable[[str], bytes]) -> bytes | LeftOut:
    try:
        data = read(entry.key)
    except ObjectNotFoundError as exc:
        return LeftOut(entry.name, "EXPORT_MISSING", str(exc))
    except StorageError as exc:
        return LeftOut(entry.name, "STORAGE_ERROR", str(exc))
    if hashlib.sha256(data).hexdigest() != entry.sha256:
        return LeftOut(entry.name, "EXPORT_CHANGED", f"{entry.key!r} is not the file that was journalled")
    return data


def _info(name: str) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(name, _LONG_AGO)
    info.create_system = _UNIX
    info.external_attr = _PLAIN_FILE
    return info


def _manifest(
    head: Mapping[str, Any], written: Sequence[tuple[Entry, int]], left_out: Sequence[LeftOut]
) -> Iterator[str]:
    """Yield the manifest piece by piece: JSON, a line for each picture."""
    yield "{" + "".join(f"{_json(name)}: {_json(value)},\n" for name, value in head.items())
    yield '"files": ['
    comma = "\n"
    for entry, size in written:
        row = {"path": entry.name, "sha256": entry.sha256, "size_bytes": size, **entry.describe()}
        yield comma + _json(row)
        comma = ",\n"
    yield '\n],\n"left_out": ['
    comma = "\n"
    for one in left_out:
        yield comma + _json({"path": one.name, "code": one.code, "message": one.message})
        comma = ",\n"
    yield "\n]}\n"


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)
