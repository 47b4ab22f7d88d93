"""Runs gone on with under other circumstances than they were begun in."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

import pytest

from tests.faults.harness import Story

pytestmark = pytest.mark.faults

Begin = Callable[..., Story]


@pytest.mark.parametrize("failpoint", ["credits_refunded", "credits_settled"])
def test_all_images_made_and_the_end_never_journalled(story: Begin, failpoint: str) -> None:
    run = story()
    run.die_at(failpoint)
    assert run.state.status == "unfinished"
    assert not run.state.pending
    child = run.finish(resume=True)
    assert child.exit_code == 3
    assert not child.lines("makes")
    run.check()


def test_a_finished_run_makes_nothing_and_starts_no_attempt(story: Begin) -> None:
    run = story()
    run.finish()
    again = run.finish()
    assert (again.exit_code, again.lines("owns"), again.lines("makes")) == (3, [], [])
    run.check()


def test_the_journalled_plan_is_used_whatever_the_code_would_plan_today(story: Begin) -> None:
    run = story()
    run.die_at("image_journalled", 2)
    planned = run.state.tasks
    run.finish(replanned=True, version="99.0.0")
    state = run.check()
    assert state.tasks == planned
    assert set(state.records) | set(state.failures) == {task.task_id for task in planned}
    assert [attempt.posegen_version for attempt in state.attempts][-1] == "99.0.0"


def test_a_clock_set_back_an_hour_changes_nothing(story: Begin) -> None:
    run = story("queued", concurrency=1)
    run.die_at("image_journalled", 2)
    run.finish(clock_back_s=3600)
    state = run.check()
    first, second = (datetime.fromisoformat(attempt.started_at) for attempt in state.attempts)
    assert first - second > timedelta(minutes=59)


def test_killed_amid_its_exports_they_are_made_without_the_image(story: Begin) -> None:
    run = story(images=3, more={"exports": ["instagram_post", "tiktok"]})
    run.die_at("exports_made")
    run.finish()
    state = run.check()
    assert {len(exports) for exports in state.exports.values()} == {2}
