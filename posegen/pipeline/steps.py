"""One image from its task to its journal line: generate, encode, store."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AbstractAsyncContextManager, contextmanager
from dataclasses import dataclass, field
from typing import Protocol

import msgspec
import numpy as np
from numpy.typing import NDArray

from posegen.backends import Backend, GeneratedImage, ImageRequest, Workshop
from posegen.controlnet.draw import draw_map
from posegen.errors import ImageDataError, ObjectExistsError
from posegen.failpoints import reach
from posegen.images import (
    SourceKind,
    control_map_png,
    decode,
    digital_source_type_xmp,
    encode_png,
    png_text,
    read_metadata,
    thumbnail_jpeg,
)
from posegen.moderation import Moderation
from posegen.pipeline.control import control_target
from posegen.poses.library import Pose
from posegen.records import Conditioning, ImageRecord, ImageTask
from posegen.storage import Storage, control_map_key, image_key, thumbnail_key
from posegen.telemetry import timed

MADE_KEY = "posegen_made"
"""PNG text key of how the image was really made."""


class Pools(Workshop, Protocol):
    """Where work runs: the workshop a backend gets, and its turn at the backend."""

    @property
    def moderation(self) -> Moderation:
        """What prompts and images have to pass."""

    def slot(self) -> AbstractAsyncContextManager[None]:
        """Wait for one of the places at the backend, of which there are as many as the run's concurrency."""


