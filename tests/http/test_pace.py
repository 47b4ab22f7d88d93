"""How fast a provider is asked, by one process and by several."""

import asyncio
import json
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from posegen.errors import BackendUnavailableError
from posegen.http import Client, Pace, Rules
from posegen.http.pace import FIRST_SLOWING_S, SLOWEST_S
from tests.http.conftest import Clock, Purse, Simple
from tests.http.test_client import post
from tests.servers.base import Fault, Reply, error


class Meeting(threading.Event):
    """Lets requests through once all of them are there."""

    def __init__(self, barrier: threading.Barrier) -> None:
        super().__init__()
        self._barrier = barrier

    def wait(self, timeout: float | None = None) -> bool:
        self._barrier.wait(timeout)
        return True


def turns(pace: Pace, count: int) -> list[float]:
    async def story() -> list[float]:
        return [await pace.turn() for _ in range(count)]

    return asyncio.run(story())


def test_no_limit_touches_no_file(tmp_path: Path, clock: Clock) -> None:
    assert turns(Pace(tmp_path, "fal", clock=clock, sleep=clock.sleep), 100) == [0.0] * 100
    assert list(tmp_path.iterdir()) == []


def test_a_limit_is_kept_after_a_second_s_burst(tmp_path: Path, clock: Clock) -> None:
    pace = Pace(tmp_path, "fal", 600, clock=clock, sleep=clock.sleep)
    began = clock.now
    turns(pace, 100)
    assert clock.now - began == pytest.approx(9.0, abs=0.11)  # 10 at once, then one each 0.1 s
    clock.now += 60
    assert turns(pace, 10) == [0.0] * 10
    assert turns(pace, 1)[0] > 0


def test_refusals_slow_it_down_and_answers_ease_it(tmp_path: Path, clock: Clock) -> None:
    pace = Pace(tmp_path, "fal", clock=clock, sleep=clock.sleep)

    async def story() -> tuple[list[float], list[float]]:
        slower, easier = [], []
        for _ in range(10):
            await pace.slow_down(None)
            slower.append(pace._read().slowing_s)
        while pace._read().slowing_s:
            await pace.speed_up()
            easier.append(pace._read().slowing_s)
        return slower, easier

    slower, easier = asyncio.run(story())
    assert slower[:3] == [FIRST_SLOWING_S, 2 * FIRST_SLOWING_S, 4 * FIRST_SLOWING_S]
    assert slower[-1] == SLOWEST_S
    assert easier == sorted(easier, reverse=True)
    assert len(easier) < 50


def test_refusals_of_one_moment_slow_it_down_once(
    use: Callable[..., Any], server: Simple, purse: Purse, tmp_path: Path
) -> None:
    """Eight requests are on their way when the provider says that it is too much."""
    everybody = threading.Barrier(8)
    refused = Fault(Reply(429, headers={"Retry-After": "1"}), gate=Meeting(everybody))
    server.script("/x", *[refused] * 8)

    async def story(client: Client) -> None:
        orders = [client.purchase(post(server), Rules("fal", "fal"), purse.buy) for _ in range(8)]
        await asyncio.gather(*orders)

    asyncio.run(use(story))
    assert server.count("/x") == 16
    booked = json.loads((tmp_path / "locks/pace-fal.json").read_text())
    assert booked["slowing_s"] < FIRST_SLOWING_S


def test_a_refusal_after_a_slowing_slows_it_down_further(tmp_path: Path, clock: Clock) -> None:
    pace = Pace(tmp_path, "fal", clock=clock, sleep=clock.sleep)

    async def story() -> list[float]:
        slowings = []
        for sent_at in (clock.now - 1, clock.now - 2, clock.now, clock.now + 1):
            await pace.slow_down(None, sent_at)
            slowings.append(pace._read().slowing_s)
        return slowings

    assert asyncio.run(story()) == [FIRST_SLOWING_S] * 3 + [2 * FIRST_SLOWING_S]


