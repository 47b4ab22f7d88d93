"""How a process and its estimator talk: messages of known length over pipes."""

from __future__ import annotations

import struct
from typing import IO, Any

import msgspec
import numpy as np

from posegen.accuracy.estimator import EstimatorInfo, Person

_LENGTH = struct.Struct(">I")


class Opening(msgspec.Struct, frozen=True):
    """The first message to the child: which estimator to open."""

    name: str
    options: dict[str, Any]


class Ready(msgspec.Struct, frozen=True):
    """Its answer: the estimator is open, or cannot be opened."""

    name: str = ""
    version: str = ""
    weights_sha256: str = ""
    error: str = ""

    @property
    def info(self) -> EstimatorInfo:
        """Which estimator it is."""
        return EstimatorInfo(self.name, self.version, self.weights_sha256)


class Picture(msgspec.Struct, frozen=True):
    """A picture to look at: a file's bytes, or pixels where a shape (height, width) is given."""

    data: bytes
    shape: tuple[int, int] | None = None


class FoundPerson(msgspec.Struct, frozen=True):
    """A person as bytes of float64: keypoints (17, 3), and world landmarks (33, 3) or nothing."""

    keypoints: bytes
    world: bytes = b""

    @classmethod
    def of(cls, person: Person) -> FoundPerson:
        """Return a person as a message holds it."""
        return cls(person.keypoints.tobytes(), b"" if person.world is None else person.world.tobytes())

    def person(self) -> Person:
        """Return the person."""
        keypoints = np.frombuffer(self.keypoints).reshape(17, 3)
        return Person(keypoints, np.frombuffer(self.world).reshape(33, 3) if self.world else None)


class Answer(msgspec.Struct, frozen=True):
    """Who was found, or what went wrong; with the milliseconds that it took."""

    people: tuple[FoundPerson, ...] = ()
    error: str = ""
    duration_ms: float = 0.0


def send(stream: IO[bytes], message: msgspec.Struct) -> None:
    """Write a message."""
    data = msgspec.msgpack.encode(message)
    stream.write(_LENGTH.pack(len(data)))
    stream.write(data)
    stream.flush()


def receive(stream: IO[bytes]) -> bytes | None:
    """Return the next message's bytes; None if the other side has ended."""
    head = stream.read(_LENGTH.size)
    if len(head) < _LENGTH.size:
        return None
    (length,) = _LENGTH.unpack(head)
    data = stream.read(length)
    return data if len(data) == length else None
