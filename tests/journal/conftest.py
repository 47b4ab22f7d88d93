from datetime import UTC, datetime, timedelta

import pytest

from posegen.journal import Owner
from posegen.records import ImageRecord, ImageTask

OWNER = Owner(pid=1, host="here", process_started_at=1.5, boot_id="b")


class Ticking:
    """A clock that moves on by a second at each look."""

    def __init__(self):
        self.now = datetime(2026, 3, 1, 12, tzinfo=UTC)

    def __call__(self):
        self.now += timedelta(seconds=1)
        return self.now


@pytest.fixture
def clock():
    return Ticking()


@pytest.fixture
def owner():
    return OWNER


@pytest.fixture
def folder(tmp_path):
    """Return where the journal of run "r" is, below the root `tmp_path`."""
    return tmp_path / "runs" / "r" / "journal"


def _task(number, **changes):
    fields = {
        "task_id": f"{number:032x}", "index": number, "backend": "figure", "user_prompt": "a person",
        "prompt": "a person standing", "seed": number, "width": 512, "height": 512, "conditioning": "control",
    }  # fmt: skip
    return ImageTask(**{**fields, **changes})


def _record(number, **changes):
    fields = {
        "task_id": f"{number:032x}", "key": f"runs/r/images/{number}.png", "thumbnail_key": "t",
        "sha256": "0" * 64, "size_bytes": 10, "thumbnail_bytes": 5, "width": 512, "height": 512,
        "duration_ms": 1.5, "conditioning": "control",
    }  # fmt: skip
    return ImageRecord(**{**fields, **changes})


@pytest.fixture
def task():
    return _task


@pytest.fixture
def record():
    return _record
