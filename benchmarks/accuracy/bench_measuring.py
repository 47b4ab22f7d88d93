"""What measuring an image costs, and what a run takes with and without it.

python benchmarks/accuracy/bench_measuring.py [--images 24] [--rounds 3] [--size 1024]
"""

import argparse
import statistics
import tempfile
import time
from pathlib import Path

import psutil

from posegen.accuracy.measure import measure
from posegen.accuracy.process import shared_pool
from posegen.accuracy.registry import EstimatorSpec
from posegen.parameters import BatchParameters
from posegen.pipeline.measure_step import accuracy_target
from posegen.pipeline.plan import build_plan
from posegen.pipeline.run import start
from posegen.settings import Settings


def run(options, folder, estimator):
    """Make a run and return its summary and its seconds."""
    parameters = BatchParameters(
        poses="all", width=options.size, height=options.size, estimator=estimator, backend=options.backend
    )
    plan = build_plan(parameters)
    plan = type(plan)(plan.parameters, plan.tasks[: options.images], plan.notes)
    settings = Settings(root=Path(folder), cpu_threads=2)
    started = time.perf_counter()
    summary = start(plan, settings).wait(lambda _: None)
    return summary, time.perf_counter() - started


def cpu_ms(process):
    times = process.cpu_times()
    return (times.user + times.system) * 1000


def one_image(options, summary):
    """Print what one image costs: the estimator's process, and the comparison here."""
    pool = shared_pool(EstimatorSpec("mediapipe"))
    pool.open()
    child = next(c for c in psutil.Process().children() if "posegen.accuracy.child" in " ".join(c.cmdline()))
    records = [(task, summary.records[task.task_id]) for task in summary.state.tasks]
    files = [
        (task, record, (summary.folder.parents[1] / record.key).read_bytes()) for task, record in records
    ]
    pool.estimate_file(files[0][2])
    before, walls, ours = cpu_ms(child), [], []
    for task, record, data in files:
        started = time.perf_counter()
        found = pool.estimate_file(data)
        walls.append((time.perf_counter() - started) * 1000)
        accuracy_target.__globals__["_target"].cache_clear()
        spent = time.thread_time()
        measure(found.people, accuracy_target(task, record.width, record.height), pool.open())
        ours.append((time.thread_time() - spent) * 1000)
    spent = (cpu_ms(child) - before) / len(files)
    print(
        f"one image of {options.size}x{options.size}: {spent:.1f} ms CPU in its process, decoding "
        f"included (wall {statistics.median(walls):.1f} ms), "
        f"and {statistics.mean(ours):.1f} ms CPU for target and comparison"
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=24)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--size", type=int, default=1024)
    parser.add_argument("--backend", default="figure")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        summary, _ = run(options, folder, "mediapipe")  # the model is loaded once for all runs of a kernel
        one_image(options, summary)
    seconds = {"off": [], "mediapipe": []}
    for _ in range(options.rounds):
        for estimator, found in seconds.items():
            with tempfile.TemporaryDirectory() as folder:
                found.append(run(options, folder, estimator)[1])
    off, on = (statistics.median(found) for found in seconds.values())
    print(
        f"a run of {options.images} images: {off:.2f} s without, {on:.2f} s with measuring "
        f"({(on - off) / options.images * 1000:+.0f} ms an image); rounds {seconds}"
    )


if __name__ == "__main__":
    main()
