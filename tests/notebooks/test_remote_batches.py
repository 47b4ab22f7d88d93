"""The batch notebook end to end against each provider's local server, and no key in anything it leaves.

Each case runs `posegen run` in processes of its own: one that goes well, one whose server refuses and repeats
the key in its answer, and one whose kernel is killed.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from posegen.journal import RunState, read_run, run_exists
from tests.faults.harness import until
from tests.servers.base import Fault, LocalServer, error
from tests.servers.fal_server import FalServer
from tests.servers.hf_server import HubServer

pytestmark = pytest.mark.notebook

CANARY = "canary-7e5f1c0b2d"
"""In every key; nothing that is written or printed may hold it."""

YAML = "{poses: [standing_relaxed, walking_stride, running_sprint], width: 256, height: 256, run_id: r, "


class Remote:
    """A workspace whose provider is a local server."""

    def __init__(self, root: Path, server: LocalServer, backend: str, env: dict[str, str]) -> None:
        self.root, self.server, self.backend = root, server, backend
        self.submit = {"fal": "submit", "huggingface": "generate"}[backend]
        self.env = {
            **os.environ,
            **env,
            "STORAGE_LOCAL_PATH": str(root),
            "POSEGEN_ALLOWED_HOSTS": server.host,
            "POSEGEN_MAX_TRIES": "2",
        }
        self.printed = ""

    def command(self, *arguments: str) -> list[str]:
        return [sys.executable, "-m", "posegen.cli", *arguments]

    def run(self, *arguments: str) -> int:
        done = subprocess.run(
            self.command(*arguments), env=self.env, capture_output=True, text=True, check=False
        )
        self.printed += done.stdout + done.stderr
        return done.returncode

    def batch(self) -> list[str]:
        return ["-v", "run", "batch_generation", "-y", f"{YAML} backend: {self.backend}}}"]

    def state(self) -> RunState:
        return read_run(self.root, "r") if run_exists(self.root, "r") else RunState()

    def leaks(self) -> list[str]:
        """Return what was written or printed with the key in it."""
        files = [path for path in self.root.rglob("*") if path.is_file()]
        assert len(files) > 3
        found = [str(path) for path in files if CANARY.encode() in path.read_bytes()]
        return found + (["printed"] if CANARY in self.printed else [])


@pytest.fixture(params=["fal", "huggingface"])
def remote(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Remote]:
    kinds: dict[str, Callable[[], LocalServer]] = {"fal": FalServer, "huggingface": HubServer}
    with kinds[request.param]() as server:
        server.key = f"key-{CANARY}"
        env = {
            "fal": {"FAL_KEY": server.key, "POSEGEN_FAL_QUEUE_URL": server.url},
            "huggingface": {
                "HUGGINGFACE_API_KEY": server.key,
                "HF_ENDPOINT": server.url,
                "POSEGEN_HF_ROUTER_URL": server.url,
            },
        }[request.param]
        env |= {"HF_TOKEN": ""} if request.param == "huggingface" else {}
        yield Remote(tmp_path, server, request.param, env)


def test_it_goes_well(remote: Remote) -> None:
    assert remote.run(*remote.batch()) == 0, remote.printed
    state = remote.state()
    assert (state.made, state.failed) == (3, 0)
    expected = "control" if remote.backend == "fal" else "prompt"
    assert {record.conditioning for record in state.records.values()} == {expected}
    assert not any(record.synthetic for record in state.records.values())
    assert sorted(remote.server.charges.values()) == [1, 1, 1]
    assert remote.run("show", "r", "--json") == 0
    assert remote.run("doctor") == 0
    assert f"backend {remote.backend}" in remote.printed
    assert remote.leaks() == []


def test_a_server_that_repeats_the_key_in_its_refusal(remote: Remote) -> None:
    words = {"error": f"invalid credentials: key-{CANARY}", "detail": f"invalid credentials: key-{CANARY}"}
    remote.server.always[remote.submit] = error(401, words)
    assert remote.run(*remote.batch()) == 5, remote.printed
    state = remote.state()
    assert (state.status, state.made, state.failed) == ("interrupted", 0, 0)
    assert "refuses the key" in remote.printed
    assert remote.leaks() == []


def test_a_killed_kernel_buys_nothing_twice(remote: Remote) -> None:
    gate = threading.Event()
    held = "status" if remote.backend == "fal" else remote.submit
    remote.server.always[held] = Fault(gate=gate)
    line = remote.command(*remote.batch())
    with subprocess.Popen(
        line,
        env=remote.env,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as parent:
        until(lambda: remote.server.count(held) >= 3, "three images are in flight")
        owner = remote.state().attempts[-1].owner
        assert owner is not None
        os.kill(owner.pid, signal.SIGKILL)
        printed = parent.communicate(timeout=60)
        remote.printed += "".join(printed)
        assert parent.returncode == 5
    gate.set()
    del remote.server.always[held]
    code = remote.run("resume", "r")
    if remote.backend == "fal":
        assert (code, remote.state().made) == (0, 3), remote.printed
        assert "3 fetched" in remote.printed or "fetched" in remote.printed
    else:  # bought without a request id: a person has to say
        assert (code, remote.state().status) == (5, "waiting"), remote.printed
    assert max(remote.server.charges.values()) == 1
    assert remote.leaks() == []
