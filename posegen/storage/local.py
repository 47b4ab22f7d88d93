"""Objects as files below one folder."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from pathlib import Path

from posegen.errors import ObjectExistsError, ObjectNotFoundError
from posegen.storage import atomic
from posegen.storage.base import StoredObject
from posegen.storage.keys import check_key, is_safe_name


class LocalStorage:
    """Objects as files below `root`, as `Storage` promises.

    The hash is computed when it is asked for and kept in no file of its own: the journal holds it.

    Parameters
    ----------
    root : path
        Made when something is first written.
    """

    def __init__(self, root: Path) -> None:
        self.root = root.absolute()
        # Folders whose entry in their parent this object has synced; a set because put runs in many threads
        # and adding one twice does no harm.
        self._durable: set[Path] = set()

    @property
    def description(self) -> str:
        """The folder."""
        return f"the folder {self.root}"

    def path(self, key: str) -> Path:
        """Return the object's file, whether it exists or not."""
        return self.root / check_key(key)

    def put(self, key: str, data: bytes, *, content_type: str, if_absent: bool = False) -> StoredObject:  # noqa: ARG002 - the ending says it
        """Store `data` durably; see `Storage.put`."""
        path = self.path(key)
        digest = hashlib.sha256(data).hexdigest()
        try:
            self._make_durable(path.parent)
            if if_absent:
                created = atomic.write_new(path, data)
            else:
                atomic.replace(path, data)
                created = True
        except OSError as exc:
            raise atomic.storage_error(exc, "write", path) from exc
        if not created:
            there = self.stat(key)
            if there.sha256 != digest:
                raise ObjectExistsError(key, self.description, there.sha256)
        return StoredObject(key, digest, len(data), created=created)

    def _make_durable(self, folder: Path) -> None:
        """Make the folder and sync every entry on the way to it, once.

        Also entries that exist: whoever made them may have been killed before its fsync.
        """
        if folder in self._durable and folder.is_dir():
            return
        if folder == self.root:
            atomic.make_folders(folder)
        else:
            self._make_durable(folder.parent)
            folder.mkdir(exist_ok=True)
            atomic.sync_folder(folder.parent)
        self._durable.add(folder)

    def get(self, key: str) -> bytes:
        """Return the object's bytes."""
        path = self.path(key)
        try:
            return path.read_bytes()
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError) as exc:
            raise ObjectNotFoundError(key, self.description) from exc
        except OSError as exc:
            raise atomic.storage_error(exc, "read", path) from exc

    def stat(self, key: str) -> StoredObject:
        """Return the object's size and hash; reads the file."""
        data = self.get(key)
        return StoredObject(key, hashlib.sha256(data).hexdigest(), len(data), created=False)

    def exists(self, key: str) -> bool:
        """Return whether there is such a file."""
        path = self.path(key)
        try:
            return path.is_file()
        except OSError as exc:
            raise atomic.storage_error(exc, "read", path) from exc

    def list(self, prefix: str = "") -> Sequence[str]:
        """Return the keys that start with `prefix`, sorted; unfinished and foreign files are left out."""
        parts = prefix.split("/")[:-1]
        if not all(map(is_safe_name, parts)):
            raise ValueError(f"not the start of a storage key: {prefix!r}")
        start = self.root.joinpath(*parts)
        try:
            return sorted(key for key in _keys_below(self.root, start) if key.startswith(prefix))
        except OSError as exc:
            raise atomic.storage_error(exc, "list", start) from exc

    def delete(self, key: str) -> None:
        """Remove the file, durably."""
        path = self.path(key)
        try:
            path.unlink()
            atomic.sync_folder(path.parent)
        except (FileNotFoundError, NotADirectoryError):
            return
        except OSError as exc:
            raise atomic.storage_error(exc, "delete", path) from exc

    def url(self, key: str) -> str:
        """Return the file's file:// URL."""
        return self.path(key).as_uri()


def _keys_below(root: Path, start: Path) -> list[str]:
    keys = []
    for folder, folders, files in os.walk(start, onerror=_unless_missing):
        folders[:] = [name for name in folders if is_safe_name(name)]
        place = Path(folder).relative_to(root).as_posix()
        stem = "" if place == "." else f"{place}/"
        keys += [stem + name for name in files if is_safe_name(name)]
    return keys


def _unless_missing(error: OSError) -> None:
    if not isinstance(error, (FileNotFoundError, NotADirectoryError)):
        raise error
