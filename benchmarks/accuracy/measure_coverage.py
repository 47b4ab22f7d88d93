"""How often the 95 % interval holds the truth, over simulated experiments.

    python benchmarks/accuracy/measure_coverage.py [--experiments 1000]

Each experiment has poses of their own effect and images that scatter round it; the interval draws poses. For
comparison the plain percentile interval of a bootstrap by image, which is far too narrow.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor

import numpy as np

from posegen.accuracy.statistics import cluster_interval

TRUTH = 0.05
SEEDS = 6
SHAPES: dict[str, Callable] = {
    "normal": lambda rng, poses: rng.normal(TRUTH, 0.08, poses),
    "skewed": lambda rng, poses: rng.exponential(0.08, poses) - 0.08 + TRUTH,
    "heavy tails": lambda rng, poses: TRUTH + 0.05 * rng.standard_t(4, poses),
}


def held(job: tuple[str, int, int]) -> tuple[bool, bool]:
    """Return whether the interval by pose and that by image hold the truth in one experiment."""
    shape, poses, number = job
    rng = np.random.default_rng([number, poses, list(SHAPES).index(shape)])
    values = np.repeat(SHAPES[shape](rng, poses), SEEDS) + rng.normal(0, 0.10, poses * SEEDS)
    names = np.repeat([f"pose{i:02}" for i in range(poses)], SEEDS)
    found = cluster_interval(values, names, seed=number, resamples=1000)
    images = values[rng.integers(0, len(values), (1000, len(values)))].mean(axis=1)
    low, high = np.quantile(images, [0.025, 0.975])
    return found.low <= TRUTH <= found.high, low <= TRUTH <= high


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--experiments", type=int, default=1000)
    count = parser.parse_args().experiments
    print(f"{count} experiments each, {SEEDS} images a pose: share whose 95 % interval holds the truth\n")
    print(f"{'effects of poses':18}{'poses':>6}{'by pose':>10}{'by image':>10}")
    with ProcessPoolExecutor(2) as pool:
        for shape in SHAPES:
            for poses in (14, 30, 64):
                jobs = [(shape, poses, number) for number in range(count)]
                by_pose, by_image = np.mean(list(pool.map(held, jobs, chunksize=50)), axis=0)
                print(f"{shape:18}{poses:6}{by_pose:10.1%}{by_image:10.1%}", flush=True)


if __name__ == "__main__":
    main()
