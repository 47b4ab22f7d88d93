import errno
import os
from contextlib import contextmanager
from unittest import mock

import pytest

CALLS = ("open", "write", "fsync", "close", "replace", "link", "mkdir")
REAL = {name: getattr(os, name) for name in CALLS}


class Injector:
    """Count the storage's system calls and fail the nth of them (from 1)."""

    def __init__(self, nth: int, code: int) -> None:
        self.nth = nth
        self.code = code
        self.count = 0

    @property
    def reached(self) -> bool:
        return self.count >= self.nth

    def wrap(self, real):
        def call(*args, **kwargs):
            self.count += 1
            fails = self.count == self.nth
            # A failing close gives the descriptor back all the same.
            result = real(*args, **kwargs) if not fails or real is REAL["close"] else None
            if fails:
                raise OSError(self.code, os.strerror(self.code))
            return result

        return call


@contextmanager
def _failing(nth: int, code: int = errno.ENOSPC):
    injector = Injector(nth, code)
    with mock.patch.multiple(os, **{name: injector.wrap(real) for name, real in REAL.items()}):
        yield injector


@pytest.fixture
def failing():
    return _failing
