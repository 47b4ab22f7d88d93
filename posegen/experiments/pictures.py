"""The images that fit worst, with the skeleton that was asked for and the one that was found."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from posegen.accuracy.measure import measured_keypoints
from posegen.experiments.design import Design
from posegen.experiments.measures import Columns
from posegen.experiments.scores import Score, target_of
from posegen.images import SheetItem, contact_sheet, decode
from posegen.journal import RunState
from posegen.pipeline.summary import Picture
from posegen.skeletons import COCO_17
from posegen.storage import Storage

ASKED, FOUND = ("#f0e442", "black"), ("#0072b2", "white")
"""Okabe & Ito's yellow and blue, told apart without red and green vision too; each with its outline."""


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
    subtitle = "yellow: the joints asked for; blue: the joints found"
    return Picture(contact_sheet(items, title=title, subtitle=subtitle, columns=max(1, of_each), tile_px=300))


def _item(state: RunState, design: Design, score: Score, storage: Storage) -> SheetItem:
    record = state.records[score.task_id]
    return SheetItem(
        pixels=_overlaid(state, design, score, storage) if storage.exists(record.key) else None,
        caption=f"{score.arm}: {score.pose}",
        detail=f"OKS {score.oks:.2f}" + ("" if score.detected else ", nobody found") + f", {score.view}",
        failure="picture is gone",
    )


def _overlaid(
    state: RunState, design: Design, score: Score, storage: Storage
) -> Callable[[], NDArray[np.uint8]]:
    """Return a function that loads an image and draws both skeletons into it."""
    record, measurement = state.records[score.task_id], state.measurements[score.task_id]
    task = design.task(design.arm(score.arm), score.cell)

    def load() -> NDArray[np.uint8]:
        image = Image.fromarray(decode(storage.get(record.key)))
        target = target_of(task, record)
        draw_skeleton(image, np.where(target.keypoints[:, 2:] > 0, target.keypoints[:, :2], np.nan), ASKED)
        found = measured_keypoints(measurement)
        if found is not None:
            draw_skeleton(image, found[:, :2], FOUND)
        return np.array(image)

    return load


def draw_skeleton(image: Image.Image, points: NDArray[np.float64], colors: tuple[str, str]) -> None:
    """Draw COCO_17 keypoints of shape (17, 2) and their limbs into an image; NaN is left out.

    Parameters
    ----------
    colors : (str, str)
        Of the lines, and of their outline.
    """
    draw = ImageDraw.Draw(image)
    color, outline = colors
    width = max(3, round(max(image.size) / 110))
    known: NDArray[np.bool_] = np.asarray(np.isfinite(points).all(axis=1))
    for one, other in COCO_17.limbs:
        if known[one] and known[other]:
            ends = [tuple(points[one].tolist()), tuple(points[other].tolist())]
            draw.line(ends, fill=outline, width=width + 2)
            draw.line(ends, fill=color, width=width)
    for x, y in points[known].tolist():
        draw.ellipse([x - width, y - width, x + width, y + width], fill=color, outline=outline)
