import sqlite3
from datetime import UTC, datetime, timedelta

import pytest

from posegen.credits import database, open_accounts
from posegen.errors import UserLimitError


def hold(accounts, run_id, images, per_hour=50, user="ann", attempt=1):
    key = f"hold:{run_id}" + (f":{attempt}" if attempt > 1 else "")
    return accounts.hold(user, 0, run_id, attempt=attempt, key=key, images=images, per_hour=per_hour)


def test_each_image_of_a_batch_counts(accounts):
    hold(accounts, "a", 30)
    with pytest.raises(UserLimitError) as caught:
        hold(accounts, "b", 21)
    assert (caught.value.asked, caught.value.images, caught.value.exit_code) == (30, 21, 8)
    assert accounts.holds("b") == []
    hold(accounts, "b", 20)
    hold(accounts, "of-another", 50, user="ben")


def test_it_says_when_so_many_are_free(accounts, clock):
    hold(accounts, "a", 10)
    first = clock.now
    clock.now += timedelta(minutes=10)
    hold(accounts, "b", 40)
    second = clock.now
    for images, at in ((10, first), (11, second)):
        with pytest.raises(UserLimitError) as caught:
            accounts.check_asked("ann", None, images, 50)
        assert caught.value.free_at is not None
        assert abs(caught.value.free_at - at - timedelta(hours=1)) < timedelta(seconds=3)
    clock.now = first + timedelta(hours=1, seconds=3)
    accounts.check_asked("ann", None, 10, 50)


def test_more_than_an_hour_may_hold_is_never_free(accounts):
    with pytest.raises(UserLimitError, match="at most 50 can be asked for at once") as caught:
        hold(accounts, "a", 51)
    assert caught.value.free_at is None


def test_going_on_with_a_run_asks_for_nothing_new(accounts):
    hold(accounts, "a", 50)
    hold(accounts, "a", 50)
    accounts.settle("a", attempt=1, charged=0)
    accounts.check_asked("ann", "a", 50, 50)
    hold(accounts, "a", 50, attempt=2)
    with pytest.raises(UserLimitError):
        hold(accounts, "b", 1)


def test_without_a_limit_it_is_noted_all_the_same(accounts):
    hold(accounts, "a", 50, per_hour=None)
    with pytest.raises(UserLimitError):
        hold(accounts, "b", 1)


def test_accounts_of_the_first_version_are_brought_up_to_date(path, clock, monkeypatch):
    with monkeypatch.context() as first:
        first.setattr(database, "MIGRATIONS", database.MIGRATIONS[:1])
        database.prepare(path)
    accounts = open_accounts(path, clock=clock, starting_grant=1000)
    hold(accounts, "a", 1)
    assert accounts.problems() == []
    with sqlite3.connect(path) as connection:
        assert connection.execute("SELECT user, images FROM asked").fetchall() == [("ann", 1)]


def test_the_sentence_names_time_and_figures():
    moment = datetime(2026, 3, 1, 12, 30, tzinfo=UTC)
    error = UserLimitError("ann", images=50, per_hour=60, asked=20, free_at=moment)
    expected = "50 images are asked for, and user 'ann' has asked for 20 of 60 within the last hour; "
    assert str(error) == expected + "they are free at 2026-03-01 12:30:00 UTC"
