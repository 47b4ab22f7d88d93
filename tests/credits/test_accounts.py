import pickle
import re
import sqlite3
from contextlib import closing

import pytest
from hypothesis import given
from hypothesis import strategies as st

from posegen.credits import STARTING_GRANT, Hold, open_accounts
from posegen.credits.entries import MAX_AMOUNT, MAX_KEY_LENGTH, check_user
from posegen.errors import (
    CreditsConflictError,
    CreditsError,
    InsufficientCreditsError,
    ParameterError,
    PosegenError,
    StaleAttemptError,
)
from posegen.parameters import BatchParameters


def kinds(accounts, user):
    return [(entry.kind, entry.amount) for entry in accounts.history(user)]


def total(accounts, user):
    return sum(entry.amount for entry in accounts.history(user))


def test_a_new_user_has_the_starting_grant_once(accounts, path):
    assert accounts.balance("ann") == 1000
    assert accounts.balance("ann") == 1000
    assert open_accounts(path, starting_grant=5).balance("ann") == 1000
    later = open_accounts(path, starting_grant=5)
    assert later.balance("bob") == 5
    later.grant("ann", 1, key="k")
    assert kinds(accounts, "ann") == [("opening", 1000), ("grant", 1)]


def test_the_starting_grant_is_there_before_whatever_comes_first(accounts):
    accounts.grant("ann", 1, key="k")
    accounts.hold("bob", 1000, "r", attempt=1)
    assert kinds(accounts, "ann") == [("opening", 1000), ("grant", 1)]
    assert kinds(accounts, "bob") == [("opening", 1000), ("hold", -1000)]


def test_by_default_a_new_user_can_make_thousands_of_images(path):
    assert open_accounts(path).balance("ann") == STARTING_GRANT == 100_000


def test_a_run_from_hold_to_settlement(accounts):
    held = accounts.hold("ann", 300, "r", attempt=1)
    assert held == Hold(held.hold_id, "ann", "r", "hold:r", 300, refunded=0, charged=None, returned=0)
    assert (held.is_open, held.remaining, accounts.balance("ann")) == (True, 300, 700)
    refund = accounts.refund("r", "t1", 30, attempt=1, note="INAPPROPRIATE_PROMPT")
    assert (refund.task_id, refund.hold_id, refund.key) == ("t1", held.hold_id, "refund:r:t1")
    assert accounts.holds("r")[0].remaining == 270
    settled = accounts.settle("r", attempt=1, charged=210)
    assert (settled.refunded, settled.charged, settled.returned) == (30, 210, 60)
    assert (settled.is_open, settled.remaining) == (False, 0)
    assert accounts.balance("ann") == total(accounts, "ann") == 790
    assert accounts.problems() == []
    assert accounts.run_history("r") == accounts.history("ann")[1:]


def test_entries_say_when_and_why(accounts):
    entry = accounts.grant("ann", 5, key="2026-03", note="for M\u00e4rz \udcff")
    assert entry.at == "2026-03-01T12:00:02.000Z"  # the opening was at :01
    assert entry.note == "for M\u00e4rz \\udcff"
    assert accounts.history("ann")[-1] == entry


def test_a_clock_set_back_changes_no_order(accounts, clock):
    accounts.grant("ann", 1, key="a")
    clock.now = clock.now.replace(hour=clock.now.hour - 1)
    accounts.grant("ann", 2, key="b")
    assert [entry.amount for entry in accounts.history("ann")] == [1000, 1, 2]


def test_whatever_is_repeated_happens_once(accounts):
    for _ in range(3):
        accounts.claim("r", 1)
        assert accounts.grant("ann", 50, key="gift").amount == 50
        assert accounts.hold("ann", 300, "r", attempt=1).amount == 300
        assert accounts.refund("r", "t1", 30, attempt=1).amount == 30
    for attempt in (1, 1, 2):
        assert accounts.refund("r", "t1", 30, attempt=attempt).attempt == 1
        assert accounts.settle("r", attempt=attempt, charged=270).returned == 0
    # The same hold again, once settled, sets nothing aside and says so.
    assert not accounts.hold("ann", 300, "r", attempt=2).is_open
    assert accounts.refund("r", "t1", 30, attempt=2).amount == 30
    expected = [("opening", 1000), ("grant", 50), ("hold", -300), ("refund", 30), ("settlement", 0)]
    assert kinds(accounts, "ann") == expected


