"""The SQLite file that accounts live in: opened for each operation, in one transaction, or not at all.

Durability: a rollback journal with `synchronous = EXTRA`. A commit is the removal of the journal, and only
EXTRA also syncs the folder afterwards: under FULL a power cut can bring the journal back, and whoever opens
the file next then takes back a commit that was acknowledged (sqlite.org/pragma.html#pragma_synchronous). A
write-ahead log would be twice as fast, but SQLite before 3.51.3 can lose commits when several connections
write to one (sqlite.org/wal.html#walresetbug), and the SQLite that Python brings is often older.

A connection lives as long as one operation: no thread or forked process ever shares one, and what a killed
process leaves is rolled back by whoever opens the file next.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from posegen.errors import StorageError, StorageFullError
from posegen.storage.atomic import make_folders, storage_error

APPLICATION_ID = 0x70_67_63_72
"""In the file's header, where SQLite keeps whose database it is: "pgcr"."""

SYNCHRONOUS = "EXTRA"
BUSY_TIMEOUT_S = 30.0
"""How long an operation waits for those of other processes; one takes about a millisecond."""

# `amount` is what the entry adds to the balance. All that is known of a hold follows from the entries that
# name it. The checks stand here as well as in the code: the file outlives any version of the code.
_VERSION_1 = (
    f"PRAGMA application_id = {APPLICATION_ID}",
    "CREATE TABLE schema_version (version INTEGER PRIMARY KEY) STRICT",
    """CREATE TABLE ledger (
        entry_id INTEGER PRIMARY KEY AUTOINCREMENT,
        user TEXT NOT NULL,
        kind TEXT NOT NULL CHECK (kind IN ('opening', 'grant', 'hold', 'refund', 'settlement')),
        amount INTEGER NOT NULL CHECK (iif(kind = 'hold', amount <= 0, amount >= 0)),
        key TEXT NOT NULL,
        run_id TEXT CHECK ((run_id IS NULL) = (kind IN ('opening', 'grant'))),
        attempt INTEGER CHECK ((attempt IS NULL) = (run_id IS NULL)),
        task_id TEXT CHECK ((task_id IS NULL) = (kind != 'refund')),
        hold_id INTEGER REFERENCES ledger CHECK ((hold_id IS NULL) = (kind NOT IN ('refund', 'settlement'))),
        charged INTEGER CHECK ((charged IS NULL) = (kind != 'settlement') AND charged >= 0),
        at TEXT NOT NULL,
        note TEXT NOT NULL,
        UNIQUE (kind, key)
    ) STRICT""",
    "CREATE INDEX ledger_user ON ledger (user, amount)",
    "CREATE INDEX ledger_run ON ledger (run_id)",
    "CREATE INDEX ledger_hold ON ledger (hold_id)",
    "CREATE UNIQUE INDEX ledger_one_settlement ON ledger (hold_id) WHERE kind = 'settlement'",
    """CREATE TRIGGER ledger_keeps_entries BEFORE DELETE ON ledger
        BEGIN SELECT raise(ABORT, 'ledger entries are never removed'); END""",
    """CREATE TRIGGER ledger_keeps_words BEFORE UPDATE ON ledger
        BEGIN SELECT raise(ABORT, 'ledger entries are never changed'); END""",
    "CREATE TABLE fence (run_id TEXT PRIMARY KEY, attempt INTEGER NOT NULL) STRICT, WITHOUT ROWID",
)

# What each run asked for and when, for the limit of a user's images an hour; no money follows from it.
_VERSION_2 = (
    """CREATE TABLE asked (
        run_id TEXT PRIMARY KEY,
        user TEXT NOT NULL,
        images INTEGER NOT NULL CHECK (images >= 0),
        at_s REAL NOT NULL
    ) STRICT""",
    "CREATE INDEX asked_user ON asked (user, at_s)",
)

MIGRATIONS: tuple[tuple[str, ...], ...] = (_VERSION_1, _VERSION_2)
"""The statements that lead from each version of the schema to the next; version 0 is an empty file."""


