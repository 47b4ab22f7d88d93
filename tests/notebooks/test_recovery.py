"""The recovery notebook, on runs that really were killed; and what `posegen run` makes of a killed kernel."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nbformat
import papermill
import pytest

from posegen.credits import ACCOUNTS_FILE, open_accounts
from posegen.executed_notebook import read_executed
from posegen.journal import RunLease, read_run, run_exists
from posegen.notebook_runs import notebooks_folder, parameters_folder
from tests.faults.harness import Nursery, Story, a_nursery, a_shop, until

pytestmark = [pytest.mark.faults, pytest.mark.notebook]

POSED = {"prompts": [], "poses": ["standing_relaxed"]}
SMALL = "{poses: [standing_relaxed], width: 256, height: 256, images_per_pose: 20, run_id: r, user: ann}"


@pytest.fixture(scope="module")
def nursery() -> Iterator[Nursery]:
    with a_nursery() as started:
        yield started


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("STORAGE_LOCAL_PATH", str(tmp_path / "out"))
    return tmp_path / "out"


@pytest.fixture
def killed(root: Path, nursery: Nursery) -> Iterator[list[Story]]:
    """Two runs that were killed amid their images, and one of a backend that nobody has here."""
    with a_shop() as shop:
        stories = [
            Story(root, nursery, shop, "figure", run_id, images=4, failing=None, more=POSED)
            for run_id in ("one", "two")
        ]
        strange = Story(root, nursery, shop, "queued", "strange", images=2)
        for story in (*stories, strange):
            story.die_at("image_journalled", 1)
        yield stories


def posegen(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "posegen.cli", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)


def shown(path: Path) -> list[str]:
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    assert not [output for output in outputs if output.output_type == "error"]
    return [output.data["text/html"] for output in outputs if "text/html" in output.get("data", {})]


def test_posegen_run_recovery(killed: list[Story], root: Path) -> None:
    done = posegen("run", "recovery", "-f", str(parameters_folder() / "recovery.yaml"))
    assert (done.returncode, done.stderr) == (0, "")
    for story in killed:
        story.check()
    (path,) = (root / "notebooks").glob("04_recovery-*.ipynb")
    found, report = shown(path)
    assert "cut off" in found
    assert "unknown backend &#x27;queued&#x27;" in found
    assert "3 runs looked at, 3 needed something." in report
    assert read_run(root, "strange").status == "unfinished"


def test_plain_papermill(killed: list[Story], root: Path, tmp_path: Path) -> None:
    output = tmp_path / "o.ipynb"
    notebook = str(notebooks_folder() / "04_recovery.ipynb")
    papermill.execute_notebook(notebook, str(output), {"dry_run": True}, progress_bar=False)
    assert "would: cut off" in shown(output)[1]
    assert {story.state.status for story in killed} == {"unfinished"}
    papermill.execute_notebook(notebook, str(output), {}, progress_bar=False)
    for story in killed:
        story.check()


def test_a_broken_journal_is_told_by_the_exit_code(root: Path) -> None:
    (root / "runs/broken/journal/0001.jsonl").mkdir(parents=True)
    done = posegen("run", "recovery")
    assert done.returncode == 1
    assert "RecoveryFailedError: not all went well with broken" in done.stdout


def start() -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "posegen.cli", "run", "batch_generation", "-y", SMALL]
    quiet = subprocess.PIPE
    return subprocess.Popen(command, stdout=quiet, stderr=quiet, text=True)


def kernel_at_work(root: Path) -> int:
    until(lambda: run_exists(root, "r") and read_run(root, "r").made >= 1, "an image is made")
    owner = read_run(root, "r").attempts[-1].owner
    assert owner is not None
    return owner.pid


def test_a_killed_kernels_notebook_says_what_is_true(root: Path) -> None:
    with start() as process:
        os.kill(kernel_at_work(root), signal.SIGKILL)
        out, error = process.communicate(timeout=60)
    assert process.returncode == 5
    assert "the notebook's kernel died or was killed" in out
    assert "Traceback" not in error
    path = root / "runs/r/notebooks/0001.ipynb"
    executed = read_executed(path)
    assert executed is not None
    assert executed.exception
    statuses = [cell.status for cell in executed.cells]
    cut = statuses.index("failed")
    assert set(statuses[:cut]) == {"completed"}
    assert set(statuses[cut + 1 :]) == {"pending"}
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    assert "posegen.start" in notebook.cells[cut].source
    state = read_run(root, "r")
    (cut_off,) = [o for o in notebook.cells[cut].outputs if o.output_type == "error"]
    assert f"run r has {state.made} of 20 images; `posegen resume r` goes on with it" in cut_off.evalue
    facts = notebook.metadata.posegen
    assert (facts.status, facts.made, facts.planned) == ("unfinished", state.made, 20)
    assert "posegen-atomic" not in nbformat.writes(notebook)


@pytest.mark.parametrize("again", [["recover"], ["run", "batch_generation", "-y", SMALL]])
def test_a_killed_papermills_notebook_is_mended_by_whoever_goes_on(root: Path, again: list[str]) -> None:
    with start() as process:
        kernel = kernel_at_work(root)
        for pid in (process.pid, kernel):
            os.kill(pid, signal.SIGKILL)
        process.communicate(timeout=60)
    path = root / "runs/r/notebooks/0001.ipynb"
    executed = read_executed(path)
    assert executed is not None
    assert executed.cut_off
    done = posegen(*again)
    assert done.returncode == 0, done.stderr
    executed = read_executed(path)
    assert executed is not None
    assert (executed.exception, executed.cut_off) == (True, False)
    assert read_run(root, "r").status == "finished"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_stops_the_recovery_notebook_cleanly(root: Path, nursery: Nursery, number: int) -> None:
    with a_shop() as shop:
        more = {**POSED, "images_per_pose": 40}
        story = Story(root, nursery, shop, "figure", "long", images=40, failing=None, more=more)
        story.die_at("image_journalled", 1)
    before = story.state.made  # two, where both places came to their journal lines
    command = [sys.executable, "-m", "posegen.cli", "run", "recovery"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        until(lambda: story.state.made > before, "it is being gone on with")
        process.send_signal(number)
        out, error = process.communicate(timeout=60)
    assert process.returncode == 5, (out, error)
    assert (story.state.status, story.state.attempts[-1].interrupted) == ("interrupted", "interrupted")


def test_not_enough_credits_is_7_before_a_kernel_starts(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("POSEGEN_STARTING_GRANT", "500")
    done = posegen("run", "batch_generation", "-y", SMALL)
    assert done.returncode == 7
    assert "600 credits are needed and user 'ann' has 500" in done.stderr
    assert not (root / "runs").exists()
    accounts = open_accounts(root / ACCOUNTS_FILE)
    assert [entry.kind for entry in accounts.history("ann")] == ["opening"]


def test_a_closed_run_that_cannot_be_paid_again_is_7(killed: list[Story], root: Path) -> None:
    accounts = open_accounts(root / ACCOUNTS_FILE)
    accounts.claim("one", 9)
    accounts.settle("one", attempt=9, charged=30)
    accounts.claim("drain", 1)
    accounts.hold("ann", accounts.balance("ann"), "drain", attempt=1, key="hold:drain")
    values = {**killed[0].plan, "run_id": "one"}
    done = posegen("run", "batch_generation", "-y", str(values))
    assert done.returncode == 7
    assert "90 credits are needed" in done.stderr
    assert not (root / "runs/one/notebooks").exists()


def test_a_run_that_another_process_owns_is_6_before_a_kernel_starts(killed: list[Story], root: Path) -> None:
    stop = root / "runs/one/stop"
    stop.touch()
    with RunLease.acquire(root, "one"):
        done = posegen("run", "batch_generation", "-y", str(killed[0].plan))
    assert done.returncode == 6
    assert f"run one is owned by process {os.getpid()}" in done.stderr
    assert stop.exists(), "the word to stop is for its owner"
    assert not (root / "runs/one/notebooks").exists()


def test_a_run_of_another_machine_is_6_until_it_has_been_quiet(root: Path, nursery: Nursery) -> None:
    with a_shop() as shop:
        story = Story(root, nursery, shop, "figure", "far", images=2, failing=None, more=POSED)
        story.die_at("image_journalled", 1, host="elsewhere.invalid")
    arguments: Any = ("run", "batch_generation", "-y", str(story.plan))
    done = posegen(*arguments)
    assert done.returncode == 6
    assert "in 30 min at the earliest" in done.stderr
    assert not (root / "runs/far/notebooks").exists()
