"""`posegen export` as it is typed."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest

from posegen.cli import main
from posegen.journal import RunLease, read_run
from posegen.parameters import BatchParameters, check
from posegen.pipeline.plan import Plan, build_plan
from posegen.pipeline.run import start
from posegen.settings import load_settings


@pytest.fixture(autouse=True)
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("STORAGE_LOCAL_PATH", str(tmp_path / "out"))
    monkeypatch.chdir(tmp_path)
    return tmp_path / "out"


@pytest.fixture
def posegen(capsys: pytest.CaptureFixture[str]) -> Any:
    """Return a function that runs a command: exit code, stdout, stderr."""

    def run(*arguments: str) -> tuple[int, str, str]:
        try:
            main(arguments)
            code = 0
        except SystemExit as exc:
            code = int(exc.code or 0)
        return (code, *capsys.readouterr())

    return run


@pytest.fixture
def run(root: Path) -> Plan:
    return make(["standing_relaxed", "walking_stride"])


def make(poses: list[str], **more: Any) -> Plan:
    values = {"poses": poses, "width": 256, "height": 256, "run_id": "r", **more}
    plan = build_plan(check(BatchParameters, values))
    start(plan, load_settings()).wait(lambda _: None)
    return plan


def test_it_counts_and_shows_its_progress_on_stderr(posegen: Any, run: Plan) -> None:
    code, out, err = posegen("export", "r")
    assert (code, out) == (0, "4 made, 0 up to date, 0 failed\n")
    assert "4/4 exports" in err
    assert posegen("export", "r")[1] == "0 made, 4 up to date, 0 failed\n"


def test_a_zip_and_a_gallery(posegen: Any, run: Plan, root: Path) -> None:
    code, out, _ = posegen(
        "export", "r", "--formats", "shopee,lazada", "--poses", "walking_stride", "--zip", "--html"
    )
    assert code == 0
    assert out.splitlines()[0] == "2 made, 0 up to date, 0 failed"
    assert "zip      out/runs/r/poses-r.zip (2 pictures, " in out
    assert "gallery  out/runs/r/gallery/index.html" in out
    code, out, _ = posegen("export", "r", "--zip", "mine.zip", "--json")
    facts = json.loads(out)
    assert (code, facts["made"], facts["zip_pictures"], facts["failures"]) == (0, 4, 4, [])
    assert facts["zip"] == str(root.parent / "mine.zip")
    with zipfile.ZipFile("mine.zip") as archive:
        assert len(archive.namelist()) == 5


def test_one_again(posegen: Any, run: Plan) -> None:
    for _ in range(2):
        code, out, _ = posegen("export", "r", "--task", run.tasks[0].task_id[:6], "--format", "tiktok")
        assert (code, out) == (0, "1 made, 0 up to date, 0 failed\n")
    assert posegen("export", "r", "--task", run.tasks[0].task_id, "--poses", "standing_relaxed")[0] == 2


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["q"], "no run 'q'"),
        (["r", "--poses", "walking_strid"], "did you mean 'walking_stride'"),
        (["r", "--format", "tiktokk"], "did you mean 'tiktok'"),
        (["r", "--task", "zz", "--format", "tiktok"], "unknown task 'zz'"),
        (["r", "--zip", "/dev/null"], "/dev/null is there and is not a file"),
    ],
)
def test_wrong_names_are_a_sentence(posegen: Any, run: Plan, arguments: list[str], words: str) -> None:
    code, _, error = posegen("export", *arguments)
    assert code == 2
    assert error.startswith("error: ")
    assert words in error
    assert len(read_run(load_settings().root, "r").attempts) == 1


def test_failures_are_named(posegen: Any, run: Plan, root: Path) -> None:
    (root / read_run(root, "r").records[run.tasks[0].task_id].key).unlink()
    code, out, error = posegen("export", "r")
    assert (code, out) == (3, "2 made, 0 up to date, 2 failed\n")
    assert "tiktok/0_standing_relaxed_yaw0_seed" in error
    assert "SOURCE_MISSING" in error
    (root / read_run(root, "r").records[run.tasks[1].task_id].key).unlink()
    assert posegen("export", "r", "--formats", "shopee")[0] == 4


def test_a_run_that_is_owned_is_refused(posegen: Any, run: Plan, root: Path) -> None:
    with RunLease.acquire(root, "r"):
        code, _, error = posegen("export", "r")
    assert code == 6
    assert "run r is owned by process" in error


def test_ctrl_c_stops_it_cleanly_and_the_same_command_makes_the_rest(posegen: Any, root: Path) -> None:
    make(["standing_relaxed", "walking_stride", "running_sprint"], images_per_pose=6)
    command = [sys.executable, "-m", "posegen.cli", "export", "r", "--format", "print_standard"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        process.stderr.readline()  # the first ones are made
        process.send_signal(signal.SIGINT)
        out, error = process.communicate(timeout=60)
    assert process.returncode == 5, error
    assert "SIGINT: stopping" in error
    assert "stopped (asked to stop by a signal) with" in out
    state = read_run(root, "r")
    assert (state.status, state.attempts[-1].outcome) == ("finished", "interrupted")
    made = sum(map(len, state.exports.values()))
    assert 0 < made < 18
    assert posegen("export", "r", "--format", "print_standard")[1] == (
        f"{18 - made} made, {made} up to date, 0 failed\n"
    )
