"""Runs under the quality gate, cut off anywhere: no try is paid twice, none lies about."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.faults.harness import Story

pytestmark = pytest.mark.faults

GATED = {"poses": ["standing_relaxed"], "prompts": [], "min_oks": 0.9, "max_candidates": 3}
OFF_PX = [30, 0, 0]
"""The first try of each image is far off, the second is right."""


@pytest.mark.parametrize(
    ("failpoint", "nth"),
    [
        ("bought", 2),
        ("image_stored", 1),
        ("image_stored", 3),
        ("thumbnail_stored", 2),
        ("candidate_rejected", 1),
        ("candidate_rejected", 3),
        ("image_journalled", 1),
        ("image_journalled", 4),
        ("credits_refunded", 1),
        ("attempt_finished", 1),
    ],
)
def test_killed_anywhere_every_try_is_bought_once(
    story: Callable[..., Story], failpoint: str, nth: int
) -> None:
    run = story("queued", more=GATED)
    run.die_at(failpoint, nth, off_px=OFF_PX)
    run.finish(off_px=OFF_PX)
    state = run.check()
    assert {record.candidate for record in state.records.values()} == {1}
    assert {len(events) for events in state.rejected.values()} == {1}
    assert all(state.measurements[task_id].oks == 1 for task_id in state.records)
    silent = [sale for sale in run.shop.sold if not sale.told]
    assert len({sale.task for sale in silent}) == len(silent)


def test_killed_again_and_again_the_best_is_kept(story: Callable[..., Story]) -> None:
    run = story("queued", images=2, failing=None, concurrency=1, more=GATED)
    for _ in range(5):
        run.die_at("candidate_rejected", 1, off_px=[30, 12, 20])
    run.finish(off_px=[30, 12, 20])
    state = run.check()
    assert [record.candidate for record in state.records.values()] == [1, 1]
    assert [len(events) for events in state.rejected.values()] == [3, 3]
    assert len(run.shop.sold) == 6