def test_a_key_stands_for_one_thing(accounts):
    accounts.grant("ann", 50, key="gift")
    accounts.hold("ann", 300, "r", attempt=1)
    accounts.refund("r", "t1", 30, attempt=1)
    with pytest.raises(CreditsConflictError, match="amount 50, not 60") as caught:
        accounts.grant("ann", 60, key="gift")
    assert caught.value.differences == {"amount": (50, 60)}
    with pytest.raises(CreditsConflictError, match="user 'ann', not 'bob'"):
        accounts.grant("bob", 50, key="gift")
    with pytest.raises(CreditsConflictError, match="amount"):
        accounts.hold("ann", 330, "r", attempt=1)
    with pytest.raises(CreditsConflictError, match="user"):
        accounts.hold("bob", 300, "r", attempt=1)
    with pytest.raises(CreditsConflictError, match="run_id"):
        accounts.hold("ann", 300, "q", attempt=1, key="hold:r")
    with pytest.raises(CreditsConflictError, match="amount"):
        accounts.refund("r", "t1", 40, attempt=1)
    accounts.settle("r", attempt=1, charged=100)
    with pytest.raises(CreditsConflictError, match="charged 100, not 130"):
        accounts.settle("r", attempt=1, charged=130)
    assert accounts.balance("ann") == 950
    assert kinds(accounts, "bob") == [("opening", 1000)]


def test_kinds_have_keys_of_their_own(accounts):
    accounts.grant("ann", 1, key="ann")
    accounts.grant("ann", 1, key="hold:r")
    accounts.hold("ann", 300, "r", attempt=1)
    assert accounts.balance("ann") == 702


def test_nobody_spends_more_than_there_is(accounts):
    accounts.hold("ann", 700, "r", attempt=1)
    with pytest.raises(InsufficientCreditsError) as caught:
        accounts.hold("ann", 301, "q", attempt=1)
    error = caught.value
    assert (error.user, error.needed, error.available, error.exit_code) == ("ann", 301, 300, 7)
    assert "posegen credits grant ann 1`" in str(error)
    assert accounts.holds("q") == []
    assert accounts.hold("ann", 300, "q", attempt=1).amount == 300
    assert accounts.balance("ann") == 0
    assert accounts.hold("ann", 0, "free", attempt=1).remaining == 0
    with pytest.raises(InsufficientCreditsError):
        accounts.hold("new", 1001, "p", attempt=1)


def test_a_hold_is_not_refunded_beyond_itself(accounts):
    accounts.hold("ann", 60, "r", attempt=1)
    accounts.refund("r", "t1", 30, attempt=1)
    with pytest.raises(CreditsError, match="31 credits cannot be refunded, its hold has 30 left"):
        accounts.refund("r", "t2", 31, attempt=1)
    accounts.refund("r", "t2", 30, attempt=1)
    with pytest.raises(CreditsError, match="has 0 left"):
        accounts.refund("r", "t3", 30, attempt=1)
    with pytest.raises(CreditsError, match="1 credits cannot be charged"):
        accounts.settle("r", attempt=1, charged=1)
    assert accounts.settle("r", attempt=1, charged=0).returned == 0
    assert accounts.balance("ann") == 1000


def test_a_settled_hold_is_closed(accounts):
    accounts.hold("ann", 60, "r", attempt=1)
    accounts.settle("r", attempt=1, charged=30)
    with pytest.raises(CreditsError, match="is settled"):
        accounts.refund("r", "t1", 30, attempt=1)
    assert accounts.balance("ann") == 970


