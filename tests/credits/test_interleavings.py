"""Several actors whose statements interleave and who may die between any two, against a model of plain dicts.

Each actor is a thread that waits before every SQL statement until the machine lets it go on, or die. What
should come of an operation is worked out when it gets the write lock, and is true once it has committed. An
actor that finds the file locked gives up at once (the other could never finish), having changed nothing.
"""

import copy
import shutil
import tempfile
import threading
from pathlib import Path
from queue import SimpleQueue
from unittest import mock

import hypothesis.strategies as st
import pytest
from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from posegen.credits import ACCOUNTS_FILE, database, open_accounts
from posegen.errors import (
    CreditsConflictError,
    CreditsError,
    InsufficientCreditsError,
    PosegenError,
    StaleAttemptError,
    StorageError,
)

GRANT = 200
USERS, RUNS, TASKS = ("ann", "bob"), ("r", "q"), ("t1", "t2")
ACTORS = range(3)


def an_operation(draw, model):
    """Return one that mostly makes sense, so that runs get far, and at times does not."""
    run = draw(st.sampled_from(RUNS))
    holds = model.holds[run]
    is_open = bool(holds) and holds[-1]["charged"] is None
    usual = ["refund", "refund", "settle"] if is_open else ["hold", "hold", "hold"]
    name = draw(st.sampled_from([*usual, "balance", "grant", "claim", "hold", "refund", "settle"]))
    attempt = max(1, model.newest.get(run, 1) + draw(st.sampled_from([0, 0, 0, 1, -1])))
    user = draw(st.sampled_from(USERS))
    if name == "balance":
        return name, user
    if name == "grant":
        return name, user, draw(st.sampled_from([30, 60])), draw(st.sampled_from("ab"))
    if name == "claim":
        return name, run, attempt
    if name == "hold":
        suffix = draw(st.sampled_from(["", f":{len(holds)}", f":{len(holds)}"]))
        return name, user, draw(st.sampled_from([60, 60, 90, 150])), run, attempt, suffix
    if name == "refund":
        return name, run, draw(st.sampled_from(TASKS)), draw(st.sampled_from([30, 30, 30, 60])), attempt
    rest = left(holds[-1]) if holds else 0
    return name, run, max(0, rest + draw(st.sampled_from([0, -30, -30, -60, 30]))), attempt


class Model:
    """What the accounts should do, one operation at a time, without a thought of crashes."""

    def __init__(self):
        self.balances = {}
        self.grants = {}  # by key
        self.newest = {}
        self.holds = {run: [] for run in RUNS}

    def do(self, name, *values):
        return getattr(self, name)(*values)

    def balance(self, user):
        return self.balances.setdefault(user, GRANT)

    def grant(self, user, amount, key):
        self.balance(user)
        if key not in self.grants:
            self.grants[key] = (user, amount)
            self.balances[user] += amount
        if self.grants[key] != (user, amount):
            raise CreditsConflictError(key, {})
        return amount

    def claim(self, run, attempt):
        if attempt < self.newest.get(run, 0):
            raise StaleAttemptError(run, attempt=attempt, newest=self.newest[run])
        self.newest[run] = attempt

    def hold(self, user, amount, run, attempt, key):
        self.claim(run, attempt)
        for hold in self.holds[run]:
            if hold["key"] == key:
                if (hold["user"], hold["amount"]) != (user, amount):
                    raise CreditsConflictError(key, {})
                return amount
        if any(hold["charged"] is None for hold in self.holds[run]):
            raise CreditsError("open")
        if amount > self.balance(user):
            raise InsufficientCreditsError(user, needed=amount, available=self.balances[user])
        self.balances[user] -= amount
        self.holds[run].append(
            {"key": key, "user": user, "amount": amount, "refunds": {}, "charged": None, "returned": 0}
        )
        return amount

    def refund(self, run, task, amount, attempt):
        self.claim(run, attempt)
        hold = self.last_hold(run)
        if task in hold["refunds"]:
            if hold["refunds"][task] != amount:
                raise CreditsConflictError(task, {})
            return amount
        if hold["charged"] is not None or amount > left(hold):
            raise CreditsError("too much")
        hold["refunds"][task] = amount
        self.balances[hold["user"]] += amount
        return amount

    def settle(self, run, charged, attempt):
        self.claim(run, attempt)
        hold = self.last_hold(run)
        if hold["charged"] is None:
            if charged > left(hold):
                raise CreditsError("too much")
            hold["returned"] = left(hold) - charged
            hold["charged"] = charged
            self.balances[hold["user"]] += hold["returned"]
        elif hold["charged"] != charged:
            raise CreditsConflictError(run, {})
        return charged

    def last_hold(self, run):
        if not self.holds[run]:
            raise CreditsError("none")
        return self.holds[run][-1]


