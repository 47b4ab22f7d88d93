"""How many images a user has asked for lately, so that nobody takes the places of all the others."""

from __future__ import annotations

import sqlite3
from datetime import UTC, datetime, timedelta

from posegen.errors import UserLimitError

WINDOW = timedelta(hours=1)


def check_asked(
    connection: sqlite3.Connection, user: str, images: int, *, per_hour: int, now: datetime
) -> None:
    """Refuse what exceeds a user's images an hour; each image of a batch counts.

    Parameters
    ----------
    connection : sqlite3.Connection
        In a transaction, so that two runs at once cannot both take what is left.
    images : int
        What is asked for now.
    per_hour : int
        What any hour may hold.
    now : datetime

    Raises
    ------
    UserLimitError
        Says when so many will be free, or that they never will.
    """
    since = (now - WINDOW).timestamp()
    rows = connection.execute(
        "SELECT at_s, images FROM asked WHERE user = ? AND at_s > ? ORDER BY at_s", (user, since)
    ).fetchall()
    excess = sum(asked for _, asked in rows) + images - per_hour
    if excess <= 0:
        return
    free_at = None
    for at_s, asked in rows if images <= per_hour else ():
        excess -= asked
        if excess <= 0:
            free_at = datetime.fromtimestamp(at_s, UTC) + WINDOW
            break
    asked_lately = sum(asked for _, asked in rows)
    raise UserLimitError(user, images=images, per_hour=per_hour, asked=asked_lately, free_at=free_at)


def note_asked(connection: sqlite3.Connection, user: str, run_id: str, images: int, now: datetime) -> None:
    """Note what a run asks for, once for each run: going on with it asks for nothing new."""
    connection.execute(
        "INSERT OR IGNORE INTO asked (run_id, user, images, at_s) VALUES (?, ?, ?, ?)",
        (run_id, user, images, now.timestamp()),
    )


def has_asked(connection: sqlite3.Connection, run_id: str) -> bool:
    """Return whether a run's images are noted already."""
    return connection.execute("SELECT 1 FROM asked WHERE run_id = ?", (run_id,)).fetchone() is not None
