"""Drive runs in processes that may be killed at any moment. Run as a script by `harness.Nursery`.

Reads one order (JSON) a line, forks a process for it, answers with its pid. What a process does it
writes into its diary, a file: what was written before a SIGKILL stays.
"""

from __future__ import annotations

import contextlib
import ctypes
import dataclasses
import errno
import functools
import json
import os
import signal
import socket
import sys
import threading
import time
from concurrent.futures import Future
from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from posegen import backends, failpoints
from posegen.backends import Backend, GeneratedImage, ImageRequest, InProcess, NoOptions, Workshop
from posegen.errors import ImageFailedError, PosegenError, ResultGoneError
from posegen.journal import Event, ImageAdopted, ImageStored, Owner, RunLease, SegmentWriter, lease, writer
from posegen.parameters import BatchParameters, check
from posegen.pipeline import engine, estimators
from posegen.pipeline import run as runs
from posegen.pipeline.export_run import export_run
from posegen.pipeline.plan import Plan, build_plan
from posegen.settings import Settings

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
from tests.pipeline.scripted import ScriptedPool


class Diary:
    """Lines of what happened, each written at once, with the machine's monotonic time."""

    def __init__(self, path: str) -> None:
        self._descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        self._write = os.write  # the real one, also where a test makes writes fail

    def say(self, what: str, **more: Any) -> None:
        line = {"what": what, "at": time.monotonic(), **more}
        self._write(self._descriptor, json.dumps(line).encode() + b"\n")


def colour(number: int) -> list[int]:
    return [number * 37 % 256, number * 101 % 256, number * 17 % 256]


class Plain(InProcess):
    """Makes one-colour pictures: free, and at once."""

    name = "plain"
    version: str | None = None
    default_model: str | None = "plain-1"
    conditionings = ("control", "prompt", "none")
    options_type = NoOptions
    negative_prompt_note = "no effect here"

    def __init__(self, order: dict[str, Any], diary: Diary) -> None:
        self._order, self._diary = order, diary

    def missing(self, settings: Settings) -> list[str]:
        return []

    def typical_s(self, width: int, height: int) -> float:
        return 1.0

    async def generate(self, request: ImageRequest, workshop: Workshop) -> GeneratedImage:
        return await workshop.on_cpu(lambda: self.make(request))

    def make(self, request: ImageRequest) -> GeneratedImage:
        self._diary.say("makes", task=request.task.task_id)
        self.hold_on()
        if self.fails(request):
            raise ImageFailedError("it fails", code="MADE_TO_FAIL")
        return self.picture(request, request.task.index)

    def fails(self, request: ImageRequest) -> bool:
        """Return whether this image fails for good."""
        return request.task.index == self._order.get("failing")

    def hold_on(self) -> None:
        """Wait until the parent makes the file `gate`, if there is to be one."""
        gate = self._order.get("gate")
        deadline = time.monotonic() + 60
        while gate and not Path(gate).exists() and time.monotonic() < deadline:
            threading.Event().wait(0.005)

    def picture(self, request: ImageRequest, number: int) -> GeneratedImage:
        pixels = np.full((request.task.height, request.task.width, 3), colour(number), np.uint8)
        maker = self._order.get("maker", "here")
        return GeneratedImage(pixels, request.task.conditioning, model="plain-1", provider=maker)

    def buy(self, request: ImageRequest) -> dict[str, Any]:
        return self.ask(buy=request.task.task_id, told=self._order.get("unknown") == "retry")

    def ask(self, **question: Any) -> dict[str, Any]:
        """Ask the shop, which the parent keeps."""
        with socket.create_connection(("127.0.0.1", self._order["shop"]), timeout=30) as line:
            line.sendall(json.dumps(question).encode() + b"\n")
            return dict(json.loads(line.makefile().readline()))


class Queued(Plain):
    """Paid for, with request ids: a purchase can be asked for again."""

    name = "queued"
    paid = True
    keeps_results = True

    async def generate(self, request: ImageRequest, workshop: Workshop) -> GeneratedImage:
        answer = await workshop.buy(lambda: workshop.on_cpu(lambda: self.buy(request)))
        failpoints.reach("bought")
        await workshop.submitted(answer["request_id"])
        return await self.fetch(request, answer["request_id"], workshop)

    async def fetch(self, request: ImageRequest, request_id: str, workshop: Workshop) -> GeneratedImage:
        answer = await workshop.on_cpu(lambda: self.ask(result=request_id))
        if "number" not in answer:
            raise ResultGoneError("the shop has lost it", code="RESULT_GONE")
        if self.fails(request):
            raise ImageFailedError("it failed there", code="MADE_TO_FAIL")
        return self.picture(request, answer["number"])


