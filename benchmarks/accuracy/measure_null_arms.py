"""How often two equal arms seem to differ: images of the renderer, measured, and dealt out at random.

    python benchmarks/accuracy/measure_null_arms.py [--seeds 8] [--experiments 2000]

Every pose is drawn with several seeds and the same joint noise, and measured once. Each experiment takes 32
poses and deals some of each pose's images to two arms. About 5 % may show an effect (p < 0.05, or an interval
without 0).
"""

from __future__ import annotations

import argparse
import os
import time
from concurrent.futures import ProcessPoolExecutor
from functools import cache

import numpy as np

os.environ.setdefault("OMP_NUM_THREADS", "1")

from posegen.accuracy.registry import EstimatorSpec, open_estimator
from posegen.accuracy.statistics import paired_effect
from posegen.backends.figure import draw
from posegen.parameters import BatchParameters
from posegen.pipeline.measure_step import accuracy_target
from posegen.pipeline.plan import build_plan
from posegen.pipeline.steps import prepare
from posegen.records import ImageTask

SIZE = 384
POSES, PAIRS = 32, 2


@cache
def estimator():
    return open_estimator(EstimatorSpec("mediapipe"))


def measured(task: ImageTask) -> float:
    """Return the OKS of one image; 0 if nobody is found."""
    people = estimator().estimate(draw(prepare(task)).pixels)
    target = accuracy_target(task, task.width, task.height)
    return max((target.similarity(person.keypoints[:, :2]) for person in people), default=0.0)


def experiment(scores: np.ndarray, number: int) -> tuple[bool, bool, float]:
    """Return whether p and the interval see a difference, and the difference."""
    rng = np.random.default_rng(number)
    poses = rng.choice(len(scores), POSES, replace=False)
    dealt = np.array([rng.permutation(scores[pose])[: 2 * PAIRS] for pose in poses])
    names = np.repeat([f"pose{pose:02}" for pose in poses], PAIRS)
    found = paired_effect(
        dealt[:, :PAIRS].ravel(), dealt[:, PAIRS:].ravel(), names, seed=number, resamples=1000
    )
    return found.p < 0.05, not found.mean.low <= 0 <= found.mean.high, found.mean.estimate


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=8)
    parser.add_argument("--experiments", type=int, default=2000)
    parser.add_argument("--noise", type=float, default=6.0)
    given = parser.parse_args()
    parameters = BatchParameters(
        poses=["all"], images_per_pose=given.seeds, width=SIZE, height=SIZE,
        backend_options={"joint_noise_deg": given.noise},
    )  # fmt: skip
    tasks = build_plan(parameters).tasks
    started = time.perf_counter()
    with ProcessPoolExecutor(2) as pool:
        scores = np.array(list(pool.map(measured, tasks, chunksize=16))).reshape(-1, given.seeds)
    print(
        f"{scores.size} images of {len(scores)} poses, joint noise {given.noise:g} degrees, measured in "
        f"{time.perf_counter() - started:.0f} s: OKS {scores.mean():.3f}, SD within a pose "
        f"{scores.std(axis=1, ddof=1).mean():.3f}, between poses {scores.mean(axis=1).std(ddof=1):.3f}"
    )
    found = [experiment(scores, number) for number in range(given.experiments)]
    by_p, by_interval, differences = (np.array(column, float) for column in zip(*found, strict=True))
    error = np.sqrt(0.05 * 0.95 / given.experiments)
    print(f"{given.experiments} experiments of two equal arms, {POSES} poses x {PAIRS} pairs:")
    print(f"  p < 0.05              {by_p.mean():.1%}  (5 % is right; +-{1.96 * error:.1%} is chance)")
    print(f"  interval leaves out 0 {by_interval.mean():.1%}")
    print(f"  difference            {differences.mean():+.4f}, SD {differences.std():.4f}")


if __name__ == "__main__":
    main()
