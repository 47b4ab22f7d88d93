"""The file: made whole or not at all, checked, migrated; full disks, damage, strangers."""

import itertools
import os
import sqlite3
from contextlib import closing, suppress

import pytest

from posegen.credits import database, open_accounts
from posegen.errors import StorageError, StorageFullError


def test_making_it_makes_its_folder(tmp_path):
    accounts = open_accounts(tmp_path / "a b?%" / "new" / "credits.sqlite")
    accounts.balance("ann")
    assert [entry.name for entry in accounts.path.parent.iterdir()] == ["credits.sqlite"]


DURABILITY = database.SYNCHRONOUS


def test_commits_are_made_to_last(accounts, watched, monkeypatch):
    monkeypatch.setattr(database, "SYNCHRONOUS", DURABILITY)
    said = []
    with watched(watch=lambda connection, sql: said.append(sql)):
        accounts.claim("r", 1)
    assert said[0] == "PRAGMA synchronous = EXTRA"
    with database.reading(accounts.path) as connection:
        assert connection.execute("PRAGMA synchronous").fetchone() == (3,)
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("delete",)


def test_opening_it_again_changes_nothing(accounts, path):
    accounts.balance("ann")
    before = path.read_bytes()
    open_accounts(path, starting_grant=3)
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"not a database at all, but long enough to be looked at" * 20, "not an SQLite database"),
        (b"SQLite format 3\x00" + b"\xff" * 2000, "credits.sqlite"),
    ],
)
def test_another_file_is_left_as_it_is(path, content, message):
    path.write_bytes(content)
    with pytest.raises(StorageError, match=message):
        open_accounts(path)
    assert path.read_bytes() == content


@pytest.mark.parametrize("statement", ["CREATE TABLE theirs (x)", "PRAGMA application_id = 99"])
def test_another_programs_database_is_left_as_it_is(path, statement):
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(statement)
        connection.commit()
    before = path.read_bytes()
    with pytest.raises(StorageError, match="another program's"):
        open_accounts(path)
    assert path.read_bytes() == before


def test_a_damaged_file_is_not_written_to(accounts, path):
    accounts.balance("ann")
    content = bytearray(path.read_bytes())
    content[4096:] = b"\xa5" * (len(content) - 4096)
    path.write_bytes(content)
    with pytest.raises(StorageError, match=r"damaged|fails"):
        accounts.grant("ann", 1, key="k")
    with pytest.raises(StorageError, match=r"damaged|fails"):
        accounts.balance("ann")
    assert path.read_bytes() == content


def test_damage_in_what_is_not_read_is_found_when_asked_for(accounts, path):
    for number in range(200):
        accounts.claim(f"run-{number:03}", 1)
    accounts.balance("ann")
    with closing(sqlite3.connect(path)) as connection:
        query = "SELECT rootpage FROM sqlite_schema WHERE name = 'fence'"
        (page,) = connection.execute(query).fetchone()
    content = bytearray(path.read_bytes())
    content[(page - 1) * 4096 : page * 4096] = b"\xa5" * 4096
    path.write_bytes(content)
    assert accounts.balance("ann") == 1000
    assert any("damaged" in line for line in accounts.problems())


def test_accounts_that_vanish_are_not_begun_anew(accounts, path):
    path.unlink()
    with pytest.raises(StorageError, match="cannot be opened"):
        accounts.balance("ann")
    path.touch()
    with pytest.raises(StorageError, match="version 0"):
        accounts.balance("ann")


def test_a_folder_in_its_place_is_refused(path):
    path.mkdir()
    with pytest.raises(StorageError, match="cannot be opened"):
        open_accounts(path)