class Blind(Plain):
    """Paid for, without request ids: what became of a purchase cannot be found out."""

    name = "blind"
    paid = True

    async def generate(self, request: ImageRequest, workshop: Workshop) -> GeneratedImage:
        return await workshop.buy(lambda: workshop.on_cpu(lambda: self.make(request)))

    def make(self, request: ImageRequest) -> GeneratedImage:
        if self.fails(request):
            raise ImageFailedError("it fails", code="MADE_TO_FAIL")
        answer = self.buy(request)
        failpoints.reach("bought")
        return self.picture(request, answer["number"])


BACKENDS = {"plain": Plain, "queued": Queued, "blind": Blind}


def kill_at(order: dict[str, Any], diary: Diary) -> None:
    """Count passes of every failpoint; die at those that the order names."""
    passes: dict[str, int] = {}
    deaths: dict[str, int] = order.get("deaths", {})

    def reached(name: str) -> None:
        passes[name] = passes.get(name, 0) + 1
        if passes[name] == deaths.get(name):
            diary.say("dies", failpoint=name)
            os.kill(os.getpid(), signal.SIGKILL)

    failpoints.arm(reached)


def watch_journal(diary: Diary) -> None:
    """Write down each line of the journal once its future has resolved."""
    append = SegmentWriter.append

    def appended(self: SegmentWriter, event: Event, *, durable: bool = True) -> Future[int]:
        future = append(self, event, durable=durable)
        future.add_done_callback(lambda done: said(self.number, event, done))
        return future

    def said(attempt: int, event: Event, done: Future[int]) -> None:
        if done.exception() is not None:
            return
        record = event.record if isinstance(event, (ImageStored, ImageAdopted)) else None
        task = record.task_id if record else getattr(event, "task_id", None)
        sha256 = record.sha256 if record else None
        kind = type(event).__name__
        request = getattr(event, "request_id", None) or None
        diary.say("acknowledged", event=kind, attempt=attempt, task=task, sha256=sha256, request=request)

    SegmentWriter.append = appended  # type: ignore[method-assign]


def watch_owner(diary: Diary) -> None:
    """Write down when this process owns a run, and when it no longer does."""
    acquire, release = RunLease.acquire.__func__, RunLease.release  # type: ignore[attr-defined]

    def acquired(cls: type[RunLease], *arguments: Any, **options: Any) -> RunLease:
        diary.say("looks")
        ours: RunLease = acquire(cls, *arguments, **options)
        diary.say("owns")
        return ours

    def released(self: RunLease) -> None:
        diary.say("frees")
        release(self)

    RunLease.acquire = classmethod(acquired)  # type: ignore[assignment,method-assign]
    RunLease.release = released  # type: ignore[method-assign]


def pretend_elsewhere(host: str) -> None:
    """Be a process of another machine; it holds no lock that this one could see."""

    def stranger() -> Owner:
        real = real_owner()
        return Owner(pid=real.pid, host=host, process_started_at=real.process_started_at, boot_id=host)

    class NoLock:
        is_locked = True

        def release(self) -> None:
            self.is_locked = False

    real_owner = lease.current_owner
    lease.current_owner = writer.current_owner = stranger
    lease.lock_run = lambda *_: NoLock()  # type: ignore[assignment,return-value]


def fail_disk(order: dict[str, Any], diary: Diary) -> None:
    """Make the nth of the system's writing calls fail, and every later one if the disk stays broken."""
    fault = order.get("fault")
    if fault is None:
        return
    code = getattr(errno, fault["code"])
    count = 0
    guard = threading.Lock()

    def failing(name: str) -> Any:
        real = getattr(os, name)

        @functools.wraps(real)
        def call(*arguments: Any, **options: Any) -> Any:
            nonlocal count
            with guard:
                count += 1
                number = count
            if number == fault["nth"] or (fault["stays"] and number > fault["nth"]):
                if number == fault["nth"]:
                    diary.say("fault", call=name, file=str(Path(f"/proc/self/fd/{arguments[0]}").readlink()))
                raise OSError(code, os.strerror(code))
            return real(*arguments, **options)

        return call

    for name in ("write", "fsync", "fdatasync"):
        setattr(os, name, failing(name))


