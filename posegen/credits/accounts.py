"""Accounts: grants, holds, refunds and settlements, each exactly once.

A run sets its price aside before it starts (hold), gets back what each failed image cost (refund), and is
settled when it ends: what was neither charged nor refunded goes back. The ledger only grows; a balance is the
sum of a user's entries. Every operation is one transaction and carries an idempotency key: after a crash the
caller, who cannot know whether it was done, repeats it.

The attempt's number is a fence. Whoever claims a run, or does anything for it, shuts out every earlier
attempt, so that an owner who wakes up after a takeover changes nothing.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from posegen.credits.asked import check_asked, has_asked, note_asked
from posegen.credits.database import prepare, reading, writing
from posegen.credits.entries import (
    COLUMNS,
    Entry,
    EntryKind,
    Hold,
    check_amount,
    check_attempt,
    check_key,
    check_name,
    check_user,
)
from posegen.errors import (
    CreditsConflictError,
    CreditsError,
    InsufficientCreditsError,
    StaleAttemptError,
    StorageError,
)
from posegen.settings import STARTING_GRANT

ACCOUNTS_FILE = "credits.sqlite"
"""The accounts' name in the folder that runs write to."""

HOLD_KEY = "hold:"
"""Every hold's key starts with this: `hold:<run id>`, `hold:<run id>:<attempt>`."""

Clock = Callable[[], datetime]

_HOLDS = """
    SELECT h.entry_id, h.user, h.run_id, h.key, -h.amount,
        coalesce((SELECT sum(amount) FROM ledger r WHERE r.hold_id = h.entry_id AND r.kind = 'refund'), 0),
        s.charged, coalesce(s.amount, 0)
    FROM ledger h LEFT JOIN ledger s ON s.hold_id = h.entry_id AND s.kind = 'settlement'
    WHERE h.kind = 'hold'
"""


def utc_now() -> datetime:
    """Return the time, with its zone."""
    return datetime.now(UTC)


def open_accounts(path: Path, *, clock: Clock = utc_now, starting_grant: int = STARTING_GRANT) -> Accounts:
    """Return the accounts kept in a file, which is made if there is none.

    Parameters
    ----------
    path : Path
        Usually `<root>/credits.sqlite`.
    clock : callable
        Gives the time that entries carry; only a user's images an hour are decided by it.
    starting_grant : int
        Credits of a user who has none yet, from 0.

    Raises
    ------
    StorageFullError, StorageError
        The file cannot be made or used: see `database.prepare`.
    """
    check_amount(starting_grant)
    prepare(path)
    return Accounts(path, clock=clock, starting_grant=starting_grant)


