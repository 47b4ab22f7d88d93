"""Drives one attempt of a run: a thread with its own event loop, bounded pools, and the journal's writer.

The caller's thread only waits, in short slices, so that an interrupt is seen at once.
"""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import threading
import time
from collections import deque
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

from posegen.backends import Backend, get_backend
from posegen.errors import BackendError, JournalError, PosegenError, StorageError
from posegen.journal import (
    AttemptFinished,
    Event,
    ImageAdopted,
    ImageStored,
    Interrupted,
    SegmentWriter,
    TaskFailed,
    TaskSubmitted,
)
from posegen.pipeline.export_step import ExportJob, make_exports
from posegen.pipeline.progress import Progress
from posegen.pipeline.steps import adopt_image, make_image
from posegen.records import ImageRecord, ImageTask
from posegen.storage import Storage
from posegen.telemetry import logger

T = TypeVar("T")

STOP_FILE = "stop"
STOP_POLL_S = 0.5
DRAIN_S = 4.0
"""What is in flight gets this long after a stop; it is less than papermill gives a kernel it ends."""

log = logger("engine")


def request_stop(run_folder: Path) -> None:
    """Ask the process that drives the run to stop cleanly; it looks every half second."""
    run_folder.mkdir(parents=True, exist_ok=True)
    (run_folder / STOP_FILE).touch()


@dataclass(frozen=True)
class Job:
    """What an attempt works on.

    Attributes
    ----------
    run_id : str
    folder : Path
        The run's folder.
    tasks : tuple of ImageTask
        Those still to make.
    may_be_stored : bool
        An earlier attempt was cut off: look for images it stored and did not journal.
    planned, kept : int
        Images in the whole plan, and images journalled by earlier attempts.
    formats : tuple of str
        Export formats to make beside each image.
    unexported : tuple of ExportJob
        Images journalled by earlier attempts whose exports are missing.
    """

    run_id: str
    folder: Path
    tasks: tuple[ImageTask, ...]
    concurrency: int
    may_be_stored: bool
    planned: int
    kept: int
    formats: tuple[str, ...] = ()
    unexported: tuple[ExportJob, ...] = ()


