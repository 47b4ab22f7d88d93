"""Estimators in processes of their own, kept open between pictures and runs."""

from __future__ import annotations

import atexit
import contextlib
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple, TypeVar

import msgspec
import numpy as np
from numpy.typing import NDArray

from posegen.accuracy.estimator import EstimatorInfo, Person
from posegen.accuracy.frames import Answer, Opening, Picture, Ready, receive, send
from posegen.accuracy.registry import EstimatorSpec
from posegen.errors import EstimatorError

M = TypeVar("M", bound=msgspec.Struct)

OPEN_S = 120.0
"""How long a model may take to load: a cold disk and a busy machine."""

ESTIMATE_S = 60.0
"""How long one picture may take."""

_COMMAND = ("-P", "-W", "ignore", "-m", "posegen.accuracy.child")


class Estimate(NamedTuple):
    """Who was found in a picture, and what that took."""

    people: list[Person]
    duration_ms: float


class EstimatorProcess:
    """One estimator in a child process. One picture at a time.

    Raises
    ------
    EstimatorError
        The process cannot be started.
    """

    def __init__(self, spec: EstimatorSpec) -> None:
        self._name = spec.name
        try:
            self._said = tempfile.TemporaryFile()  # noqa: SIM115  (closed with the process)
            self._child = subprocess.Popen(
                [sys.executable, *_COMMAND],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._said,
                start_new_session=True,  # what is sent to our whole group is not for it
            )
        except OSError as exc:
            message = f"estimator {spec.name!r} cannot be started: {exc.strerror or exc}"
            raise EstimatorError(message, estimator=spec.name) from exc
        self._spec = spec
        self._info: EstimatorInfo | None = None

    def open(self) -> EstimatorInfo:
        """Load the model, once; return which estimator it is.

        Raises
        ------
        EstimatorError
            It cannot be loaded; the process has ended.
        """
        if self._info is None:
            ready = self._ask(Opening(self._name, self._spec.options), Ready, OPEN_S)
            if ready.error:
                self.close()
                message = f"estimator {self._name!r} cannot be opened: {ready.error}"
                raise EstimatorError(message, estimator=self._name)
            self._info = ready.info
        return self._info

    def estimate(self, picture: Picture) -> Estimate:
        """Return who is in a picture; `open` comes first.

        Raises
        ------
        EstimatorError
            The picture cannot be read, the model gave up on it, or the process died.
        """
        self.open()
        answer = self._ask(picture, Answer, ESTIMATE_S)
        if answer.error:
            raise EstimatorError(f"estimator {self._name!r}: {answer.error}", estimator=self._name)
        return Estimate([found.person() for found in answer.people], answer.duration_ms)

    @property
    def alive(self) -> bool:
        """Whether it can be asked again."""
        return self._child.poll() is None

    def kill(self) -> None:
        """Let whoever waits for an answer get an EstimatorError."""
        self._child.kill()

    def close(self) -> None:
        """End the process."""
        self._child.kill()
        self._child.wait()
        for stream in (self._child.stdin, self._child.stdout, self._said):
            if stream is not None:
                with contextlib.suppress(OSError):  # what could not be sent any more
                    stream.close()

    def _ask(self, message: msgspec.Struct, kind: type[M], limit_s: float) -> M:
        if self._child.stdin is None or self._child.stdout is None:  # pragma: no cover  (both are pipes)
            raise EstimatorError("the estimator has no pipes", estimator=self._name)
        deadline = threading.Timer(limit_s, self._child.kill)
        deadline.daemon = True
        deadline.start()
        try:
            send(self._child.stdin, message)
            data = receive(self._child.stdout)
        except OSError:
            data = None
        except BaseException:  # an interrupt: an answer left in the pipe would be taken for the next one's
            self.close()
            raise
        finally:
            late = not deadline.is_alive()
            deadline.cancel()
        if data is None:
            said = self._last_words()
            self.close()
            why = f"took longer than {limit_s:g} s" if late else f"its process died{said}"
            raise EstimatorError(f"estimator {self._name!r}: {why}", estimator=self._name, died=True)
        return msgspec.msgpack.decode(data, type=kind)

    def _last_words(self) -> str:
        """Return the end of what the process wrote to its standard error."""
        with contextlib.suppress(OSError, ValueError):
            self._said.seek(0)
            lines = self._said.read()[-2000:].decode(errors="replace").strip().splitlines()
            return f": {lines[-1]:.300}" if lines else ""
        return ""