class Accounts:
    """Everybody's credits, in one file that several processes and threads use at once.

    Every method may raise `StorageError`, and `ParameterError` for a malformed user, id, key or amount. A
    user is given the starting grant when first asked after.
    """

    def __init__(self, path: Path, *, clock: Clock, starting_grant: int) -> None:
        self.path = path
        self._clock = clock
        self._starting_grant = starting_grant

    def balance(self, user: str) -> int:
        """Return the credits that `user` can spend."""
        self._open_account(user)
        with reading(self.path) as connection:
            return _balance(connection, user)

    def history(self, user: str) -> list[Entry]:
        """Return all entries of `user`, oldest first; their amounts add up to the balance."""
        self._open_account(user)
        with reading(self.path) as connection:
            return _entries(connection, "user = ?", user)

    def grant(self, user: str, amount: int, *, key: str, note: str = "") -> Entry:
        """Give `user` credits, once for each key.

        Raises
        ------
        CreditsConflictError
            The key was used for another user or amount.
        """
        check_user(user)
        check_amount(amount, least=1)
        with writing(self.path) as connection:
            self._add_opening(connection, user)
            return self._add(connection, "grant", check_key(key), note, user=user, amount=amount)

    def claim(self, run_id: str, attempt: int) -> None:
        """Shut out every attempt at the run that is older than `attempt`.

        Raises
        ------
        StaleAttemptError
            A newer attempt has the run.
        """
        with writing(self.path) as connection:
            _pass_fence(connection, run_id, attempt)

    def check_asked(self, user: str, run_id: str | None, images: int, per_hour: int) -> None:
        """Refuse what exceeds the images that a user may ask for within an hour; notes nothing.

        A run that has asked already (None is one without a name yet) asks for nothing new.

        Raises
        ------
        UserLimitError
            Says when so many will be free.
        """
        check_user(user)
        with reading(self.path) as connection:
            if run_id is None or not has_asked(connection, run_id):
                check_asked(connection, user, images, per_hour=per_hour, now=self._clock())

    def hold(
        self,
        user: str,
        amount: int,
        run_id: str,
        *,
        attempt: int,
        key: str | None = None,
        images: int = 0,
        per_hour: int | None = None,
    ) -> Hold:
        """Set credits aside for a run, once for each key.

        Parameters
        ----------
        user : str
            Who pays.
        amount : int
            From 0.
        run_id : str
        attempt : int
        key : str, optional
            By default `hold:<run_id>`. A run that was settled and goes on takes a new hold under a new key,
            `hold:<run_id>:<attempt>`.
        images : int
            What the run asks for; counted once for each run.
        per_hour : int, optional
            How many images the user may ask for within an hour.

        Returns
        -------
        Hold
            As it is now: if the key was used before it may have been refunded or settled since.

        Raises
        ------
        InsufficientCreditsError
            The user has less; nothing is held.
        UserLimitError
            The user has asked for too much within an hour; nothing is held.
        CreditsConflictError
            The key was used for another user, run or amount.
        CreditsError
            The run has an open hold under another key.
        StaleAttemptError
            A newer attempt has the run.
        """
        check_user(user)
        check_amount(amount)
        key = check_key(key or f"{HOLD_KEY}{check_name('run_id', run_id)}", HOLD_KEY)
        with writing(self.path) as connection:
            _pass_fence(connection, run_id, attempt)
            fresh = not _entries(connection, "kind = 'hold' AND key = ?", key)
            if fresh:
                self._add_opening(connection, user)
                _check_can_hold(connection, user, amount, run_id)
                if per_hour is not None and not has_asked(connection, run_id):
                    check_asked(connection, user, images, per_hour=per_hour, now=self._clock())
                note_asked(connection, user, run_id, images, self._clock())
            self._add(connection, "hold", key, user=user, amount=-amount, run_id=run_id, attempt=attempt)
            return next(hold for hold in _holds(connection, run_id) if hold.key == key)

    def refund(self, run_id: str, task_id: str, amount: int, *, attempt: int, note: str = "") -> Entry:
        """Give back what an image that failed for good cost, once for each image of a hold.

        Raises
        ------
        CreditsConflictError
            The image was refunded with another amount.
        CreditsError
            The run has no hold, it is settled, or less of it is left.
        StaleAttemptError
            A newer attempt has the run.
        """
        check_amount(amount)
        check_name("task_id", task_id)
        with writing(self.path) as connection:
            _pass_fence(connection, run_id, attempt)
            hold = _last_hold(connection, run_id)
            key = f"refund:{hold.key.removeprefix(HOLD_KEY)}:{task_id}"
            if not _entries(connection, "kind = 'refund' AND key = ?", key):
                _check_can_refund(hold, amount)
            return self._add(
                connection, "refund", key, note, user=hold.user, amount=amount, run_id=run_id,
                attempt=attempt, task_id=task_id, hold_id=hold.hold_id,
            )  # fmt: skip

    def settle(self, run_id: str, *, attempt: int, charged: int, note: str = "") -> Hold:
        """Close the run's last hold, once: what is neither charged nor refunded goes back.

        Parameters
        ----------
        run_id : str
        attempt : int
        charged : int
            What all images made from this hold cost, from 0.
        note : str

        Raises
        ------
        CreditsConflictError
            It is settled with another charge.
        CreditsError
            The run has no hold, or less of it is left.
        StaleAttemptError
            A newer attempt has the run.
        """
        check_amount(charged)
        with writing(self.path) as connection:
            _pass_fence(connection, run_id, attempt)
            hold = _last_hold(connection, run_id)
            returned = hold.remaining - charged if hold.is_open else hold.returned
            if returned < 0:
                raise CreditsError(
                    f"run {run_id}: {charged} credits cannot be charged, its hold has {hold.remaining} left"
                )
            self._add(
                connection, "settlement", f"settle:{hold.key.removeprefix(HOLD_KEY)}", note, user=hold.user,
                amount=returned, run_id=run_id, attempt=attempt, hold_id=hold.hold_id, charged=charged,
            )  # fmt: skip
            return _last_hold(connection, run_id)

    def run_history(self, run_id: str) -> list[Entry]:
        """Return all entries of a run, oldest first."""
        with reading(self.path) as connection:
            return _entries(connection, "run_id = ?", check_name("run_id", run_id))

    def holds(self, run_id: str) -> list[Hold]:
        """Return the run's holds, oldest first; at most the last one is open."""
        with reading(self.path) as connection:
            return _holds(connection, check_name("run_id", run_id))

    def problems(self) -> list[str]:
        """Return what is wrong with the file or the sums in it, one sentence each; reads all of it."""
        try:
            return self._damage() or self._wrong_sums()
        except StorageError as exc:
            return [str(exc)]

    def _damage(self) -> list[str]:
        with reading(self.path) as connection:
            found = [line for (line,) in connection.execute("PRAGMA integrity_check")]
        return [f"the file is damaged: {line}" for line in found if line != "ok"]

    def _wrong_sums(self) -> list[str]:
        found = []
        with reading(self.path) as connection:
            debts = "SELECT user, sum(amount) FROM ledger GROUP BY user HAVING sum(amount) < 0"
            for user, total in connection.execute(debts):
                found.append(f"user {user}: the balance is {total}")
            for hold in (Hold(*row) for row in connection.execute(_HOLDS)):
                used = hold.refunded + (hold.charged or 0) + hold.returned
                if used > hold.amount or (not hold.is_open and used != hold.amount):
                    found.append(
                        f"run {hold.run_id}: of {hold.amount} credits held, {used} are accounted for"
                    )
        return found

    def _open_account(self, user: str) -> None:
        check_user(user)
        with reading(self.path) as connection:
            known = _entries(connection, "kind = 'opening' AND key = ?", user)
        if not known:
            with writing(self.path) as connection:
                self._add_opening(connection, user)

    def _add_opening(self, connection: sqlite3.Connection, user: str) -> None:
        # Not by way of `_add`: another starting grant in the settings since is no conflict.
        if not _entries(connection, "kind = 'opening' AND key = ?", user):
            self._add(connection, "opening", user, "starting grant", user=user, amount=self._starting_grant)

    def _add(
        self, connection: sqlite3.Connection, kind: EntryKind, key: str, note: str = "", **said: Any
    ) -> Entry:
        """Add an entry, or return the one that has this key if it says the same."""
        there = _entries(connection, "kind = ? AND key = ?", kind, key)
        if not there:
            names = ", ".join(("kind", "key", "at", "note", *said))
            values = (kind, key, self._timestamp(), _storable(note), *said.values())
            marks = ", ".join("?" * len(values))
            connection.execute(f"INSERT INTO ledger ({names}) VALUES ({marks})", values)  # noqa: S608 - our own names
            there = _entries(connection, "kind = ? AND key = ?", kind, key)
        # A later attempt may repeat what an earlier one did.
        differs = [name for name in said if name != "attempt" and getattr(there[0], name) != said[name]]
        if differs:
            raise CreditsConflictError(key, {name: (getattr(there[0], name), said[name]) for name in differs})
        return there[0]

    def _timestamp(self) -> str:
        moment = self._clock().astimezone(UTC)
        return moment.isoformat(timespec="milliseconds").removesuffix("+00:00") + "Z"