class Made(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How an image was really made, kept in its PNG so that a stored image can be adopted after a crash."""

    conditioning: Conditioning
    model: str | None = None
    provider: str | None = None
    request_id: str | None = None
    cost_usd: float | None = None
    synthetic: bool = False
    notes: tuple[str, ...] = ()

    @classmethod
    def of(cls, generated: GeneratedImage) -> Made:
        """Return what `generated` says besides its pixels."""
        return cls(**{name: getattr(generated, name) for name in cls.__struct_fields__})


TIMINGS = {
    "control": "controlnet.map",
    "generate": "flux.generate",
    "screen": "moderation.screen",
    "encode": "images.encode",
    "thumbnail": "images.thumbnail",
    "store": "storage.put",
}
"""What each stage is called in logs and metrics."""


@dataclass
class Stopwatch:
    """Milliseconds by stage, adding up where a stage comes twice.

    They go into the image's record, which is the truth about them; logs get them too, and the journal those
    of a stage that raises.
    """

    backend: str
    stage_ms: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Count the time of the block for stage `name`."""
        started = time.perf_counter()
        try:
            with timed(TIMINGS[name], backend=self.backend):
                yield
        finally:
            spent = (time.perf_counter() - started) * 1000
            self.stage_ms[name] = round(self.stage_ms.get(name, 0.0) + spent, 2)


Generate = Callable[[ImageRequest], Awaitable[GeneratedImage]]


async def make_image(
    run_id: str, task: ImageTask, backend: Backend, storage: Storage, pools: Pools
) -> ImageRecord:
    """Make one image and store it; the image is durable when this returns.

    Raises
    ------
    BackendError
        The image could not be made, or screening withheld it.
    StorageError
        It could not be stored.
    """
    return await _store_from(run_id, task, storage, pools, lambda request: backend.generate(request, pools))


async def fetch_image(
    run_id: str, task: ImageTask, backend: Backend, storage: Storage, pools: Pools, request_id: str
) -> ImageRecord:
    """Fetch the result of an earlier request and store it, as `make_image`.

    Raises
    ------
    ResultGoneError
        The provider no longer has it.
    BackendError, StorageError
        As `make_image`.
    """
    return await _store_from(
        run_id, task, storage, pools, lambda request: backend.fetch(request, request_id, pools)
    )


async def _store_from(
    run_id: str, task: ImageTask, storage: Storage, pools: Pools, generate: Generate
) -> ImageRecord:
    started = time.perf_counter()
    watch = Stopwatch(task.backend)
    with watch.stage("control"):
        request = await pools.on_cpu(lambda: prepare(task))
        if request.control_map is not None and task.control_map_sha256 is not None:
            await _keep_control_map(request.control_map, task.control_map_sha256, storage, pools)
    async with pools.slot():  # drawing maps before it and encoding after it keep no place taken
        with watch.stage("generate"):
            generated = await generate(request)
    reach("image_generated")
    if pools.moderation.images is not None:
        with watch.stage("screen"):
            await pools.on_cpu(lambda: pools.moderation.check_image(task, generated.pixels))
    image, thumbnail = await pools.on_cpu(lambda: _encode(task, generated, watch))
    with watch.stage("store"):
        key, small_key = image_key(run_id, task.task_id), thumbnail_key(run_id, task.task_id)
        try:
            stored = await pools.on_io(
                lambda: storage.put(key, image, content_type="image/png", if_absent=True)
            )
        except ObjectExistsError:  # from an owner that this one took over from, or that took over from it
            there = await adopt_image(run_id, task, storage, pools)
            if there is None:
                raise
            return there
        reach("image_stored")
        # After the image: whoever was late with that must not put another picture's thumbnail beside it.
        await pools.on_io(lambda: storage.put(small_key, thumbnail, content_type="image/jpeg"))
    reach("thumbnail_stored")
    height, width = generated.pixels.shape[:2]
    return ImageRecord(
        task_id=task.task_id,
        key=key,
        thumbnail_key=small_key,
        sha256=stored.sha256,
        size_bytes=stored.size,
        thumbnail_bytes=len(thumbnail),
        width=width,
        height=height,
        duration_ms=round((time.perf_counter() - started) * 1000, 2),
        stage_ms=watch.stage_ms,
        **msgspec.structs.asdict(Made.of(generated)),
    )


def prepare(task: ImageTask) -> ImageRequest:
    """Return the request for a backend: the task with its control keypoints and map drawn."""
    if task.conditioning != "control" or task.pose is None:
        return ImageRequest(task)
    pose = Pose.from_content(task.pose)
    keypoints = control_target(pose, task.view, task.width, task.height)
    drawn = draw_map(keypoints, task.width, task.height, stick_scale=task.stick_scale)
    return ImageRequest(task, keypoints, drawn)


def _encode(task: ImageTask, generated: GeneratedImage, watch: Stopwatch) -> tuple[bytes, bytes]:
    """Return the PNG with its metadata, and the thumbnail."""
    text = png_text(task, model=generated.model)
    text[MADE_KEY] = msgspec.json.encode(Made.of(generated)).decode()
    kind: SourceKind = "rendered" if generated.synthetic else "generated"
    with watch.stage("encode"):
        image = encode_png(generated.pixels, text=text, xmp=digital_source_type_xmp(kind))
    with watch.stage("thumbnail"):
        thumbnail = thumbnail_jpeg(generated.pixels)
    return image, thumbnail


async def _keep_control_map(pixels: NDArray[np.uint8], sha256: str, storage: Storage, pools: Pools) -> None:
    key = control_map_key(sha256)
    if await pools.on_io(lambda: storage.exists(key)):
        return
    data = await pools.on_cpu(lambda: control_map_png(pixels))
    await pools.on_io(lambda: storage.put(key, data, content_type="image/png"))


async def adopt_image(run_id: str, task: ImageTask, storage: Storage, pools: Pools) -> ImageRecord | None:
    """Return the record of an image stored before a crash and not journalled, if there is one.

    A stored object counts only if it decodes and its own recipe is this task's; any other is removed.
    """
    key, small_key = image_key(run_id, task.task_id), thumbnail_key(run_id, task.task_id)
    if not await pools.on_io(lambda: storage.exists(key)):
        return None
    data = await pools.on_io(lambda: storage.get(key))
    found = await pools.on_cpu(lambda: _readable(data, task))
    if found is None:
        await pools.on_io(lambda: storage.delete(key))
        return None
    made, pixels = found
    thumbnail = await pools.on_cpu(lambda: thumbnail_jpeg(pixels))
    await pools.on_io(lambda: storage.put(small_key, thumbnail, content_type="image/jpeg"))
    return ImageRecord(
        task_id=task.task_id,
        key=key,
        thumbnail_key=small_key,
        sha256=hashlib.sha256(data).hexdigest(),
        size_bytes=len(data),
        thumbnail_bytes=len(thumbnail),
        width=pixels.shape[1],
        height=pixels.shape[0],
        duration_ms=0.0,
        **msgspec.structs.asdict(made),
    )


def _readable(data: bytes, task: ImageTask) -> tuple[Made, NDArray[np.uint8]] | None:
    """Return what a stored PNG of this very task says of itself, and its pixels."""
    try:
        metadata = read_metadata(data)
        if metadata.recipe is None or metadata.recipe.task.task_id != task.task_id:
            return None
        made = msgspec.json.decode(metadata.text[MADE_KEY], type=Made)
        return made, decode(data)
    except (ImageDataError, KeyError, msgspec.DecodeError):
        return None
