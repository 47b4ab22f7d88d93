import errno
import hashlib
import os
import pickle
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest

from posegen.errors import (
    ObjectExistsError,
    ObjectNotFoundError,
    StorageError,
    StorageFullError,
    UnknownNameError,
)
from posegen.storage import LocalStorage, Storage, open_storage

KEY = "runs/r1/images/t1.png"
DATA = bytes(range(256)) * 40


@pytest.fixture
def storage(tmp_path) -> Storage:
    return open_storage("local", tmp_path / "outputs")


def put(storage: Storage, data: bytes = DATA, key: str = KEY, *, if_absent: bool = True):
    return storage.put(key, data, content_type="image/png", if_absent=if_absent)


def files(storage: LocalStorage) -> list[str]:
    return sorted(p.relative_to(storage.root).as_posix() for p in storage.root.rglob("*") if p.is_file())


def test_what_is_put_is_got(storage):
    stored = put(storage)
    assert stored.key == KEY
    assert stored.sha256 == hashlib.sha256(DATA).hexdigest()
    assert stored.size == len(DATA)
    assert stored.created
    assert storage.get(KEY) == DATA
    assert storage.stat(KEY).sha256 == stored.sha256
    assert storage.exists(KEY)
    assert storage.url(KEY) == storage.path(KEY).as_uri()
    assert str(storage.root) in storage.description


def test_an_empty_object_is_an_object(storage):
    assert put(storage, b"").size == 0
    assert storage.get(KEY) == b""


def test_the_same_bytes_again_are_fine_and_not_new(storage):
    put(storage)
    again = put(storage)
    assert not again.created
    assert again.sha256 == hashlib.sha256(DATA).hexdigest()
    assert files(storage) == [KEY]


def test_other_bytes_never_replace_an_image(storage):
    put(storage)
    with pytest.raises(ObjectExistsError) as caught:
        put(storage, b"other")
    assert caught.value.sha256 == hashlib.sha256(DATA).hexdigest()
    assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)
    assert storage.get(KEY) == DATA
    assert files(storage) == [KEY]


def test_without_the_condition_it_is_replaced(storage):
    put(storage)
    assert put(storage, b"other", if_absent=False).created
    assert storage.get(KEY) == b"other"


def test_one_of_many_racing_writers_wins(storage):
    def race(number: int):
        try:
            return put(storage, b"%d" % number * 1000).sha256
        except ObjectExistsError:
            return None

    with ThreadPoolExecutor(8) as pool:
        winners = [sha for sha in pool.map(race, range(40)) if sha]
    assert winners == [storage.stat(KEY).sha256]
    assert files(storage) == [KEY]


def test_what_is_missing_is_named(storage):
    for call in (storage.get, storage.stat):
        with pytest.raises(ObjectNotFoundError, match=KEY):
            call(KEY)
    assert not storage.exists(KEY)
    storage.delete(KEY)
    assert storage.list() == []
    put(storage)
    with pytest.raises(ObjectNotFoundError):
        storage.get("runs/r1/images")
    with pytest.raises(ObjectNotFoundError):
        storage.get(KEY + "/below")
    assert not storage.exists("runs/r1/images")
    assert not storage.exists(KEY + "/below")
    storage.delete(KEY + "/below")


def test_deleted_objects_are_gone(storage):
    put(storage)
    storage.delete(KEY)
    assert not storage.exists(KEY)
    assert storage.list() == []


def test_list_is_by_prefix_and_sorted(storage):
    for key in (
        "runs/r2/images/a.png",
        "runs/r1/images/b.png",
        "runs/r1/images/a.png",
        "controlnet-cache/x.png",
    ):
        put(storage, key=key)
    assert storage.list("runs/r1/") == ["runs/r1/images/a.png", "runs/r1/images/b.png"]
    assert storage.list("runs/r") == [
        "runs/r1/images/a.png",
        "runs/r1/images/b.png",
        "runs/r2/images/a.png",
    ]
    assert len(storage.list()) == 4
    assert storage.list("runs/r9/") == []
    assert storage.list("runs/r1/images/a.png/") == []


def test_unfinished_and_foreign_files_are_not_listed(storage):
    put(storage)
    folder = storage.path(KEY).parent
    (folder / ".tmp-0123").write_bytes(b"half")
    (folder / "my picture.png").write_bytes(b"foreign")
    (storage.root / ".gitkeep").write_bytes(b"")
    (storage.root / ".hidden").mkdir()
    (storage.root / ".hidden" / "a.png").write_bytes(b"")
    assert storage.list() == [KEY]