def test_a_wait_that_is_asked_for_holds_for_all_that_come_after(tmp_path: Path, clock: Clock) -> None:
    asyncio.run(Pace(tmp_path, "fal", clock=clock, sleep=clock.sleep).slow_down(20.0))
    other = Pace(tmp_path, "fal", clock=clock, sleep=clock.sleep)
    assert turns(other, 1) == [pytest.approx(20.0)]


def test_easing_is_felt_by_those_who_wait(tmp_path: Path, clock: Clock) -> None:
    """Twelve wait after a storm of refusals; each that comes through halves the wait of the others."""
    pace = Pace(tmp_path, "fal", clock=clock, sleep=clock.sleep)

    async def one() -> None:
        await pace.turn()
        await pace.speed_up()

    async def story() -> float:
        for _ in range(10):
            await pace.slow_down(1.0)
        began = clock.now
        for _ in range(12):
            await one()
        return clock.now - began

    assert asyncio.run(story()) < 3 * SLOWEST_S


def test_a_wait_longer_than_anybody_wants_is_said_at_once(
    use: Callable[..., Any], server: Simple, purse: Purse, tmp_path: Path, clock: Clock
) -> None:
    asyncio.run(Pace(tmp_path / "locks", "fal", clock=clock, sleep=clock.sleep).slow_down(2000.0))
    order = lambda client: client.purchase(post(server), Rules("fal", "fal"), purse.buy)  # noqa: E731
    with pytest.raises(BackendUnavailableError, match="not to be asked for") as caught:
        asyncio.run(use(order))
    assert caught.value.code == "RATE_LIMITED"
    assert server.count("/x") == 0


def test_a_client_slows_down_by_refusals(
    use: Callable[..., Any], server: Simple, purse: Purse, tmp_path: Path
) -> None:
    server.script("/x", error(429), error(429))
    rules = Rules("fal", "fal")
    asyncio.run(use(lambda client: client.purchase(post(server), rules, purse.buy)))
    booked = json.loads((tmp_path / "locks/pace-fal.json").read_text())
    assert 0 < booked["slowing_s"] < 2 * FIRST_SLOWING_S


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", '{"next_at": "x"}', '{"next_at": 9e99, "slowing_s": 0, "slowed_at": 0, "boot": ""}'],
)
def test_a_file_that_cannot_be_read_or_lies_far_ahead_is_forgotten(
    tmp_path: Path, clock: Clock, text: str
) -> None:
    (tmp_path / "pace-fal.json").write_text(text)
    assert turns(Pace(tmp_path, "fal", 60, clock=clock, sleep=clock.sleep), 1) == [0.0]


def test_what_another_start_of_the_machine_booked_is_forgotten(tmp_path: Path, clock: Clock) -> None:
    ahead = {"next_at": clock.now + 900, "slowing_s": 30.0, "slowed_at": 0.0, "boot": "another"}
    (tmp_path / "pace-fal.json").write_text(json.dumps(ahead))
    assert turns(Pace(tmp_path, "fal", 60, clock=clock, sleep=clock.sleep), 1) == [0.0]


CHILD = """
import asyncio, sys
from pathlib import Path
from posegen.http import Pace

now, given = 5000.0, 0

async def sleep(seconds):
    global now
    now += seconds

async def story():
    global given
    pace = Pace(Path(sys.argv[1]), "fal", 300, clock=lambda: now, sleep=sleep)
    while True:
        await pace.turn()
        if now > 5010.0:
            return
        given += 1

asyncio.run(story())
print(given)
"""


def test_several_processes_keep_one_limit_together(tmp_path: Path) -> None:
    """Each has a clock of its own that starts at the same moment: 10 s hold 55 turns at 300 a minute."""
    command = [sys.executable, "-c", CHILD, str(tmp_path)]
    children = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(4)]
    given = [int(child.communicate(timeout=60)[0]) for child in children]
    assert sum(given) in (54, 55, 56)
