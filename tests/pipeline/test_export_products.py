"""The ZIP and the gallery of a run."""

from __future__ import annotations

import json
import os
import zipfile
from pathlib import Path

import pytest

from posegen.errors import (
    ParameterError,
)
from posegen.parameters import RecoveryParameters
from posegen.pipeline.export_archive import archive_exports
from posegen.pipeline.export_choice import choose
from posegen.pipeline.export_pictures import exported_pictures
from posegen.pipeline.plan import Plan
from posegen.recovery import recover
from posegen.settings import Settings
from posegen.storage import LocalStorage
from tests.pipeline.conftest import PlainBackend
from tests.pipeline.exported import Export, counts, damaged, make, state


def test_the_zip_explains_itself(
    backend: PlainBackend, settings: Settings, export: Export, tmp_path: Path
) -> None:
    plan = make(settings, views=[0, "45m"], images_per_pose=2)
    path = tmp_path / "elsewhere" / "mine.zip"
    report = export(formats=["tiktok", "shopee"], zip_file=path)
    assert report.archive is not None
    assert report.archive.path == path
    with zipfile.ZipFile(path) as archive:
        names = archive.namelist()
        manifest = json.loads(archive.read("manifest.json"))
    assert names[:-1] == sorted(names[:-1])
    task = plan.tasks[3]
    name = f"shopee/03_standing_relaxed_yaw45m_seed{task.seed}_{task.task_id[:8]}.jpg"
    assert name in names
    row = next(row for row in manifest["files"] if row["path"] == name)
    event = state(settings).exports[task.task_id]["shopee"]
    assert row["sha256"] == event.sha256
    assert (row["size_bytes"], row["format"], row["rule"]) == (event.size_bytes, "shopee", event.rule)
    assert (row["width"], row["height"], row["task_id"]) == (1000, 1000, task.task_id)
    assert (row["pose"], row["view"], row["seed"]) == (
        "standing_relaxed",
        {"yaw": 45.0, "mirrored": True},
        task.seed,
    )
    assert row["recipe"]["task"]["task_id"] == task.task_id
    assert row["outdated"] is False
    first = path.read_bytes()
    export(formats=["shopee", "tiktok"], zip_file=path)
    assert path.read_bytes() == first


def test_a_zip_goes_into_a_folder_and_never_over_what_is_no_file(
    run: Plan, export: Export, tmp_path: Path
) -> None:
    report = export(formats=["shopee"], zip_file=tmp_path)
    assert report.archive is not None
    assert report.archive.path == tmp_path / "poses-r.zip"
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(ParameterError, match="is not a file"):
        export(formats=["shopee"], zip_file=tmp_path / "pipe")


def test_a_picture_that_changes_meanwhile_is_left_out(
    run: Plan, settings: Settings, export: Export, tmp_path: Path
) -> None:
    report = export(formats=["shopee"])
    now = state(settings)
    damaged(settings, now.exports[run.tasks[0].task_id]["shopee"], "changed")
    pictures = exported_pictures(now, choose(now, settings, formats=["shopee"]))
    report.archive = archive_exports(
        now, pictures, LocalStorage(settings.root), tmp_path / "p.zip", told=lambda: False, count=lambda: None
    )
    assert (report.exit_code, [one.code for one in report.left_out]) == (3, ["EXPORT_CHANGED"])


def test_the_gallery_can_be_moved_and_shows_every_format_there_is(
    run: Plan, settings: Settings, export: Export, tmp_path: Path
) -> None:
    export(formats=["facebook"])
    report = export(gallery=True)
    assert report.gallery is not None
    assert report.gallery.pictures == 9
    moved = tmp_path / "moved"
    report.gallery.path.parent.rename(moved)
    page = (moved / "index.html").read_text()
    for task in run.tasks:
        for name, event in state(settings).exports[task.task_id].items():
            (file,) = (moved / "files" / name).glob(f"*_{task.task_id[:8]}.jpg")
            assert file.read_bytes() == (settings.root / event.key).read_bytes()
            assert f'href="files/{name}/{file.name}"' in page
    assert len(list((moved / "thumbnails").iterdir())) == 9


def test_a_later_gallery_takes_away_what_it_does_not_show(
    run: Plan, settings: Settings, export: Export
) -> None:
    export(gallery=True)
    folder = settings.root / "runs/r/gallery"
    (folder / "files/.tmp-left").write_bytes(b"x")
    export(gallery=True, formats=["shopee"], poses=["walking_stride"])
    files = [path.relative_to(folder).parts[0] for path in folder.rglob("*") if path.is_file()]
    assert sorted(files) == ["files", "index.html", "thumbnails"]
    assert not (folder / "files/tiktok").exists()
    assert sum(map(len, state(settings).exports.values())) == 7


def test_where_files_cannot_be_linked_they_are_copied(
    run: Plan, settings: Settings, export: Export, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(1, "no links here")

    monkeypatch.setattr("posegen.pipeline.export_gallery.os.link", refuse)
    export(gallery=True, formats=["shopee"])
    files = list((settings.root / "runs/r/gallery/files/shopee").iterdir())
    assert len(files) == 3
    assert {path.stat().st_nlink for path in files} == {1}


def test_deleted_images_take_exports_zip_and_gallery_along(
    run: Plan, settings: Settings, export: Export
) -> None:
    export(zip_file=True, gallery=True)
    recover(RecoveryParameters(delete_images_of=["r"]), settings)
    left = {path.name for path in (settings.root / "runs/r").rglob("*") if path.is_file()}
    assert left == {"0001.jsonl", "0002.jsonl"}
    assert counts(export()) == (0, 0, 6)