def _storable(note: str) -> str:
    """Return a note with what is not valid Unicode (from a command line) written out."""
    return note.encode(errors="backslashreplace").decode()


def _entries(connection: sqlite3.Connection, where: str, *values: str) -> list[Entry]:
    query = f"SELECT {COLUMNS} FROM ledger WHERE {where} ORDER BY entry_id"  # noqa: S608 - our own words
    return [Entry(*row) for row in connection.execute(query, values)]


def _balance(connection: sqlite3.Connection, user: str) -> int:
    (total,) = connection.execute(
        "SELECT coalesce(sum(amount), 0) FROM ledger WHERE user = ?", (user,)
    ).fetchone()
    return int(total)


def _holds(connection: sqlite3.Connection, run_id: str) -> list[Hold]:
    rows = connection.execute(f"{_HOLDS} AND h.run_id = ? ORDER BY h.entry_id", (run_id,))
    return [Hold(*row) for row in rows]


def _last_hold(connection: sqlite3.Connection, run_id: str) -> Hold:
    holds = _holds(connection, run_id)
    if not holds:
        raise CreditsError(f"run {run_id}: no credits were held for it")
    return holds[-1]


def _check_can_hold(connection: sqlite3.Connection, user: str, amount: int, run_id: str) -> None:
    for hold in _holds(connection, run_id):
        if hold.is_open:
            raise CreditsError(f"run {run_id}: {hold.amount} credits are held for it already ({hold.key})")
    available = _balance(connection, user)
    if amount > available:
        raise InsufficientCreditsError(user, needed=amount, available=available)


def _check_can_refund(hold: Hold, amount: int) -> None:
    if not hold.is_open:
        raise CreditsError(
            f"run {hold.run_id}: its hold {hold.key} is settled, nothing of it can be refunded"
        )
    if amount > hold.remaining:
        raise CreditsError(
            f"run {hold.run_id}: {amount} credits cannot be refunded, its hold has {hold.remaining} left"
        )


def _pass_fence(connection: sqlite3.Connection, run_id: str, attempt: int) -> None:
    check_attempt(attempt)
    check_name("run_id", run_id)
    row = connection.execute("SELECT attempt FROM fence WHERE run_id = ?", (run_id,)).fetchone()
    newest = row[0] if row else 0
    if attempt < newest:
        raise StaleAttemptError(run_id, attempt=attempt, newest=newest)
    if attempt > newest:
        connection.execute("INSERT OR REPLACE INTO fence VALUES (?, ?)", (run_id, attempt))
