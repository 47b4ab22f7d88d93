"""Commands about all runs together: how it goes, who uses it, what is wanted, what breaks."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import TYPE_CHECKING, Any

import click

from posegen.cli.app import app, json_option
from posegen.cli.output import print_facts, print_json, print_rows, say, say_on_stderr

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

EMPTY = "nothing in this range"

since_option = click.option("--since", metavar="D", help="First day or moment (UTC), such as 2026-03-01.")
until_option = click.option("--until", metavar="D", help="Last day, which belongs to it whole, or a moment.")


def limit_option(default: int) -> Callable[[Any], Any]:
    """Return the option --limit."""
    return click.option(
        "--limit",
        metavar="N",
        default=default,
        show_default=True,
        type=click.IntRange(min=1),
        help="Rows at most.",
    )


@app.group()
def metrics() -> None:
    """Figures over all runs that started in a range of time."""


@metrics.command()
@since_option
@until_option
@limit_option(10)
@json_option
def system(since: str | None, until: str | None, limit: int, as_json: bool) -> None:
    """Say how it goes: generations, success, duration, images, credits; N error codes."""
    import msgspec

    from posegen.metrics import system_metrics

    with _connection() as connection:
        found = msgspec.to_builtins(system_metrics(connection, since=since, until=until, limit=limit))
    if not as_json:
        found["top_errors"] = [f"{one['code']} {one['count']}" for one in found["top_errors"]]
    print_facts(found, as_json)


@metrics.command()
@since_option
@until_option
@limit_option(10)
@json_option
def users(since: str | None, until: str | None, limit: int, as_json: bool) -> None:
    """List the users with the most generations."""
    from posegen.metrics import top_users

    with _connection() as connection:
        rows = top_users(connection, since=since, until=until, limit=limit)
    print_rows(_plain(rows), as_json, empty=EMPTY)


@metrics.command()
@since_option
@until_option
@limit_option(20)
@json_option
def poses(since: str | None, until: str | None, limit: int, as_json: bool) -> None:
    """List the poses that most images were asked of."""
    from posegen.metrics import popular_poses

    with _connection() as connection:
        rows = popular_poses(connection, since=since, until=until, limit=limit)
    print_rows(_plain(rows), as_json, empty=EMPTY)


@metrics.command()
@since_option
@until_option
@limit_option(20)
@json_option
def errors(since: str | None, until: str | None, limit: int, as_json: bool) -> None:
    """List what failed, by code, with what was refunded for it."""
    from posegen.metrics import error_analysis

    with _connection() as connection:
        rows = error_analysis(connection, since=since, until=until, limit=limit)
    print_rows(_plain(rows), as_json, empty=EMPTY)


@metrics.command()
@json_option
def compact(as_json: bool) -> None:
    """Fold runs that have ended into Parquet, so that figures come sooner; changes no answer."""
    from dataclasses import asdict

    from posegen.metrics import compact as compact_runs
    from posegen.settings import load_settings

    done = compact_runs(load_settings().root)
    if as_json:
        print_json(asdict(done))
    elif done.busy:
        say("another compaction is under way")
    else:
        months = f", months written: {', '.join(done.months)}" if done.months else ""
        say(f"{done.runs} runs compacted{months}")


@contextmanager
def _connection() -> Iterator[DuckDBPyConnection]:
    """Give a connection; what its figures leave out is said on stderr."""
    from posegen.metrics import connect, left_out
    from posegen.settings import load_settings

    with connect(load_settings().root) as connection:
        yield connection
        missing = [
            f"{count} {what.replace('_', ' ')}" for what, count in left_out(connection).items() if count
        ]
        if missing:
            say_on_stderr(f"note: not counted: {', '.join(missing)} (docs/metrics.md says how to find them)")


def _plain(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return rows with times as text, in UTC."""
    return [
        {
            name: value.isoformat(timespec="seconds") + "Z" if isinstance(value, datetime) else value
            for name, value in row.items()
        }
        for row in rows
    ]
