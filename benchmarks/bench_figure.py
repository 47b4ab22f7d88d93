"""Time of the embedded renderer on one core: run with `taskset -c 0 python benchmarks/bench_figure.py`.

The fixed case draws one look again and again. The mixed case is what a batch does: every picture has another
library pose and another look, which its seed chooses; the first pass meets each look for the first time in
the process, the second pass draws the same pictures again.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import argparse
import statistics
import time

from posegen.figure import Appearance, choose_appearance, draw
from posegen.poses.body import load_body
from posegen.poses.camera import fit_camera
from posegen.poses.joints import angle_vector
from posegen.poses.kinematics import Postures, solve_many
from posegen.poses.library import Pose, PoseLibrary
from posegen.records import Avatar

_GOLDEN_DEG = 137.5
"""Spreads the yaws of the mixed pictures around the figure."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", type=int, nargs="+", default=[512, 1024, 2048])
    parser.add_argument("--repeat", type=int, default=9)
    parser.add_argument("--mixed-sizes", type=int, nargs="*", default=[512, 1024])
    parser.add_argument("--pictures", type=int, default=24)
    arguments = parser.parse_args()
    _mixed(arguments.mixed_sizes, arguments.pictures)
    _fixed(arguments.sizes, arguments.repeat)


def _fixed(sizes: list[int], repeat: int) -> None:
    avatar = Avatar(gender="female", hair_style="long", top="hoodie", bottom="jeans", shoes="sneakers")
    look = choose_appearance(avatar, 1)
    posed = solve_many(angle_vector({})[None], load_body("female"))
    for size in sizes:
        first = _seconds(posed, look, 20.0, size)
        _report(
            f"fixed look {size}x{size}: first {first:.3f} s",
            [_seconds(posed, look, 20.0, size) for _ in range(repeat)],
        )


def _mixed(sizes: list[int], pictures: int) -> None:
    poses = list(PoseLibrary.builtin())
    step = max(len(poses) // pictures, 1)
    _seconds(*_picture(poses[0], pictures * (len(sizes) + 1)), 256)
    for i, size in enumerate(sizes):
        # Other seeds for each size, so that its first pass meets new looks too.
        scenes = [_picture(poses[k * step % len(poses)], i * pictures + k) for k in range(pictures)]
        for run in ("first", "second"):
            _report(f"mixed looks {size}x{size}, {run} pass", [_seconds(*scene, size) for scene in scenes])


def _picture(pose: Pose, seed: int) -> tuple[Postures, Appearance, float]:
    look = choose_appearance(Avatar(), seed)
    posed = solve_many(
        angle_vector(pose.angles)[None],
        load_body(male_share=look.male_share),
        hands=[pose.hands],
        supports=[pose.support],
        lifts_m=[pose.lift_m],
        seat_heights_m=[pose.seat_height_m],
    )
    return posed, look, seed * _GOLDEN_DEG % 360


def _seconds(posed: Postures, look: Appearance, yaw: float, size: int) -> float:
    camera = fit_camera(posed.samples()[0], yaw, size, size)
    started = time.perf_counter()
    draw(posed[0], camera, look, size, size)
    return time.perf_counter() - started


def _report(case: str, times: list[float]) -> None:
    print(
        f"{case}: median {statistics.median(times):.3f} s, least {min(times):.3f} s, most {max(times):.3f} s",
        flush=True,
    )


if __name__ == "__main__":
    main()
