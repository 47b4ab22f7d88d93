"""Let processes race for runs, again and again, and count the winners of each race.

Run by hand: `python benchmarks/bench_races.py --races 1000`. Each run is raced for twice: when it is new, and
while its owner gives it up. Each race must have one winner, and each owner's journal a segment of its own.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

RACER = """
import sys
from pathlib import Path
from posegen.errors import RunOwnedError
from posegen.journal import RunLease, SegmentWriter, journal_folder
print("ready", flush=True)
lease = None
for line in sys.stdin:
    root, run_id = line.split()
    if lease is not None:
        lease.release()
    try:
        lease = RunLease.acquire(Path(root), run_id)
        SegmentWriter.open(journal_folder(Path(root), run_id), run_id, kind="race", after=lease.after).close()
        print("won", flush=True)
    except RunOwnedError as error:
        lease = None
        print(error.pid, flush=True)
"""


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--races", type=int, default=1000)
    arguments.add_argument("--racers", type=int, default=8)
    given = arguments.parse_args()
    began, winners, met_before = time.monotonic(), Counter[int](), 0
    racers = [
        subprocess.Popen(
            [sys.executable, "-c", RACER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        for _ in range(given.racers)
    ]
    for racer in racers:
        racer.stdout.readline()
    with tempfile.TemporaryDirectory() as root:
        for number in range(given.races):
            run_id = f"race-{number // 2}"  # each twice: new, and left behind with a journal
            for racer in racers:
                racer.stdin.write(f"{root} {run_id}\n")
                racer.stdin.flush()
            answers = {racer.pid: racer.stdout.readline().strip() for racer in racers}
            won = [str(pid) for pid, answer in answers.items() if answer == "won"]
            winners[len(won)] += 1
            met_before += sum(answer not in ("won", *won) for answer in answers.values())
        segments = Counter(len(list(folder.glob("*.jsonl"))) for folder in Path(root).glob("runs/*/journal"))
    for racer in racers:
        racer.stdin.close()
        racer.wait(60)
    print(f"{given.races} races of {given.racers} processes, {time.monotonic() - began:.0f} s")
    print(f"races by their number of winners: {dict(winners)}")
    print(f"losers who still met the owner before: {met_before}")
    print(f"runs by their number of journal segments: {dict(segments)}")


if __name__ == "__main__":
    main()