class Engine:
    """One attempt of a run, working in a thread of its own."""

    def __init__(self, job: Job, storage: Storage, writer: SegmentWriter, cpu_threads: int) -> None:
        self.job = job
        self.error: PosegenError | None = None
        self.stop_reason: str | None = None
        self._storage = storage
        self._writer = writer
        self._cpu = ThreadPoolExecutor(cpu_threads, thread_name_prefix="posegen-cpu")
        self._io = ThreadPoolExecutor(8, thread_name_prefix="posegen-io")
        self._progress = Progress(planned=job.planned, kept=job.kept)
        self._started = time.monotonic()
        self._queue: deque[ImageTask | ExportJob] = deque((*job.unexported, *job.tasks))
        self._finished = threading.Event()
        self._backends: dict[str, Backend] = {}
        self._thread = threading.Thread(target=self._run, name="posegen-engine", daemon=True)

    def start(self) -> None:
        """Start working."""
        self._thread.start()

    def stop(self, reason: str) -> None:
        """Start nothing more; what is in flight gets `DRAIN_S` seconds."""
        self.stop_reason = self.stop_reason or reason

    def join(self, timeout_s: float) -> bool:
        """Wait for the end; return whether it has come."""
        return self._finished.wait(timeout_s)

    @property
    def progress(self) -> Progress:
        """How far the run is now."""
        moment = self._progress
        return moment if self._finished.is_set() else replace(moment, elapsed_s=self._elapsed_s())

    def _elapsed_s(self) -> float:
        return time.monotonic() - self._started

    def _run(self) -> None:
        try:
            asyncio.run(self._attempt())
        except PosegenError as exc:
            self.error = exc
        except Exception as exc:
            log.exception("the engine failed")
            self.error = PosegenError(f"the engine failed: {type(exc).__name__}: {exc}")
        finally:
            self._progress = replace(self._progress, elapsed_s=self._elapsed_s())
            self._cpu.shutdown(wait=False, cancel_futures=True)
            self._io.shutdown(wait=False, cancel_futures=True)
            self._finished.set()

    async def _attempt(self) -> None:
        """Work through the queue, then journal how it ended."""
        try:
            await self._work()
            if self.stop_reason and self.error is None:
                await self._journal(Interrupted(reason=self.stop_reason))
            outcome = "interrupted" if self.stop_reason or self.error else "finished"
            await self._journal(AttemptFinished(outcome=outcome))
        finally:
            with contextlib.suppress(PosegenError):
                await asyncio.to_thread(self._writer.close)
            (self.job.folder / STOP_FILE).unlink(missing_ok=True)

    async def _work(self) -> None:
        workers = [
            asyncio.create_task(self._worker()) for _ in range(min(self.job.concurrency, len(self._queue)))
        ]
        watcher = asyncio.create_task(self._watch())
        pending: set[asyncio.Task[None]] = set(workers)
        stopped_at: float | None = None
        while pending:
            done, pending = await asyncio.wait(pending, timeout=0.05, return_when=asyncio.FIRST_EXCEPTION)
            for worker in done:
                self._fail(worker.exception())
            if self.stop_reason and stopped_at is None:
                stopped_at = time.monotonic()
            if stopped_at is not None and time.monotonic() - stopped_at > DRAIN_S:
                break
        for left in (*pending, watcher):
            left.cancel()
        await asyncio.gather(*pending, watcher, return_exceptions=True)
        if self.error is not None:
            raise self.error

    def _fail(self, error: BaseException | None) -> None:
        """Remember what ends the whole attempt (a full disk, a lost journal) and start nothing more."""
        if error is None:
            return
        known = error if isinstance(error, PosegenError) else PosegenError(f"{type(error).__name__}: {error}")
        self.error = self.error or known
        self.stop(str(known))

    async def _watch(self) -> None:
        """Look for the stop file."""
        stop_file = self.job.folder / STOP_FILE
        while self.stop_reason is None:
            if await self.on_io(stop_file.exists):
                self.stop("asked to stop")
            await asyncio.sleep(STOP_POLL_S)

    async def _worker(self) -> None:
        while self._queue and self.stop_reason is None:
            work = self._queue.popleft()
            if isinstance(work, ExportJob):
                await self._export(work)
            else:
                await self._one(work)

    async def _one(self, task: ImageTask) -> None:
        """Make one image and journal how that went. A failing image never stops the others."""
        pools = TaskPools(self, task)
        adopted: ImageRecord | None = None
        try:
            if self.job.may_be_stored:
                adopted = await adopt_image(self.job.run_id, task, self._storage, pools)
            record = adopted or await make_image(
                self.job.run_id, task, self._backend(task.backend), self._storage, pools
            )
        except (StorageError, JournalError):
            raise
        except Exception as exc:  # noqa: BLE001  (whatever it is, the other images go on)
            code, message = failure_of(exc)
            log.warning("%s failed: %s %s", task.task_id, code, message)
            await self._journal(TaskFailed(task_id=task.task_id, code=code, message=message))
            self._count("failed", task, f"failed: {code}")
            return
        if adopted is not None:
            await self._journal(ImageAdopted(record=adopted))
            self._count("adopted", task, "adopted")
        else:
            await self._journal(ImageStored(record=record))
            self._count("made", task, f"{record.duration_ms / 1000:.2f} s")
        await self._export(ExportJob(task, record, self.job.formats))

    async def _export(self, job: ExportJob) -> None:
        """Make the exports of a journalled image; one that fails is journalled and stops nothing."""
        if not job.formats:
            return
        pools = TaskPools(self, job.task)
        outcome = await make_exports(self.job.run_id, job, self._storage, pools, self._journal)
        note = f"{outcome.made} exports" + (f", {outcome.failed} failed" if outcome.failed else "")
        self._progress = replace(self._progress, latest=f"{job.task.pose_id or 'text'} {note}")

    def _backend(self, name: str) -> Backend:
        if name not in self._backends:
            self._backends[name] = get_backend(name)
        return self._backends[name]

    def _count(self, what: str, task: ImageTask, note: str) -> None:
        latest = f"{task.pose_id or 'text'} {note}"
        self._progress = replace(
            self._progress, **{what: getattr(self._progress, what) + 1, "latest": latest}
        )

    async def journal_submitted(self, task: ImageTask, request_id: str) -> None:
        """Journal a provider's request id."""
        await self._journal(TaskSubmitted(task_id=task.task_id, request_id=request_id))

    async def _journal(self, event: Event) -> None:
        await asyncio.wrap_future(self._writer.append(event))

    def on_cpu(self, work: Callable[[], T]) -> Awaitable[T]:
        """Run `work` on the pool for computing."""
        return self._on(self._cpu, work)

    def on_io(self, work: Callable[[], T]) -> Awaitable[T]:
        """Run `work` on the pool for blocking input and output."""
        return self._on(self._io, work)

    @staticmethod
    def _on(pool: ThreadPoolExecutor, work: Callable[[], T]) -> Awaitable[T]:
        context = contextvars.copy_context()  # so that what the thread measures reaches this run's sink
        return asyncio.get_running_loop().run_in_executor(pool, context.run, work)


@dataclass(frozen=True)
class TaskPools:
    """The engine's pools as one task sees them."""

    engine: Engine
    task: ImageTask

    def on_cpu(self, work: Callable[[], T]) -> Awaitable[T]:
        """Run `work` on the pool for computing."""
        return self.engine.on_cpu(work)

    def on_io(self, work: Callable[[], T]) -> Awaitable[T]:
        """Run `work` on the pool for blocking input and output."""
        return self.engine.on_io(work)

    async def submitted(self, request_id: str) -> None:
        """Journal this task's request id."""
        await self.engine.journal_submitted(self.task, request_id)


def failure_of(error: Exception) -> tuple[str, str]:
    """Return the code and the message that a failed image is journalled with."""
    if isinstance(error, BackendError):
        return error.code, str(error)
    if isinstance(error, PosegenError):
        return "INVALID_TASK", str(error)
    return "INTERNAL_ERROR", f"{type(error).__name__}: {error}"
