import errno
import os
from types import SimpleNamespace

import pytest

from posegen.errors import StorageError, StorageFullError
from posegen.storage import check_writable, write_atomically
from posegen.storage.atomic import storage_error, write_all


def names(folder):
    return sorted(p.name for p in folder.rglob("*"))


def test_a_file_is_written_and_replaced(tmp_path):
    path = tmp_path / "new" / "folder" / "notebook.ipynb"
    write_atomically(path, b"one")
    write_atomically(path, b"two")
    assert path.read_bytes() == b"two"
    assert names(path.parent) == ["notebook.ipynb"]


@pytest.mark.parametrize(
    ("code", "error"),
    [(errno.ENOSPC, StorageFullError), (errno.EDQUOT, StorageFullError), (errno.EIO, StorageError)],
)
def test_whichever_call_fails_the_old_file_stays_or_the_new_one_is_whole(tmp_path, failing, code, error):
    path = tmp_path / "file"
    path.write_bytes(b"old")
    for nth in range(1, 50):
        path.write_bytes(b"old")
        with failing(nth, code) as injector:
            try:
                write_atomically(path, b"new")
            except error:
                pass
            else:
                break
        assert injector.reached
        assert path.read_bytes() in {b"old", b"new"}
        assert names(tmp_path) == ["file"]
    assert nth > 5


def test_every_byte_is_written_when_the_system_takes_few_at_a_time(tmp_path, monkeypatch):
    real = os.write
    monkeypatch.setattr(os, "write", lambda fd, data: real(fd, bytes(data[:3])))
    descriptor = os.open(tmp_path / "f", os.O_WRONLY | os.O_CREAT)
    write_all(descriptor, b"0123456789")
    os.close(descriptor)
    assert (tmp_path / "f").read_bytes() == b"0123456789"


def test_check_writable_makes_the_folder_and_leaves_nothing(tmp_path):
    root = tmp_path / "a" / "b"
    check_writable(root)
    check_writable(root)
    assert names(tmp_path) == ["a", "b"]


def test_check_writable_names_a_file_in_the_way(tmp_path):
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(StorageError, match="file stands where a folder"):
        check_writable(tmp_path / "file")
    with pytest.raises(StorageError, match="file stands where a folder"):
        check_writable(tmp_path / "file" / "below")


@pytest.mark.parametrize(
    ("code", "says"),
    [
        (errno.EACCES, "permission denied"),
        (errno.EROFS, "read-only"),
        (errno.EIO, "input/output error"),
        (errno.ENAMETOOLONG, "too long"),
        (errno.ESTALE, os.strerror(errno.ESTALE)),
    ],
)
def test_faults_say_what_and_where(tmp_path, failing, code, says):
    with failing(1, code), pytest.raises(StorageError, match=says) as caught:
        check_writable(tmp_path)
    assert str(tmp_path) in str(caught.value)
    assert not isinstance(caught.value, StorageFullError)


def test_check_writable_wants_room(tmp_path, monkeypatch):
    monkeypatch.setattr("shutil.disk_usage", lambda _: SimpleNamespace(free=5_000_000))
    check_writable(tmp_path, need_bytes=5_000_000)
    with pytest.raises(StorageFullError, match="6 MB are needed and 5 MB are free"):
        check_writable(tmp_path, need_bytes=6_000_000)


def test_check_writable_leaves_nothing_when_it_fails(tmp_path, failing):
    for nth in range(1, 50):
        with failing(nth) as injector:
            try:
                check_writable(tmp_path)
            except StorageFullError:
                assert injector.reached
            else:
                break
        assert names(tmp_path) == []
    assert nth > 3


def test_an_error_without_a_number_still_says_something(tmp_path):
    assert "odd" in str(storage_error(OSError("odd"), "read", tmp_path))
