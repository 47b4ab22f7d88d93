"""The exports of a stored image: crop round its figure, encode for each format, store and journal."""

from __future__ import annotations

import asyncio
import hashlib
from collections import defaultdict
from collections.abc import Awaitable, Callable, Coroutine, Iterable
from dataclasses import dataclass
from typing import NamedTuple, TypeVar

from posegen.errors import ObjectNotFoundError, PosegenError, StorageError, StorageFullError
from posegen.exports.crop import Figure, choose_crop
from posegen.exports.formats import ExportFormat, load_formats
from posegen.exports.render import ByteLimitError, Rendered, Renderer
from posegen.failpoints import reach
from posegen.images import digital_source_type_xmp, read_picture
from posegen.images.metadata import RECIPE_KEY
from posegen.journal import Event, ExportFailed, ImageExported, RunState
from posegen.pipeline.figure_place import figure_keypoints, figure_of
from posegen.pipeline.steps import Pools
from posegen.records import ImageRecord, ImageTask, Measurement
from posegen.storage import Storage, StoredObject, export_key
from posegen.telemetry import logger, measure

T = TypeVar("T")

log = logger("export")

Journal = Callable[[Event], Awaitable[None]]

_AT_ONCE = 4
"""Exports of one image under way at a time: some are computed while others are stored."""


@dataclass(frozen=True)
class ExportJob:
    """An image that is stored, and the formats it is wanted in.

    Attributes
    ----------
    formats : tuple of str
        Names, each once.
    measurement : Measurement or None
        What was found in the image, if it was measured.
    """

    task: ImageTask
    record: ImageRecord
    formats: tuple[str, ...]
    measurement: Measurement | None = None


@dataclass(frozen=True)
class Source:
    """A stored image, read once for all its formats.

    Attributes
    ----------
    size : (int, int)
        Width and height in pixels.
    figure : Figure or None
        Where the figure is, if that is known.
    renderer : Renderer
        Makes each size once: three platforms want the same 1080x1920.
    """

    size: tuple[int, int]
    sha256: str
    figure: Figure | None
    renderer: Renderer


class Outcome(NamedTuple):
    """Exports made and failed."""

    made: int
    failures: tuple[ExportFailed, ...] = ()

    @property
    def failed(self) -> int:
        """How many could not be made."""
        return len(self.failures)


