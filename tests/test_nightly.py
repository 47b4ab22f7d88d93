"""What a scheduler runs: refused or queued beside the last night, one line a step, the right exit code."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml

from posegen import nightly
from posegen.errors import (
    InsufficientCreditsError,
    NightOwnedError,
    ParameterError,
    RunConflictError,
    RunOwnedError,
    UnknownNameError,
)
from posegen.journal import RunLease, SegmentWriter, journal_folder, read_run, run_exists
from posegen.nightly import run_nightly
from posegen.notebook_runs import parameters_folder
from posegen.recovery import Recovered, RecoveryReport
from tests.faults.harness import until

NOW = datetime(2026, 3, 1, 2, 30, tzinfo=UTC)
BATCH = {"run_id": "nightly-{date}", "poses": ["standing_relaxed"], "width": 256, "height": 256}


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("STORAGE_LOCAL_PATH", str(tmp_path / "out"))
    return tmp_path / "out"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return written(tmp_path / "nightly.yaml", batch=BATCH)


def written(path: Path, **values: Any) -> Path:
    path.write_text(yaml.safe_dump(values), encoding="utf-8")
    return path


class Steps:
    """Stands for recovery and batch; says which were done, with which parameters."""

    def __init__(self) -> None:
        self.done: list[str] = []
        self.report = RecoveryReport((), 0)
        self.code = 0
        self.lines: list[str] = []
        self.waited: list[float] = []

    def recover(self, parameters: Any, **_: Any) -> RecoveryReport:
        self.done.append(f"recovery {parameters.fail_after_hours:g}")
        return self.report

    def batch(self, notebook: str, given: Any, *, say: Any) -> tuple[int, None]:
        say("it starts")
        self.done.append(f"{notebook} {given.merged()['run_id']}")
        return self.code, None

    def run(self, file: Path, **options: Any) -> int:
        return run_nightly(file, say=self.lines.append, now=NOW, **options)


@pytest.fixture
def steps(root: Path, monkeypatch: pytest.MonkeyPatch) -> Steps:
    steps = Steps()
    monkeypatch.setattr(nightly, "recover", steps.recover)
    monkeypatch.setattr(nightly, "run_notebook", steps.batch)
    return steps


def test_recovery_comes_first_then_the_batch_of_the_day(steps: Steps, tmp_path: Path) -> None:
    file = written(tmp_path / "n.yaml", recovery={"fail_after_hours": 3}, batch=BATCH)
    assert steps.run(file) == 0
    assert steps.done == ["recovery 3", "batch_generation nightly-20260301"]
    assert steps.lines == [
        "recovery: 0 runs looked at, 0 needed something",
        "batch: it starts",
        "report: 0 runs since 2026-02-28 02:30 UTC (none), 0 images made, 0 failed",
        "exit code 0",
    ]


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"bach": {}}, "did you mean 'batch'"),
        ({"overlap": "ignore"}, "'ignore'"),
        ({"recovery": {"fail_after": 2}}, "recovery.fail_after"),
        ({"batch": {"widht": 512}}, "did you mean 'batch.width'"),
        ({"batch": {"width": 1000}}, "multiple of 16"),
        ({"batch": {"poses": ["walkin_stride"]}}, "walking_stride"),
        ({"batch": {"run_id": "a/{date}"}}, "run_id"),
    ],
)
def test_a_wrong_parameter_is_refused_before_anything(
    steps: Steps, root: Path, tmp_path: Path, values: dict[str, Any], words: str
) -> None:
    with pytest.raises((ParameterError, UnknownNameError), match=words):
        steps.run(written(tmp_path / "n.yaml", **values))
    assert steps.done == []
    assert not root.exists()


def test_another_batch_under_the_same_name_is_refused_before_anything(steps: Steps, file: Path) -> None:
    from posegen.parameters import BatchParameters, check
    from posegen.pipeline.plan import build_plan
    from posegen.pipeline.run import start

    values = {**BATCH, "run_id": "nightly-20260301", "seed": 9}
    start(build_plan(check(BatchParameters, values))).wait(lambda _: None)
    with pytest.raises(RunConflictError, match="seed"):
        steps.run(file)
    assert steps.done == []


@pytest.mark.parametrize(
    ("recovered", "batch", "code"),
    [("", 0, 0), ("", 3, 3), ("failed images", 0, 3), ("fault", 0, 1), ("fault", 4, 4), ("stopped", 0, 5)],
)
def test_the_exit_code_is_the_batchs_and_else_the_recoverys(
    steps: Steps, file: Path, recovered: str, batch: int, code: int
) -> None:
    row = Recovered("r", "resume", "x", failed=int(recovered == "failed images"), fault=recovered == "fault")
    steps.report = RecoveryReport((row,), 1, interrupted=recovered == "stopped")
    steps.code = batch
    assert steps.run(file) == code
    assert len(steps.done) == (1 if recovered == "stopped" else 2)
    assert steps.lines[-1] == f"exit code {code}"


def test_a_batch_that_is_refused_is_reported_and_ends_with_its_code(
    steps: Steps, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any, **__: Any) -> Any:
        raise InsufficientCreditsError("ann", needed=30, available=0)

    monkeypatch.setattr(nightly, "run_notebook", refuse)
    assert steps.run(file) == 7
    assert "credits are needed" in steps.lines[-3]
    assert [line.partition(" ")[0] for line in steps.lines[-3:]] == ["batch:", "report:", "exit"]


def last_night(root: Path, kind: str, file: Path) -> Any:
    """Return what makes the last night look as if it were still at work."""
    if kind == "the command":
        return nightly._lock(file)
    lease = RunLease.acquire(root, "nightly-20260228")
    SegmentWriter.open(journal_folder(root, "nightly-20260228"), "nightly-20260228", kind="batch").close()
    return lease


@pytest.mark.parametrize(
    ("kind", "error", "words"),
    [("the command", NightOwnedError, "n"), ("its run", RunOwnedError, "is owned by process")],
)
def test_beside_the_last_night_it_is_refused(
    steps: Steps, root: Path, file: Path, kind: str, error: type[Exception], words: str
) -> None:
    owner = last_night(root, kind, file)
    with pytest.raises(error, match=words) as caught:
        steps.run(file)
    assert caught.value.exit_code == 6  # type: ignore[attr-defined]
    assert steps.done == []
    owner.release()
    assert steps.run(file) == 0


@pytest.mark.parametrize("kind", ["the command", "its run"])
def test_beside_the_last_night_it_is_queued(steps: Steps, root: Path, tmp_path: Path, kind: str) -> None:
    file = written(tmp_path / "n.yaml", batch=BATCH, overlap="queue")
    owner = last_night(root, kind, file)

    def wait(seconds: float) -> None:
        steps.waited.append(seconds)
        if len(steps.waited) == 3:
            owner.release()

    assert steps.run(file, wait=wait) == 0
    assert steps.waited == [nightly.POLL_S] * 3
    assert [line.partition(":")[0] for line in steps.lines].count("waiting") == 1
    assert len(steps.done) == 2


def test_other_runs_and_other_nights_do_not_keep_it(
    steps: Steps, root: Path, file: Path, tmp_path: Path
) -> None:
    other = nightly._lock(written(tmp_path / "other.yaml"))
    with RunLease.acquire(root, "by-day"):
        SegmentWriter.open(journal_folder(root, "by-day"), "by-day", kind="batch").close()
        assert steps.run(file) == 0
    assert other is not None
    other.release()


def test_a_batch_without_a_name_is_a_new_run_each_time(steps: Steps, tmp_path: Path) -> None:
    file = written(tmp_path / "n.yaml", batch={"poses": ["standing_relaxed"], "run_id": None})
    assert steps.run(file) == 0


def test_the_file_that_comes_with_it_is_right(steps: Steps) -> None:
    assert steps.run(parameters_folder() / "nightly.yaml") == 0


@pytest.mark.faults
@pytest.mark.notebook
def test_killed_in_the_middle_the_next_start_picks_it_up(root: Path, tmp_path: Path) -> None:
    file = written(tmp_path / "n.yaml", batch={**BATCH, "run_id": "night", "images_per_pose": 30})
    command = [sys.executable, "-m", "posegen.cli", "nightly", "-f", str(file)]
    env = {**os.environ, "STORAGE_LOCAL_PATH": str(root), "OMP_NUM_THREADS": "1"}
    with subprocess.Popen(command, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as first:
        until(lambda: run_exists(root, "night") and read_run(root, "night").made >= 2, "two images are made")
        kernel = read_run(root, "night").attempts[-1].owner
        assert kernel is not None
        for pid in (first.pid, kernel.pid):
            os.kill(pid, signal.SIGKILL)
        first.communicate()
    made = read_run(root, "night").made
    assert made < 30
    second = subprocess.run(command, env=env, capture_output=True, text=True, check=False, timeout=120)
    assert (second.returncode, second.stderr) == (0, "")
    lines = second.stdout.splitlines()
    assert (
        lines[0] == f"recovery: night: resume: finished, {made} kept, {30 - made} made"
        or "adopted" in lines[0]
    )
    assert lines[1:4] == [
        "recovery: 1 runs looked at, 1 needed something",
        "batch: run night is finished: nothing to make",
        f"batch: 30 of 30 images made, 0 failed: {root / 'runs/night'}",
    ]
    assert lines[4].startswith("report: 1 runs since ")
    assert lines[4].endswith("UTC (1 finished), 30 images made, 0 failed")
    assert lines[5:] == ["exit code 0"]
    assert not set(second.stdout) & {"\x1b", "\r", "\b"}
    state = read_run(root, "night")
    assert (state.status, state.made, len(state.attempts)) == ("finished", 30, 2)
