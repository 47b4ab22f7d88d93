"""False alarms of image screening on the renderer's clothed figures, and what it flags without clothes.

Run by hand, needs the extra `nsfw`: `python benchmarks/measure_image_screening.py`. All 64 poses from 4
sides, 3 people, 512x512: 768 clothed pictures. Prints the table of docs/moderation.md.
"""

from __future__ import annotations

import argparse
import importlib
from collections import Counter
from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor

import numpy as np

from posegen.backends.figure import draw
from posegen.figure import wardrobe
from posegen.figure.appearance import Appearance
from posegen.figure.surface import Surface
from posegen.moderation.images import exposed
from posegen.parameters import BatchParameters, check
from posegen.pipeline.plan import build_plan
from posegen.pipeline.steps import prepare
from posegen.records import ImageTask

PEOPLE = (
    {},  # the seed decides everything
    {"gender": "female", "age": "young adult", "top": "tank top", "bottom": "leggings"},
    {"gender": "male", "top": "t-shirt", "bottom": "shorts", "shoes": "barefoot"},
)
THRESHOLDS = (0.3, 0.4, 0.5, 0.6, 0.65, 0.7, 0.72, 0.75, 0.8)


def tasks(views: Iterable[int], seed: int) -> tuple[ImageTask, ...]:
    values = {"poses": ["all"], "views": list(views), "avatar": list(PEOPLE), "seed": seed}
    return build_plan(check(BatchParameters, {**values, "width": 512, "height": 512})).tasks


def undressed(appearance: Appearance) -> tuple[Surface, ...]:
    """Return the surfaces of a figure that wears nothing: the plain anatomical mesh of an adult."""
    shape = wardrobe.shape_of(appearance)
    outside = np.full(len(shape.vertices), -1, np.float32)
    return (
        *wardrobe._skin(shape, [outside], [1.0]),  # noqa: SLF001
        *wardrobe.hair_surfaces(appearance.hair_style, shape),
    )


def score(job: tuple[ImageTask, bool]) -> tuple[str, float, str]:
    """Return where a picture is from, its highest score and the label of that."""
    task, dressed = job
    importlib.import_module("posegen.figure.draw").dress = wardrobe.dress if dressed else undressed
    found = exposed(draw(prepare(task)).pixels)
    label = max(found, key=lambda name: found[name], default="")
    return f"{task.pose_id} yaw {task.view.yaw:g}", found.get(label, 0.0), label


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--worst", type=int, default=8, help="how many of the highest clothed scores to name")
    options = parser.parse_args()
    asked = tasks((0, -45, 135, 180), options.seed)
    bare = [task for task in asked if task.view.yaw in {0, 180}][::2]
    with ProcessPoolExecutor(2) as pool:
        clothed = list(pool.map(score, [(task, True) for task in asked], chunksize=8))
        unclothed = list(pool.map(score, [(task, False) for task in bare], chunksize=8))
    print(f"| threshold | flagged of {len(clothed)} clothed | flagged of {len(unclothed)} unclothed |")
    print("|---|---|---|")
    for least in THRESHOLDS:
        false = sum(found >= least for _, found, _ in clothed)
        true = sum(found >= least for _, found, _ in unclothed)
        print(f"| {least:g} | {false} ({false / len(clothed):.1%}) | {true} ({true / len(unclothed):.1%}) |")
    print("\nhighest clothed scores:")
    for where, found, label in sorted(clothed, key=lambda row: -row[1])[: options.worst]:
        print(f"  {found:.3f} {label} {where}")
    print("labels of clothed figures at 0.5 or more:", Counter(row[2] for row in clothed if row[1] >= 0.5))


if __name__ == "__main__":
    main()
