"""What experiments have found, as views: their Parquet files lie beside each run."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from posegen.metrics.load import quoted

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

EFFECTS: dict[str, str] = {
    "run_id": "VARCHAR", "baseline": "VARCHAR", "arm": "VARCHAR", "measure": "VARCHAR", "pairs": "BIGINT",
    "poses": "BIGINT", "mean": "DOUBLE", "low": "DOUBLE", "high": "DOUBLE", "median": "DOUBLE",
    "win_rate": "DOUBLE", "cohens_d_z": "DOUBLE", "p": "DOUBLE", "p_holm": "DOUBLE", "detectable": "DOUBLE",
}  # fmt: skip
SCORES: dict[str, str] = {
    "run_id": "VARCHAR", "arm": "VARCHAR", "cell": "BIGINT", "task_id": "VARCHAR", "pose": "VARCHAR",
    "category": "VARCHAR", "posture": "VARCHAR", "view": "VARCHAR", "side": "VARCHAR", "prompt": "VARCHAR",
    "seed": "BIGINT", "status": "VARCHAR", "estimator": "VARCHAR", "detected": "BOOLEAN", "people": "BIGINT",
    "oks": "DOUBLE", "ar": "DOUBLE", "pck_10": "DOUBLE", "pck_20": "DOUBLE", "mean_error": "DOUBLE",
    "angle_error_deg": "DOUBLE", "swapped": "BOOLEAN", "nearest_is_right": "BOOLEAN", "true_oks": "DOUBLE",
    "synthetic": "BOOLEAN",
}  # fmt: skip
EXPERIMENTS: dict[str, tuple[str, dict[str, str]]] = {
    "experiment_effects": ("effects.parquet", EFFECTS),
    "experiment_scores": ("images.parquet", SCORES),
}
"""By view, the file in `runs/<run id>/experiment/` and the columns that are shown of it."""

MAGIC = b"PAR1"


def add_experiments(connection: DuckDBPyConnection, root: Path) -> None:
    """Make the views of all experiments that have been saved; empty where there is none.

    What is no Parquet file is left out: a report can be made anew from its run's journal.
    """
    for name, (file, columns) in EXPERIMENTS.items():
        typed = ", ".join(f'"{column}" {kind}' for column, kind in columns.items())
        listed = ", ".join(f'"{column}"' for column in columns)
        connection.execute(f"CREATE TABLE no_{name} ({typed})")
        query = f"SELECT {listed} FROM no_{name}"  # noqa: S608  (our own names)
        found = [path for path in sorted(root.glob(f"runs/*/experiment/{file}")) if _is_parquet(path)]
        if found:
            paths = ", ".join(quoted(str(path.absolute())) for path in found)
            read = f"FROM read_parquet([{paths}], union_by_name = true, hive_partitioning = false)"
            query = f"SELECT {listed} FROM ({query} UNION ALL BY NAME SELECT * {read})"  # noqa: S608  (the same)
        connection.execute(f"CREATE VIEW {name} AS {query}")


def _is_parquet(path: Path) -> bool:
    try:
        with path.open("rb") as stream:
            head = stream.read(len(MAGIC))
            stream.seek(-len(MAGIC), 2)
            return head == stream.read() == MAGIC
    except OSError:
        return False
