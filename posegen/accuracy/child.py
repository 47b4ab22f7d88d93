"""The process that an estimator runs in: reads pictures from its standard input until that is closed.

A process of its own, so that a model that crashes takes nothing along, what it prints reaches no notebook
and its work waits for no one else's interpreter lock.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import time
from typing import IO

import msgspec
import numpy as np

from posegen.accuracy.estimator import PoseEstimator
from posegen.accuracy.frames import Answer, FoundPerson, Opening, Picture, Ready, receive, send
from posegen.accuracy.registry import EstimatorSpec, open_estimator
from posegen.images import decode

NICENESS = 5
"""What is generated goes first where cores are few."""


def serve(requests: IO[bytes], answers: IO[bytes]) -> None:
    """Open the estimator that the first message names, then answer pictures until there are no more."""
    first = receive(requests)
    if first is None:
        return
    opening = msgspec.msgpack.decode(first, type=Opening)
    try:
        estimator = open_estimator(EstimatorSpec(opening.name, opening.options))
    except Exception as exc:  # noqa: BLE001  (whatever it is, it is told to whoever asked)
        send(answers, Ready(error=f"{type(exc).__name__}: {exc}"))
        return
    info = estimator.info
    send(answers, Ready(info.name, info.version, info.weights_sha256))
    while (message := receive(requests)) is not None:
        send(answers, answer(estimator, msgspec.msgpack.decode(message, type=Picture)))


def answer(estimator: PoseEstimator, picture: Picture) -> Answer:
    """Return who is in a picture, or what went wrong with it."""
    started = time.perf_counter()
    try:
        if picture.shape is None:
            pixels = decode(picture.data)
        else:
            pixels = np.frombuffer(picture.data, np.uint8).reshape(*picture.shape, 3)
        people = tuple(FoundPerson.of(person) for person in estimator.estimate(pixels))
    except Exception as exc:  # noqa: BLE001  (the same)
        return Answer(error=f"{type(exc).__name__}: {exc}")
    return Answer(people, duration_ms=(time.perf_counter() - started) * 1000)


def main() -> None:  # pragma: no cover  (runs in a process of its own)
    """Serve on standard input and output."""
    for number in (signal.SIGINT, signal.SIGTERM):  # for whoever drives the run, who closes our input
        signal.signal(number, signal.SIG_IGN)
    with contextlib.suppress(OSError, AttributeError):
        os.nice(NICENESS)
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what a model prints must not get between the answers
    with contextlib.suppress(BrokenPipeError):
        serve(sys.stdin.buffer, answers)


if __name__ == "__main__":
    main()
