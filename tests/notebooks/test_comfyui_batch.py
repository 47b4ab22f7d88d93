"""The batch notebook end to end against a local ComfyUI server, whose address has a password in it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from posegen.journal import RunState, read_run, run_exists
from tests.faults.harness import until
from tests.servers.comfyui_server import ComfyuiServer, comfyui_server

pytestmark = pytest.mark.notebook

CANARY = "canary-31c9b7"

YAML = (
    "{backend: comfyui, poses: [standing_relaxed, walking_stride, running_sprint], width: 256, height: 256, "
    "run_id: r}"
)


class Workspace:
    """A folder, and a server that its runs use."""

    def __init__(self, root: Path, server: ComfyuiServer) -> None:
        self.root, self.server = root, server
        address = server.url.replace("http://", f"http://user:{CANARY}@")
        self.env = {**os.environ, "STORAGE_LOCAL_PATH": str(root), "COMFYUI_URL": address}
        self.printed = ""

    def begin(self, *arguments: str) -> subprocess.Popen[str]:
        line = [sys.executable, "-m", "posegen.cli", *arguments]
        return subprocess.Popen(
            line, env=self.env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )

    def end(self, process: subprocess.Popen[str]) -> int:
        printed, _ = process.communicate(timeout=120)
        self.printed += printed
        return process.returncode

    def run(self, *arguments: str) -> int:
        return self.end(self.begin(*arguments))

    def state(self) -> RunState:
        return read_run(self.root, "r") if run_exists(self.root, "r") else RunState()

    def leaks(self) -> list[str]:
        files = [path for path in self.root.rglob("*") if path.is_file()]
        found = [str(path) for path in files if CANARY.encode() in path.read_bytes()]
        return found + (["printed"] if CANARY in self.printed else [])


@pytest.fixture
def workspace(tmp_path: Path) -> Iterator[Workspace]:
    with comfyui_server() as server:
        yield Workspace(tmp_path, server)


def test_it_goes_well(workspace: Workspace) -> None:
    assert workspace.run("-v", "run", "batch_generation", "-y", YAML) == 0, workspace.printed
    state = workspace.state()
    assert (state.made, state.failed) == (3, 0)
    assert {record.conditioning for record in state.records.values()} == {"control"}
    assert sorted(workspace.server.made.values()) == [1, 1, 1]
    assert workspace.run("doctor") == 0
    assert workspace.leaks() == []


def test_a_refusal_stops_it_with_a_sentence(workspace: Workspace) -> None:
    errors = [{"type": "value_not_in_list", "message": "Value not in list", "details": "unet_name"}]
    workspace.server.script.refuse = {"error": {}, "node_errors": {"1": {"errors": errors}}}
    assert workspace.run("-v", "run", "batch_generation", "-y", YAML) == 5, workspace.printed
    assert "posegen:checkpoint' (UNETLoader): Value not in list" in workspace.printed
    assert workspace.leaks() == []


def test_a_killed_kernel_makes_nothing_twice(workspace: Workspace) -> None:
    workspace.server.script.hold = True
    parent = workspace.begin("run", "batch_generation", "-y", YAML)
    until(lambda: len(workspace.server.sent) == 3, "three prompts are in the queue")
    owner = workspace.state().attempts[-1].owner
    assert owner is not None
    os.kill(owner.pid, signal.SIGKILL)
    assert workspace.end(parent) == 5
    workspace.server.release()
    assert workspace.run("resume", "r") == 0, workspace.printed
    assert workspace.state().made == 3
    assert sorted(workspace.server.made.values()) == [1, 1, 1]
    assert len(workspace.server.sent) == 3
    assert workspace.leaks() == []
