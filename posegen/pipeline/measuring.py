"""Measures a run's images beside their making: in turn, in processes of its own, and never in their way."""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from posegen.accuracy.process import EstimatorPool
from posegen.journal import Event, ImageMeasured, MeasureFailed
from posegen.pipeline.measure_step import Outcome, measure_failed, measured
from posegen.pipeline.task_pools import bound_to
from posegen.records import ImageRecord, ImageTask, Measurement
from posegen.storage import Storage
from posegen.telemetry import timed

T = TypeVar("T")

MOST_PROCESSES = 16
"""Threads that wait for estimators; the pool decides how many work."""


class Measuring:
    """The images of a run that wait to be measured.

    Parameters
    ----------
    pool : EstimatorPool or None
        None measures nothing.
    storage : Storage
    journal : callable
        Journals an event.
    stopping : callable
        Says whether the run was told to stop: what still waits is left to the next attempt.
    """

    def __init__(
        self,
        pool: EstimatorPool | None,
        storage: Storage,
        journal: Callable[[Event], Awaitable[None]],
        stopping: Callable[[], bool],
    ) -> None:
        self._pool, self._storage, self._journal, self._stopping = pool, storage, journal, stopping
        self._waiting: asyncio.Queue[tuple[ImageTask, ImageRecord] | None] = asyncio.Queue()
        most = min(pool.most, MOST_PROCESSES) if pool is not None else 0
        self._threads = ThreadPoolExecutor(max(1, most), thread_name_prefix="posegen-measure")
        self._consumers = most
        self._behind = self._at_work = 0
        self._settled: dict[str, asyncio.Event] = {}
        self._broken: Exception | None = None
        self.results: dict[str, Measurement | None] = {}

    @property
    def on(self) -> bool:
        """Whether images are measured."""
        return self._pool is not None

    @property
    def behind(self) -> int:
        """Images that wait to be measured."""
        return self._behind

    def start(self, before: Sequence[tuple[ImageTask, ImageRecord]], coming: int) -> list[asyncio.Task[None]]:
        """Begin, with images that earlier attempts left; return what works until `no_more`.

        Parameters
        ----------
        before : sequence of (ImageTask, ImageRecord)
        coming : int
            Images with a pose that are still to make: the model is loaded meanwhile.
        """
        for task, record in before:
            self.later(task, record)
        if not before and not coming:
            return []
        return [asyncio.create_task(self._consume()) for _ in range(self._consumers)]

    def later(self, task: ImageTask, record: ImageRecord) -> None:
        """Measure an image when its turn comes, and journal that."""
        if self.on and task.pose is not None:
            self._behind += 1
            self._settled[task.task_id] = asyncio.Event()
            self._waiting.put_nowait((task, record))

    async def settled(self, task: ImageTask) -> bool:
        """Wait until an image has had its turn; return whether it had, or was never to have one."""
        waited = task.task_id in self._settled
        if waited:
            await self._settled[task.task_id].wait()
        return not waited or task.task_id in self.results

    def no_more(self) -> None:
        """Say that no further image will come; said once, however often it is called."""
        left, self._consumers = self._consumers, 0
        for _ in range(left):
            self._waiting.put_nowait(None)

    def close(self) -> None:
        """Let the threads go; one that still waits for an estimator would keep the process from its end."""
        self._threads.shutdown(wait=False, cancel_futures=True)
        if self._at_work and self._pool is not None:
            self._pool.give_up()

    async def now(self, task: ImageTask, record: ImageRecord) -> Outcome:
        """Measure an image, and journal nothing."""
        pool = self._pool
        if pool is None:
            return MeasureFailed(task_id=task.task_id, code="NO_ESTIMATOR", message="nothing measures")
        await self._open(pool)
        if self._broken is not None:  # it would be no better now, and every try takes seconds
            return measure_failed(task, self._broken)
        loop = asyncio.get_running_loop()
        try:
            with timed("accuracy.measure"):
                context = contextvars.copy_context()
                return await loop.run_in_executor(
                    self._threads,
                    context.run,
                    lambda: self._working(
                        lambda: measured(task, record, self._storage.get(record.key), pool)
                    ),
                )
        except Exception as exc:  # noqa: BLE001  (whatever it is, the image is there and stays)
            return measure_failed(task, exc)

    def _working(self, work: Callable[[], T]) -> T:
        """Do what waits for an estimator, in a thread."""
        self._at_work += 1
        try:
            return work()
        finally:
            self._at_work -= 1

    async def keep(self, outcome: Outcome) -> None:
        """Journal what was measured of an image."""
        await self._journal(outcome)
        found = outcome.measurement if isinstance(outcome, ImageMeasured) else None
        self.results[outcome.task_id] = found

    async def _open(self, pool: EstimatorPool) -> None:
        if self._broken is None:
            try:
                loop = asyncio.get_running_loop()
                await loop.run_in_executor(self._threads, lambda: self._working(pool.open))
            except Exception as exc:  # noqa: BLE001  (whatever it is, images are made without it)
                self._broken = exc

    async def _consume(self) -> None:
        if self._pool is not None and not self._stopping():
            await self._open(self._pool)
        while (item := await self._waiting.get()) is not None:
            if not self._stopping():
                with bound_to(item[0]):
                    await self.keep(await self.now(*item))
            self._behind -= 1
            self._settled.pop(item[0].task_id).set()
