"""Drives an attempt that makes exports: the run's engine without images to make."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from posegen.journal import ExportFailed, SegmentWriter
from posegen.pipeline.engine import Engine
from posegen.pipeline.export_step import ExportJob, make_exports
from posegen.pipeline.job import Job
from posegen.pipeline.progress import Progress, duration
from posegen.pipeline.task_pools import TaskPools
from posegen.settings import Settings
from posegen.storage import Storage


@dataclass(frozen=True)
class ExportProgress(Progress):
    """A moment of making exports, or of what is made of them; counts these in place of images."""

    unit: str = "exports"

    def line(self) -> str:
        """Return the moment as one line of text."""
        parts = [f"{self.done:,}/{self.planned:,} {self.unit}"]
        if self.failed:
            parts.append(f"{self.failed:,} failed")
        if self.images_per_s:
            parts.append(f"{self.images_per_s:.1f}/s")
        if self.left_s and self.done < self.planned:
            parts.append(f"about {duration(self.left_s)} left")
        return ", ".join(parts) + (f" | {self.latest}" if self.latest else "")


class ExportEngine(Engine):
    """Makes the exports of images that are there, and holds no credits.

    Attributes
    ----------
    made : int
        Exports made and journalled.
    failures : list of ExportFailed
        Those that could not be made, journalled too.
    """

    def __init__(
        self,
        job: Job,
        storage: Storage,
        writer: SegmentWriter,
        settings: Settings,
        *,
        stop_if: Callable[[], str | None],
        at_end: Callable[[], None],
    ) -> None:
        super().__init__(job, storage, writer, settings, stop_if=stop_if, at_end=at_end)
        self.made = 0
        self.failures: list[ExportFailed] = []
        self._progress = ExportProgress(planned=sum(len(one.formats) for one in job.unexported))

    async def _export(self, job: ExportJob) -> None:
        pools = TaskPools(self, job.task)
        outcome = await make_exports(self.job.run_id, job, self._storage, pools, self._journal)
        self.made += outcome.made
        self.failures += outcome.failures
        said = job.task.pose_id or "text"
        self._progress = replace(self._progress, made=self.made, failed=len(self.failures), latest=said)
