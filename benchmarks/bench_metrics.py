"""Time of the four answers over many runs: from journals, compacted, and compacted with some that are not.

    python benchmarks/bench_metrics.py --runs 1000 --images 5000

Connecting is part of every time: it is what one question costs. Medians of five, but for the first figures.
"""

from __future__ import annotations

import argparse
import resource
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tools"))

from seeded_runs import RETRIES, not_waiting_for_the_disk, seeded_runs, write_workspace

from posegen.metrics import compact, connect, error_analysis, popular_poses, system_metrics, top_users

ANSWERS = (system_metrics, top_users, popular_poses, error_analysis)


def timed(what: str, work: Callable[[], object], repeats: int = 5) -> None:
    spent = []
    for _ in range(repeats):
        started = time.perf_counter()
        work()
        spent.append((time.perf_counter() - started) * 1000)
    print(f"{what:<44} {statistics.median(spent):9,.0f} ms")


def ask(root: Path, *answers: Callable[..., object]) -> None:
    with connect(root) as connection:
        for answer in answers:
            answer(connection)


def measure(root: Path, label: str, repeats: int) -> None:
    timed(f"{label}: connect", lambda: ask(root), repeats)
    timed(f"{label}: connect, system metrics", lambda: ask(root, system_metrics), repeats)
    timed(f"{label}: connect, all four answers", lambda: ask(root, *ANSWERS), repeats)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=1000)
    parser.add_argument("--images", type=int, default=5000)
    parser.add_argument("--later", type=int, default=20, help="runs that come after the compaction")
    given = parser.parse_args()
    seeded = seeded_runs(
        seed=7, runs=given.runs, images=given.images, mean_ms=45_320,
        failures=(RETRIES,) * (given.runs // 25), days=90,
    )  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        timed(
            f"{given.runs:,} runs, {given.images:,} images: writing", lambda: write_workspace(root, seeded), 1
        )
        measure(root, "journals", 3)
        with not_waiting_for_the_disk():
            timed("compaction of all", lambda: compact(root), 1)
            timed("compaction of nothing", lambda: compact(root))
        measure(root, "compacted", 5)
        more = seeded_runs(
            seed=8, runs=given.later, images=5 * given.later, mean_ms=45_320, failures=(), days=90
        )
        write_workspace(root, (replace(run, run_id=f"later-{run.run_id}") for run in more))
        measure(root, f"compacted, {given.later} runs later", 5)
        bytes_of = {
            name: sum(path.stat().st_size for path in root.rglob(name)) for name in ("*.jsonl", "*.parquet")
        }
        print({name: f"{size / given.images:,.0f} bytes an image" for name, size in bytes_of.items()})
    print(f"peak memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:,.0f} MB")


if __name__ == "__main__":
    main()
