"""Compaction: the rows of runs that have ended, as Parquet, so that they need not be folded again.

One file for each table and month (of the runs' beginnings), zstd. A month that gets runs is written anew,
under a new name; then one manifest is replaced, atomically, and with it everything at once. Nothing is ever
changed in place, so a reader sees all of it or nothing of it, and a process killed at any moment leaves at
worst a file that nobody lists. What was replaced stays for a day, for readers that still use it.

It changes no answer: a run that is not covered, or not any more, is folded from its journal.
"""

from __future__ import annotations

import re
import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from posegen.metrics.fold import ENDED
from posegen.metrics.load import Loader, create_table, encode, open_database, quoted
from posegen.metrics.manifest import (
    FOLDER,
    LEDGER,
    Covered,
    LedgerMark,
    Manifest,
    read_manifest,
    uncovered_runs,
    write_manifest,
)
from posegen.metrics.rows import BESIDE, TABLES, columns
from posegen.metrics.sources import credit_rows, mark_of, read_run
from posegen.storage import atomic

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

KEEP_REPLACED_S = 24 * 3600.0
"""How long files that were replaced stay for connections that were made before."""

_MONTH = re.compile(r"\d{4}-\d{2}")


@dataclass(frozen=True)
class Compacted:
    """What a compaction did.

    Attributes
    ----------
    runs : int
        Runs that were folded into Parquet files.
    months : tuple of str
        Months that were written anew.
    removed : int
        Files that were replaced long ago and are gone now.
    busy : bool
        Another compaction was under way; nothing was done.
    """

    runs: int = 0
    months: tuple[str, ...] = ()
    removed: int = 0
    busy: bool = False


def compact(root: str | Path, *, clock: Callable[[], float] = time.time) -> Compacted:
    """Fold the runs that have ended into Parquet files under `<root>/metrics`.

    Safe to repeat, at any moment, beside batches, readers and another compaction: what is covered is not
    touched, and a second compaction at the same time does nothing.

    Parameters
    ----------
    root : path
    clock : callable
        Returns the seconds since the epoch.

    Raises
    ------
    StorageFullError, StorageError
        The folder cannot be written, or the manifest is damaged. What was compacted before holds.
    JournalError
        The folder of runs cannot be listed.
    """
    root = Path(root)
    if not (root / "runs").is_dir():
        return Compacted()
    with _locked(root) as ours:
        return _compact(root, clock()) if ours else Compacted(busy=True)


@contextmanager
def _locked(root: Path) -> Iterator[bool]:
    """Hold the lock of compactions, if nobody else does."""
    from filelock import FileLock, Timeout  # takes 50 ms

    path = root / FOLDER / "compaction.lock"
    try:
        atomic.make_folders(path.parent)
        lock = FileLock(path, thread_local=False, fallback_to_soft=False)
        lock.acquire(blocking=False)
    except Timeout:
        yield False
        return
    except OSError as exc:
        raise atomic.storage_error(exc, "lock", path) from exc
    try:
        yield True
    finally:
        lock.release()


def _compact(root: Path, now: float) -> Compacted:
    manifest = read_manifest(root)
    with open_database() as connection:
        fresh = _fold_ended(connection, root, manifest)
        months = {covered.month for covered in fresh.values()}
        months |= {manifest.runs[run_id].month for run_id in fresh if run_id in manifest.runs}
        files = {month: _write_month(connection, root, manifest, month) for month in sorted(months)}
        ledger = _write_ledger(connection, root, manifest, files)
    old = {path for month in files for path in manifest.files.get(month, {}).values()}
    replaced = {**manifest.replaced, **dict.fromkeys(old, now)}
    gone = {path for path, since in replaced.items() if since < now - KEEP_REPLACED_S}
    kept = Manifest(
        files={month: tables for month, tables in {**manifest.files, **files}.items() if tables},
        runs={**manifest.runs, **fresh},
        ledger=ledger,
        replaced={path: since for path, since in replaced.items() if path not in gone},
    )
    if files or gone:
        write_manifest(root, kept)
    return Compacted(len(fresh), tuple(sorted(months)), _sweep(root, kept, now))


