"""The `.sql` files: reading them, and running them with their parameters."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, time, timedelta
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING, Any

from posegen.errors import ParameterError

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

Moment = date | datetime | str | None
"""A bound of a range: a day, a moment (UTC unless it names its zone), either as ISO 8601 text, or none."""


@cache
def read_sql(name: str) -> str:
    """Return the text of `sql/<name>.sql`."""
    return (resources.files("posegen.metrics") / "sql" / f"{name}.sql").read_text(encoding="utf-8")


def query(connection: DuckDBPyConnection, name: str, **values: Any) -> list[dict[str, Any]]:
    """Run `sql/<name>.sql` and return its rows, a dict each.

    Parameters
    ----------
    connection : DuckDBPyConnection
        From `connect`.
    name : str
        The file, without its ending.
    **values
        The file's `$parameters`; those that it does not name are left out, those not given are NULL.
    """
    text = read_sql(name)
    wanted = {parameter: values.get(parameter) for parameter in re.findall(r"\$(\w+)", text)}
    cursor = connection.execute(text, wanted) if wanted else connection.execute(text)
    names = [column[0] for column in cursor.description or ()]
    return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]


def beginning(since: Moment) -> datetime | None:
    """Return the first moment of a range, in UTC without a zone, as the views' times are.

    >>> beginning("2026-03-01")
    datetime.datetime(2026, 3, 1, 0, 0)
    """
    found = _moment("since", since)
    return datetime.combine(found, time()) if type(found) is date else _in_utc(found)


def end(until: Moment) -> datetime | None:
    """Return the first moment after a range: a day belongs to it whole, a moment does not.

    >>> end("2026-03-01"), end("2026-03-01T12:00")
    (datetime.datetime(2026, 3, 2, 0, 0), datetime.datetime(2026, 3, 1, 12, 0))
    """
    found = _moment("until", until)
    if type(found) is date:
        return datetime.combine(found, time()) + timedelta(days=1)
    return _in_utc(found)


def _moment(name: str, value: Moment) -> Any:
    if not isinstance(value, str):
        return value
    try:
        return date.fromisoformat(value) if len(value) <= len("2026-03-01") else datetime.fromisoformat(value)
    except ValueError:
        raise ParameterError(
            name, f"{value!r} is not a day or a moment such as 2026-03-01 or 2026-03-01T12:00"
        ) from None


def _in_utc(moment: datetime | None) -> datetime | None:
    if moment is None or moment.tzinfo is None:
        return moment
    return moment.astimezone(UTC).replace(tzinfo=None)