class ExportError(PosegenError):
    """An export cannot be made; carries the code that is journalled."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


def missing_exports(state: RunState, formats: Iterable[str]) -> tuple[ExportJob, ...]:
    """Return what is still to export of the images a run has journalled, in the plan's order.

    An export that failed counts as missing: it costs nothing to try again.
    """
    wanted = tuple(dict.fromkeys(formats))
    jobs = []
    for task in state.tasks:
        record = state.records.get(task.task_id)
        made = state.exports.get(task.task_id, {})
        left = tuple(name for name in wanted if name not in made)
        if record is not None and left:
            jobs.append(ExportJob(task, record, left, state.measurements.get(task.task_id)))
    return tuple(jobs)


async def make_exports(
    run_id: str, job: ExportJob, storage: Storage, pools: Pools, journal: Journal
) -> Outcome:
    """Make, store and journal the exports of one image, several at a time.

    What goes wrong with one is journalled; the image and the other formats stay as they are.

    Raises
    ------
    StorageFullError
        The disk is full: no export or image after this one would fare better.
    JournalError
        The journal cannot be written.
    """
    formats = load_formats(pools.settings.export_formats)
    try:
        source = await _open(job, storage, pools)
    except StorageFullError:
        raise
    except Exception as exc:  # noqa: BLE001  (whatever it is, the image stays)
        failures = [_failed(job.task, name, exc) for name in job.formats]
        for failure in failures:
            await journal(failure)
        return Outcome(0, tuple(failures))
    places = asyncio.Semaphore(_AT_ONCE)
    # Formats of one size share pixels: who would only wait for them waits here, and keeps no thread busy.
    turns: defaultdict[tuple[int, int], asyncio.Lock] = defaultdict(asyncio.Lock)

    async def one(export_format: ExportFormat) -> ExportFailed | None:
        async with turns[export_format.width, export_format.height], places:
            event: ImageExported | ExportFailed
            try:
                with measure("export.make", format=export_format.name):
                    event = await _export(run_id, job.task, export_format, source, storage, pools)
                reach("export_stored")
            except StorageFullError:
                raise
            except Exception as exc:  # noqa: BLE001  (the same)
                event = _failed(job.task, export_format.name, exc)
            await journal(event)
            reach("export_journalled")
            return event if isinstance(event, ExportFailed) else None

    # The largest first, so that no thread is left alone with one at the end.
    wanted = sorted((formats[name] for name in job.formats), key=lambda f: -f.width * f.height)
    results = await _all(one(export_format) for export_format in wanted)
    failed = tuple(failure for failure in results if failure is not None)
    return Outcome(len(job.formats) - len(failed), failed)


async def _all(work: Iterable[Coroutine[None, None, T]]) -> list[T]:
    """Return what all return; the first error ends the others and is raised."""
    tasks = [asyncio.ensure_future(one) for one in work]
    try:
        return await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _export(
    run_id: str, task: ImageTask, export_format: ExportFormat, source: Source, storage: Storage, pools: Pools
) -> ImageExported:
    key = export_key(run_id, export_format.name, task.task_id, export_format.extension)
    made = await pools.on_cpu(lambda: _rendered(source, export_format))
    stored = await pools.on_io(lambda: _put(storage, key, made.data, export_format))
    return ImageExported(
        task_id=task.task_id,
        format=export_format.name,
        key=key,
        sha256=stored.sha256,
        size_bytes=stored.size,
        width=export_format.width,
        height=export_format.height,
        rule=export_format.rule,
        source_sha256=source.sha256,
        quality=made.quality,
        notes=made.notes,
    )


def _put(storage: Storage, key: str, data: bytes, export_format: ExportFormat) -> StoredObject:
    # Replaces what is there: an export is made from its image, and the newest rules count.
    return storage.put(key, data, content_type=export_format.content_type)


def _rendered(source: Source, export_format: ExportFormat) -> Rendered:
    size = (export_format.width, export_format.height)
    crop = choose_crop(source.size, size, source.figure, safe_area=export_format.safe_area)
    return source.renderer.render(crop, export_format)


async def _open(job: ExportJob, storage: Storage, pools: Pools) -> Source:
    """Read a stored image, make sure it is the one that was journalled, and find its figure."""
    record = job.record
    try:
        data = await pools.on_io(lambda: storage.get(record.key))
    except ObjectNotFoundError as exc:
        raise ExportError("SOURCE_MISSING", f"the image is gone: {exc}") from exc
    return await pools.on_cpu(lambda: _source(job, data))


def _source(job: ExportJob, data: bytes) -> Source:
    if hashlib.sha256(data).hexdigest() != job.record.sha256:
        raise ExportError("SOURCE_CHANGED", f"{job.record.key!r} is not the image that was journalled")
    pixels, metadata = read_picture(data)
    figure = figure_of(job.task, job.record, pixels, figure_keypoints(job.task, job.record, job.measurement))
    return Source(
        size=(pixels.shape[1], pixels.shape[0]),
        sha256=job.record.sha256,
        figure=figure,
        renderer=Renderer(
            pixels,
            avoid=None if figure is None else figure.silhouette,
            parameters=metadata.parameters or "",
            recipe=metadata.text.get(RECIPE_KEY, ""),
            xmp=digital_source_type_xmp("rendered" if job.record.synthetic else "generated"),
        ),
    )


def _failed(task: ImageTask, format_name: str, error: Exception) -> ExportFailed:
    if isinstance(error, ExportError):
        code, message = error.code, str(error)
    elif isinstance(error, ByteLimitError):
        code, message = "BYTE_LIMIT", str(error)
    elif isinstance(error, StorageError):
        code, message = "STORAGE_ERROR", str(error)
    else:
        code, message = "EXPORT_ERROR", f"{type(error).__name__}: {error}"
    log.warning("%s as %s failed: %s %s", task.task_id, format_name, code, message)
    return ExportFailed(task_id=task.task_id, format=format_name, code=code, message=message)
