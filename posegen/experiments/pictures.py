"""The images that fit worst, with the skeleton that was asked for and the one that was found."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from posegen.experiments.design import Design
from posegen.experiments.measures import Columns
from posegen.experiments.scores import Score
from posegen.images import SheetItem, contact_sheet, decode
from posegen.journal import RunState
from posegen.pipeline.sheet import SKELETON_NOTE, skeletons
from posegen.pipeline.summary import Picture
from posegen.storage import Storage


def worst(scores: Sequence[Score], arms: Sequence[str], of_each: int) -> list[Score]:
    """Return the images of each arm with the lowest OKS, worst first; an image that failed is none."""
    columns = Columns(scores)
    found = []
    for arm in arms:
        scored = [score for score in columns.of_arm(arm) if score.oks is not None]
        found += sorted(scored, key=lambda score: (score.oks, score.cell))[:of_each]
    return found


def failures(
    state: RunState, design: Design, scores: Sequence[Score], storage: Storage, *, of_each: int = 4
) -> Picture:
    """Return the worst images of every arm that asks for a pose, with both skeletons."""
    asking = [arm.name for arm in design.arms if arm.conditioning in ("prompt", "control", "direct")]
    items = [_item(state, design, score, storage) for score in worst(scores, asking, of_each)]
    title = "The images that fit worst, arm by arm"
    sheet = contact_sheet(items, title=title, subtitle=SKELETON_NOTE, columns=max(1, of_each), tile_px=300)
    return Picture(sheet)


def _item(state: RunState, design: Design, score: Score, storage: Storage) -> SheetItem:
    record, measurement = state.records[score.task_id], state.measurements[score.task_id]
    item = SheetItem(
        pixels=None,
        caption=f"{score.arm}: {score.pose}",
        detail=f"OKS {score.oks:.2f}" + ("" if score.detected else ", nobody found") + f", {score.view}",
        failure="picture is gone",
    )
    if not storage.exists(record.key):
        return item
    task = design.task(design.arm(score.arm), score.cell)
    lines = skeletons(task, record, measurement)
    return replace(item, pixels=lambda: decode(storage.get(record.key)), strokes=lines)
