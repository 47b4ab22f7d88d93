"""Clean-up after finished runs: temporary and cached files, and images if asked for by name."""

from __future__ import annotations

import os
import threading
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from posegen import recovery
from posegen.journal import RunLease, journal_folder, list_runs, run_ids
from posegen.parameters import BatchParameters, RecoveryParameters, check
from posegen.pipeline.plan import build_plan
from posegen.pipeline.run import open_run, resume, start
from posegen.recovery import look
from posegen.storage import control_map_key
from tests.faults.harness import until

pytestmark = pytest.mark.faults

JUST_BEFORE = timedelta(days=6, hours=23)
JUST_AFTER = timedelta(days=7, hours=1)


def posed(world: Any, run_id: str, *poses: str) -> list[Path]:
    """Finish a run of poses; return its control maps."""
    values = {"poses": list(poses), "backend": "plain", "width": 256, "height": 256, "run_id": run_id}
    plan = build_plan(check(BatchParameters, values))
    start(plan, world.settings).wait(lambda _: None)
    return [world.root / control_map_key(str(task.control_map_sha256)) for task in plan.tasks]


def leave(world: Any, *names: str) -> list[Path]:
    paths = [world.root / name for name in names]
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")
    return paths


@pytest.mark.parametrize(("after", "cleaned"), [(JUST_BEFORE, False), (JUST_AFTER, True)])
def test_after_seven_days_temporary_and_cached_files_go(world: Any, after: timedelta, cleaned: bool) -> None:
    maps = posed(world, "r", "standing_relaxed", "walking_stride")
    left = leave(world, "runs/r/.tmp-1", "runs/r/notebooks/.tmp-2", "runs/r/stop")
    kept = {path for path in world.files() if "/.tmp" not in path and "cache" not in path}
    kept -= {str(left[2])}
    world.after = after
    rows = world.recover().rows
    assert [path.exists() for path in (*maps, *left)] == [not cleaned] * 5
    assert bool(rows) == cleaned
    assert kept <= set(world.files())
    if cleaned:
        assert (rows[0].action, rows[0].result) == ("clean", "3 temporary and 2 cached files removed")
        assert world.recover().rows == ()


def test_a_younger_run_keeps_the_maps_it_uses(world: Any) -> None:
    shared, alone = posed(world, "old", "standing_relaxed", "walking_stride")
    journal = journal_folder(world.root, "old") / "0001.jsonl"
    posed(world, "young", "standing_relaxed")
    age(journal, days=8)
    (row,) = world.recover().rows
    assert (row.run_id, row.result) == ("old", "0 temporary and 1 cached files removed")
    assert shared.exists()
    assert not alone.exists()


def age(journal: Path, days: int) -> None:
    """Date a journal back."""
    lines = []
    for line in journal.read_text().splitlines():
        head, _, rest = line.partition('"at":"')
        at, _, tail = rest.partition('"')
        then = datetime.fromisoformat(at) - timedelta(days=days)
        lines.append(f'{head}"at":"{then:%Y-%m-%dT%H:%M:%S.000Z}"{tail}')
    journal.write_text("\n".join(lines) + "\n")


def test_two_old_runs_do_not_keep_each_others_maps(world: Any) -> None:
    maps = posed(world, "a", "standing_relaxed") + posed(world, "b", "standing_relaxed")
    world.after = JUST_AFTER
    world.recover()
    assert not any(path.exists() for path in maps)


