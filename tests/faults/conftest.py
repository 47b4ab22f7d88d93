from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.faults.harness import Nursery, Shop, Story, a_nursery, a_shop

collect_ignore_glob = [] if sys.platform == "linux" else ["test_*.py"]


@pytest.fixture(scope="session")
def nursery() -> Iterator[Nursery]:
    with a_nursery() as started:
        yield started


@pytest.fixture
def shop() -> Iterator[Shop]:
    with a_shop() as opened:
        yield opened


@pytest.fixture
def story(tmp_path: Path, nursery: Nursery, shop: Shop) -> Callable[..., Story]:
    """Return what begins the story of a run."""

    def begin(backend: str = "plain", **options: Any) -> Story:
        return Story(tmp_path / "outputs", nursery, shop, backend, **options)

    return begin
