"""What the quality gate brings and what it costs, on the embedded renderer with noisy joints.

python benchmarks/accuracy/measure_gate.py [--noise 12] [--tries 4] [--size 512]
"""

import argparse
import tempfile
import time
from pathlib import Path

import numpy as np

from posegen.experiments.truth import true_keypoints
from posegen.parameters import BatchParameters
from posegen.pipeline.candidates import made_task
from posegen.pipeline.measure_step import accuracy_target
from posegen.pipeline.plan import build_plan
from posegen.pipeline.run import start
from posegen.settings import Settings


def gated(bar, options):
    """Return (measured, true) OKS of first tries and accepted images, how many were made, and the seconds."""
    with tempfile.TemporaryDirectory() as folder:
        parameters = BatchParameters(
            poses="all", width=options.size, height=options.size, min_oks=bar, max_candidates=options.tries,
            backend_options={"joint_noise_deg": options.noise},
        )  # fmt: skip
        started = time.perf_counter()
        run = start(build_plan(parameters), Settings(root=Path(folder), cpu_threads=2))
        state = run.wait(lambda _: None).state
        seconds = time.perf_counter() - started
    first, accepted = [], []
    for task in state.tasks:
        record, rejected = state.records[task.task_id], state.rejected.get(task.task_id, [])
        kept = (state.measurements[task.task_id].oks, true_oks(made_task(task, record)))
        accepted.append(kept)
        first.append((rejected[0].measurement.oks, true_oks(task)) if rejected else kept)
    made = len(accepted) + len(state.rejected_for_good)
    return np.array(first), np.array(accepted), made, seconds


def true_oks(task):
    return accuracy_target(task, task.width, task.height).similarity(true_keypoints(task))


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--noise", type=float, default=12.0)
    parser.add_argument("--tries", type=int, default=4)
    parser.add_argument("--size", type=int, default=512)
    parser.add_argument("--bars", type=float, nargs="+", default=[0.4, 0.5, 0.6, 0.7, 1.0])
    options = parser.parse_args()
    print(f"64 poses, joint noise {options.noise:g} degrees, at most {options.tries} tries an image")
    print(
        "| min_oks | first tries | accepted | gain | true gain | reach it | images made for one | seconds |"
    )
    print("|---|---|---|---|---|---|---|---|")
    for bar in options.bars:
        first, accepted, made, seconds = gated(bar, options)
        gain, true_gain = (accepted - first).mean(axis=0)
        reach = f"{(first[:, 0] >= bar).mean():.0%}, then {(accepted[:, 0] >= bar).mean():.0%}"
        print(
            f"| {bar:g} | {first[:, 0].mean():.3f} | {accepted[:, 0].mean():.3f} | {gain:+.3f} "
            f"| {true_gain:+.3f} | {reach} | {made / len(accepted):.2f} | {seconds:.0f} |"
        )


if __name__ == "__main__":
    main()