def left(hold):
    return hold["amount"] - sum(hold["refunds"].values())


def ask(accounts, name, *values):
    """Do an operation for real and return what can be compared."""
    if name == "balance":
        return accounts.balance(*values)
    if name == "grant":
        return accounts.grant(*values[:2], key=values[2]).amount
    if name == "claim":
        return accounts.claim(*values)
    if name == "hold":
        user, amount, run, attempt, suffix = values
        return accounts.hold(user, amount, run, attempt=attempt, key=f"hold:{run}{suffix}").amount
    if name == "refund":
        return accounts.refund(*values[:3], attempt=values[3]).amount
    run, charged, attempt = values
    return accounts.settle(run, attempt=attempt, charged=charged).charged


class Death(BaseException):
    """The process is gone: no statement of its own follows."""


class Actor:
    """Someone who does one operation, a statement at a time."""

    def __init__(self, machine, operation):
        self.machine = machine
        self.operation = operation
        self.expected = None
        self.planned = None
        self.committed = False
        self.outcome = None
        self._orders, self._reports = SimpleQueue(), SimpleQueue()
        self._thread = threading.Thread(target=self._work, daemon=True)
        self._thread.start()
        self.at = self._reports.get(timeout=60)  # the statement it waits before; None when it is through

    def _work(self):
        self.machine.here.actor = self
        try:
            self.outcome = ask(self.machine.accounts, *self.operation)
        except Death:
            self.outcome = Death
        except PosegenError as exc:
            self.outcome = type(exc)
        except Exception as exc:  # noqa: BLE001 - a bug, which shows when the outcome is looked at
            self.outcome = repr(exc)
        self._reports.put(None)

    def wait_before(self, sql):
        self._reports.put(sql)
        if self._orders.get(timeout=60) == "die":
            raise Death

    def go(self, order):
        self._orders.put(order)
        self.at = self._reports.get(timeout=60)
        if self.at is None:
            self._thread.join(60)


