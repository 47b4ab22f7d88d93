import sqlite3
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from unittest import mock

import pytest

from posegen.credits import ACCOUNTS_FILE, database, open_accounts


class Watched(sqlite3.Connection):
    """Tell `watch` of each statement before it runs, and `done` afterwards."""

    def watch(self, sql):
        pass

    def done(self, sql):
        pass

    def execute(self, sql, *values):
        self.watch(sql)
        cursor = super().execute(sql, *values)
        self.done(sql)
        return cursor


class Clock:
    """The time is what the test says; each look at it is a second later."""

    def __init__(self):
        self.now = datetime(2026, 3, 1, 12, tzinfo=UTC)

    def __call__(self):
        self.now += timedelta(seconds=1)
        return self.now


@pytest.fixture(autouse=True)
def _no_waiting_for_the_disk(monkeypatch):
    """Durability shows only when the power fails; whether it is asked for, one test looks at."""
    monkeypatch.setattr(database, "SYNCHRONOUS", "OFF")


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def path(tmp_path):
    return tmp_path / ACCOUNTS_FILE


@pytest.fixture
def accounts(path, clock):
    return open_accounts(path, clock=clock, starting_grant=1000)


@pytest.fixture
def watched():
    """Return a context manager: within it every connection is of a class made from `Watched`."""

    def watched(**methods):
        kind = type("Watching", (Watched,), methods)
        real = sqlite3.connect

        def connect(*args, **kwargs):
            return real(*args, factory=kind, **kwargs)

        return mock.patch.object(database.sqlite3, "connect", connect)

    return watched


@pytest.fixture
def in_a_process_of_its_own(project_root, tmp_path):
    """Return a function that runs a script and gives its lines; it may fork, having one thread."""

    def run(script, *arguments):
        command = [sys.executable, "-c", script, str(tmp_path), *map(str, arguments)]
        child = subprocess.run(
            command, cwd=project_root, capture_output=True, text=True, timeout=150, check=False
        )
        assert child.returncode == 0, child.stderr
        return child.stdout.splitlines()

    return run
