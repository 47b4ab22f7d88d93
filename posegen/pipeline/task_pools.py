"""The engine as one task sees it: the workshop that its backend gets."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractContextManager, asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeVar

from posegen.errors import BackendError, ImageWithheldError, OutcomeUnknownError
from posegen.http import Client
from posegen.moderation import Moderation
from posegen.records import ImageTask
from posegen.settings import Settings
from posegen.telemetry import bound, measure

if TYPE_CHECKING:
    from posegen.pipeline.engine import Engine

T = TypeVar("T")


def bound_to(task: ImageTask) -> AbstractContextManager[None]:
    """Bind a task to every log line of the block, and mask its prompts there."""
    return bound(task=task.task_id, prompts=(task.prompt, task.user_prompt, task.negative_prompt))


class NotStartedError(Exception):
    """The attempt was told to stop before this image was begun."""


@dataclass
class Place:
    """A place at the backend: taken or not."""

    taken: bool = False


@dataclass(frozen=True)
class TaskPools:
    """The engine's pools as one task sees them."""

    engine: Engine
    task: ImageTask
    _place: Place = field(default_factory=Place)

    @property
    def settings(self) -> Settings:
        """Keys, addresses and limits."""
        return self.engine.settings

    @property
    def http(self) -> Client:
        """The client for all requests."""
        return self.engine.http

    @property
    def moderation(self) -> Moderation:
        """What prompts and images have to pass."""
        return self.engine.moderation

    @asynccontextmanager
    async def slot(self) -> AsyncIterator[None]:
        """Hold one of the places at the backend, until `served` or the end of the block.

        Raises
        ------
        NotStartedError
            The attempt was told to stop while this image waited for a place.
        """
        with measure("worker.queue_wait", backend=self.task.backend):
            await self.engine.places.acquire()
        self._place.taken = True
        try:
            if self.engine.stop_reason is not None:
                raise NotStartedError
            yield
        finally:
            self.served()

    def served(self) -> None:
        """Give the place at the backend back, if there is one."""
        if self._place.taken:
            self._place.taken = False
            self.engine.places.release()

    def progressed(self, share: float) -> None:
        """Show how far this image is."""
        self.engine.show_share(self.task, share)

    async def buy(self, send: Callable[[], Awaitable[T]], /) -> T:
        """Send a request that costs money; journalled before, and after if the provider did not take it.

        Raises
        ------
        NotStartedError
            The attempt was told to stop while this request waited for its turn at the provider.
        """
        if self.engine.stop_reason is not None:
            raise NotStartedError
        await self.submitted("")
        try:
            return await send()
        except (OutcomeUnknownError, ImageWithheldError):  # a flagged image was made, and charged
            raise
        except BackendError as exc:
            await self.engine.journal_withdrawn(self.task, str(exc))
            raise

    def on_cpu(self, work: Callable[[], T]) -> Awaitable[T]:
        """Run `work` on the pool for computing."""
        return self.engine.on_cpu(work)

    def on_io(self, work: Callable[[], T]) -> Awaitable[T]:
        """Run `work` on the pool for blocking input and output."""
        return self.engine.on_io(work)

    async def submitted(self, request_id: str) -> None:
        """Journal this task's request id."""
        await self.engine.journal_submitted(self.task, request_id)
