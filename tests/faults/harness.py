"""Kill processes that drive a run, go on with it, and check it by a record that none of them can touch."""

from __future__ import annotations

import hashlib
import itertools
import json
import os
import select
import signal
import socketserver
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from posegen.credits import ACCOUNTS_FILE, open_accounts
from posegen.journal import RunState, journal_folder, read_run, read_segments
from posegen.settings import STARTING_GRANT
from posegen.storage.atomic import TEMPORARY_PREFIX

DEADLINE_S = 60.0
IMAGES = 5
USER = "ann"
PRICE = 30


def until(true: Callable[[], Any], what: str, deadline_s: float = DEADLINE_S) -> Any:
    """Poll until something is true; return it."""
    end = time.monotonic() + deadline_s
    pause = threading.Event()
    while True:
        found = true()
        if found:
            return found
        assert time.monotonic() < end, f"not within {deadline_s:.0f} s: {what}"
        pause.wait(0.001)


class Child:
    """A process that drives a run."""

    def __init__(self, pid: int, diary: Path) -> None:
        self.pid = pid
        self.diary = diary
        self._handle = os.pidfd_open(pid)
        self.died_at: float | None = None

    def lines(self, what: str | None = None) -> list[dict[str, Any]]:
        """Return its diary, or the lines of one kind; whole lines only."""
        data = self.diary.read_bytes() if self.diary.exists() else b""
        found = [json.loads(line) for line in data[: data.rfind(b"\n") + 1].splitlines()]
        return [line for line in found if what in (None, line["what"])]

    def send(self, number: int) -> None:
        if not self.dead:
            signal.pidfd_send_signal(self._handle, number)

    def kill(self) -> float:
        """Kill it; return when."""
        at = time.monotonic()
        self.send(signal.SIGKILL)
        self.wait()
        return at

    def stop(self) -> None:
        """Stop it as a laptop's sleep does; return when it stands still."""
        self.send(signal.SIGSTOP)
        until(lambda: self.dead or self._stands(), "the process stands still")

    def _stands(self) -> bool:
        try:
            return " T (stopped)" in Path(f"/proc/{self.pid}/status").read_text().replace("\t", " ")
        except OSError:
            return False

    def go_on(self) -> None:
        self.send(signal.SIGCONT)

    @property
    def dead(self) -> bool:
        if self.died_at is None and select.select([self._handle], [], [], 0)[0]:
            self._buried()
        return self.died_at is not None

    def wait(self) -> Child:
        """Wait until it is dead, however it died."""
        if self.died_at is None:
            found = select.select([self._handle], [], [], DEADLINE_S)[0]
            assert found, f"process {self.pid} does not end: {self.lines()[-3:]}"
            self._buried()
        return self

    def _buried(self) -> None:
        self.died_at = time.monotonic()
        os.close(self._handle)

    @property
    def exit_code(self) -> int | None:
        """What it exited with; None if it was killed."""
        self.wait()
        said = self.lines("exit")
        return said[0]["code"] if said else None

    @property
    def died_there(self) -> str | None:
        """The failpoint it killed itself at."""
        said = self.lines("dies")
        return said[0]["failpoint"] if said else None


class Nursery:
    """Starts children by forking a process that has imported everything: 20 ms instead of 1,000."""

    def __init__(self) -> None:
        command = [sys.executable, str(Path(__file__).with_name("child.py"))]
        env = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=env
        )
        self._lock = threading.Lock()

    def start(self, order: dict[str, Any]) -> Child:
        with self._lock:
            assert self._process.stdin is not None
            assert self._process.stdout is not None
            self._process.stdin.write(json.dumps(order) + "\n")
            self._process.stdin.flush()
            return Child(int(self._process.stdout.readline()), Path(order["diary"]))

    def close(self) -> None:
        self._process.communicate(timeout=DEADLINE_S)


@dataclass(frozen=True)
class Sale:
    """One purchase; `told` if a person had said to make images of unknown outcome again."""

    task: str
    request_id: str
    told: bool


