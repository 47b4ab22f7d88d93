"""Accounts under `kill -9` at every statement, and under several processes at once."""

import json

import pytest

pytestmark = pytest.mark.faults

# Each operation in a fork that is killed before its nth statement, for rising n, and once more before it
# could say that it was done. Then the accounts are looked at, and the operation is repeated.
KILLED_ANYWHERE = """
import itertools, json, os, shutil, signal, sqlite3, sys
from pathlib import Path
from posegen.credits import database, open_accounts

database.SYNCHRONOUS = "OFF"  # a kill is no power cut
folder = Path(sys.argv[1])
OPERATIONS = {
    "open": lambda accounts: None,
    "balance": lambda accounts: accounts.balance("new"),
    "grant": lambda accounts: accounts.grant("ann", 50, key="k"),
    "claim": lambda accounts: accounts.claim("r", 2),
    "hold": lambda accounts: accounts.hold("new", 90, "q", attempt=1),
    "refund": lambda accounts: accounts.refund("r", "t", 30, attempt=2),
    "settle": lambda accounts: accounts.settle("r", attempt=2, charged=40),
}

def opened(path):
    return open_accounts(path, starting_grant=1000)

def state(path):
    # What can be seen, but for the time and how entries are counted.
    accounts = opened(path)
    with sqlite3.connect(path) as connection:
        users = [user for (user,) in connection.execute("SELECT DISTINCT user FROM ledger ORDER BY user")]
        fence = connection.execute("SELECT * FROM fence").fetchall()
    connection.close()
    for user in users:
        assert accounts.balance(user) == sum(entry.amount for entry in accounts.history(user))
    assert accounts.problems() == []
    lines = [(e.user, e.kind, e.amount, e.key, e.charged) for user in users for e in accounts.history(user)]
    return lines, fence

def killed(path, operation, nth):
    child = os.fork()
    if child:
        return os.waitpid(child, 0)[1] == signal.SIGKILL
    count = itertools.count(1)

    class Mortal(sqlite3.Connection):
        def execute(self, *args):
            if next(count) == nth:
                os.kill(os.getpid(), signal.SIGKILL)
            return super().execute(*args)

    real = sqlite3.connect
    sqlite3.connect = lambda *args, **kwargs: real(*args, factory=Mortal, **kwargs)
    operation(opened(path))
    if next(count) == nth:
        os.kill(os.getpid(), signal.SIGKILL)
    os._exit(0)

before = folder / "before.sqlite"
opened(before).hold("ann", 90, "r", attempt=1)
deaths = {}
for name, operation in OPERATIONS.items():
    path, done = folder / f"{name}.sqlite", folder / f"{name}-done.sqlite"
    begin = (lambda: path.unlink(missing_ok=True)) if name == "open" else (lambda: shutil.copy(before, path))
    if name != "open":
        shutil.copy(before, done)
    begin()
    untouched = ([], []) if name == "open" else state(path)
    operation(opened(done))
    whole = state(done)
    for nth in itertools.count(1):
        begin()
        if not killed(path, operation, nth):
            break
        assert state(path) in (untouched, whole), (name, nth, state(path))
        operation(opened(path))
        assert state(path) == whole, (name, nth, state(path))
        operation(opened(path))
        assert state(path) == whole, (name, nth, state(path))
    deaths[name] = nth - 1
print(json.dumps(deaths))
"""


def test_killed_at_any_statement_it_happens_once_when_repeated(in_a_process_of_its_own):
    (line,) = in_a_process_of_its_own(KILLED_ANYWHERE)
    deaths = json.loads(line)
    assert set(deaths) == {"open", "balance", "grant", "claim", "hold", "refund", "settle"}
    assert min(deaths.values()) > 5
    assert sum(deaths.values()) > 100


# Forks that pay for run after run and are killed at any time, also within a commit.
KILLED_AT_RANDOM = """
import os, random, signal, sys
from pathlib import Path
from posegen.credits import open_accounts

path = Path(sys.argv[1]) / "credits.sqlite"
kills = int(sys.argv[2])
accounts = open_accounts(path, starting_grant=10**9)
chance = random.Random(3)

def work(name, pipe):
    accounts = open_accounts(path, starting_grant=10**9)
    for number in range(10**6):
        run = f"{name}-{number}"
        for step in (
            lambda: accounts.hold("ann", 90, run, attempt=1),
            lambda: accounts.refund(run, "t", 30, attempt=1),
            lambda: accounts.settle(run, attempt=1, charged=50),
        ):
            step()
            os.write(pipe, f"{run}\\n".encode())

acknowledged = []
for kill in range(kills):
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        work(f"run{kill}", writing)
    os.close(writing)
    with open(reading, buffering=1) as said:
        for _ in range(chance.choice([1, 2, 3, 4, 7])):
            acknowledged.append(said.readline().strip())
        # It is somewhere within the next operations.
        for _ in range(chance.randrange(20_000)):
            pass
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        acknowledged += said.read().split()

steps = {}
for run in acknowledged:
    steps[run] = steps.get(run, 0) + 1
for run, count in steps.items():
    (hold,) = accounts.holds(run)
    assert hold.amount == 90
    assert count < 2 or hold.refunded == 30, (run, count, hold)
    assert count < 3 or hold.charged == 50, (run, count, hold)
    # Whoever takes over repeats all of it.
    accounts.refund(run, "t", 30, attempt=2)
    accounts.settle(run, attempt=2, charged=50)
held = [entry for entry in accounts.history("ann") if entry.kind == "hold" and entry.run_id not in steps]
assert len(held) <= kills  # made, and killed before it was said
for entry in held:
    accounts.settle(entry.run_id, attempt=2, charged=0)
assert accounts.balance("ann") == sum(e.amount for e in accounts.history("ann")) == 10**9 - 50 * len(steps)
assert accounts.problems() == []
print(len(acknowledged))
"""