def prepare(path: Path) -> None:
    """Make the file if there is none, or bring an older one up to date.

    Raises
    ------
    StorageFullError
        No room; nothing was made.
    StorageError
        It cannot be written, is damaged, belongs to another program or to a newer posegen.
    """
    try:
        make_folders(path.parent)
    except OSError as exc:
        raise storage_error(exc, "make the folder", path.parent) from exc
    with _transaction(path, "rwc", "BEGIN IMMEDIATE") as connection:
        version = _version(connection, path)
        if version == len(MIGRATIONS):
            return
        for statements in MIGRATIONS[version:]:
            for statement in statements:
                connection.execute(statement)
        connection.execute("DELETE FROM schema_version")
        connection.execute("INSERT INTO schema_version VALUES (?)", (len(MIGRATIONS),))


@contextmanager
def writing(path: Path) -> Iterator[sqlite3.Connection]:
    """Give a connection that nobody else writes beside; all that is done is durable on leaving, or undone.

    Raises
    ------
    StorageFullError, StorageError
        Nothing was changed, unless the disk failed at the very end: repeat it under the same keys.
    """
    with _transaction(path, "rw", "BEGIN IMMEDIATE") as connection:
        _check_version(connection, path)
        yield connection


@contextmanager
def reading(path: Path, *, any_version: bool = False) -> Iterator[sqlite3.Connection]:
    """Give a connection that sees one state of the file.

    Parameters
    ----------
    path : Path
    any_version : bool
        Take an older version of the schema too.

    Raises
    ------
    StorageError
    """
    with _transaction(path, "rw", "BEGIN") as connection:
        if any_version:
            _version(connection, path)  # refuses what is not ours, or newer
        else:
            _check_version(connection, path)
        yield connection


@contextmanager
def _transaction(path: Path, mode: str, begin: str) -> Iterator[sqlite3.Connection]:
    try:
        # Closing undoes a transaction that was not committed.
        with closing(connect(path, mode)) as connection:
            connection.execute(f"PRAGMA synchronous = {SYNCHRONOUS}")
            connection.execute("PRAGMA fullfsync = 1")  # macOS: to the disk, not to the drive's own cache
            connection.execute(begin)
            yield connection
            connection.execute("COMMIT")
    except sqlite3.Error as exc:
        raise _storage_error(exc, path) from exc


def connect(path: Path, mode: str) -> sqlite3.Connection:
    """Return a connection that begins no transaction of its own accord."""
    uri = f"{path.absolute().as_uri()}?mode={mode}"
    return sqlite3.connect(uri, uri=True, isolation_level=None, timeout=BUSY_TIMEOUT_S)


def _check_version(connection: sqlite3.Connection, path: Path) -> None:
    version = _version(connection, path)
    if version != len(MIGRATIONS):
        raise StorageError(
            f"{path} has version {version} of the accounts' schema, not {len(MIGRATIONS)}: another version "
            "of posegen has changed it, or it was emptied"
        )


def _version(connection: sqlite3.Connection, path: Path) -> int:
    (owner,) = connection.execute("PRAGMA application_id").fetchone()
    if owner == APPLICATION_ID:
        (version,) = connection.execute("SELECT coalesce(max(version), 0) FROM schema_version").fetchone()
    else:
        (tables,) = connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()
        if owner or tables:
            raise StorageError(f"{path} is another program's database; it was left as it is")
        version = 0
    if version > len(MIGRATIONS):
        raise StorageError(
            f"{path} was written by a newer posegen (version {version} of its schema; this one knows "
            f"{len(MIGRATIONS)}); it was left as it is"
        )
    return int(version)


_REASONS = {
    sqlite3.SQLITE_BUSY: "another process kept it locked for too long",
    sqlite3.SQLITE_CANTOPEN: "it or the journal beside it cannot be opened or made",
    sqlite3.SQLITE_CORRUPT: "the file is damaged",
    sqlite3.SQLITE_IOERR: "the disk reports an input/output error",
    sqlite3.SQLITE_NOTADB: "it is not an SQLite database",
    sqlite3.SQLITE_PERM: "permission denied",
    sqlite3.SQLITE_READONLY: "the file or its folder is read-only",
}


def _storage_error(exc: sqlite3.Error, path: Path) -> StorageError:
    code = getattr(exc, "sqlite_errorcode", 0) & 0xFF  # the low byte is the class, the rest a detail
    if code == sqlite3.SQLITE_FULL:
        return StorageFullError(f"cannot write {path}: the disk is full")
    return StorageError(f"cannot use the accounts in {path}: {_REASONS.get(code, 'SQLite fails')} ({exc})")