class Shop:
    """A provider that sells images, and keeps its own books.

    Attributes
    ----------
    sold : list of Sale
        Every purchase, whatever became of whoever bought.
    """

    def __init__(self) -> None:
        self.sold: list[Sale] = []
        self.forgets = False
        shop = self

        class Sell(socketserver.StreamRequestHandler):
            def handle(self) -> None:
                question = self.rfile.readline()
                if question.endswith(b"\n"):  # else its asker died asking
                    answer = json.dumps(shop.answer(json.loads(question))).encode() + b"\n"
                    try:
                        self.wfile.write(answer)
                    except OSError:
                        return  # its asker died waiting; it is sold all the same

        self._server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Sell)
        self._server.daemon_threads = True
        self.port = self._server.server_address[1]
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()

    def answer(self, question: dict[str, Any]) -> dict[str, Any]:
        if "buy" in question:
            with self._lock:
                number = len(self.sold) + 1
                self.sold.append(Sale(question["buy"], f"request-{number}", question["told"]))
            return {"request_id": f"request-{number}", "number": number}
        number = int(question["result"].rpartition("-")[2])
        return {} if self.forgets else {"number": number}

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


@dataclass
class Story:
    """One run, and all that became of the processes that drove it."""

    root: Path
    nursery: Nursery
    shop: Shop
    backend: str = "plain"
    run_id: str = "r"
    images: int = IMAGES
    failing: int | None = 3
    concurrency: int = 2
    more: dict[str, Any] = field(default_factory=dict)
    children: list[Child] = field(default_factory=list)
    killed: int = 0

    def start(self, **order: Any) -> Child:
        """Start a process that starts the run, or goes on with it."""
        number = len(self.children) + 1
        whole = {
            "root": str(self.root), "run_id": self.run_id, "shop": self.shop.port,
            "diary": str(self.root.parent / f"{self.root.name}-{self.run_id}-{number}.diary"),
            "plan": self.plan, "failing": self.failing, **order,
        }  # fmt: skip
        if order.get("resume") or "export" in order:
            del whole["plan"]
        child = self.nursery.start(whole)
        self.children.append(child)
        return child

    @property
    def plan(self) -> dict[str, Any]:
        return {
            "prompts": ["a person"], "images_per_pose": self.images, "backend": self.backend, "width": 256,
            "height": 256, "run_id": self.run_id, "user": USER, "concurrency": self.concurrency, **self.more,
        }  # fmt: skip

    def die_at(self, failpoint: str, nth: int = 1, **order: Any) -> Child:
        """Drive the run until the nth pass of a failpoint kills the process."""
        child = self.start(deaths={failpoint: nth}, **order).wait()
        self.killed += child.exit_code is None
        return child

    def finish(self, **order: Any) -> Child:
        """Drive the run to its end; a person says what to do where the outcome is unknown."""
        child = self.start(**order).wait()
        if child.exit_code == 5 and self.state.status == "waiting":
            child = self.start(**{**order, "unknown": "retry"}).wait()
        return child

    @property
    def state(self) -> RunState:
        return read_run(self.root, self.run_id)

    @property
    def acknowledged(self) -> dict[str, str]:
        """By task, the hash of each image that some process was told is safe."""
        return {
            line["task"]: line["sha256"]
            for child in self.children
            for line in child.lines("acknowledged")
            if line["sha256"]
        }

    def check(self) -> RunState:
        """Check that the run is finished and that nothing was lost, doubled, torn or charged wrongly."""
        state = self.state
        failed = int(self.failing is not None and self.failing < self.images)
        assert state.status == "finished", (state.status, [child.lines()[-1:] for child in self.children])
        assert (state.made, state.failed) == (self.images - failed, failed)
        self.check_images(state)
        self.check_files(state)
        self.check_purchases()
        self.check_owners()
        self.check_credits(state)
        self.check_journal()
        assert not [line for child in self.children for line in child.lines("bug")]
        return state

    def check_images(self, state: RunState) -> None:
        lost = {task for task, sha in self.acknowledged.items() if state.records[task].sha256 != sha}
        assert not lost, f"acknowledged and lost: {lost}"
        for record in state.records.values():
            assert hashlib.sha256((self.root / record.key).read_bytes()).hexdigest() == record.sha256
        for exports in state.exports.values():
            for event in exports.values():
                assert hashlib.sha256((self.root / event.key).read_bytes()).hexdigest() == event.sha256
        safe: dict[str, float] = {}
        lines = [line for child in self.children for line in child.lines()]
        for line in sorted(lines, key=lambda line: line["at"]):
            if line["what"] == "acknowledged" and line["sha256"]:
                assert line["task"] not in safe, "acknowledged twice"
                safe[line["task"]] = line["at"]
            assert not (line["what"] == "makes" and line["task"] in safe), "made again though it is there"

    def check_files(self, state: RunState) -> None:
        """Nothing lies about: each file is named by the journal, or is the journal."""
        folder = self.root / "runs" / self.run_id
        there = {path.relative_to(self.root).as_posix() for path in folder.rglob("*") if path.is_file()}
        named = {key for record in state.records.values() for key in (record.key, record.thumbnail_key)}
        named |= {event.key for exports in state.exports.values() for event in exports.values()}
        named |= {f"runs/{self.run_id}/journal/{one.name}" for one in read_segments(folder / "journal")}
        named |= {f"runs/{self.run_id}/contact_sheet.png"}
        # A sheet is drawn after the end; whoever is killed then leaves its temporary file to the clean-up.
        left = {key for key in there - named if not key.startswith(f"runs/{self.run_id}/{TEMPORARY_PREFIX}")}
        assert not left, f"files nobody knows: {left}"
        assert named - there <= {f"runs/{self.run_id}/contact_sheet.png"}, f"gone: {named - there}"

    def check_purchases(self) -> None:
        """Nothing is bought twice silently, nor at all if the first purchase could be asked for."""
        journalled = {line["request"] for child in self.children for line in child.lines("acknowledged")}
        before: dict[str, list[Sale]] = {}
        for sale in self.shop.sold:
            earlier = before.setdefault(sale.task, [])
            assert sale.told or not earlier, f"bought twice, silently: {sale}"
            if self.backend == "queued":
                assert not {one.request_id for one in earlier} & journalled, f"bought for nothing: {sale}"
            earlier.append(sale)

    def check_owners(self) -> None:
        """Each owner's time, from owning the run to its last sign of life, lies outside every other's."""
        times = []
        for child in self.children:
            lines = child.lines()
            owned = [line["at"] for line in lines if line["what"] == "owns"]
            freed = (
                [line["at"] for line in lines if line["what"] == "frees" and line["at"] > owned[0]]
                if owned
                else []
            )
            if owned:
                times.append((owned[0], freed[0] if freed else lines[-1]["at"]))
        times.sort()
        for (_, end), (begin, _) in itertools.pairwise(times):
            assert end <= begin, "two owners at one time"

    def check_credits(self, state: RunState) -> None:
        accounts = open_accounts(self.root / ACCOUNTS_FILE)
        assert accounts.problems() == []
        entries = accounts.run_history(self.run_id)
        holds = accounts.holds(self.run_id)
        assert not any(hold.is_open for hold in holds)
        charged = sum(hold.charged or 0 for hold in holds)
        assert charged == PRICE * state.made
        assert -sum(entry.amount for entry in entries) == charged
        refunds = Counter(entry.task_id for entry in entries if entry.kind == "refund")
        assert refunds == Counter(dict.fromkeys(state.failures, 1))
        assert accounts.balance(USER) == STARTING_GRANT + sum(
            entry.amount for entry in accounts.history(USER) if entry.kind != "opening"
        )

    def check_journal(self) -> None:
        segments = read_segments(journal_folder(self.root, self.run_id))
        assert sum(one.unknown_events + one.foreign_lines for one in segments) == 0
        assert sum(one.torn_lines for one in segments) <= self.killed


@contextmanager
def a_nursery() -> Iterator[Nursery]:
    nursery = Nursery()
    try:
        yield nursery
    finally:
        nursery.close()


@contextmanager
def a_shop() -> Iterator[Shop]:
    shop = Shop()
    try:
        yield shop
    finally:
        shop.close()
