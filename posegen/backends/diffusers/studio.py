"""One thread for all work with models: orders queue up, and equal ones are made in one call.

Two images never compete for the GPU, what is loaded is touched by one thread only, and no event loop waits.
"""

from __future__ import annotations

import atexit
import threading
import time
from collections import deque
from collections.abc import Callable, Hashable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Generic, TypeVar

S = TypeVar("S", bound=Hashable)
W = TypeVar("W")
R = TypeVar("R")

GATHER_S = 0.3
"""How long a batch that is not full waits for more; next to the seconds of an image it is little."""

LEAVE_S = 5.0
"""How long the end of the process waits for the step that is being computed."""


class AbandonedError(Exception):
    """Nobody waits for what is being made any more."""


@dataclass(eq=False)
class Order(Generic[S, W, R]):
    """One image that somebody waits for.

    Attributes
    ----------
    settings : hashable
        Orders with equal ones may be made together.
    wanted : object
        What is this image's own.
    at_most : int
        How many may be made together.
    progressed : callable
        Told the share that is done, from 0 to 1, in the studio's thread.
    """

    settings: S
    wanted: W
    at_most: int = 1
    progressed: Callable[[float], None] = lambda _: None
    future: Future[R] = field(default_factory=Future)
    abandoned: threading.Event = field(default_factory=threading.Event)


Make = Callable[[S, Sequence[W], Callable[[float], None]], Sequence[R | Exception]]
"""Makes a batch: settings, what is wanted, and what to call after each step (it may raise)."""


class Studio(Generic[S, W, R]):
    """A queue of orders and the thread that works them off.

    Parameters
    ----------
    make : callable
        Makes one batch; an error of one image is returned in its place, an error of all is raised.
    gather_s : float
        How long a batch that is not full waits for more.
    """

    def __init__(self, make: Make[S, W, R], *, gather_s: float = GATHER_S) -> None:
        self._make = make
        self._gather_s = gather_s
        self._queue: deque[Order[S, W, R]] = deque()
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None
        self._at_work: Sequence[Order[S, W, R]] = ()
        self._closing = False

    def place(self, order: Order[S, W, R]) -> None:
        """Put an order into the queue; its future gets the result."""
        with self._changed:
            self._queue.append(order)
            if self._thread is None:
                # A daemon: a step on a CPU takes minutes, and the end of Python must not wait for it.
                self._thread = threading.Thread(target=self._work, name="posegen-diffusers", daemon=True)
                self._thread.start()
                atexit.register(self.close)
            self._changed.notify_all()

    def close(self, timeout_s: float = LEAVE_S) -> bool:
        """Let go of all orders and end the thread; return whether it has ended in time."""
        with self._changed:
            self._closing = True
            for order in (*self._queue, *self._at_work):
                order.abandoned.set()
                order.future.cancel()
            self._changed.notify_all()
        if self._thread is not None:
            self._thread.join(timeout_s)
        return self._thread is None or not self._thread.is_alive()

    def _work(self) -> None:
        while not self._closing:
            self._work_once()

    def _work_once(self) -> None:
        batch = self._next_batch()
        if batch:
            self._at_work = batch
            self._finish(batch)
            self._at_work = ()

    def _next_batch(self) -> list[Order[S, W, R]]:
        """Wait for an order; return it with the equal ones that came before it or come soon after."""
        with self._changed:
            self._changed.wait_for(lambda: self._queue or self._closing)
            if self._closing:
                return []
            first = self._queue[0]
            until = time.monotonic() + self._gather_s
            while len(batch := self._like(first)) < first.at_most:
                left_s = until - time.monotonic()
                if left_s <= 0 or first.abandoned.is_set() or self._closing:
                    break
                self._changed.wait(left_s)
            for order in batch:
                self._queue.remove(order)
        return [order for order in batch if order.future.set_running_or_notify_cancel()]

    def _like(self, first: Order[S, W, R]) -> list[Order[S, W, R]]:
        return [order for order in self._queue if order.settings == first.settings][: first.at_most]

    def _finish(self, batch: Sequence[Order[S, W, R]]) -> None:
        def stepped(share: float) -> None:
            if all(order.abandoned.is_set() for order in batch):
                raise AbandonedError
            for order in batch:
                order.progressed(share)

        try:
            stepped(0.0)
            results = self._make(batch[0].settings, [order.wanted for order in batch], stepped)
        except Exception as exc:  # noqa: BLE001  (whatever it is, those who wait hear of it)
            results = [exc] * len(batch)
        for order, result in zip(batch, results, strict=True):
            if isinstance(result, Exception):
                order.future.set_exception(result)
            else:
                order.future.set_result(result)
