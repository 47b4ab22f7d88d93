"""A figure without clothes, for what has to be flagged: the renderer's plain anatomical mesh of an adult."""

from __future__ import annotations

import importlib
from unittest import mock

import numpy as np
from numpy.typing import NDArray

from posegen.backends.figure import draw
from posegen.figure import wardrobe
from posegen.figure.appearance import Appearance
from posegen.figure.surface import Surface
from posegen.parameters import BatchParameters, check
from posegen.pipeline.plan import build_plan
from posegen.pipeline.steps import prepare


def bare_figure(yaw: int = 180) -> NDArray[np.uint8]:
    """Return a 512x512 picture of an adult standing, undressed, from behind by default."""
    values = {"poses": ["standing_relaxed"], "views": [yaw], "avatar": {"gender": "female", "age": "adult"}}
    plan = build_plan(check(BatchParameters, {**values, "width": 512, "height": 512}))
    with mock.patch.object(importlib.import_module("posegen.figure.draw"), "dress", _undressed):
        return draw(prepare(plan.tasks[0])).pixels


def clothed_figures(poses: list[str], yaw: int = 0) -> list[NDArray[np.uint8]]:
    """Return 512x512 pictures as the renderer draws them."""
    values = {"poses": poses, "views": [yaw], "width": 512, "height": 512}
    plan = build_plan(check(BatchParameters, values))
    return [draw(prepare(task)).pixels for task in plan.tasks]


def _undressed(appearance: Appearance) -> tuple[Surface, ...]:
    shape = wardrobe.shape_of(appearance)
    outside = np.full(len(shape.vertices), -1, np.float32)
    return (
        *wardrobe._skin(shape, [outside], [1.0]),
        *wardrobe.hair_surfaces(appearance.hair_style, shape),
    )
