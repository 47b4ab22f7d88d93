"""The whole ledger, to be read: for reports, which change nothing."""

from __future__ import annotations

from pathlib import Path

from posegen.credits.database import reading
from posegen.credits.entries import COLUMNS, Entry


def read_ledger(path: Path, *, after: int = 0) -> list[Entry]:
    """Return every entry of the accounts in `path`, oldest first; none if there is no such file.

    The file is neither made nor brought up to date, and nobody is given a starting grant: an older version of
    its schema is read as it is.

    Parameters
    ----------
    path : Path
    after : int
        Only entries with a higher `entry_id`.

    Raises
    ------
    StorageError
        It is damaged, another program's or a newer posegen's.
    """
    if not path.exists():
        return []
    with reading(path, any_version=True) as connection:
        (tables,) = connection.execute("SELECT count(*) FROM sqlite_schema WHERE name = 'ledger'").fetchone()
        if not tables:  # made just now, by somebody who has not filled it yet
            return []
        query = f"SELECT {COLUMNS} FROM ledger WHERE entry_id > ? ORDER BY entry_id"  # noqa: S608  (our own words)
        return [Entry(*row) for row in connection.execute(query, (after,))]