def test_a_file_in_place_of_its_folder_is_refused(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(StorageError, match=r"cannot make the folder .*file"):
        open_accounts(tmp_path / "file" / "sub" / "credits.sqlite")


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write anywhere")
def test_a_read_only_folder_is_refused(tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(StorageError, match="cannot be opened"):
        open_accounts(tmp_path / "credits.sqlite")


def test_a_newer_version_is_left_as_it_is(accounts, path, monkeypatch):
    with monkeypatch.context() as newer:
        newer.setattr(database, "MIGRATIONS", (*database.MIGRATIONS, ("CREATE TABLE more (x)",)))
        open_accounts(path).balance("ann")
    before = path.read_bytes()
    with pytest.raises(StorageError, match="newer posegen"):
        open_accounts(path)
    with pytest.raises(StorageError, match="newer posegen"):  # one that was opened before the upgrade
        accounts.hold("ann", 30, "r", attempt=1)
    assert path.read_bytes() == before


def test_an_older_version_is_brought_up_to_date(accounts, path, monkeypatch):
    accounts.hold("ann", 300, "r", attempt=1)
    history = accounts.history("ann")
    known = database.MIGRATIONS
    added = ("CREATE TABLE more (x)", "CREATE nonsense")
    monkeypatch.setattr(database, "MIGRATIONS", (*known, added))
    with pytest.raises(StorageError, match="fails"):  # the second statement is no SQL
        open_accounts(path)
    with pytest.raises(StorageError, match=f"version {len(known)}"):
        accounts.balance("ann")
    monkeypatch.setattr(database, "MIGRATIONS", (*known, ("CREATE TABLE more (x)",)))
    upgraded = open_accounts(path)
    assert upgraded.history("ann") == history
    assert open_accounts(path).problems() == []


def test_a_lock_that_is_never_freed_is_an_error(accounts, path, monkeypatch):
    monkeypatch.setattr(database, "BUSY_TIMEOUT_S", 0.0)
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StorageError, match="locked for too long"):
            accounts.claim("r", 1)
        assert accounts.holds("r") == []  # a writer keeps no reader out until it commits
    accounts.claim("r", 1)


def test_a_full_disk_changes_nothing(accounts, watched):
    """The file may not grow: SQLite then says what it says when the disk is full."""

    def watch(connection, sql):
        if sql.startswith("BEGIN"):
            sqlite3.Connection.execute(connection, "PRAGMA max_page_count = 1")

    before = accounts.history("ann")
    accounts.claim("run", 1)

    def grant_for_ever():
        for number in itertools.count():
            accounts.grant("ann", 1, key=f"{number}-{'x' * 400}")

    with watched(watch=watch), pytest.raises(StorageFullError, match="the disk is full"):
        grant_for_ever()
    history = accounts.history("ann")
    assert history[: len(before)] == before
    assert accounts.balance("ann") == 1000 + len(history) - len(before)
    assert accounts.problems() == []
    assert accounts.grant("ann", 1, key=f"{len(history)}-later").amount == 1


def failing_at(nth, code):
    count = itertools.count(1)

    def watch(connection, sql):
        if next(count) == nth:
            error = sqlite3.OperationalError("injected")
            error.sqlite_errorcode = code
            raise error

    return watch


def hold_in_new_accounts(path):
    accounts = open_accounts(path, starting_grant=1000)
    accounts.hold("ann", 300, "r", attempt=1)
    return accounts


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        (sqlite3.SQLITE_IOERR_FSYNC, StorageError),
        (sqlite3.SQLITE_FULL, StorageFullError),
        (sqlite3.SQLITE_READONLY, StorageError),
    ],
)
def test_a_failure_at_any_statement_changes_nothing(path, watched, code, kind):
    for nth in itertools.count(1):
        path.unlink(missing_ok=True)
        with watched(watch=failing_at(nth, code)), suppress(kind):
            hold_in_new_accounts(path)
            break
        accounts = open_accounts(path, starting_grant=1000)
        assert (accounts.holds("r"), accounts.problems()) == ([], [])
        assert hold_in_new_accounts(path).balance("ann") == 700
    assert nth > 15
