"""The whole ledger, read by reports: nothing is made, changed or brought up to date."""

import sqlite3

import pytest

from posegen.credits.ledger import read_ledger
from posegen.errors import StorageError


def test_everybodys_entries_oldest_first(path, accounts):
    accounts.grant("ada", 5, key="a")
    accounts.balance("ben")
    entries = read_ledger(path)
    assert [(entry.user, entry.kind, entry.amount) for entry in entries] == [
        ("ada", "opening", 1000), ("ada", "grant", 5), ("ben", "opening", 1000),
    ]  # fmt: skip
    assert entries[:2] == accounts.history("ada")
    assert read_ledger(path, after=entries[1].entry_id) == entries[2:]


def test_no_accounts_are_no_entries(path):
    assert read_ledger(path) == []
    assert not path.exists()
    path.touch()
    assert read_ledger(path) == []
    assert path.stat().st_size == 0


def set_version(path, version):
    connection = sqlite3.connect(path)
    connection.execute("UPDATE schema_version SET version = ?", (version,))
    connection.commit()
    connection.close()


def test_an_older_version_is_read_and_left_as_it_is(path, accounts):
    accounts.balance("ada")
    set_version(path, 1)
    before = path.read_bytes()
    assert len(read_ledger(path)) == 1
    assert path.read_bytes() == before


def test_a_newer_version_is_refused(path, accounts):
    accounts.balance("ada")
    set_version(path, 99)
    with pytest.raises(StorageError, match="newer posegen"):
        read_ledger(path)


def test_another_programs_file_is_refused(path):
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE ledger (entry_id)")
    connection.close()
    with pytest.raises(StorageError, match="another program's"):
        read_ledger(path)
