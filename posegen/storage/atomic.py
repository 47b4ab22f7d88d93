"""Files that are there whole or not at all, and stay there.

Order: temporary file in the same folder, write, fsync, rename (or link, which never replaces), fsync of the
folder. Promised on Linux with a local disk. On macOS F_FULLFSYNC is used; Windows cannot sync a folder;
network shares do what they do.
"""

from __future__ import annotations

import errno
import os
import secrets
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from posegen.errors import StorageError, StorageFullError

TEMPORARY_PREFIX = ".tmp-"
"""Files of this prefix are unfinished: left behind only by a process that was killed."""

_REASONS = {
    errno.EACCES: "permission denied",
    errno.EPERM: "not permitted",
    errno.EROFS: "the file system is read-only",
    errno.ENOTDIR: "a part of the path is a file, not a folder",
    errno.EEXIST: "a file stands where a folder should be",
    errno.EISDIR: "a folder stands where the file should be",
    errno.ENAMETOOLONG: "the name is too long for the file system",
    errno.EIO: "the disk reports an input/output error",
    errno.EMFILE: "too many files are open in this process",
}
_FULL = (errno.ENOSPC, errno.EDQUOT)
# What file systems without hard links answer (FAT, some network shares).
_NO_LINKS = (errno.EPERM, errno.EOPNOTSUPP, errno.ENOTSUP, errno.ENOSYS, errno.EMLINK)


def storage_error(exc: OSError, action: str, path: Path) -> StorageError:
    """Return posegen's error for `exc`: what could not be done, where and why."""
    if exc.errno in _FULL:
        why = "the disk is full" if exc.errno == errno.ENOSPC else "the disk quota is used up"
        return StorageFullError(f"cannot {action} {path}: {why}")
    reason = _REASONS.get(exc.errno or 0) or exc.strerror or str(exc)
    return StorageError(f"cannot {action} {path}: {reason}")


def write_atomically(path: Path, data: bytes) -> None:
    """Write a file, durably: afterwards it holds `data`, or on an error what it held before.

    Missing folders are made. The old file, if any, is replaced.

    Raises
    ------
    StorageFullError, StorageError
    """
    try:
        make_folders(path.parent)
        _place(path, data, os.replace)
    except OSError as exc:
        raise storage_error(exc, "write", path) from exc


@contextmanager
def written_atomically(path: Path) -> Iterator[BinaryIO]:
    """Write a file of any length as `write_atomically` does; what the block raises leaves it as it was.

    Raises
    ------
    StorageFullError, StorageError
        Also for an OSError of the block.
    """
    temporary = path.with_name(f"{TEMPORARY_PREFIX}{secrets.token_hex(8)}")
    try:
        make_folders(path.parent)
        try:
            with temporary.open("xb") as file:
                yield file
                file.flush()
                sync_file(file.fileno())
            os.replace(temporary, path)  # noqa: PTH105 - one seam for all of this module's system calls
        except BaseException:
            _remove_quietly(temporary)
            raise
        sync_folder(path.parent)
    except OSError as exc:
        raise storage_error(exc, "write", path) from exc


def write_new(path: Path, data: bytes) -> bool:
    """Write a file, durably, unless it exists; return whether it was written. The folder must exist.

    Raises
    ------
    OSError
        As the system says it; the caller knows what was wanted.
    """
    try:
        _place(path, data, _link)
    except FileExistsError:
        # Whoever wrote it may have been killed before its own fsync of the folder.
        sync_folder(path.parent)
        return False
    return True


def replace(path: Path, data: bytes) -> None:
    """Write or replace a file, durably. The folder must exist; raises OSError."""
    _place(path, data, os.replace)


def _place(path: Path, data: bytes, move: Callable[[Path, Path], None]) -> None:
    temporary = path.with_name(f"{TEMPORARY_PREFIX}{secrets.token_hex(8)}")
    try:
        _write_file(temporary, data)
        move(temporary, path)
    except BaseException:
        _remove_quietly(temporary)
        raise
    sync_folder(path.parent)


def _write_file(path: Path, data: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), 0o666)
    try:
        write_all(descriptor, data)
        sync_file(descriptor)
    finally:
        os.close(descriptor)


def _link(temporary: Path, path: Path) -> None:
    try:
        os.link(temporary, path)
    except OSError as exc:
        if exc.errno not in _NO_LINKS:
            raise
        # As good as such a file system allows: two writers at the same instant could replace each other.
        if path.exists():
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(path)) from exc
        os.replace(temporary, path)  # noqa: PTH105 - one seam for all of this module's system calls
        return
    _remove_quietly(temporary)


def _remove_quietly(path: Path) -> None:
    try:
        os.unlink(path)  # noqa: PTH108 - as above
    except OSError:
        return  # a temporary file is never listed; recovery sweeps it


def remove(path: Path) -> None:
    """Remove a file, if there is one; not durably.

    Raises
    ------
    StorageError
    """
    try:
        os.unlink(path)  # noqa: PTH108 - as above
    except FileNotFoundError:
        return
    except OSError as exc:
        raise storage_error(exc, "remove", path) from exc


def write_all(descriptor: int, data: bytes) -> None:
    """Write every byte; the system may take fewer at a time."""
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]


def sync_file(descriptor: int) -> None:
    """Return when the file's bytes are on the disk. If it fails it must not be tried again."""
    if sys.platform == "darwin":  # fsync there leaves the bytes in the drive's own cache
        import fcntl

        fcntl.fcntl(descriptor, fcntl.F_FULLFSYNC)
    else:
        os.fsync(descriptor)


def sync_folder(folder: Path) -> None:
    """Return when the folder's entries (files made, renamed, removed) are on the disk."""
    if sys.platform == "win32":  # folders cannot be opened there
        return
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def make_folders(folder: Path) -> None:
    """Make a folder and its missing parents, durably; raises OSError."""
    if folder.is_dir():
        return
    if folder.parent != folder:
        make_folders(folder.parent)
    folder.mkdir(exist_ok=True)
    sync_folder(folder.parent)


def check_writable(root: Path, *, need_bytes: int = 0) -> None:
    """Make sure, before anything is spent, that files can be kept under `root`.

    Makes the folder, writes and removes a small file.

    Parameters
    ----------
    root : path
    need_bytes : int
        Room that will be needed.

    Raises
    ------
    StorageFullError
        Fewer than `need_bytes` are free, or the disk takes not even the small file.
    StorageError
        The folder cannot be made or written.
    """
    probe = root / f"{TEMPORARY_PREFIX}{secrets.token_hex(8)}"
    try:
        make_folders(root)
        try:
            _write_file(probe, b"posegen\n" * 64)
        finally:
            _remove_quietly(probe)
        free = shutil.disk_usage(root).free
    except OSError as exc:
        raise storage_error(exc, "write to the folder", root) from exc
    if free < need_bytes:
        raise StorageFullError(
            f"cannot write to the folder {root}: {need_bytes / 1e6:,.0f} MB are needed and "
            f"{free / 1e6:,.0f} MB are free on that disk"
        )
