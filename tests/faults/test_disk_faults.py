"""A disk that is full or broken at the nth write or sync of a whole run."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.faults.harness import Child, Story

pytestmark = pytest.mark.faults

Begin = Callable[..., Story]
SAID = {"ENOSPC": "the disk is full", "EIO": "input/output error"}
STEP = 9
"""Every so many calls are tried here, all of them by benchmarks/bench_kills.py."""


def fail_at(run: Story, nth: int, code: str, *, stays: bool) -> Child:
    """Drive a new run on a disk whose nth call fails; check what it said, then finish it on a good one."""
    child = run.start(fault={"nth": nth, "code": code, "stays": stays}).wait()
    faults = child.lines("fault")
    if faults:
        check_said(child, faults[0], code)
    assert run.finish().exit_code == 3
    run.check()
    return child


def check_said(child: Child, fault: dict[str, Any], code: str) -> None:
    assert child.exit_code == 1, (fault, child.lines()[-3:])
    (error,) = child.lines("error")
    assert error["kind"] in {"StorageFullError", "StorageError", "JournalError"}
    assert SAID[code] in error["message"]
    lines = child.lines()
    after = lines[lines.index(fault) :]
    if fault["file"].endswith(".jsonl"):
        assert not [line for line in after if line["what"] == "acknowledged"], (
            "acknowledged on a broken journal"
        )


@pytest.mark.parametrize("stays", [False, True])
@pytest.mark.parametrize("code", sorted(SAID))
def test_the_run_fails_with_a_clear_error_and_can_be_gone_on_with(
    story: Begin, code: str, stays: bool
) -> None:
    tried = 0
    for nth in range(1 + tried, 1000, STEP):
        run = story(run_id=f"r{nth}", images=4, concurrency=1)
        if not fail_at(run, nth, code, stays=stays).lines("fault"):
            break
        tried += 1
    assert tried >= 4, "faults were met on the way"