def test_the_runs_are_listed_once_however_many_are_old(world: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in "abc":
        posed(world, name, "standing_relaxed")
    world.after = JUST_AFTER
    listed: list[Path] = []
    monkeypatch.setattr(look, "run_ids", lambda root: listed.append(root) or run_ids(root))
    assert [found.action for found in world.find()] == ["clean"] * 3
    assert len(listed) == 1


def test_an_unreadable_run_may_need_every_map(world: Any) -> None:
    (kept,) = posed(world, "a", "standing_relaxed")
    (journal_folder(world.root, "broken") / "0001.jsonl").mkdir(parents=True)
    world.after = JUST_AFTER
    rows = {row.run_id: row.action for row in world.recover().rows}
    assert rows == {"broken": "ask a person"}
    assert kept.exists()


def test_a_file_that_is_being_written_stays(world: Any) -> None:
    posed(world, "r", "standing_relaxed")
    old, young = leave(world, "runs/r/.tmp-old", "runs/r/.tmp-young")
    world.after = JUST_AFTER
    os.utime(young, (world.now().timestamp(),) * 2)
    world.recover()
    assert (old.exists(), young.exists()) == (False, True)


def test_what_a_killed_process_left_beside_the_runs_goes_too(world: Any) -> None:
    left = leave(world, "controlnet-cache/.tmp-1", "locks/.tmp-2")
    assert world.recover().rows == ()
    world.after = timedelta(hours=2)
    assert world.recover(dry_run=True).rows[0].result == "would: 2 temporary files"
    assert world.recover().rows[0].result == "2 temporary and 0 cached files removed"
    assert not any(path.exists() for path in left)


def test_images_go_only_by_name(world: Any) -> None:
    posed(world, "r", "standing_relaxed", "walking_stride")
    posed(world, "q", "standing_relaxed")
    leave(world, "runs/r/notebooks/0001.ipynb")
    world.after = timedelta(days=400)
    world.recover()
    assert len(list((world.root / "runs/r/images").iterdir())) == 2
    (row,) = world.recover(delete_images_of=["r"]).rows
    assert row.action == "delete images"
    assert "4 images, thumbnails and exports deleted" in row.result
    assert not [
        path for path in (world.root / "runs/r").rglob("*") if path.suffix in (".png", ".jpg", ".ipynb")
    ]
    assert len(list((world.root / "runs/q/images").iterdir())) == 1
    summary = open_run("r", world.settings)
    assert summary.facts()["made"] == 2
    summary.contact_sheet()  # says that they are gone, and draws
    assert "0 images, thumbnails" in world.recover(delete_images_of=["r"]).rows[0].result


def test_images_of_an_unfinished_run_are_kept_and_it_is_said(world: Any) -> None:
    world.killed(images=3, nth=2)
    (row,) = world.recover(delete_images_of=["r"]).rows
    assert (row.action, row.result) == ("wait", "its images are not deleted: it is not finished")
    assert world.state().status == "unfinished"


def test_a_run_that_somebody_owns_is_not_cleaned(world: Any) -> None:
    (kept,) = posed(world, "r", "standing_relaxed")
    world.after = JUST_AFTER
    with RunLease.acquire(world.root, "r"):
        assert world.recover().rows == ()
    assert kept.exists()


def test_a_file_that_cannot_be_removed_is_told(world: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    posed(world, "r", "standing_relaxed")
    leave(world, "runs/r/.tmp-1")
    world.after = JUST_AFTER

    unlink = os.unlink

    def refuse(path: Path) -> None:
        if Path(path).name == ".tmp-1":
            raise PermissionError(13, "Permission denied")
        unlink(path)

    with monkeypatch.context() as broken:
        broken.setattr(os, "unlink", refuse)
        report = world.recover()
    assert report.exit_code == 1
    assert "permission denied" in report.rows[0].result


def test_clean_up_beside_a_resume_and_a_reader(world: Any, plain: Any) -> None:
    """A run that is resumed draws the very map that is being removed, while somebody reads both runs."""
    old = posed(world, "old", "standing_relaxed", "walking_stride")
    age(journal_folder(world.root, "old") / "0001.jsonl", days=8)
    go_on = world.killed(images=6, nth=1)
    gate = threading.Event()
    plain.on_image = lambda _: gate.wait(30)
    attempt = resume("r", world.settings)
    until(lambda: attempt.progress.kept, "it is at work")
    ended, problems = threading.Event(), []

    def read() -> None:
        while not ended.is_set():
            try:
                list_runs(world.root)
                open_run("old", world.settings).contact_sheet()
                open_run("r", world.settings).rows()
            except Exception as exc:  # noqa: BLE001  (whatever it is, it is wrong)
                problems.append(exc)
                return

    reader = threading.Thread(target=read)
    reader.start()
    rows = recovery.recover(RecoveryParameters(), world.settings, on_progress=lambda _: None).rows
    gate.set()
    attempt.wait(lambda _: None)
    ended.set()
    reader.join()
    assert [(row.run_id, row.action) for row in rows] == [("old", "clean")]
    assert not any(path.exists() for path in old)
    assert problems == []
    go_on.check()