@pytest.mark.parametrize("key", ["../out.png", "/etc/passwd", "a/../../b", ""])
def test_keys_cannot_lead_out(storage, key):
    for call in (storage.get, storage.stat, storage.exists, storage.delete, storage.url):
        with pytest.raises(ValueError, match="not a storage key"):
            call(key)
    with pytest.raises(ValueError, match="not a storage key"):
        put(storage, key=key)


def test_a_prefix_cannot_lead_out(storage):
    with pytest.raises(ValueError, match="start of a storage key"):
        storage.list("../")


@pytest.mark.parametrize("if_absent", [True, False])
@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT])
def test_on_a_full_disk_an_object_is_whole_or_absent_whichever_call_fails(tmp_path, failing, if_absent, code):
    for nth in range(1, 60):
        storage = LocalStorage(tmp_path / str(nth))
        with failing(nth, code) as injector:
            try:
                put(storage, if_absent=if_absent)
            except StorageFullError:
                pass
            else:
                break
        assert injector.reached
        assert storage.list() in ([], [KEY])
        assert files(storage) == list(storage.list()), "nothing but the object is left"
        assert not storage.list() or storage.get(KEY) == DATA
        put(storage, if_absent=if_absent)  # the disk has room again
        assert storage.get(KEY) == DATA
    assert nth > 10


def test_a_short_write_then_a_full_disk_leaves_nothing(storage, monkeypatch):
    real, calls = os.write, []

    def write(descriptor, data):
        calls.append(1)
        if len(calls) > 2:
            raise OSError(errno.ENOSPC, "full")
        return real(descriptor, bytes(data[:100]))

    monkeypatch.setattr(os, "write", write)
    with pytest.raises(StorageFullError):
        put(storage)
    assert files(storage) == []


@pytest.mark.parametrize("code", [errno.EPERM, errno.EOPNOTSUPP])
def test_file_systems_without_links_still_do_not_replace(storage, monkeypatch, code):
    def link(*_):
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(os, "link", link)
    assert put(storage).created
    assert not put(storage).created
    with pytest.raises(ObjectExistsError):
        put(storage, b"other")
    assert files(storage) == [KEY]


def test_a_folder_that_vanished_is_made_again(storage):
    put(storage)
    storage.delete(KEY)
    storage.path(KEY).parent.rmdir()
    assert put(storage).created


def test_a_file_in_the_way_is_named(storage):
    put(storage, key="runs")
    with pytest.raises(StorageError, match="a file"):
        put(storage)
    with pytest.raises(StorageError, match="cannot write"):
        put(LocalStorage(storage.path("runs")))


def test_unreadable_objects_are_storage_errors(storage, monkeypatch, failing):
    put(storage)
    with failing(1, errno.EIO), pytest.raises(StorageError, match="cannot delete"):
        storage.delete(KEY)

    def broken(*_, **__):
        raise OSError(errno.EIO, "io")

    monkeypatch.setattr("pathlib.Path.read_bytes", broken)
    monkeypatch.setattr("pathlib.Path.is_file", broken)
    monkeypatch.setattr("os.scandir", broken)
    for call in (storage.get, storage.exists):
        with pytest.raises(StorageError, match="cannot read"):
            call(KEY)
    with pytest.raises(StorageError, match="cannot list"):
        storage.list()


def test_an_unknown_mode_names_the_allowed_ones(tmp_path):
    with pytest.raises(UnknownNameError, match="Allowed: local"):
        open_storage("r2", tmp_path)


CHILD = """
import os, sys
from pathlib import Path
from posegen.storage import LocalStorage
nth, count = int(sys.argv[2]), 0
def wrap(real):
    def call(*args, **kwargs):
        global count
        count += 1
        if count == nth:
            os._exit(9)
        return real(*args, **kwargs)
    return call
for name in ("open", "write", "fsync", "close", "replace", "link", "unlink", "mkdir"):
    setattr(os, name, wrap(getattr(os, name)))
storage = LocalStorage(Path(sys.argv[1]))
storage.put("runs/r1/images/t1.png", bytes(range(256)) * 40, content_type="", if_absent=True)
os._exit(0)
"""


@pytest.mark.faults
def test_killed_before_any_call_an_object_is_whole_or_absent(tmp_path, project_root):
    killed = 0
    for nth in range(1, 60, 3):
        storage = LocalStorage(tmp_path / str(nth))
        command = [sys.executable, "-c", CHILD, str(storage.root), str(nth)]
        if subprocess.run(command, cwd=project_root, check=False).returncode == 0:
            break
        killed += 1
        assert storage.list() in ([], [KEY])
        assert not storage.list() or storage.get(KEY) == DATA
        put(storage)
        assert storage.get(KEY) == DATA
    assert killed > 3
    assert storage.get(KEY) == DATA