def live_in_another_time(order: dict[str, Any]) -> None:
    """Set the journal's clock and posegen's version as the order says."""
    back = timedelta(seconds=order.get("clock_back_s", 0))
    real = writer.timestamp
    writer.timestamp = lambda moment: real(moment - back)  # type: ignore[attr-defined]
    writer.__version__ = order.get("version", writer.__version__)  # type: ignore[attr-defined]


def replanned(plan: Plan) -> Plan:
    """Return what another version might make of the same parameters: other words, and so other tasks."""
    tasks = [msgspec.structs.replace(t, task_id=f"{t.index:032x}", prompt="other words") for t in plan.tasks]
    return dataclasses.replace(plan, tasks=tuple(tasks))


@functools.lru_cache(maxsize=64)
def plan_of(values: str) -> Plan:
    for name, kind in BACKENDS.items():  # enough to plan with
        backends.BACKENDS.setdefault(name, functools.partial(kind, {}, None))  # type: ignore[arg-type]
    return build_plan(check(BatchParameters, json.loads(values)))


def make(order: dict[str, Any], plan: Plan | None, settings: Settings, diary: Diary) -> int:
    """Start or resume a run."""
    if plan is not None:
        run = runs.start(plan, settings, unknown=order.get("unknown"))
    else:
        run = runs.resume(order["run_id"], settings, unknown=order.get("unknown"))
    code = run.wait(lambda _: None).exit_code
    diary.say("counts", **run.counts())
    return code


def drive(order: dict[str, Any], plan: Plan | None) -> int:
    """Start, resume or export a run, and see it through if nothing comes in between."""
    diary = Diary(order["diary"])
    made: dict[str, Backend] = {name: kind(order, diary) for name, kind in BACKENDS.items()}
    backends.BACKENDS.update({name: functools.partial(made.__getitem__, name) for name in made})
    kill_at(order, diary)
    watch_journal(diary)
    watch_owner(diary)
    if "host" in order:
        pretend_elsewhere(order["host"])
    settings = Settings(
        root=Path(order["root"]),
        cpu_threads=2,
        stall_after_s=order.get("stall_after_s", 1800.0),
        comfyui_url=order.get("comfyui_url"),
        estimator="auto" if "off_px" in order else "off",
    )
    if "off_px" in order:
        pool = ScriptedPool(lambda task: float(order["off_px"][task.candidate]))
        estimators.shared_pool = lambda *_: pool  # type: ignore[assignment,return-value]
    live_in_another_time(order)
    fail_disk(order, diary)
    engine.STOP_POLL_S = order.get("stop_poll_s", engine.STOP_POLL_S)
    if plan is not None and order.get("replanned"):
        plan = replanned(plan)
    code = 1
    try:
        if "export" in order:
            report = export_run(order["run_id"], settings=settings, **order["export"])
            code = report.exit_code
            diary.say("report", **report.facts())
        else:
            code = make(order, plan, settings, diary)
    except PosegenError as exc:
        diary.say("error", kind=type(exc).__name__, message=str(exc))
        code = exc.exit_code
    except BaseException as exc:  # noqa: BLE001  (the parent wants to know)
        diary.say("bug", kind=type(exc).__name__, message=str(exc))
    diary.say("exit", code=code)
    return code


def serve() -> None:
    """Fork a process for each order."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for them here
    for line in sys.stdin:
        order = json.loads(line)
        plan = plan_of(json.dumps(order["plan"])) if "plan" in order else None
        pid = os.fork()
        if pid == 0:
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            with contextlib.suppress(AttributeError, OSError):  # no process outlives a killed test
                ctypes.CDLL(None).prctl(1, signal.SIGKILL)
            quiet = os.open(os.devnull, os.O_RDWR)
            for standard in (0, 1, 2) if "stderr" not in order else (0, 1):
                os.dup2(quiet, standard)
            os._exit(drive(order, plan))
        sys.stdout.write(f"{pid}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    serve()
