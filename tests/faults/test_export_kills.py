"""Exports made of a run afterwards, by processes that are killed, or whose disk fills up."""

from __future__ import annotations

import hashlib
import io
import random
import time
import zipfile
from collections.abc import Callable
from typing import Any

import pytest
from PIL import Image

from posegen.journal import EXPORT, RunState
from posegen.parameters import RecoveryParameters
from posegen.recovery import find
from posegen.settings import Settings
from posegen.storage.atomic import TEMPORARY_PREFIX
from tests.faults.harness import Child, Story, until

pytestmark = pytest.mark.faults

Begin = Callable[..., Story]

FORMATS = ["instagram_post", "shopee", "twitter"]
ALL = {"formats": FORMATS}


def check_all_is_valid(run: Story, status: str = "finished") -> RunState:
    """Check that a killed export left the run as it was and no half file under a final name."""
    state = run.state
    assert state.status == status
    for path in (run.root / "runs/r/exports").rglob("*.jpg"):
        if not path.name.startswith(TEMPORARY_PREFIX):
            Image.open(io.BytesIO(path.read_bytes())).load()
    for exports in state.exports.values():
        for event in exports.values():
            assert hashlib.sha256((run.root / event.key).read_bytes()).hexdigest() == event.sha256
    action = find(RecoveryParameters(), Settings(root=run.root))[0].action
    assert action == ("leave" if status == "finished" else "wait")  # this process has no such backend
    return state


def exported(state: RunState) -> int:
    return sum(map(len, state.exports.values()))


@pytest.mark.parametrize("failpoint", ["attempt_finished", "export_stored", "export_journalled"])
def test_killed_while_it_exports_a_finished_run_stays_one_and_the_rest_is_made(
    story: Begin, failpoint: str
) -> None:
    run = story()
    run.finish()
    before = run.state
    child = run.die_at(failpoint, 1 if failpoint == "attempt_finished" else 4, export=ALL)
    assert child.died_there == failpoint
    state = check_all_is_valid(run)
    last = run.start(export=ALL).wait()
    report = last.lines("report")[0]
    assert (last.exit_code, report["made"] + report["up_to_date"]) == (0, 12)
    assert report["up_to_date"] >= exported(state)
    state = run.check()
    assert (exported(state), state.records, state.failures) == (12, before.records, before.failures)
    assert run.start(export=ALL).wait().lines("report")[0]["up_to_date"] == 12
    assert [one.kind for one in state.attempts].count(EXPORT) == (1 if failpoint == "attempt_finished" else 2)


@pytest.mark.parametrize("seed", range(3))
def test_killed_at_any_moment(story: Begin, seed: int) -> None:
    chance = random.Random(seed)
    run = story()
    run.finish()
    order = {"formats": FORMATS, "zip_file": True, "gallery": True}
    for _ in range(4):
        child = run.start(export=order)
        until(lambda child=child: child.dead or child.lines("looks"), "it looks whether the run is free")
        let_pass(chance.random() * 0.5, child)
        child.kill()
        run.killed += child.exit_code is None
        check_all_is_valid(run)
    assert run.start(export=order).wait().exit_code == 0
    check_all_is_valid(run)
    check_archive_and_gallery(run)


def let_pass(seconds: float, child: Child) -> None:
    end = time.monotonic() + seconds
    until(lambda: child.dead or time.monotonic() > end, "a while")


def check_archive_and_gallery(run: Story) -> None:
    folder = run.root / "runs/r"
    with zipfile.ZipFile(folder / "poses-r.zip") as archive:
        assert archive.testzip() is None
        assert len(archive.namelist()) == 13
    assert len(list((folder / "gallery/files").rglob("*.jpg"))) == 12
    assert not list((folder / "gallery").rglob(f"{TEMPORARY_PREFIX}*"))


def test_a_cut_off_run_is_exported_and_can_still_be_gone_on_with(story: Begin) -> None:
    run = story(concurrency=1)
    run.die_at("image_journalled", 2)
    child = run.start(export=ALL).wait()
    assert (child.exit_code, child.lines("report")[0]["images_not_made"]) == (0, 3)
    check_all_is_valid(run, "unfinished")
    run.finish(resume=True)
    state = run.check()
    assert exported(state) == 6


def test_credits_of_a_run_that_was_cut_off_at_its_end_are_settled_by_its_resume_alone(story: Begin) -> None:
    run = story()
    run.die_at("credits_refunded")
    assert run.start(export=ALL).wait().exit_code == 0
    check_all_is_valid(run, "unfinished")  # nothing is left to make, and yet it is not settled
    run.finish(resume=True)
    run.check()


def test_a_run_that_is_being_made_is_not_exported(story: Begin, tmp_path: Any) -> None:
    gate = tmp_path / "gate"
    run = story()
    owner = run.start(gate=str(gate))
    until(lambda: owner.lines("makes"), "it makes an image")
    child = run.start(export=ALL).wait()
    assert child.exit_code == 6
    assert f"run r is owned by process {owner.pid}" in child.lines("error")[0]["message"]
    gate.touch()
    owner.wait()
    run.check()


def test_two_at_once_do_not_both_export(story: Begin) -> None:
    run = story()
    run.finish()
    children = [run.start(export=ALL) for _ in range(4)]
    codes = sorted(child.wait().exit_code or 0 for child in children)
    assert set(codes) <= {0, 6}
    assert 0 in codes
    assert exported(run.check()) == 12


@pytest.mark.parametrize("nth", [4, 12, 25])
def test_a_full_disk_is_one_error_and_what_is_done_stays(story: Begin, nth: int) -> None:
    run = story()
    run.finish()
    order = {"formats": FORMATS, "zip_file": True}
    child = run.start(export=order, fault={"nth": nth, "code": "ENOSPC", "stays": True}).wait()
    assert child.exit_code == 1
    (error,) = child.lines("error")
    assert (error["kind"], "the disk is full" in error["message"]) == ("StorageFullError", True)
    check_all_is_valid(run)
    assert not list((run.root / "runs/r").rglob(f"{TEMPORARY_PREFIX}*"))
    last = run.start(export=ALL).wait()
    assert last.exit_code == 0
    assert exported(run.check()) == 12
