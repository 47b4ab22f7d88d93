"""How well a pose is taken from a picture: library poses drawn by the embedded renderer, and fitted again.

Run by hand: `python benchmarks/measure_picture_poses.py`; `--every 5` measures every fifth picture. A pose is
never fitted from itself: it and its mirror image are left out of the starts. Pictures are synthetic: clean
backgrounds, one person, the camera's height as the fit expects it. Prints the table of docs/poses.md.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from posegen.accuracy.oks import keypoint_area, oks
from posegen.accuracy.registry import choose_estimator, open_estimator
from posegen.backends.figure import draw
from posegen.parameters import BatchParameters
from posegen.pipeline.plan import build_plan
from posegen.pipeline.steps import prepare
from posegen.poses.camera import fit_camera
from posegen.poses.fitting_3d import FittedBody, fit_landmarks, fit_without_depth, library_starts, wrapped
from posegen.poses.joints import ANGLE_INDEX, angle_vector
from posegen.poses.kinematics import forward
from posegen.poses.landmarks import landmarks
from posegen.poses.library import PoseLibrary
from posegen.skeletons import BLAZEPOSE_33, COCO_FROM_OPENPOSE, openpose_from_coco

YAWS = [0, 35, -35, 90, -90]
SIZE = 512
POSES = list(PoseLibrary.builtin())
LOW = {"lying", "sitting_floor", "kneeling", "crouching", "yoga", "gym"}
"""Categories whose people do not stand or sit upright, for the most part."""
JOINTS = [
    (f"{side}_{before}", f"{side}_{joint}", f"{side}_{after}")
    for side in ("left", "right")
    for before, joint, after in (
        ("shoulder", "elbow", "wrist"),
        ("hip", "shoulder", "elbow"),
        ("shoulder", "hip", "knee"),
        ("hip", "knee", "ankle"),
    )
]


@dataclass
class Found:
    """What the estimator found in one picture."""

    pose: int
    yaw: float
    keypoints: np.ndarray
    world: np.ndarray


def pictures(every: int) -> Iterator[Found]:
    estimator = open_estimator(choose_estimator("mediapipe", {}))
    plan = build_plan(BatchParameters(poses="all", views=YAWS, width=SIZE, height=SIZE, seed=5))
    ids = [pose.id for pose in POSES]
    lost = 0
    for task in plan.tasks[::every]:
        people = estimator.estimate(draw(prepare(task)).pixels)
        if people:
            keypoints = openpose_from_coco(people[0].keypoints)
            yield Found(ids.index(task.pose_id), task.view.yaw, keypoints, people[0].world)
        else:
            lost += 1
    print(f"nobody found in {lost} of {len(plan.tasks[::every])} pictures")


def starts_without(pose: int) -> np.ndarray:
    return np.delete(library_starts(), [2 * pose, 2 * pose + 1], axis=0)


def nearest(found: Found) -> FittedBody:
    """Return the baseline: the most similar other library pose, turned as the picture."""
    from posegen.poses.body import load_body
    from posegen.poses.fitting_3d import _Target

    start = _Target(found.world, None, load_body(), ()).nearest(starts_without(found.pose))[0]
    return FittedBody(start.angles, start.yaw, None, None)


METHODS = {
    "nearest library pose": nearest,
    "directions alone": lambda found: fit_landmarks(found.world, starts=starts_without(found.pose)),
    "directions and keypoints": lambda found: fit_landmarks(
        found.world, found.keypoints, starts=starts_without(found.pose)
    ),
    "keypoints alone": lambda found: fit_without_depth(found.keypoints, starts=starts_without(found.pose)),
}


def joint_angles(angles: np.ndarray) -> np.ndarray:
    points = landmarks(forward(angles[None]))[0]
    ends = np.array([[points[BLAZEPOSE_33.index(name)] for name in names] for names in JOINTS])
    first, second = ends[:, 0] - ends[:, 1], ends[:, 2] - ends[:, 1]
    cosines = (first * second).sum(axis=1) / np.linalg.norm(first, axis=1) / np.linalg.norm(second, axis=1)
    return np.degrees(np.arccos(cosines.clip(-1, 1)))


def projected(angles: np.ndarray, yaw: float) -> np.ndarray:
    posed = forward(angles[None])
    points = fit_camera(posed.samples()[0], yaw, SIZE, SIZE).project(posed.openpose()[0])[:, :2]
    return points[list(COCO_FROM_OPENPOSE)]


def similarity(fitted: FittedBody, true: np.ndarray, yaw: float, more: float) -> float:
    target = projected(true, yaw + more)
    counted = np.ones(17, bool)
    return float(
        oks(projected(fitted.angles, fitted.yaw + more), target, counted, keypoint_area(target, counted))
    )


def row(fitted: FittedBody, found: Found) -> list[float]:
    true = angle_vector(POSES[found.pose].angles)
    off = joint_angles(fitted.angles) - joint_angles(true)
    root = ANGLE_INDEX["root.yaw"]
    turned = wrapped((fitted.yaw - fitted.angles[root]) - (found.yaw - true[root]))
    views = [[0.0], [45.0, -45.0], [90.0, -90.0]]
    shares = [np.mean([similarity(fitted, true, found.yaw, more) for more in view]) for view in views]
    return [float(np.median(np.abs(off))), abs(turned), *map(float, shares)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--every", type=int, default=1)
    found = list(pictures(parser.parse_args().every))
    print("| fit | pictures | joints | yaw | same view | 45 degrees on | 90 degrees on | time |")
    print("|---|---|---|---|---|---|---|---|")
    for name, fit in METHODS.items():
        started = time.perf_counter()
        fits = [fit(each) for each in found]
        seconds = (time.perf_counter() - started) / len(found)
        rows = np.array([row(*pair) for pair in zip(fits, found, strict=True)])
        upright = np.array([POSES[each.pose].category not in LOW for each in found])
        groups = {"upright": upright, "on the floor": ~upright}
        groups |= {f"upright, yaw {yaw}": upright & [each.yaw == yaw for each in found] for yaw in YAWS}
        for group, members in groups.items():
            some = rows[members]
            degrees, shares = np.median(some[:, :2], axis=0), some[:, 2:].mean(axis=0)
            print(
                f"| {name} | {group} ({len(some)}) | {degrees[0]:.1f}° | {degrees[1]:.1f}° | "
                + " | ".join(f"{share:.2f}" for share in shares)
                + f" | {seconds:.2f} s |",
                flush=True,
            )


if __name__ == "__main__":
    main()
