"""How well the estimator reads the embedded renderer's pictures, whose truth is known, by view and posture.

python benchmarks/accuracy/measure_figure.py [--size 1024] [--seed 0]
"""

import argparse
import tempfile
from collections import defaultdict
from pathlib import Path

import numpy as np

from posegen.accuracy.measure import measured_keypoints
from posegen.experiments.nearest import Nearest
from posegen.experiments.strata import POSTURES, posture_of
from posegen.parameters import BatchParameters
from posegen.pipeline.plan import build_plan
from posegen.pipeline.run import start
from posegen.poses.library import PoseLibrary
from posegen.settings import Settings

VIEWS = (0, 35, -35, 90, -90, 180)
COLUMNS = (
    "images", "found", "OKS", "AR", "PCK@0.1", "PCK@0.2", "error / height", "angle, degrees", "swapped",
    "nearest pose right",
)  # fmt: skip


def measured(options):
    """Return (posture, yaw, measurement, whether the nearest pose is the right one) of every image."""
    library = list(PoseLibrary.builtin())
    postures, nearest = {pose.id: posture_of(pose) for pose in library}, Nearest(library)
    parameters = BatchParameters(
        poses="all", views=list(VIEWS), width=options.size, height=options.size, seed=options.seed
    )
    with tempfile.TemporaryDirectory() as folder:
        state = start(build_plan(parameters), Settings(root=Path(folder), cpu_threads=2)).wait().state
    for task in state.tasks:
        found = state.measurements[task.task_id]
        right = nearest.to(measured_keypoints(found), task, state.records[task.task_id]) == task.pose_id
        yield postures[task.pose_id], task.view.yaw, found, right


def row(images):
    found = [one for one, _ in images]
    known = [one for one in found if one.mean_error is not None]
    angles = [one.angle_error_deg for one in found if one.angle_error_deg is not None]
    oks = np.array([one.oks for one in found])
    return (
        f"{len(found)}",
        f"{np.mean([one.detected for one in found]):.1%}",
        f"{oks.mean():.3f}",
        f"{np.mean([oks >= t for t in np.linspace(0.5, 0.95, 10)]):.3f}",
        f"{np.mean([one.pck_10 for one in found]):.3f}",
        f"{np.mean([one.pck_20 for one in found]):.3f}",
        f"{np.mean([one.mean_error for one in known]):.4f}",
        f"{np.mean(angles):.1f}",
        f"{np.mean([one.swapped for one in found]):.1%}",
        f"{np.mean([right for _, right in images]):.1%}",
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", type=int, default=1024)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    groups = defaultdict(list)
    for posture, yaw, found, right in measured(options):
        views = [f"{yaw:g}", "all"] + ["0, +-35"] * (abs(yaw) <= 35)
        for view in views:
            groups[posture, view].append((found, right))
    print(f"| posture | yaw | {' | '.join(COLUMNS)} |")
    print("|---" * (len(COLUMNS) + 2) + "|")
    for posture in POSTURES:
        for view in ("0, +-35", *(f"{view}" for view in VIEWS), "all"):
            if groups.get((posture, view)):
                print(f"| {posture} | {view} | {' | '.join(row(groups[posture, view]))} |")


if __name__ == "__main__":
    main()
