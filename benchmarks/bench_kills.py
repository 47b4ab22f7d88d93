"""Kill processes that drive runs, again and again, and count what was lost or made twice.

Run by hand: `python benchmarks/bench_kills.py --kills 1000`. The children are real processes, killed with
SIGKILL at a random moment, or by themselves at a random failpoint; the images are plain, so that the time
goes into dying. What is checked after each run is what `tests/faults` checks.
"""

from __future__ import annotations

import argparse
import random
import statistics
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from posegen.failpoints import FAILPOINTS
from posegen.journal import owner_status
from tests.faults.harness import Child, Nursery, Shop, Story, a_nursery, a_shop, until
from tests.faults.test_disk_faults import SAID, fail_at
from tests.faults.test_owners import wake_late

DYING_AGAIN = 5
"""Kills of one run before it is let finish."""


@dataclass
class Figures:
    """What was seen."""

    runs: int = 0
    kills: Counter[str] = field(default_factory=Counter)
    acknowledged: int = 0
    images: int = 0
    bought: int = 0
    waited: int = 0
    broken: list[str] = field(default_factory=list)
    noticed_ms: list[float] = field(default_factory=list)
    owned_ms: list[float] = field(default_factory=list)
    image_ms: list[float] = field(default_factory=list)


def die(run: Story, chance: random.Random, figures: Figures) -> bool:
    """Drive the run in a process that is killed; return whether it was still at work."""
    if chance.random() < 0.5:
        where = chance.choice(FAILPOINTS)
        child = run.start(deaths={where: chance.choice([1, 1, 2, 3])}, resume=resumable(run, chance)).wait()
        killed_at = child.lines()[-1]["at"]
    else:
        child, where = run.start(resume=resumable(run, chance)), "at random"
        until(lambda: child.dead or child.lines("looks"), "it looks whether the run is free")
        end = time.monotonic() + chance.random() * 0.12
        until(lambda: child.dead or time.monotonic() > end, "a while")
        killed_at = child.kill()
    if child.exit_code is not None:
        figures.waited += child.exit_code == 5
        return False
    run.killed += 1
    figures.kills[child.died_there or where] += 1
    if child.lines("owns"):
        until(lambda: owner_status(run.root, run.run_id).state != "ours-alive", "its death is noticed")
        figures.noticed_ms.append((time.monotonic() - killed_at) * 1000)
    return True


def resumable(run: Story, chance: random.Random) -> bool:
    """Return whether to go on by `resume`, which needs a plan, or by starting the same run again."""
    planned = any(
        one["event"] == "RunPlanned" for child in run.children for one in child.lines("acknowledged")
    )
    return planned and chance.random() < 0.5


def tell(root: Path, number: int, nursery: Nursery, chance: random.Random, figures: Figures) -> None:
    """Begin a run, kill it several times, finish it, and check it."""
    with a_shop() as shop:
        backend = chance.choice(["plain", "queued", "blind"])
        images = chance.randrange(3, 9)
        more = {"exports": ["tiktok"]} if chance.random() < 0.2 else {}
        run = Story(
            root,
            nursery,
            shop,
            backend,
            f"r{number}",
            images,
            2,
            concurrency=chance.choice([1, 2, 4]),
            more=more,
        )
        before = 0.0
        for _ in range(DYING_AGAIN):
            died = die(run, chance, figures)
            measure(run.children[-1], before, figures)
            if not died:
                break
            before = time.monotonic()
        measure(run.finish(), before, figures)
        figures.runs += 1
        try:
            state = run.check()
        except AssertionError as exc:
            figures.broken.append(f"{run.run_id} ({backend}): {exc}")
            return
        figures.acknowledged += len(run.acknowledged)
        figures.images += state.made
        figures.bought += len(shop.sold)


def measure(child: Child, before: float, figures: Figures) -> None:
    owned = child.lines("owns")
    images = [line for line in child.lines("acknowledged") if line["sha256"]]
    if before and owned:
        figures.owned_ms.append((owned[0]["at"] - before) * 1000)
    if before and owned and images:
        figures.image_ms.append((images[0]["at"] - before) * 1000)


def late_owners(root: Path, nursery: Nursery, rounds: int, chance: random.Random) -> int:
    """Let owners of another machine wake up late; return the rounds in which nothing of theirs counted."""
    taken_over = 0
    for number in range(2 * rounds):
        if taken_over == rounds:
            break
        with a_shop() as shop:
            taken_over += wake_late(Story(root, nursery, shop, "queued", f"late{number}", 6), chance)
    return taken_over


def disk_faults(root: Path, nursery: Nursery, shop: Shop, step: int) -> int:
    """Let each write and sync fail in turn; return how many faults were met."""
    met = 0
    for code in sorted(SAID):
        for stays in (False, True):
            for nth in range(1, 10_000, step):
                run = Story(
                    root, nursery, shop, run_id=f"{code}-{stays}-{nth}".lower(), images=4, concurrency=1
                )
                if not fail_at(run, nth, code, stays=stays).lines("fault"):
                    break
                met += 1
    return met


def spread(values: Iterable[float]) -> str:
    ordered = sorted(values)
    if not ordered:
        return "-"
    p99 = ordered[min(len(ordered) - 1, round(0.99 * len(ordered)))]
    return f"median {statistics.median(ordered):6.1f}  p99 {p99:6.1f}  max {ordered[-1]:6.1f} ms"


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--kills", type=int, default=100)
    arguments.add_argument("--late", type=int, default=10, help="rounds of an owner that wakes up late")
    arguments.add_argument("--disk-step", type=int, default=5, help="try every so many calls; 0: none")
    arguments.add_argument("--seed", type=int, default=1)
    arguments.add_argument("--limit-s", type=float, default=1800, help="stop killing after so long")
    arguments.add_argument("--folder", type=Path, help="on the disk to measure")
    given = arguments.parse_args()
    chance, figures, began = random.Random(given.seed), Figures(), time.monotonic()
    with tempfile.TemporaryDirectory(dir=given.folder) as name, a_nursery() as nursery, a_shop() as shop:
        root = Path(name) / "outputs"
        said = 0
        while figures.kills.total() < given.kills and time.monotonic() - began < given.limit_s:
            tell(root, figures.runs, nursery, chance, figures)
            if figures.kills.total() // 100 > said:
                said = figures.kills.total() // 100
                print(f"{figures.kills.total()} kills, {len(figures.broken)} runs broken", flush=True)
        report(figures, time.monotonic() - began)
        late = late_owners(root, nursery, given.late, chance)
        print(f"owners that woke up late            {late} rounds, 0 of their writes counted", flush=True)
        met = disk_faults(root, nursery, shop, given.disk_step) if given.disk_step else 0
        print(f"disk faults                         {met} met, every run went on and is right")
    sys.exit(bool(figures.broken))


def report(figures: Figures, seconds: float) -> None:
    print(
        f"kills                               {figures.kills.total()} in {figures.runs} runs, {seconds:.0f} s"
    )
    print(f"images acknowledged, made           {figures.acknowledged}, {figures.images}")
    print(f"purchases                           {figures.bought}; {figures.waited} stops to ask a person")
    print(f"runs with a loss, a double, a debt  {len(figures.broken)}")
    print(f"death to noticed                    {spread(figures.noticed_ms)}")
    print(f"noticed to owned by another         {spread(figures.owned_ms)}")
    print(f"noticed to its first new image      {spread(figures.image_ms)}")
    for where, count in figures.kills.most_common():
        print(f"  killed {where:28} {count}")
    for line in figures.broken:
        print(f"BROKEN {line}")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
