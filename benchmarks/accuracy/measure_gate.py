"""What the quality gate brings and what it costs, on the embedded renderer with noisy joints.

python benchmarks/accuracy/measure_gate.py [--noise 12] [--tries 4] [--size 512]
"""

import argparse
import tempfile
import time
from pathlib import Path

import numpy as np

from posegen.parameters import BatchParameters
from posegen.pipeline.plan import build_plan
from posegen.pipeline.run import start
from posegen.settings import Settings


def gated(bar, options):
    """Return the OKS of first tries and of accepted images, how many were made, and the seconds."""
    with tempfile.TemporaryDirectory() as folder:
        parameters = BatchParameters(
            poses="all", width=options.size, height=options.size, min_oks=bar, max_candidates=options.tries,
            backend_options={"joint_noise_deg": options.noise},
        )  # fmt: skip
        started = time.perf_counter()
        state = (
            start(build_plan(parameters), Settings(root=Path(folder), cpu_threads=2))
            .wait(lambda _: None)
            .state
        )
        seconds = time.perf_counter() - started
    accepted = {task_id: state.measurements[task_id].oks for task_id in state.records}
    first = {
        task_id: state.rejected[task_id][0].measurement.oks if task_id in state.rejected else oks
        for task_id, oks in accepted.items()
    }
    among = sum(
        any(e.record.candidate == state.records[task_id].candidate for e in events)
        for task_id, events in state.rejected.items()
    )
    made = len(accepted) + sum(map(len, state.rejected.values())) - among
    return np.array(list(first.values())), np.array(list(accepted.values())), made, seconds


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--noise", type=float, default=12.0)
    parser.add_argument("--tries", type=int, default=4)
    parser.add_argument("--size", type=int, default=512)
    parser.add_argument("--bars", type=float, nargs="+", default=[0.4, 0.5, 0.6, 0.7, 1.0])
    options = parser.parse_args()
    print(f"64 poses, joint noise {options.noise:g} degrees, at most {options.tries} tries an image")
    print("bar    first OKS  accepted OKS   gain   at the bar: first  accepted   made per image  seconds")
    for bar in options.bars:
        first, accepted, made, seconds = gated(bar, options)
        gain = accepted.mean() - first.mean()
        print(
            f"{bar:4.2f}   {first.mean():9.3f}  {accepted.mean():12.3f}  {gain:+.3f}"
            f"   {(first >= bar).mean():17.0%}  {(accepted >= bar).mean():8.0%}"
            f"   {made / len(accepted):14.2f}  {seconds:7.1f}"
        )


if __name__ == "__main__":
    main()
