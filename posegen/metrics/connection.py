"""All runs of a workspace as SQL views, in a DuckDB of this process's own."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from posegen.errors import StorageError
from posegen.metrics.experiment_views import add_experiments
from posegen.metrics.load import Loader, create_table, encode, open_database, quoted
from posegen.metrics.manifest import FOLDER, Manifest, read_manifest, uncovered_runs
from posegen.metrics.queries import read_sql
from posegen.metrics.rows import BESIDE, TABLES, columns
from posegen.metrics.sources import credit_rows, live_rows, pose_rows

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

KINDS = {**TABLES, **BESIDE}


def connect(root: str | Path) -> DuckDBPyConnection:
    """Return a connection to an in-memory DuckDB with views over all runs under `root`.

    Finished runs come from the compacted Parquet files, the others and those that grew since are folded from
    their journals now; both in one view. It shows the moment of the call: connect again to see what came
    since. Nothing is locked and nothing written, so it works while batches and a compaction run.

    Parameters
    ----------
    root : path
        What `STORAGE_LOCAL_PATH` names, by default `outputs`; one without runs gives empty views.

    Returns
    -------
    DuckDBPyConnection
        With the views `runs`, `images`, `events`, `errors`, `credits`, `exports`, `stages`, `candidates`,
        `attempts`, `poses`, `experiment_effects` and `experiment_scores` (docs/metrics.md has their columns)
        and the table macro
        `runs_between(since, until, who)`. Times are TIMESTAMP in UTC. Close it, or use it in a `with`.

    Raises
    ------
    JournalError
        The folder of runs cannot be listed. A single run that cannot be read has the status "unreadable".
    StorageError
        The accounts or the compaction's manifest are damaged.

    Examples
    --------
    >>> with connect("no such folder") as connection:
    ...     connection.sql("SELECT count(*) FROM runs").fetchall()
    [(0,)]
    """
    root = Path(root)
    manifest = read_manifest(root)
    live = uncovered_runs(root, manifest)
    connection = open_database()
    try:
        ledger_holds = _load(connection, root, manifest, live)
        refolded = [run_id for run_id in live if run_id in manifest.runs]
        for name in TABLES:
            _unite(connection, name, manifest.paths(root, name), refolded)
        _unite(connection, "credits", manifest.paths(root, "credits") if ledger_holds else [])
        connection.execute(read_sql("views"))
        add_experiments(connection, root)
    except BaseException:
        connection.close()
        raise
    return connection


def _load(connection: DuckDBPyConnection, root: Path, manifest: Manifest, live: list[str]) -> bool:
    """Fill the tables of what is not compacted; return whether what was compacted of the accounts holds."""
    for name, kind in KINDS.items():
        create_table(connection, _live(name), kind)
    loader = Loader(connection, {name: _live(name) for name in KINDS}, KINDS)
    for lines in live_rows(root, live):
        loader.add(lines)
    entries, ledger_holds = credit_rows(root, manifest.ledger)
    loader.add(encode({"credits": [*entries], "poses": [*pose_rows()]}))
    loader.flush()
    return ledger_holds


def _live(name: str) -> str:
    return f"live_{name}"


def _unite(
    connection: DuckDBPyConnection, name: str, paths: list[Path], refolded: Sequence[str] = ()
) -> None:
    """Make the view of a table's rows: the compacted ones that still hold, and the live ones."""
    import duckdb

    listed = ", ".join(f'"{column}"' for column in columns(KINDS[name]))
    query = f"SELECT {listed} FROM {_live(name)}"  # noqa: S608  (our own names)
    if paths:
        files = ", ".join(quoted(str(path.absolute())) for path in paths)
        # By name, so that files of an older posegen, which lack a column, show NULL in it.
        compacted = f"FROM read_parquet([{files}], union_by_name = true, hive_partitioning = false)"
        if refolded:
            compacted += f" WHERE run_id NOT IN ({', '.join(map(quoted, refolded))})"
        query = f"SELECT {listed} FROM ({query} UNION ALL BY NAME SELECT * {compacted})"  # noqa: S608  (the same)
    try:
        connection.execute(f"CREATE VIEW all_{name} AS {query}")
    except duckdb.Error as exc:
        raise StorageError(
            f"cannot read what was compacted of {name} ({exc}); without {FOLDER}/manifest.json all runs are "
            "read from their journals"
        ) from exc
