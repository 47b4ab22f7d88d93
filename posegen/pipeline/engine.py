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
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TypeVar

from posegen.accuracy.process import EstimatorPool
from posegen.backends import Backend, get_backend
from posegen.errors import (
    BackendUnavailableError,
    JournalError,
    OutcomeUnknownError,
    PosegenError,
    StaleAttemptError,
    StorageError,
)
from posegen.failpoints import reach
from posegen.http import Client
from posegen.journal import (
    AttemptFinished,
    Event,
    ImageAdopted,
    ImageStored,
    Interrupted,
    Metric,
    SegmentWriter,
    TaskSubmitted,
    TaskUnknown,
    TaskWithdrawn,
    superseded,
)
from posegen.moderation import Moderation
from posegen.pipeline.at_exit import PROCESS_ENDED, stop_at_exit
from posegen.pipeline.export_step import ExportJob, make_exports
from posegen.pipeline.failures import failed_event
from posegen.pipeline.gate import Accepted, GateKeeper, drop
from posegen.pipeline.job import STOP_FILE, Job
from posegen.pipeline.measuring import Measuring
from posegen.pipeline.obtain import Earlier, How, obtain_image
from posegen.pipeline.progress import Progress
from posegen.pipeline.task_pools import NotStartedError, TaskPools, bound_to
from posegen.records import ImageRecord, ImageTask
from posegen.settings import Settings
from posegen.storage import Storage
from posegen.storage.atomic import remove
from posegen.telemetry import bound, configure_in_kernel, logger, protect, recording_to

T = TypeVar("T")

STOP_POLL_S = 0.5
DRAIN_S = 4.0
"""What is in flight gets this long after a stop; it is less than papermill gives a kernel it ends."""

MOST_PREPARED = 16
"""Images at most that wait for a place at the backend: each holds its control map in memory."""

NOT_CUT_SHORT_S = float("inf")
"""What is in flight gets as long as it needs: nobody waits for the end, and it may have been paid for."""

log = logger("worker")


