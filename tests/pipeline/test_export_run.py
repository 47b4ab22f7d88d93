from __future__ import annotations

import hashlib
import json
import os
import zipfile
from pathlib import Path
from typing import Any

import pytest

import posegen
from posegen.credits import ACCOUNTS_FILE, open_accounts
from posegen.errors import (
    InputError,
    RunNotFoundError,
    RunOwnedError,
    StorageFullError,
    UnknownNameError,
)
from posegen.images import decode
from posegen.journal import RunLease
from posegen.parameters import RecoveryParameters
from posegen.pipeline.export_run import Exporter
from posegen.pipeline.job import request_stop
from posegen.pipeline.plan import Plan
from posegen.pipeline.run import open_run
from posegen.recovery import find
from posegen.settings import Settings
from posegen.storage import LocalStorage
from tests.pipeline.conftest import PlainBackend
from tests.pipeline.exported import Export, counts, damaged, make, quiet, state


def test_what_is_missing_is_made_once_in_an_attempt_of_its_own(
    run: Plan, settings: Settings, export: Export
) -> None:
    accounts = open_accounts(settings.root / ACCOUNTS_FILE)
    before, history = state(settings), accounts.run_history("r")
    report = export()
    assert (counts(report), report.exit_code) == ((6, 0, 0), 0)
    after = state(settings)
    assert [(one.kind, one.outcome) for one in after.attempts] == [
        ("batch", "finished"),
        ("export", "finished"),
    ]
    assert (after.status, after.records, after.holds) == ("finished", before.records, before.holds)
    assert accounts.run_history("r") == history
    for task in run.tasks:
        assert sorted(after.exports[task.task_id]) == ["instagram_post", "tiktok"]
        for event in after.exports[task.task_id].values():
            data = (settings.root / event.key).read_bytes()
            assert hashlib.sha256(data).hexdigest() == event.sha256
            assert decode(data).shape[:2] == (event.height, event.width)
    again = export()
    assert (counts(again), again.exit_code) == ((0, 6, 0), 0)
    assert len(state(settings).attempts) == 2, "nothing to make begins no attempt"
    assert [one.action for one in find(RecoveryParameters(), settings)] == ["leave"]


def test_by_default_in_the_formats_of_the_runs_parameters(
    backend: PlainBackend, settings: Settings, export: Export
) -> None:
    make(settings, exports=["facebook", "shopee"])
    assert counts(export()) == (0, 6, 0)
    assert counts(export(formats=["lazada", "shopee"])) == (3, 3, 0)


def test_from_python_it_is_one_call_and_shown_in_a_notebook(run: Plan, settings: Settings) -> None:
    report = posegen.export_run("r", formats=["shopee"], poses=["walking_stride"], settings=settings)
    assert counts(report) == (1, 0, 0)
    assert "up to date" in report._repr_html_()


@pytest.mark.parametrize("how", ["gone", "changed", "shorter"])
def test_an_export_that_is_not_stored_as_journalled_is_made_again(
    run: Plan, settings: Settings, export: Export, how: str
) -> None:
    export()
    event = state(settings).exports[run.tasks[1].task_id]["tiktok"]
    damaged(settings, event, how)
    assert counts(export()) == (1, 5, 0)
    assert hashlib.sha256((settings.root / event.key).read_bytes()).hexdigest() == event.sha256


@pytest.mark.parametrize("word", ["rule", "source_sha256"])
def test_an_export_of_an_older_journal_is_out_of_date(
    run: Plan, settings: Settings, export: Export, word: str
) -> None:
    export()
    segment = settings.root / "runs/r/journal/0002.jsonl"
    lines = [json.loads(line) for line in segment.read_text().splitlines()]
    segment.write_text("".join(json.dumps({k: v for k, v in x.items() if k != word}) + "\n" for x in lines))
    assert counts(export()) == (6, 0, 0)
    assert counts(export()) == (0, 6, 0)


