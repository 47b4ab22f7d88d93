"""What every storage does."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True)
class StoredObject:
    """An object that is durably stored.

    Attributes
    ----------
    key : str
    sha256 : str
        Of its bytes, hexadecimal.
    size : int
        In bytes.
    created : bool
        False if the same bytes were there before.
    """

    key: str
    sha256: str
    size: int
    created: bool = True


class Storage(Protocol):
    """Objects of bytes under keys; every method may be called from any thread.

    Keys are checked: `ValueError` for one that `check_key` refuses. Faults are `StorageError`.
    """

    @property
    def description(self) -> str:
        """Where the objects are, in words for people."""
        ...

    def put(self, key: str, data: bytes, *, content_type: str, if_absent: bool = False) -> StoredObject:
        """Store `data` under `key`, durably before this returns; all of it or nothing.

        Parameters
        ----------
        key : str
        data : bytes
        content_type : str
            MIME type, for storages that keep it.
        if_absent : bool
            Never replace: if the key holds the same bytes the object is returned with `created` False.

        Raises
        ------
        ObjectExistsError
            With `if_absent`: the key holds other bytes.
        StorageFullError
            No room.
        StorageError
            It could not be written for another reason.
        """
        ...

    def get(self, key: str) -> bytes:
        """Return the object's bytes; `ObjectNotFoundError` if there is none."""
        ...

    def stat(self, key: str) -> StoredObject:
        """Return the object's size and hash, reading it if need be; `ObjectNotFoundError` if none."""
        ...

    def exists(self, key: str) -> bool:
        """Return whether the key holds an object."""
        ...

    def list(self, prefix: str = "") -> Sequence[str]:
        """Return the keys that start with `prefix`, sorted."""
        ...

    def delete(self, key: str) -> None:
        """Remove the object; nothing happens if there is none."""
        ...

    def url(self, key: str) -> str:
        """Return where a program or a person can fetch the object now; never to be stored."""
        ...