class EstimatorPool:
    """An estimator for many threads: as many processes as are asked at once, up to `most`.

    Parameters
    ----------
    spec : EstimatorSpec
    most : int
        Processes at the most; whoever comes later waits.
    """

    def __init__(self, spec: EstimatorSpec, most: int = 1) -> None:
        self.spec = spec
        self.most = most
        self._places = threading.Semaphore(most)
        self._lock, self._opening = threading.Lock(), threading.Lock()
        self._idle: list[EstimatorProcess] = []
        self._busy: set[EstimatorProcess] = set()
        self._info: EstimatorInfo | None = None

    def open(self) -> EstimatorInfo:
        """Start a first process, if there is none yet; return which estimator it is.

        Raises
        ------
        EstimatorError
            It cannot be opened.
        """
        with self._opening:  # one starts it, the others wait for that
            if self._info is None:
                try:
                    self._start()
                except EstimatorError as exc:
                    if not exc.died:
                        raise
                    self._start()  # killed while it loaded: once more
        if self._info is None:  # pragma: no cover  (opening sets it or raises)
            raise EstimatorError("the estimator did not say which it is", estimator=self.spec.name)
        return self._info

    def _start(self) -> None:
        with self._process():
            pass

    def estimate_file(self, data: bytes) -> Estimate:
        """Return who is in a picture given as the bytes of its file.

        Raises
        ------
        EstimatorError
            See `EstimatorProcess.estimate`. The next call starts a new process if this one died.
        """
        with self._process() as process:
            return process.estimate(Picture(data))

    def estimate(self, pixels: NDArray[np.uint8]) -> Estimate:
        """Return who is in a picture, uint8 array of shape (H, W, 3); see `estimate_file`."""
        height, width = pixels.shape[:2]
        with self._process() as process:
            return process.estimate(Picture(np.ascontiguousarray(pixels).tobytes(), (height, width)))

    def allow(self, most: int) -> None:
        """Let so many processes work at once, if that is more than until now."""
        with self._lock:
            more, self.most = max(0, most - self.most), max(most, self.most)
        for _ in range(more):
            self._places.release()

    def close(self) -> None:
        """End the processes that nobody uses; whoever asks again starts new ones."""
        with self._lock:
            idle, self._idle = self._idle, []
        for process in idle:
            process.close()

    def give_up(self) -> None:
        """End the processes that are at work too: whoever waits for one gets an EstimatorError."""
        with self._lock:
            busy = list(self._busy)
        for process in busy:
            process.kill()

    @contextmanager
    def _process(self) -> Iterator[EstimatorProcess]:
        with self._places:
            process = self._taken() or EstimatorProcess(self.spec)
            with self._lock:
                self._busy.add(process)
            try:
                self._info = process.open()
                yield process
            finally:
                with self._lock:
                    self._busy.discard(process)
                    if process.alive:
                        self._idle.append(process)

    def _taken(self) -> EstimatorProcess | None:
        """Return a process that was idle and still lives."""
        while True:
            with self._lock:
                process = self._idle.pop() if self._idle else None
            if process is None or process.alive:
                return process
            process.close()


class PooledEstimator:
    """A pool as an estimator: see `PoseEstimator`.

    Raises
    ------
    EstimatorError
        It cannot be opened.
    """

    def __init__(self, pool: EstimatorPool) -> None:
        self._pool = pool
        self.info = pool.open()

    def estimate(self, pixels: NDArray[np.uint8], /) -> list[Person]:
        """Return the people in a picture, the largest first."""
        return self._pool.estimate(pixels).people


_pools: dict[bytes, EstimatorPool] = {}
_pools_lock = threading.Lock()


@atexit.register
def close_pools() -> None:
    """End all processes that nobody uses."""
    with _pools_lock:
        for pool in _pools.values():
            pool.close()


CORES_PER_PROCESS = 4
"""One estimator for so many cores: it takes some 40 ms a picture, which generation rarely is faster than."""


def shared_pool(spec: EstimatorSpec, cores: int = 1) -> EstimatorPool:
    """Return this process's one pool for an estimator: its model is loaded once for all runs of a kernel."""
    key = msgspec.msgpack.encode((spec.name, spec.options), order="deterministic")
    with _pools_lock:
        pool = _pools.setdefault(key, EstimatorPool(spec))
    pool.allow(max(1, cores // CORES_PER_PROCESS))
    return pool