class Engine:
    """One attempt of a run, working in a thread of its own.

    Parameters
    ----------
    moderation : Moderation, optional
        Screens prompts and images; by default nothing is screened.
    estimators : EstimatorPool, optional
        Measure how well images show their poses; by default nothing is measured.
    price : int
        Credits of one image, which one that fails gives back.
    settle : callable, optional
        Settles the credits once nothing is left to make; called before the attempt is journalled as finished.
    stop_if : callable
        Asked every half second; returns a reason to stop, or None.
    at_end : callable
        Called when the attempt has ended, however it ended: gives the run free.
    """

    def __init__(
        self,
        job: Job,
        storage: Storage,
        writer: SegmentWriter,
        settings: Settings,
        *,
        moderation: Moderation | None = None,
        estimators: EstimatorPool | None = None,
        price: int = 0,
        settle: Callable[[], None] | None = None,
        stop_if: Callable[[], str | None] = lambda: None,
        at_end: Callable[[], None] = lambda: None,
    ) -> None:
        self.job = job
        self._price = price
        self._settle, self._stop_if, self._at_end = settle, stop_if, at_end
        self.error: PosegenError | None = None
        self.stop_reason: str | None = None
        self._storage = storage
        self._writer = writer
        self.settings = settings
        self.moderation = moderation or Moderation()
        self.measuring = Measuring(estimators, storage, self._journal, self._stopping)
        self._http: Client | None = None
        self.places = asyncio.Semaphore(job.concurrency)
        self._drain_until: float | None = None
        self._told = False
        self._cpu = ThreadPoolExecutor(settings.cpu_threads, thread_name_prefix="posegen-cpu")
        self._io = ThreadPoolExecutor(8, thread_name_prefix="posegen-io")
        self.records: dict[str, ImageRecord] = {}
        self._progress = Progress(planned=job.planned, kept=job.kept)
        self._started = time.monotonic()
        self._queue: deque[ImageTask | ExportJob] = deque((*job.unexported, *job.tasks))
        self._finished = threading.Event()
        self._backends: dict[str, Backend] = {}
        self._thread = threading.Thread(target=self._run, name="posegen-engine", daemon=True)

    def start(self) -> None:
        """Start working."""
        protect(self.settings)
        configure_in_kernel(self.settings)
        stop_at_exit(self)
        self._thread.start()

    def stop(self, reason: str, *, drain_s: float = DRAIN_S) -> None:
        """Start nothing more; what is in flight gets `drain_s` seconds."""
        until = time.monotonic() + drain_s
        self._drain_until = until if self._drain_until is None else min(until, self._drain_until)
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
        with bound(run=self.job.run_id, attempt=self._writer.number), recording_to(self._record):
            self._drive()

    def _record(self, name: str, value: float, unit: str, tags: Mapping[str, str]) -> None:
        """Journal a metric; nobody waits for it, and a power cut may lose it."""
        metric = Metric(name=name, value=round(value, 3), unit=unit, tags=dict(tags))
        self._writer.append(metric, durable=False)

    def _drive(self) -> None:
        log.info(
            "attempt begins", images=len(self.job.tasks), kept=self.job.kept, concurrency=self.job.concurrency
        )
        try:
            asyncio.run(self._attempt())
        except PosegenError as exc:
            self.error = self._stale() or exc
        except Exception as exc:
            log.exception("the engine failed")
            self.error = PosegenError(f"the engine failed: {type(exc).__name__}: {exc}")
        finally:
            if self.error is not None:
                log.error("attempt failed: %s", self.error, error=type(self.error).__name__)
            self._progress = replace(self._progress, elapsed_s=self._elapsed_s())
            self._cpu.shutdown(wait=False, cancel_futures=True)
            self._io.shutdown(wait=False, cancel_futures=True)
            self.measuring.close()
            self._at_end()
            self._finished.set()

    def _stale(self) -> StaleAttemptError | None:
        """Return what is wrong if another process has taken the run over; nothing of ours counts any more."""
        attempt = self._writer.number
        if not superseded(self.job.folder, attempt):
            return None
        return StaleAttemptError(self.job.run_id, attempt=attempt, newest=attempt + 1)

    async def _attempt(self) -> None:
        """Work through the queue, then settle and journal how it ended."""
        try:
            await self._work()
            outcome = self._outcome()
            if outcome == "finished" and self._settle is not None:
                await self.on_io(self._settle)
            await self._journal(AttemptFinished(outcome=outcome))
            reach("attempt_finished")
            log.info(
                "attempt ended: %s",
                outcome,
                made=self._progress.made,
                failed=self._progress.failed,
                why=self.stop_reason,
            )
        finally:
            if self._http is not None:
                await self._http.aclose()
            with contextlib.suppress(PosegenError):
                await asyncio.to_thread(self._writer.close)
            if self._stale() is None:  # else it is meant for whoever has the run now
                remove(self.job.folder / STOP_FILE)

    def _outcome(self) -> str:
        if self.stop_reason:
            return "interrupted"
        return "waiting" if self._progress.waiting else "finished"

    async def _work(self) -> None:
        if self._queue or self.job.unmeasured:
            await self._look()  # so that what is to stop at once begins nothing
        if self.job.unwanted:
            await self.on_io(lambda: drop(self.job.unwanted, self._storage))
        makers = self._makers()
        posed = sum(task.pose is not None for task in self.job.tasks)
        measurers = self.measuring.start(self.job.unmeasured, posed)
        watcher = asyncio.create_task(self._watch())
        left = await self._follow(makers, measurers)
        for one in (*left, watcher):
            one.cancel()
        await asyncio.gather(*left, watcher, return_exceptions=True)
        if self.error is not None:
            raise self.error
        await self._tell()

    def _makers(self) -> set[asyncio.Task[None]]:
        """Begin to make images.

        Those beyond the concurrency prepare the next images and store the last ones: as many as may leave the
        backend at one moment. With 1, one follows the other.
        """
        most = self.job.concurrency
        beside = min(most, MOST_PREPARED) + self.settings.cpu_threads if most > 1 else 0
        return {asyncio.create_task(self._worker()) for _ in range(min(most + beside, len(self._queue)))}

    async def _follow(
        self, makers: set[asyncio.Task[None]], measurers: list[asyncio.Task[None]]
    ) -> set[asyncio.Task[None]]:
        """Wait for the end of all; return what is left when the time for what was in flight is over."""
        pending = {*makers, *measurers}
        while pending:
            if pending.isdisjoint(makers):
                self._measure_the_rest()
            done, pending = await asyncio.wait(pending, timeout=0.05, return_when=asyncio.FIRST_EXCEPTION)
            for one in done:
                self._fail(one.exception())
            if self.error is None:  # before the drain: it may be cut short
                await self._tell()
            if self._drain_until is not None and time.monotonic() > self._drain_until:
                break
        return pending

    async def _tell(self) -> None:
        """Journal that the attempt was told to stop, once."""
        if self.stop_reason and not self._told:
            self._told = True
            await self._journal(Interrupted(reason=self.stop_reason))

    def _measure_the_rest(self) -> None:
        self.measuring.no_more()
        if self.measuring.behind:
            self._progress = replace(self._progress, latest=f"{self.measuring.behind} left to measure")

    def _fail(self, error: BaseException | None) -> None:
        """Remember what ends the whole attempt (a full disk, a lost journal) and start nothing more."""
        if error is None:
            return
        known = error if isinstance(error, PosegenError) else PosegenError(f"{type(error).__name__}: {error}")
        self.error = self.error or known
        self.stop(str(known))

    async def _watch(self) -> None:
        """Look for reasons to stop: the stop file, and whatever `stop_if` finds."""
        while True:  # also after a first reason: a later one may leave less time
            await asyncio.sleep(STOP_POLL_S)
            await self._look()

    async def _look(self) -> None:
        if await self.on_io((self.job.folder / STOP_FILE).exists):
            self.stop("asked to stop")
        found = await self.on_io(self._stop_if)
        if found is not None:
            self.stop(found)

    async def _worker(self) -> None:
        while self._queue and self.stop_reason is None:
            work = self._queue.popleft()
            with bound_to(work.task if isinstance(work, ExportJob) else work):
                if isinstance(work, ExportJob):
                    await self._export_measured(work)
                else:
                    await self._one(work)

    async def _one(self, task: ImageTask) -> None:
        """Obtain one image and journal how that went. A failing image never stops the others."""
        reach("task_taken")
        try:
            accepted = await self._accepted(task)
        except (StorageError, JournalError):
            raise
        except NotStartedError:
            return
        except BackendUnavailableError as exc:  # all others would meet the same: they wait for better days
            self.stop(str(exc), drain_s=NOT_CUT_SHORT_S)
            self._progress = replace(self._progress, latest=str(exc))
            return
        except OutcomeUnknownError as exc:
            event = TaskUnknown(task_id=task.task_id, reason=str(exc), request_id=exc.request_id)
            await self._journal(event)
            self._count("waiting", task, "waits for a person's word")
            return
        except Exception as exc:  # noqa: BLE001  (whatever it is, the other images go on)
            failed = failed_event(task.task_id, exc, self._price)
            log.warning("%s failed: %s %s", task.task_id, failed.code, failed.message, backend=task.backend)
            await self._journal(failed)
            reach("task_failed_journalled")
            self._count("failed", task, f"failed: {failed.code}")
            return
        record, how = accepted.record, accepted.how
        if accepted.measured is not None:  # first, so that an accepted image is never one without figures
            await self.measuring.keep(accepted.measured)
        await self._journal(ImageAdopted(record=record) if how == "adopted" else ImageStored(record=record))
        reach("image_journalled")
        self.records[record.task_id] = record
        log.info("%s in %.0f ms", how, record.duration_ms, backend=task.backend, stage_ms=record.stage_ms)
        self._count(how, task, f"{record.duration_ms / 1000:.2f} s" if how == "made" else how)
        if accepted.measured is None:
            self.measuring.later(task, record)
        if self.job.gate is not None and not self.job.gate.keep_rejected:
            await self.on_io(lambda: drop(accepted.others, self._storage))
        await self._export_measured(ExportJob(task, record, self.job.formats))
        reach("exports_made")

    async def _accepted(self, task: ImageTask) -> Accepted:
        """Return the task's image: the first that can be had, or the one that passes the gate."""
        if self.job.gate is None or task.pose is None:
            return Accepted(*await self._obtain(task))
        keeper = GateKeeper(self.job.gate, self.measuring, self._journal, self._stopping, self._say)
        return await keeper.best_of(task, self._obtain)

    async def _obtain(self, task: ImageTask) -> tuple[ImageRecord, How]:
        submissions = self.job.submissions.get(task.task_id, ())
        earlier = Earlier(self.job.may_be_stored, submissions, self.job.policy)
        backend, pools = self._backend(task.backend), TaskPools(self, task)
        return await obtain_image(self.job.run_id, task, backend, self._storage, pools, earlier)

    async def _export_measured(self, job: ExportJob) -> None:
        """Make the exports of an image once it has been measured: what is found says where the figure is."""
        if not job.formats:
            return
        if await self.measuring.settled(job.task):
            found = self.measuring.results.get(job.task.task_id, job.measurement)
            await self._export(replace(job, measurement=found))

    async def _export(self, job: ExportJob) -> None:
        """Make the exports of a journalled image; one that fails is journalled and stops nothing."""
        if not job.formats:
            return
        pools = TaskPools(self, job.task)
        outcome = await make_exports(self.job.run_id, job, self._storage, pools, self._journal)
        note = f"{outcome.made} exports" + (f", {outcome.failed} failed" if outcome.failed else "")
        self._say(job.task, note)

    def _backend(self, name: str) -> Backend:
        if name not in self._backends:
            self._backends[name] = get_backend(name)
        return self._backends[name]

    def _stopping(self) -> bool:
        return self.stop_reason is not None

    def _say(self, task: ImageTask, note: str) -> None:
        self._progress = replace(self._progress, latest=f"{task.pose_id or 'text'} {note}")

    def _count(self, what: str, task: ImageTask, note: str) -> None:
        latest = f"{task.pose_id or 'text'} {note}"
        self._progress = replace(
            self._progress, **{what: getattr(self._progress, what) + 1, "latest": latest}
        )

    async def journal_submitted(self, task: ImageTask, request_id: str) -> None:
        """Journal a provider's request id."""
        await self._journal(TaskSubmitted(task_id=task.task_id, request_id=request_id))
        reach("task_submitted")

    async def journal_withdrawn(self, task: ImageTask, reason: str) -> None:
        """Journal that the provider did not take what was sent."""
        await self._journal(TaskWithdrawn(task_id=task.task_id, reason=reason))

    def show_share(self, task: ImageTask, share: float) -> None:
        """Show how far one image is."""
        self._say(task, f"{min(max(share, 0.0), 1.0):.0%}")

    @property
    def http(self) -> Client:
        """The client for all requests of this attempt, made when first asked for."""
        self._http = self._http or Client(self.settings)
        return self._http

    async def _journal(self, event: Event) -> None:
        await asyncio.wrap_future(self._writer.append(event))

    def on_cpu(self, work: Callable[[], T]) -> Awaitable[T]:
        """Run `work` on the pool for computing."""
        return self._on(self._cpu, work)

    def on_io(self, work: Callable[[], T]) -> Awaitable[T]:
        """Run `work` on the pool for blocking input and output."""
        return self._on(self._io, work)

    def _on(self, pool: ThreadPoolExecutor, work: Callable[[], T]) -> Awaitable[T]:
        context = contextvars.copy_context()  # so that what the thread measures reaches this run's sink
        loop = asyncio.get_running_loop()
        try:
            return loop.run_in_executor(pool, context.run, work)
        except RuntimeError:  # the process is ending: that is a cut-off, and no failure of any image
            self.stop(PROCESS_ENDED, drain_s=0.0)
            return loop.create_future()  # never done; cancelled with the rest
