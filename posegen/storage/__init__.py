"""Where images live: objects of bytes under keys that are the same everywhere."""

from __future__ import annotations

from pathlib import Path

from posegen.errors import UnknownNameError
from posegen.storage.atomic import check_writable, write_atomically
from posegen.storage.base import Storage, StoredObject
from posegen.storage.keys import (
    check_key,
    control_map_key,
    export_key,
    image_key,
    is_safe_name,
    original_key,
    run_key,
    thumbnail_key,
)
from posegen.storage.local import LocalStorage

__all__ = [
    "STORAGE_MODES",
    "LocalStorage",
    "Storage",
    "StoredObject",
    "check_key",
    "check_writable",
    "control_map_key",
    "export_key",
    "image_key",
    "is_safe_name",
    "open_storage",
    "original_key",
    "run_key",
    "thumbnail_key",
    "write_atomically",
]

STORAGE_MODES = ("local",)
"""What `open_storage` knows."""


def open_storage(mode: str, root: Path) -> Storage:
    """Return the storage called `mode`.

    Parameters
    ----------
    mode : {"local"}
    root : path
        The local folder; made when something is first written.

    Raises
    ------
    UnknownNameError
        No such mode.
    """
    if mode == "local":
        return LocalStorage(root)
    raise UnknownNameError("storage mode", mode, STORAGE_MODES)