def _fold_ended(connection: DuckDBPyConnection, root: Path, manifest: Manifest) -> dict[str, Covered]:
    """Put the rows of runs that have ended and are not covered into tables; return these runs."""
    for name, kind in TABLES.items():
        create_table(connection, _fresh(name), kind)
    connection.execute("CREATE TABLE months (run_id VARCHAR, month VARCHAR)")
    loader = Loader(connection, {name: _fresh(name) for name in TABLES}, TABLES)
    found = {}
    for run_id in uncovered_runs(root, manifest):
        lines, state, extent = read_run(root, run_id)
        if state is not None and state.status in ENDED:
            loader.add(lines)
            found[run_id] = Covered(_month_of(state.first_at), extent)
    loader.flush()
    given = {"run_ids": list(found), "months": [run.month for run in found.values()]}
    connection.execute(
        "INSERT INTO months SELECT unnest($run_ids::VARCHAR[]), unnest($months::VARCHAR[])", given
    )
    return found


def _fresh(name: str) -> str:
    return f"fresh_{name}"


def _month_of(moment: str) -> str:
    """Return the month that a run is kept under; any text will do, it only bounds what is written anew."""
    found = _MONTH.match(moment)
    return found.group() if found else "unknown"


def _write_month(
    connection: DuckDBPyConnection, root: Path, manifest: Manifest, month: str
) -> dict[str, str]:
    """Write a month's files, durably; return their paths under `<root>/metrics` by table."""
    written, token = {}, secrets.token_hex(8)
    for name in TABLES:
        listed = ", ".join(f'"{column}"' for column in columns(TABLES[name]))
        query = (
            f"SELECT {listed} FROM {_fresh(name)} SEMI JOIN "  # noqa: S608  (our own names)
            f"(FROM months WHERE month = {quoted(month)}) AS m USING (run_id)"
        )
        old = manifest.files.get(month, {}).get(name)
        if old is not None:
            known = f"read_parquet({quoted(str(root / FOLDER / old))}, hive_partitioning = false)"
            left = f"SELECT * FROM {known} ANTI JOIN months USING (run_id)"  # noqa: S608  (the same)
            query = f"SELECT {listed} FROM ({left} UNION ALL BY NAME {query})"  # noqa: S608  (the same)
        path = f"{name}/month={month}/{token}.parquet"
        if _write_rows(connection, query, root / FOLDER / path):
            written[name] = path
    return written


def _write_ledger(
    connection: DuckDBPyConnection, root: Path, manifest: Manifest, files: dict[str, dict[str, str]]
) -> LedgerMark | None:
    """Write the accounts' entries if some are new; add the file to `files`, return the last one's mark."""
    rows, holds = credit_rows(root, manifest.ledger)
    if not rows and (holds or manifest.ledger is None):
        return manifest.ledger
    create_table(connection, "fresh_credits", BESIDE["credits"])
    loader = Loader(connection, {"credits": "fresh_credits"}, BESIDE)
    loader.add(encode({"credits": [*rows]}))
    loader.flush()
    query = "SELECT * FROM fresh_credits"
    old = manifest.files.get(LEDGER, {}).get("credits")
    if holds and old is not None:
        known = f"read_parquet({quoted(str(root / FOLDER / old))}, hive_partitioning = false)"
        query = f"SELECT * FROM {known} UNION ALL BY NAME {query}"  # noqa: S608  (our own names)
    path = f"credits/month={LEDGER}/{secrets.token_hex(8)}.parquet"
    written = _write_rows(connection, query, root / FOLDER / path)
    files[LEDGER] = {"credits": path} if written else {}
    return mark_of(rows[-1]) if rows else None


def _write_rows(connection: DuckDBPyConnection, query: str, path: Path) -> bool:
    """Write what a query gives as Parquet, durably; return whether there was a row."""
    import duckdb

    if not connection.execute(f"SELECT 1 FROM ({query}) LIMIT 1").fetchall():  # noqa: S608  (our own query)
        return False
    try:
        atomic.make_folders(path.parent)
        connection.execute(f"COPY ({query}) TO {quoted(str(path))} (FORMAT parquet, COMPRESSION zstd)")
        with path.open("rb") as file:
            atomic.sync_file(file.fileno())
        atomic.sync_folder(path.parent)
    except OSError as exc:
        raise atomic.storage_error(exc, "write", path) from exc
    except duckdb.Error as exc:
        raise atomic.storage_error(OSError(0, str(exc)), "write", path) from exc
    return True


def _sweep(root: Path, manifest: Manifest, now: float) -> int:
    """Remove files that no manifest of the last day has listed; return how many."""
    listed = {path for tables in manifest.files.values() for path in tables.values()} | set(manifest.replaced)
    removed = 0
    for path in (root / FOLDER).glob("*/month=*/*"):
        known = path.relative_to(root / FOLDER).as_posix() in listed
        # Old by its own time: replaced for more than a day, or left by a compaction that was killed.
        if not known and path.stat().st_mtime < now - KEEP_REPLACED_S:
            atomic.remove(path)
            removed += 1
    return removed
