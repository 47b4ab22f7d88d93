"""Milliseconds an operation on the accounts takes, durable, beside other journal modes of SQLite.

Run by hand: `OMP_NUM_THREADS=1 python benchmarks/bench_credits.py`. Ratios count, not the times.
"""

from __future__ import annotations

import argparse
import sqlite3
import statistics
import tempfile
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from posegen.credits import Accounts, open_accounts


def timed(name: str, call: Callable[[int], object], times: int) -> None:
    taken = []
    for number in range(times):
        start = time.perf_counter()
        call(number)
        taken.append((time.perf_counter() - start) * 1e3)
    taken.sort()
    print(f"{name:44} median {statistics.median(taken):7.2f} ms   p95 {taken[int(0.95 * times)]:7.2f} ms")


def operations(accounts: Accounts, user: str, times: int) -> None:
    timed(f"{user}: hold", lambda n: accounts.hold(user, 300, f"{user}-{n}", attempt=1), times)
    timed(f"{user}: refund", lambda n: accounts.refund(f"{user}-{n}", "t", 30, attempt=1), times)
    timed(f"{user}: settle", lambda n: accounts.settle(f"{user}-{n}", attempt=1, charged=270), times)
    timed(f"{user}: balance", lambda _: accounts.balance(user), times)


def fill(path: Path, user: str, entries: int) -> None:
    rows = ((user, f"old-{number}") for number in range(entries))
    with closing(sqlite3.connect(path)) as connection:
        insert = "INSERT INTO ledger (user, kind, amount, key, at, note) VALUES (?, 'grant', 30, ?, '', '')"
        connection.executemany(insert, rows)
        connection.commit()


def journal_modes(folder: Path, times: int) -> None:
    for mode, synchronous in (("delete", "extra"), ("delete", "full"), ("truncate", "full"), ("wal", "full")):
        path = folder / f"{mode}-{synchronous}.sqlite"

        def insert(number: int, path: Path = path, mode: str = mode, synchronous: str = synchronous) -> None:
            with closing(sqlite3.connect(path, isolation_level=None)) as connection:
                connection.execute(f"PRAGMA journal_mode = {mode}")
                connection.execute(f"PRAGMA synchronous = {synchronous}")
                connection.execute("BEGIN IMMEDIATE")
                connection.execute("CREATE TABLE IF NOT EXISTS t (a INTEGER PRIMARY KEY, b TEXT UNIQUE)")
                connection.execute("INSERT INTO t (b) VALUES (?)", (str(number),))
                connection.execute("COMMIT")

        timed(f"bare insert, {mode} / {synchronous}", insert, times)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folder", type=Path, help="on the disk to measure; by default the system's")
    parser.add_argument("--times", type=int, default=200)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=arguments.folder) as name:
        folder = Path(name)
        accounts = open_accounts(folder / "credits.sqlite")
        operations(accounts, "new", arguments.times)
        fill(accounts.path, "old", 200_000)
        operations(accounts, "old", arguments.times)
        journal_modes(folder, arguments.times)


if __name__ == "__main__":
    main()