def test_a_run_without_a_hold_has_nothing_to_give_back(accounts):
    for call in (
        lambda: accounts.refund("r", "t1", 30, attempt=1),
        lambda: accounts.settle("r", attempt=1, charged=0),
    ):
        with pytest.raises(CreditsError, match="no credits were held"):
            call()
    assert accounts.holds("r") == accounts.run_history("r") == []


def test_a_run_closed_as_failed_goes_on_with_a_new_hold(accounts):
    accounts.hold("ann", 90, "r", attempt=1)
    accounts.refund("r", "t1", 30, attempt=1)
    with pytest.raises(CreditsError, match="held for it already"):
        accounts.hold("ann", 30, "r", attempt=2, key="hold:r:2")
    accounts.settle("r", attempt=1, charged=30)
    again = accounts.hold("ann", 60, "r", attempt=2, key="hold:r:2")
    assert again.is_open
    # The same image fails again: a refund of its own, from the new hold.
    assert accounts.refund("r", "t1", 30, attempt=2).key == "refund:r:2:t1"
    accounts.settle("r", attempt=2, charged=30)
    assert [(h.amount, h.refunded, h.charged, h.returned) for h in accounts.holds("r")] == [
        (90, 30, 30, 30),
        (60, 30, 30, 0),
    ]
    assert accounts.balance("ann") == total(accounts, "ann") == 940
    assert accounts.problems() == []


def test_an_older_attempt_can_do_nothing(accounts):
    accounts.hold("ann", 90, "r", attempt=1)
    accounts.claim("r", 3)
    before = accounts.history("ann")
    for call in (
        lambda: accounts.claim("r", 2),
        lambda: accounts.hold("ann", 90, "r", attempt=2),
        lambda: accounts.hold("ann", 10, "r", attempt=1, key="hold:r:1"),
        lambda: accounts.refund("r", "t1", 30, attempt=2),
        lambda: accounts.settle("r", attempt=1, charged=90),
    ):
        with pytest.raises(StaleAttemptError) as caught:
            call()
        assert (caught.value.run_id, caught.value.newest, caught.value.exit_code) == ("r", 3, 6)
    assert accounts.history("ann") == before
    accounts.settle("r", attempt=3, charged=0)
    assert accounts.balance("ann") == 1000


@pytest.mark.parametrize("touch", ["hold", "refund", "settle"])
def test_whatever_an_attempt_does_shuts_out_those_before(accounts, touch):
    accounts.hold("ann", 90, "r", attempt=1)
    calls = {
        "hold": lambda attempt: accounts.hold("ann", 90, "r", attempt=attempt),
        "refund": lambda attempt: accounts.refund("r", "t", 30, attempt=attempt),
        "settle": lambda attempt: accounts.settle("r", attempt=attempt, charged=0),
    }
    calls[touch](2)
    with pytest.raises(StaleAttemptError):
        accounts.claim("r", 1)
    accounts.claim("q", 1)  # another run has its own


def test_what_is_refused_shuts_out_nobody(accounts):
    accounts.hold("ann", 90, "r", attempt=1)
    with pytest.raises(CreditsError):
        accounts.settle("r", attempt=2, charged=91)
    accounts.settle("r", attempt=1, charged=90)


@pytest.mark.parametrize("amount", [-1, 1.5, True, "30", None, MAX_AMOUNT + 1])
def test_amounts_are_whole_numbers(accounts, amount):
    accounts.hold("ann", 90, "r", attempt=1)
    for call in (
        lambda: accounts.grant("ann", amount, key="k"),
        lambda: accounts.hold("ann", amount, "q", attempt=1),
        lambda: accounts.refund("r", "t", amount, attempt=1),
        lambda: accounts.settle("r", attempt=1, charged=amount),
    ):
        with pytest.raises(ParameterError, match="amount"):
            call()
    assert accounts.balance("ann") == 910


def test_a_grant_of_nothing_is_refused(accounts):
    with pytest.raises(ParameterError, match="from 1"):
        accounts.grant("ann", 0, key="k")


