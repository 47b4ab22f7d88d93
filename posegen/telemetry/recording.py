"""Timings and metrics: logged, handed to the context's sink, and to OpenTelemetry where that is set up."""

from __future__ import annotations

import contextlib
import functools
import inspect
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from contextvars import ContextVar
from types import TracebackType
from typing import Any, ParamSpec, Protocol, Self, TypeVar, cast

from posegen.telemetry.logs import logger

P = ParamSpec("P")
T = TypeVar("T")

Tags = Mapping[str, str]
MetricSink = Callable[[str, float, str, Tags], None]

_sink: ContextVar[MetricSink | None] = ContextVar("posegen_metric_sink", default=None)


class Exporter(Protocol):
    """Where timings and metrics go besides: OpenTelemetry."""

    def span(self, name: str, tags: Tags) -> AbstractContextManager[None]:
        """Hold a span of this name open for the block; an exception of it is noted and passes."""

    def metric(self, name: str, value: float, unit: str, tags: Tags) -> None:
        """Take one measured value; never raises."""


_exporter: list[Exporter] = []


def export_to(exporter: Exporter | None) -> None:
    """Hand what this process times and records to `exporter` from here on; None ends that."""
    _exporter[:] = [] if exporter is None else [exporter]


@contextmanager
def recording_to(sink: MetricSink) -> Iterator[None]:
    """Send what is recorded in this context to `sink(name, value, unit, tags)`."""
    token = _sink.set(sink)
    try:
        yield
    finally:
        _sink.reset(token)


def record_metric(
    name: str, value: float, unit: str | Tags = "", tags: Tags | None = None, **more: str
) -> None:
    """Hand one measured value to the sink, if there is one; never raises.

    Parameters
    ----------
    name : str
        Component and what was measured: "flux.retries".
    value : float
    unit : str
        Such as "ms", "count", "bytes". What has none may have its tags in this place.
    tags, **more : mapping of str to str
        What to group by.
    """
    if not isinstance(unit, str):
        tags = {**unit, **(tags or {})}
        unit = ""
    every = {**(tags or {}), **more}
    _to_sink(name, value, unit, every)
    _to_exporter(name, value, unit, every)


def _to_sink(name: str, value: float, unit: str, tags: Tags) -> None:
    sink = _sink.get()
    if sink is not None:
        try:
            sink(name, value, unit, tags)
        except Exception as exc:  # noqa: BLE001  (a figure that is lost must not fail what it is of)
            logger("metrics").warning("%s could not be recorded: %s", name, type(exc).__name__)


def _to_exporter(name: str, value: float, unit: str, tags: Tags) -> None:
    for exporter in _exporter:
        with contextlib.suppress(Exception):  # the same
            exporter.metric(name, value, unit, tags)


class measure:  # noqa: N801  (used like a function, as contextlib.suppress is)
    """Log and record how long something took, in milliseconds, also when it raises.

    A context manager (`with` and `async with`) and a decorator of functions, of coroutine functions too. What
    raises is tagged `error` with the exception's class.

    Parameters
    ----------
    name : str
        Component and operation: "flux.generate completed in 15234 ms".
    tags, **more : mapping of str to str
        What to group by.

    Examples
    --------
    >>> seen = []
    >>> with recording_to(lambda name, value, unit, tags: seen.append((name, unit, tags))):
    ...     with measure("storage.put", mode="local"):
    ...         pass
    >>> seen
    [('storage.put', 'ms', {'mode': 'local'})]
    """

    always = True

    def __init__(self, name: str, tags: Tags | None = None, **more: str) -> None:
        self._name = name
        self._tags = {**(tags or {}), **more}
        self._open: list[tuple[float, contextlib.ExitStack]] = []

    def __enter__(self) -> Self:
        """Start the clock."""
        spans = contextlib.ExitStack()
        for exporter in _exporter:
            with contextlib.suppress(Exception):  # whatever it is, the work goes on
                spans.enter_context(exporter.span(self._name, self._tags))
        self._open.append((time.perf_counter(), spans))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop the clock and say what it shows."""
        started, spans = self._open.pop()
        elapsed_ms = (time.perf_counter() - started) * 1000
        spans.__exit__(kind, error, trace)
        tags = self._tags if kind is None else {**self._tags, "error": kind.__name__}
        if self.always or kind is not None:
            _to_sink(self._name, elapsed_ms, "ms", tags)
        _to_exporter(self._name, elapsed_ms, "ms", tags)
        component = self._name.partition(".")[0]
        how = "completed" if kind is None else f"failed ({kind.__name__})"
        logger(component).debug(
            "%s %s in %.0f ms", self._name, how, elapsed_ms, duration_ms=round(elapsed_ms, 2), **tags
        )

    async def __aenter__(self) -> Self:
        """Start the clock."""
        return self.__enter__()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop the clock and say what it shows."""
        self.__exit__(kind, error, trace)

    def __call__(self, function: Callable[P, T]) -> Callable[P, T]:
        """Return `function`, measured at every call.

        Raises
        ------
        TypeError
            It is a generator function: what its caller does between two values would be counted too.
        """
        if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
            raise TypeError(f"{function.__name__} is a generator: measure a block inside of it")
        anew = functools.partial(type(self), self._name, self._tags)
        if inspect.iscoroutinefunction(function):

            @functools.wraps(function)
            async def measured_coroutine(*args: Any, **kwargs: Any) -> Any:
                with anew():
                    return await function(*args, **kwargs)

            return cast("Callable[P, T]", measured_coroutine)

        @functools.wraps(function)
        def measured(*args: P.args, **kwargs: P.kwargs) -> T:
            with anew():
                return function(*args, **kwargs)

        return measured


class timed(measure):  # noqa: N801  (as `measure`)
    """As `measure`, but recorded only if it raises: for what a record of its own keeps otherwise.

    How long the stages of an image took stands in its record (`stage_ms`), and that is the truth about them;
    a journal that held them twice would only be longer. Of an image that failed there is no record.
    """

    always = False