def test_an_export_by_another_rule_is_out_of_date(
    backend: PlainBackend, settings: Settings, tmp_path: Path
) -> None:
    own = tmp_path / "own.toml"
    settings = settings.model_copy(update={"export_formats": own, "root": tmp_path / "root"})
    make(settings)

    def export() -> tuple[int, int, int]:
        return counts(Exporter("r", settings, on_progress=quiet).export(formats=["mine", "shopee"]))

    own.write_text("[mine]\nsize = [300, 200]\n")
    assert export() == (6, 0, 0)
    own.write_text('[mine]\nsize = [300, 200]\ncategory = "words decide nothing"\n')
    assert export() == (0, 6, 0)
    own.write_text("[mine]\nsize = [300, 200]\nquality = 80\n")
    assert export() == (3, 3, 0)


def test_one_is_made_again_whatever_is_there(run: Plan, settings: Settings, export: Export) -> None:
    export()
    task = run.tasks[2].task_id
    assert counts(export(task=task[:8], formats=["tiktok"])) == (1, 0, 0)
    assert [len(one) for one in state(settings).exports.values()] == [2, 2, 2]
    with pytest.raises(UnknownNameError, match="unknown task 'zz'"):
        export(task="zz", formats=["tiktok"])
    assert len(state(settings).attempts) == 3


def test_several_tasks_of_one_beginning_are_told(
    backend: PlainBackend, settings: Settings, export: Export
) -> None:
    plan = make(settings, images_per_pose=12)
    starts = [task.task_id[0] for task in plan.tasks]
    doubled = next(digit for digit in starts if starts.count(digit) > 1)
    with pytest.raises(InputError, match=f"tasks start with '{doubled}'"):
        export(task=doubled, formats=["tiktok"])


def test_poses_are_chosen_by_pose_and_by_task(run: Plan, settings: Settings, export: Export) -> None:
    report = export(poses=["walking_stride", run.tasks[2].task_id[:12]], formats=["shopee"])
    assert counts(report) == (2, 0, 0)
    assert set(state(settings).exports) == {task.task_id for task in run.tasks[1:]}


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"poses": ["walking_strid"]}, "did you mean 'walking_stride'"),
        ({"poses": ["walking_stride", "boxing_guard"]}, "unknown pose of run r: 'boxing_guard'"),
        ({"poses": ["0123abcd"]}, "unknown task '0123abcd'"),
        ({"formats": ["tiktak"]}, "did you mean 'tiktok'"),
        ({"formats": ["tiktok", "x"]}, "unknown export format 'x'"),
    ],
)
def test_an_unknown_name_is_refused_before_anything_is_done(
    run: Plan, settings: Settings, export: Export, options: dict[str, Any], words: str
) -> None:
    with pytest.raises(InputError, match=words):
        export(**options)
    assert len(state(settings).attempts) == 1
    assert not (settings.root / "runs/r/exports").exists()


def test_an_unknown_run_names_the_nearest(run: Plan, settings: Settings) -> None:
    with pytest.raises(RunNotFoundError, match="no run 'rr'; the nearest are r"):
        Exporter("rr", settings).export()
    assert not (settings.root / "locks/rr.lock").exists()


def test_images_from_words_alone_are_called_text(
    backend: PlainBackend, settings: Settings, export: Export
) -> None:
    plan = make(settings, poses=[], prompts=["a person", "a crowd"])
    report = export(poses=["text"], formats=["shopee"], zip_file=True)
    assert counts(report) == (2, 0, 0)
    assert report.archive is not None
    with zipfile.ZipFile(report.archive.path) as archive:
        names = [f"shopee/{n}_text_seed{t.seed}_{t.task_id[:8]}.jpg" for n, t in enumerate(plan.tasks)]
        assert archive.namelist() == [*names, "manifest.json"]


@pytest.mark.parametrize(("damage", "code"), [("gone", "SOURCE_MISSING"), ("changed", "SOURCE_CHANGED")])
def test_a_source_that_is_gone_or_changed_is_journalled_and_named(
    run: Plan, settings: Settings, export: Export, damage: str, code: str
) -> None:
    task = run.tasks[1]
    path = settings.root / state(settings).records[task.task_id].key
    path.unlink() if damage == "gone" else path.write_bytes(b"no")
    report = export(zip_file=True, gallery=True)
    assert (counts(report), report.exit_code) == ((4, 0, 2), 3)
    failures = state(settings).export_failures[task.task_id]
    assert {one.code for one in failures.values()} == {code}
    name = f"tiktok/1_walking_stride_yaw0_seed{task.seed}_{task.task_id[:8]}"
    assert any(line.startswith(f"{name}: {code}: ") for line in report.problem_lines())
    assert report.archive is not None
    assert report.archive.pictures == 4
    with zipfile.ZipFile(report.archive.path) as archive:
        left_out = json.loads(archive.read("manifest.json"))["left_out"]
    assert [row["code"] for row in left_out] == [code, code]
    page = (settings.root / "runs/r/gallery/index.html").read_text()
    assert page.count(f"{code}: ") == 2


