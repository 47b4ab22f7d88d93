"""Runs at a paid provider, killed with SIGKILL while it is at work: the provider counts what it charges."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from posegen.journal import RunState, read_run
from tests.faults.harness import until
from tests.servers.base import Fault
from tests.servers.fal_server import FalServer

pytestmark = pytest.mark.faults

IMAGES = 3

DRIVE = """
import json, sys
from posegen.errors import PosegenError
from posegen.parameters import BatchParameters, check
from posegen.pipeline.plan import build_plan
from posegen.pipeline.run import start
from posegen.settings import load_settings

plan = build_plan(check(BatchParameters, json.loads(sys.argv[1])))
try:
    sys.exit(start(plan, load_settings()).wait(lambda _: None).exit_code)
except PosegenError as exc:
    sys.exit(exc.exit_code)
"""

PLAN = {
    "backend": "fal", "run_id": "r", "width": 256, "height": 256, "concurrency": IMAGES,
    "poses": ["standing_relaxed", "walking_stride", "yoga_tree"],
}  # fmt: skip


class RemoteRun:
    """One run, driven by a process after another."""

    def __init__(self, root: Path, fal: FalServer) -> None:
        self.root, self.fal = root, fal
        self._env = {
            **os.environ,
            "STORAGE_LOCAL_PATH": str(root),
            "FAL_KEY": fal.key,
            "POSEGEN_FAL_QUEUE_URL": fal.url,
            "POSEGEN_ALLOWED_HOSTS": fal.host,
            "POSEGEN_CPU_THREADS": "1",
        }

    def start(self) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-c", DRIVE, json.dumps(PLAN)]
        return subprocess.Popen(command, env=self._env, stdout=subprocess.DEVNULL)

    def killed_when(self, true: Callable[[], bool], what: str) -> None:
        child = self.start()
        try:
            until(lambda: true() or child.poll() is not None, what)
            assert child.poll() is None, f"it ended before: {what}"
        finally:
            child.kill()
            child.wait()

    def finish(self) -> int:
        return self.start().wait(timeout=90)

    @property
    def state(self) -> RunState:
        return read_run(self.root, "r")

    def waits_for_all(self) -> bool:
        """Return whether each image was submitted and asked for: its id is journalled by then."""
        orders = list(self.fal.orders.values())
        return len(orders) == IMAGES and all(order.polls for order in orders)

    def check_charged_once(self) -> None:
        assert set(self.fal.charges.values()) == {1}
        assert self.fal.charges.total() == IMAGES


@pytest.fixture
def run(tmp_path: Path) -> Iterator[RemoteRun]:
    with FalServer() as fal:
        yield RemoteRun(tmp_path / "outputs", fal)


def test_killed_while_the_queue_works_each_image_is_charged_once(run: RemoteRun) -> None:
    run.fal.never = True
    run.killed_when(run.waits_for_all, "all are waited for")
    submitted = {one.request_id for each in run.state.submissions.values() for one in each} - {""}
    assert submitted == set(run.fal.orders)
    asked = run.fal.count("status")
    run.killed_when(lambda: run.fal.count("status") >= asked + IMAGES, "the next process waits for them")
    run.fal.never = False
    assert run.finish() == 0
    assert run.state.made == IMAGES
    run.check_charged_once()


def test_killed_while_a_picture_is_loaded_it_is_loaded_again(run: RemoteRun) -> None:
    gate = threading.Event()
    run.fal.always["file"] = Fault(gate=gate)
    run.killed_when(lambda: run.fal.count("file") == IMAGES, "all pictures are being loaded")
    gate.set()
    run.fal.always.clear()
    assert run.finish() == 0
    run.check_charged_once()


def test_killed_before_the_id_arrives_a_person_is_asked(run: RemoteRun) -> None:
    """The provider has charged and not answered yet: nobody can ask for it, and nobody buys it again."""
    gate = threading.Event()
    run.fal.always["submit"] = Fault(gate=gate)
    run.killed_when(lambda: run.fal.count("submit") == IMAGES, "all are being submitted")
    gate.set()
    until(lambda: run.fal.charges.total() == IMAGES, "they are charged for")
    run.fal.always.clear()
    assert run.finish() == 5
    assert (run.state.status, len(run.state.unknown)) == ("waiting", IMAGES)
    run.check_charged_once()


def test_results_that_are_no_longer_kept_wait_for_a_persons_word(run: RemoteRun) -> None:
    run.fal.never = True
    run.killed_when(run.waits_for_all, "all are waited for")
    run.fal.gone = True
    assert run.finish() == 5
    assert len(run.state.unknown) == IMAGES
    run.check_charged_once()


@pytest.mark.parametrize("seed", range(2))
def test_killed_at_any_moment_nothing_is_charged_twice(run: RemoteRun, seed: int) -> None:
    chance = random.Random(seed)
    run.fal.takes_s = 0.5
    for _ in range(3):
        child = run.start()
        seen = len(run.fal.seen)
        until(
            lambda child=child, seen=seen: child.poll() is not None or len(run.fal.seen) > seen, "it begins"
        )
        end = time.monotonic() + chance.random()
        until(lambda child=child, end=end: child.poll() is not None or time.monotonic() > end, "a while")
        child.kill()
        child.wait()
    code = run.finish()
    assert code in (0, 5)
    assert max(run.fal.charges.values()) == 1
    assert run.state.made + len(run.state.unknown) == IMAGES


def let_pass(child: subprocess.Popen[bytes], true: Callable[[], bool], what: str) -> None:
    until(lambda: child.poll() is not None or true(), what)
