"""What an operator asks besides: one `.sql` file for each question."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from posegen.errors import ParameterError, RunNotFoundError, UnknownNameError
from posegen.metrics.queries import Moment, beginning, end, query

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

REPORTS: dict[str, str] = {
    "throughput": "images a minute of working on them, by day",
    "stage_times": "p50, p95 and p99 of each stage, by backend",
    "costs": "US dollars for an image that was kept, rejected tries included, by backend",
    "accuracy": "pose accuracy by month, and by pose, category, backend and conditioning",
    "storage": "bytes by kind and day, and their sum so far",
    "recoveries": "attempts that went on with a run, and what they did not make again",
    "requests": "requests an image took, and the wait for it, by backend",
}
"""Names of the reports, with what they say."""


def report(
    connection: DuckDBPyConnection,
    name: str,
    *,
    since: Moment = None,
    until: Moment = None,
    user: str | None = None,
) -> list[dict[str, Any]]:
    """Return a report over the runs that started in a range.

    Parameters
    ----------
    connection : DuckDBPyConnection
        From `connect`.
    name : str
        One of `REPORTS`.
    since, until : date, datetime, str or None
        As `system_metrics` takes them.
    user : str, optional
        Only this user's runs.

    Returns
    -------
    list of dict
        In a fixed order; docs/metrics.md lists the columns.

    Raises
    ------
    UnknownNameError
        No such report; names the nearest.
    ParameterError
        A text that is no date.
    """
    if name not in REPORTS:
        raise UnknownNameError("report", name, REPORTS)
    return query(connection, name, since=beginning(since), until=end(until), user=user)


def compare_runs(
    connection: DuckDBPyConnection, runs: Sequence[str], *, user: str | None = None
) -> list[dict[str, Any]]:
    """Return runs side by side: speed, accuracy, cost and size of each, in the order named.

    Parameters
    ----------
    connection : DuckDBPyConnection
        From `connect`.
    runs : sequence of str
        Two run ids or more.
    user : str, optional
        Runs of others are as if they were not there.

    Raises
    ------
    ParameterError
        Fewer than two different runs.
    RunNotFoundError
        There is no such run; names the nearest.
    """
    wanted = list(dict.fromkeys(runs))
    if len(wanted) < 2:
        raise ParameterError("runs", f"{wanted} are fewer than two different runs, which a comparison takes")
    rows = query(connection, "comparison", runs=wanted, user=user)
    missing = set(wanted) - {row["run_id"] for row in rows}
    if missing:
        visible = connection.execute("SELECT run_id FROM runs_between(NULL, NULL, $user)", {"user": user})
        raise RunNotFoundError(min(missing), [run_id for (run_id,) in visible.fetchall()])
    return rows