def test_none_at_all_is_another_exit_code(run: Plan, settings: Settings, export: Export) -> None:
    for record in state(settings).records.values():
        (settings.root / record.key).unlink()
    report = export(zip_file=True)
    assert (counts(report), report.exit_code, report.archive) == ((0, 0, 6), 4, None)


def test_a_run_of_another_process_is_refused(run: Plan, settings: Settings, export: Export) -> None:
    with (
        RunLease.acquire(settings.root, "r"),
        pytest.raises(RunOwnedError, match=f"run r is owned by process {os.getpid()}"),
    ):
        export()


def test_a_full_disk_is_told_and_what_is_done_stays(
    run: Plan, settings: Settings, export: Export, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = LocalStorage.put

    def put(self: LocalStorage, key: str, data: bytes, **options: Any) -> Any:
        if run.tasks[2].task_id in key:
            raise StorageFullError("no space is left")
        return real(self, key, data, **options)

    monkeypatch.setattr(LocalStorage, "put", put)
    with pytest.raises(StorageFullError):
        export()
    done = sum(map(len, state(settings).exports.values()))
    assert done >= 2
    assert state(settings).status == "finished"
    monkeypatch.setattr(LocalStorage, "put", real)
    assert counts(export()) == (6 - done, done, 0)


def test_told_to_stop_before_it_begins_it_does_nothing(run: Plan, settings: Settings) -> None:
    exporter = Exporter("r", settings, on_progress=quiet)
    exporter.stop("enough")
    report = exporter.export(zip_file=True, gallery=True)
    assert (counts(report), report.exit_code, report.left) == ((0, 0, 0), 5, 6)
    assert "stopped (enough) with 6 to go" in report.count_line()
    assert len(state(settings).attempts) == 1
    assert not (settings.root / "runs/r/poses-r.zip").exists()


def test_stopped_amid_it_goes_on_later(
    backend: PlainBackend, settings: Settings, export: Export, monkeypatch: pytest.MonkeyPatch
) -> None:
    make(settings, images_per_pose=4)
    exporter = Exporter("r", settings, on_progress=quiet)
    real = LocalStorage.put

    def put(self: LocalStorage, key: str, data: bytes, **options: Any) -> Any:
        exporter.stop("enough")
        return real(self, key, data, **options)

    monkeypatch.setattr(LocalStorage, "put", put)
    report = exporter.export(zip_file=True)
    monkeypatch.undo()
    assert report.exit_code == 5
    assert 0 < report.made < 24
    assert report.archive is None
    after = state(settings)
    assert (after.status, after.attempts[-1].interrupted) == ("finished", "enough")
    assert counts(export()) == (24 - report.made, report.made, 0)


def test_posegen_stop_stops_it(
    backend: PlainBackend, settings: Settings, export: Export, monkeypatch: pytest.MonkeyPatch
) -> None:
    make(settings, images_per_pose=20)
    monkeypatch.setattr("posegen.pipeline.engine.STOP_POLL_S", 0.01)
    real = LocalStorage.put

    def put(self: LocalStorage, key: str, data: bytes, **options: Any) -> Any:
        request_stop(settings.root / "runs/r")
        return real(self, key, data, **options)

    monkeypatch.setattr(LocalStorage, "put", put)
    report = export(formats=["shopee"])
    assert (report.exit_code, report.stopped) == (5, "asked to stop")
    assert not (settings.root / "runs/r/stop").exists()


def test_a_summary_counts_exports_made_later(run: Plan, settings: Settings, export: Export) -> None:
    export()
    assert open_run("r", settings).facts()["exports_made"] == 6
