"""`posegen run`: its kernel, its own process, or both killed, before the first image and among them."""

from __future__ import annotations

import hashlib
import os
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from posegen.credits import ACCOUNTS_FILE, open_accounts
from posegen.journal import RunState, owner_status, read_run, run_exists
from posegen.settings import STARTING_GRANT
from tests.faults.harness import DEADLINE_S, PRICE, USER, until

pytestmark = [pytest.mark.faults, pytest.mark.notebook]

IMAGES = 24
YAML = (
    "{poses: [standing_relaxed, walking_stride, running_sprint], views: [0, 35, 90, 180], "
    f"images_per_pose: 2, width: 256, height: 256, concurrency: 2, run_id: r, user: {USER}}}"
)


class Nightly:
    """Starts `posegen run` again and again, and remembers each image it ever saw in the journal."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.seen: dict[str, str] = {}
        self.kills = 0

    def start(self) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "posegen.cli", "run", "batch_generation", "-y", YAML]
        env = {**os.environ, "STORAGE_LOCAL_PATH": str(self.root), "OMP_NUM_THREADS": "1"}
        quiet = subprocess.PIPE
        return subprocess.Popen(command, env=env, stdout=quiet, stderr=quiet, text=True)

    def state(self) -> RunState:
        return read_run(self.root, "r") if run_exists(self.root, "r") else RunState()

    def look(self) -> RunState:
        """Read the journal; what it holds must be there for ever."""
        state = self.state()
        found = {task: record.sha256 for task, record in state.records.items()}
        assert self.seen.items() <= found.items(), "an image was lost"
        self.seen = found
        return state

    def kernel(self, parent: subprocess.Popen[str], attempt: int, more: int) -> int:
        """Return the kernel's pid once it has journalled so many images more."""
        before = len(self.seen)

        def found() -> int | None:
            assert parent.poll() is None, parent.communicate()
            state = self.look()
            owner = state.attempts[-1].owner if len(state.attempts) == attempt else None
            return owner.pid if owner is not None and len(self.seen) >= before + more else None

        pid: int = until(found, f"attempt {attempt} makes {more} images")
        return pid

    def kill(self, *pids: int) -> None:
        for pid in pids:
            os.kill(pid, signal.SIGKILL)
            self.kills += 1

    def free(self) -> None:
        """Return when nobody owns the run."""
        until(lambda: owner_status(self.root, "r").state in {"dead", "none"}, "the run is free", 10)
        self.look()


@pytest.mark.timeout(240)
def test_kernel_and_parent_killed_in_turn_and_together(tmp_path: Path) -> None:
    nightly = Nightly(tmp_path / "outputs")
    plan = [("kernel", 0), ("kernel", 2), ("parent", 2), ("both", 1)]
    for attempt, (who, images) in enumerate(plan, start=1):
        parent = nightly.start()
        kernel = nightly.kernel(parent, attempt, images)
        nightly.kill(*{"kernel": [kernel], "parent": [parent.pid], "both": [parent.pid, kernel]}[who])
        _, complaint = parent.communicate(timeout=DEADLINE_S)
        if who == "kernel":
            assert parent.returncode == 5, complaint
        nightly.free()
    assert nightly.kills == 5
    assert len(nightly.seen) < IMAGES, "they were killed before they were done"
    last = nightly.start()
    _, complaint = last.communicate(timeout=DEADLINE_S)
    assert last.returncode == 0, complaint
    check_all_is_well(nightly, len(plan) + 1)


def check_all_is_well(nightly: Nightly, attempts: int) -> None:
    state = nightly.look()
    assert (state.status, state.made, state.failed, len(state.attempts)) == ("finished", IMAGES, 0, attempts)
    for record in state.records.values():
        assert hashlib.sha256((nightly.root / record.key).read_bytes()).hexdigest() == record.sha256
    stored = Counter(path.name for path in (nightly.root / "runs/r/images").iterdir())
    assert stored == Counter(f"{task.task_id}.png" for task in state.tasks)
    accounts = open_accounts(nightly.root / ACCOUNTS_FILE)
    assert accounts.problems() == []
    assert accounts.balance(USER) == STARTING_GRANT - PRICE * IMAGES