def test_nothing_acknowledged_is_lost_to_a_kill(in_a_process_of_its_own):
    (acknowledged,) = in_a_process_of_its_own(KILLED_AT_RANDOM, 25)
    assert int(acknowledged) >= 25


# They start together, told by the closing of a pipe, and want more than there is.
RACING = """
import os, sys
from pathlib import Path
from posegen.credits import open_accounts
from posegen.errors import InsufficientCreditsError, StaleAttemptError

path = Path(sys.argv[1]) / "credits.sqlite"
RACERS, RUNS = 6, 12

def race(racer):
    reading, writing = os.pipe()
    children = []
    for number in range(RACERS):
        child = os.fork()
        if not child:
            os.close(writing)
            os.read(reading, 1)
            racer(number)
            os._exit(0)
        children.append(child)
    os.close(reading)
    os.close(writing)
    assert [os.waitpid(child, 0)[1] for child in children] == [0] * RACERS

def spend(number):
    accounts = open_accounts(path, starting_grant=1000)
    for run in range(RUNS):
        try:
            accounts.hold("ann", 30, f"run-{number}-{run}", attempt=1)
        except InsufficientCreditsError as exc:
            assert exc.available < 30

race(spend)
accounts = open_accounts(path, starting_grant=5)
kinds = [entry.kind for entry in accounts.history("ann")]
assert kinds == ["opening"] + ["hold"] * 33, kinds
assert accounts.balance("ann") == 10

def repeat(number):
    accounts = open_accounts(path, starting_grant=1000)
    accounts.grant("bob", 7, key="gift")
    accounts.hold("bob", 90, "same", attempt=1)
    accounts.refund("same", "t", 30, attempt=1)
    accounts.settle("same", attempt=1, charged=60)

race(repeat)
kinds = [entry.kind for entry in accounts.history("bob")]
assert kinds == ["opening", "grant", "hold", "refund", "settlement"], kinds

def take_over(number):
    accounts = open_accounts(path, starting_grant=1000)
    for attempt in (1, number + 2):
        try:
            accounts.hold("eve", 90, "taken", attempt=attempt)
            accounts.refund("taken", f"t{attempt}", 10, attempt=attempt)
        except StaleAttemptError as exc:
            assert exc.newest > attempt

race(take_over)
writers = [entry.attempt for entry in accounts.run_history("taken")]
assert writers == sorted(writers) and writers[-1] == RACERS + 1, writers
assert accounts.problems() == []
print("done")
"""


def test_racing_processes_spend_once_and_never_too_much(in_a_process_of_its_own):
    assert in_a_process_of_its_own(RACING) == ["done"]


# The file may not grow beyond a limit, for rising limits: the system refuses the write.
NO_ROOM = """
import json, os, resource, shutil, sys
from pathlib import Path
from posegen.credits import open_accounts
from posegen.errors import StorageError

folder = Path(sys.argv[1])
outcomes = []
for limit in range(0, 66_000, 2_000):
    path = folder / f"{limit}.sqlite"
    child = os.fork()
    if not child:
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
        try:
            open_accounts(path, starting_grant=1000).hold("ann", 90, "r", attempt=1)
        except StorageError as exc:
            os._exit(1)
        os._exit(0)
    outcomes.append(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
    accounts = open_accounts(path, starting_grant=1000)
    assert accounts.problems() == []
    assert len(accounts.holds("r")) == 1 - outcomes[-1]
    accounts.hold("ann", 90, "r", attempt=1)
    assert accounts.balance("ann") == 910
print(json.dumps(outcomes))
"""


def test_a_write_the_system_refuses_changes_nothing(in_a_process_of_its_own):
    (line,) = in_a_process_of_its_own(NO_ROOM)
    outcomes = json.loads(line)
    assert outcomes == sorted(outcomes, reverse=True)  # once there is room enough it works
    assert set(outcomes) == {0, 1}
