"""Time of the embedded renderer on one core: run with `taskset -c 0 python benchmarks/bench_figure.py`."""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import argparse
import statistics
import time

from posegen.figure import choose_appearance, draw
from posegen.poses.body import load_body
from posegen.poses.camera import fit_camera
from posegen.poses.joints import angle_vector
from posegen.poses.kinematics import solve_many
from posegen.records import Avatar


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", type=int, nargs="+", default=[512, 1024, 2048])
    parser.add_argument("--repeat", type=int, default=9)
    arguments = parser.parse_args()
    avatar = Avatar(gender="female", hair_style="long", top="hoodie", bottom="jeans", shoes="sneakers")
    look = choose_appearance(avatar, 1)
    many = solve_many(angle_vector({})[None], load_body("female"))
    for size in arguments.sizes:
        camera = fit_camera(many.samples()[0], 20.0, size, size)
        started = time.perf_counter()
        draw(many[0], camera, look, size, size)
        first = time.perf_counter() - started
        times = []
        for _ in range(arguments.repeat):
            started = time.perf_counter()
            draw(many[0], camera, look, size, size)
            times.append(time.perf_counter() - started)
        print(
            f"{size}x{size}: first {first:.3f} s, "
            f"median {statistics.median(times):.3f} s, least {min(times):.3f} s"
        )


if __name__ == "__main__":
    main()
