"""How many joints, heads, hands and feet each export format cuts off or puts under a platform's buttons.

Run by hand: `python benchmarks/exports/measure_framing.py`. All poses of the library, in 8 views, in all
formats that ship (with --all-shapes at three shapes of picture): by posegen's framing, and by a crop of the
middle. A point counts as cut where it leaves the file, as covered where it leaves the safe area. Nothing is
drawn: where the body is, is known.
"""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from posegen.exports.crop import Crop, Figure, choose_crop, facing
from posegen.exports.formats import EXPORT_FORMATS, ExportFormat, SafeArea
from posegen.poses.camera import fit_camera
from posegen.poses.library import PoseLibrary
from posegen.poses.targets import Postures, extents, keypoints_of, solve_poses

SHAPES = ((1024, 1024), (832, 1216), (1216, 832))
YAWS = (0.0, 45.0, 90.0, 135.0, 180.0, 225.0, 270.0, 315.0)
PARTS = ("head", "left_hand", "right_hand", "left_foot", "right_foot")


def scenes(postures: Postures, shape: tuple[int, int]) -> Iterator[tuple[Figure, NDArray[np.float64]]]:
    """Yield each pose in each view: the figure, and all points that must be seen."""
    samples = postures.samples()
    for yaw in YAWS:
        points = keypoints_of(postures, [yaw], *shape)[:, 0]
        for index in range(len(postures)):
            boxes = extents(postures, index, fit_camera(samples[index], yaw, *shape))
            visible = points[index][points[index][:, 2] > 0][:, :2]
            corners = [boxes[part][i : i + 2] for part in PARTS for i in (0, 2)]
            yield Figure(boxes["body"], facing(points[index])), np.concatenate([visible, corners])


def outside(points: NDArray[np.float64], crop: Crop, form: ExportFormat, area: SafeArea) -> int:
    """Return how many points lie outside the safe area of an export."""
    scale = form.width / crop.width
    x, y = (points[:, 0] + 0.5 - crop.left) * scale, (points[:, 1] + 0.5 - crop.top) * scale
    free = (x >= area.left - 0.01) & (x <= form.width - area.right + 0.01)
    free &= (y >= area.top - 0.01) & (y <= form.height - area.bottom + 0.01)
    return int((~free).sum())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--by-format", action="store_true")
    parser.add_argument("--all-shapes", action="store_true")
    asked = parser.parse_args()
    postures = solve_poses(list(PoseLibrary.builtin()))
    for shape in SHAPES if asked.all_shapes else SHAPES[:1]:
        counts: Counter[tuple[str, str]] = Counter()
        for figure, points in scenes(postures, shape):
            for name, form in EXPORT_FORMATS.items():
                size, area = (form.width, form.height), form.safe_area
                for how, crop in (
                    ("framed", choose_crop(shape, size, figure, safe_area=area)),
                    ("centred", choose_crop(shape, size, None)),
                ):
                    counts["crops", name] += how == "framed"
                    cut, covered = outside(points, crop, form, SafeArea()), outside(points, crop, form, area)
                    counts[f"{how}: cut", name] += cut
                    counts[f"{how}: covered or cut", name] += covered
                    counts[f"{how}: pictures with any cut", name] += cut > 0
                    counts[f"{how}: pictures with any covered or cut", name] += covered > 0
        crops = sum(count for (what, _), count in counts.items() if what == "crops")
        print(f"pictures of {shape[0]}x{shape[1]}, {crops:,} crops")
        for what in dict.fromkeys(what for what, _ in counts if what != "crops"):
            print(f"  {what:44} {sum(v for (w, _), v in counts.items() if w == what):>7,}")
            if asked.by_format:
                print("     ", {n: v for (w, n), v in counts.items() if w == what and v})


if __name__ == "__main__":
    main()