@pytest.mark.parametrize("name", ["", "a/b", "a:2", "..", "x" * 300])
def test_runs_and_tasks_have_ids(accounts, name):
    accounts.hold("ann", 90, "r", attempt=1)
    for call in (
        lambda: accounts.claim(name, 1),
        lambda: accounts.hold("ann", 1, name, attempt=1, key="hold:x"),
        lambda: accounts.refund("r", name, 1, attempt=1),
        lambda: accounts.holds(name),
        lambda: accounts.run_history(name),
    ):
        with pytest.raises(ParameterError, match="_id"):
            call()


@pytest.mark.parametrize("attempt", [0, -1, 1.0, True])
def test_attempts_are_counted_from_one(accounts, attempt):
    with pytest.raises(ParameterError, match="attempt"):
        accounts.claim("r", attempt)


@pytest.mark.parametrize("key", ["", "hold:\n", "hold:" + "x" * MAX_KEY_LENGTH, "refund:r"])
def test_keys_can_be_told_apart(accounts, key):
    if key:  # an empty one is the default
        with pytest.raises(ParameterError, match="key"):
            accounts.hold("ann", 1, "r", attempt=1, key=key)
    if key != "refund:r":
        with pytest.raises(ParameterError, match="key"):
            accounts.grant("ann", 1, key=key)


@pytest.mark.parametrize("user", ["", "a b", "a\n", "x" * 81, "../x", 7])
def test_users_have_names(accounts, user):
    for call in (
        lambda: accounts.balance(user),
        lambda: accounts.history(user),
        lambda: accounts.grant(user, 1, key="k"),
        lambda: accounts.hold(user, 1, "r", attempt=1),
    ):
        with pytest.raises(ParameterError, match="user"):
            call()


@given(st.text(max_size=4) | st.from_regex(r"[\w.@+-]+\n?", fullmatch=True))
def test_whoever_may_start_a_batch_has_an_account(user):
    outcomes = []
    for check in (check_user, lambda user: BatchParameters.model_validate({"user": user})):
        try:
            check(user)
        except ValueError as exc:  # pydantic's
            outcomes.append(type(exc).__name__ and "refused")
        except ParameterError:
            outcomes.append("refused")
        else:
            outcomes.append("accepted")
    assert outcomes[0] == outcomes[1]


@pytest.mark.parametrize(
    "error",
    [
        InsufficientCreditsError("ann", needed=5, available=1),
        CreditsConflictError("k", {"amount": (1, 2)}),
        StaleAttemptError("r", attempt=1, newest=2),
    ],
)
def test_errors_survive_pickling(error):
    again = pickle.loads(pickle.dumps(error))
    assert (type(again), str(again), again.__dict__) == (type(error), str(error), error.__dict__)
    assert isinstance(again, PosegenError)


@pytest.mark.parametrize("statement", ["DELETE FROM ledger", "UPDATE ledger SET amount = 0"])
def test_the_ledger_only_grows(accounts, path, statement):
    accounts.balance("ann")
    with closing(sqlite3.connect(path)) as connection, pytest.raises(sqlite3.IntegrityError, match="never"):
        connection.execute(statement)


def test_sums_that_do_not_add_up_are_found(accounts, path):
    accounts.hold("ann", 90, "r", attempt=1)
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute(
            "INSERT INTO ledger (user, kind, amount, key, run_id, attempt, hold_id, charged, at, note)"
            "VALUES ('ann', 'settlement', 10, 'x', 'r', 1, 2, 20, '', '')"
        )
        connection.execute(
            "INSERT INTO ledger (user, kind, amount, key, run_id, attempt, at, note)"
            "VALUES ('bob', 'hold', -5, 'hold:q', 'q', 1, '', '')"
        )
    assert [re.sub(r"\d+", "N", line) for line in accounts.problems()] == [
        "user bob: the balance is -N",
        "run r: of N credits held, N are accounted for",
    ]