class Interleavings(RuleBasedStateMachine):
    def __init__(self):
        super().__init__()
        self.folder = Path(tempfile.mkdtemp())
        self.here = threading.local()
        self.model = Model()
        self.actors = {}
        self.forgotten = []
        machine = self

        class Stepped(database.sqlite3.Connection):
            def execute(self, sql, *values):
                actor = getattr(machine.here, "actor", None)
                if actor is None:
                    return super().execute(sql, *values)
                actor.wait_before(sql)
                cursor = super().execute(sql, *values)
                machine.ran(actor, sql)
                return cursor

        real = database.sqlite3.connect
        self.patches = [
            mock.patch.object(
                database.sqlite3,
                "connect",
                lambda *args, **kwargs: real(*args, **{**kwargs, "factory": Stepped}),
            ),
            mock.patch.object(database, "SYNCHRONOUS", "OFF"),
            mock.patch.object(database, "BUSY_TIMEOUT_S", 0.0),
        ]
        for patch in self.patches:
            patch.start()
        self.accounts = open_accounts(self.folder / ACCOUNTS_FILE, starting_grant=GRANT)

    def ran(self, actor, sql):
        """Keep the model in step; called in the actor's thread while the machine waits for it."""
        reads = actor.operation[0] == "balance"
        if sql == "BEGIN IMMEDIATE" or (reads and "sum(amount)" in sql):
            actor.planned = copy.deepcopy(self.model)
            try:
                actor.expected = actor.planned.do(*actor.operation)
            except PosegenError as exc:
                actor.expected = type(exc)
        elif sql == "COMMIT" and actor.planned is not None:
            self.model, actor.planned = actor.planned, None
            actor.committed = True

    @precondition(lambda self: len(self.actors) < len(ACTORS))
    @rule(data=st.data())
    def begin(self, data):
        self.employ(an_operation(data.draw, self.model))

    @precondition(lambda self: len(self.actors) < len(ACTORS))
    @rule(data=st.data())
    def do_at_once(self, data):
        name = self.employ(an_operation(data.draw, self.model))
        while self.actors[name].at is not None:
            self.actors[name].go("on")
        self.look_at(name)

    def employ(self, operation):
        name = next(number for number in ACTORS if number not in self.actors)
        self.actors[name] = Actor(self, operation)
        return name

    @precondition(lambda self: len(self.actors) < len(ACTORS) and self.forgotten)
    @rule(data=st.data())
    def repeat(self, data):
        """Whoever comes after a crash, or was turned away, does the same again under the same keys."""
        self.employ(self.forgotten.pop(data.draw(st.integers(0, len(self.forgotten) - 1))))

    @precondition(lambda self: self.actors)
    @rule(data=st.data(), statements=st.integers(1, 6))
    def go_on(self, data, statements):
        name = data.draw(st.sampled_from(sorted(self.actors)))
        for _ in range(statements):
            if self.actors[name].at is not None:
                self.actors[name].go("on")
        self.look_at(name)

    @precondition(lambda self: self.actors)
    @rule(data=st.data())
    def finish(self, data):
        name = data.draw(st.sampled_from(sorted(self.actors)))
        while self.actors[name].at is not None:
            self.actors[name].go("on")
        self.look_at(name)

    @precondition(lambda self: self.actors)
    @rule(data=st.data())
    def die(self, data):
        name = data.draw(st.sampled_from(sorted(self.actors)))
        actor = self.actors[name]
        while actor.at is not None:
            actor.go("die")
        self.look_at(name)

    def look_at(self, name):
        actor = self.actors[name]
        if actor.at is not None:
            return
        del self.actors[name]
        if actor.outcome in {Death, StorageError}:  # StorageError: another held the lock
            self.forgotten.append(actor.operation)
        else:
            assert actor.outcome == actor.expected, (actor.operation, actor.outcome, actor.expected)
            assert actor.committed == (not isinstance(actor.outcome, type))

    @invariant()
    def it_adds_up(self):
        # Those who only read are never kept out: nobody waits in the middle of a commit.
        assert self.accounts.problems() == []
        for run in RUNS:
            found = [(h.user, h.amount, h.refunded, h.charged, h.returned) for h in self.accounts.holds(run)]
            assert found == [
                (h["user"], h["amount"], sum(h["refunds"].values()), h["charged"], h["returned"])
                for h in self.model.holds[run]
            ]
        for user in set(USERS) & set(self.model.balances):
            history = self.accounts.history(user)
            assert self.model.balances[user] == self.accounts.balance(user) >= 0
            assert self.model.balances[user] == sum(entry.amount for entry in history)
            assert [entry.kind for entry in history].count("opening") == 1

    def teardown(self):
        try:
            for actor in self.actors.values():
                while actor.at is not None:
                    actor.go("die")
            self.actors.clear()
            self.it_adds_up()
        finally:
            for patch in self.patches:
                patch.stop()
            shutil.rmtree(self.folder)


@pytest.mark.faults
class TestInterleavings(Interleavings.TestCase):
    settings = settings(max_examples=25, stateful_step_count=40, deadline=None)
