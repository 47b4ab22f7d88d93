from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import zipfile
from pathlib import Path
from typing import Any

import pytest

from posegen.errors import ObjectNotFoundError, StorageFullError
from posegen.exports import archive
from posegen.exports.archive import MANIFEST, Archive, Entry, LeftOut, write_archive

STORED = {f"k{number}": bytes([number]) * (1000 + number) for number in range(5)}
HEAD = {"schema": 1, "run_id": "r"}


def read(key: str) -> bytes:
    if key not in STORED:
        raise ObjectNotFoundError(key, "the test")
    return STORED[key]


def entry(number: int, name: str | None = None, data: bytes | None = None) -> Entry:
    sha256 = hashlib.sha256(STORED[f"k{number}"] if data is None else data).hexdigest()
    return Entry(
        name or f"tiktok/{number}_pose.jpg", f"k{number}", sha256, lambda: {"seed": number, "prompt": "雨"}
    )


def written(path: Path, entries: list[Entry], **options: Any) -> tuple[Archive, dict[str, Any]]:
    made = write_archive(path, entries, read, HEAD, **options)
    assert made is not None
    with zipfile.ZipFile(path) as opened:
        assert opened.testzip() is None
        return made, json.loads(opened.read(MANIFEST))


def test_it_holds_the_pictures_and_last_a_manifest_of_them(tmp_path: Path) -> None:
    path = tmp_path / "p.zip"
    made, manifest = written(path, [entry(0), entry(1)])
    assert (made.pictures, made.size_bytes, made.left_out) == (2, path.stat().st_size, ())
    with zipfile.ZipFile(path) as opened:
        assert opened.namelist() == ["tiktok/0_pose.jpg", "tiktok/1_pose.jpg", MANIFEST]
        assert opened.read("tiktok/1_pose.jpg") == STORED["k1"]
        assert {info.compress_type for info in opened.infolist()} == {zipfile.ZIP_STORED}
        assert {info.date_time for info in opened.infolist()} == {(1980, 1, 1, 0, 0, 0)}
        assert {oct(info.external_attr >> 16) for info in opened.infolist()} == {"0o100644"}
    assert (manifest["schema"], manifest["run_id"], manifest["left_out"]) == (1, "r", [])
    assert manifest["files"][0] == {
        "path": "tiktok/0_pose.jpg",
        "sha256": hashlib.sha256(STORED["k0"]).hexdigest(),
        "size_bytes": 1000,
        "seed": 0,
        "prompt": "雨",
    }


def test_the_same_content_gives_the_same_bytes(tmp_path: Path) -> None:
    for name in ("a.zip", "b.zip"):
        written(tmp_path / name, [entry(number) for number in range(5)])
    assert (tmp_path / "a.zip").read_bytes() == (tmp_path / "b.zip").read_bytes()


@pytest.mark.skipif(shutil.which("unzip") is None, reason="unzip is not installed")
@pytest.mark.parametrize("count", [0, 3, 66_000])
def test_unzip_finds_nothing_wrong(tmp_path: Path, count: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """More than 65,535 entries need ZIP64."""
    monkeypatch.setattr(archive, "_MANY", 1000)
    path = tmp_path / "p.zip"
    made, _ = written(path, [entry(0, f"tiktok/{number}.jpg") for number in range(count)])
    assert made.pictures == count
    subprocess.run(["unzip", "-tqq", str(path)], check=True, timeout=120)
    listed = subprocess.run(["zipinfo", "-1", str(path)], capture_output=True, text=True, check=True).stdout
    assert len(listed.splitlines()) == count + 1


def test_what_is_gone_or_changed_is_left_out_and_named(tmp_path: Path) -> None:
    gone = Entry("tiktok/9.jpg", "k9", "0" * 64, dict)
    made, manifest = written(
        tmp_path / "p.zip",
        [entry(0), entry(1, data=b"other"), gone],
        missing=[LeftOut("shopee/0.jpg", "SOURCE_MISSING", "the image is gone")],
    )
    assert made.pictures == 1
    assert [(one.name, one.code) for one in made.left_out] == [
        ("tiktok/1_pose.jpg", "EXPORT_CHANGED"),
        ("tiktok/9.jpg", "EXPORT_MISSING"),
    ]
    assert [row["path"] for row in manifest["files"]] == ["tiktok/0_pose.jpg"]
    assert [row["code"] for row in manifest["left_out"]] == [
        "SOURCE_MISSING",
        "EXPORT_CHANGED",
        "EXPORT_MISSING",
    ]


def test_told_to_stop_it_leaves_what_was_there(tmp_path: Path) -> None:
    path = tmp_path / "p.zip"
    path.write_bytes(b"old")
    counted: list[int] = []
    told = write_archive(
        path, [entry(0), entry(1)], read, HEAD, told=lambda: bool(counted), count=lambda: counted.append(1)
    )
    assert told is None
    assert counted == [1]
    assert [file.name for file in tmp_path.iterdir()] == ["p.zip"]
    assert path.read_bytes() == b"old"


def test_a_full_disk_leaves_what_was_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "p.zip"
    path.write_bytes(b"old")

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(zipfile.ZipFile, "writestr", full)
    with pytest.raises(StorageFullError, match=r"cannot write .*p\.zip: the disk is full"):
        write_archive(path, [entry(0)], read, HEAD)
    assert [file.name for file in tmp_path.iterdir()] == ["p.zip"]
    assert path.read_bytes() == b"old"


@pytest.mark.parametrize("name", ["../x.jpg", "/etc/x.jpg", "a/../../x", "a\\b.jpg", "", "a//b", MANIFEST])
def test_a_name_that_leaves_the_folder_is_refused(tmp_path: Path, name: str) -> None:
    bad = Entry(name, "k0", "0" * 64, dict)
    with pytest.raises(ValueError, match="not a name"):
        write_archive(tmp_path / "p.zip", [bad], read, HEAD)
    assert not list(tmp_path.iterdir())


def test_two_pictures_of_one_name_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="one name"):
        write_archive(tmp_path / "p.zip", [entry(0, "a.jpg"), entry(1, "a.jpg")], read, HEAD)
