from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import CancelledError

import pytest

from posegen.backends.diffusers.studio import AbandonedError, Order, Studio

LIMIT_S = 30.0

Number = Order[str, int, int]


class Maker:
    """Doubles numbers in batches; can be held up before a batch."""

    def __init__(self) -> None:
        self.batches: list[tuple[str, list[int]]] = []
        self.at_work = threading.Event()
        self.go_on = threading.Event()
        self.go_on.set()
        self.threads: set[str] = set()

    def __call__(
        self, settings: str, wanted: Sequence[int], stepped: Callable[[float], None]
    ) -> Sequence[int | Exception]:
        self.at_work.set()
        assert self.go_on.wait(LIMIT_S)
        self.threads.add(threading.current_thread().name)
        self.batches.append((settings, list(wanted)))
        stepped(0.5)
        if settings == "broken":
            raise ValueError(settings)
        return [ValueError(str(number)) if number < 0 else 2 * number for number in wanted]


@pytest.fixture
def maker() -> Maker:
    return Maker()


@pytest.fixture
def studio(maker: Maker) -> Iterator[Studio[str, int, int]]:
    made = Studio(maker, gather_s=0.0)
    yield made
    maker.go_on.set()
    assert made.close(LIMIT_S)


def hold(studio: Studio[str, int, int], maker: Maker) -> Number:
    """Return an order that is being made until `maker.go_on` is set."""
    maker.go_on.clear()
    order = Number("held", 0)
    studio.place(order)
    assert maker.at_work.wait(LIMIT_S)
    return order


def test_an_order_is_made_in_the_one_thread(studio: Studio[str, int, int], maker: Maker) -> None:
    orders = [Number("a", 1), Number("b", 2)]
    for order in orders:
        studio.place(order)
    assert [order.future.result(LIMIT_S) for order in orders] == [2, 4]
    assert maker.threads == {"posegen-diffusers"}


def test_orders_with_equal_settings_are_made_together_up_to_their_limit(
    studio: Studio[str, int, int], maker: Maker
) -> None:
    hold(studio, maker)
    orders = [Number(settings, i, at_most=3) for i, settings in enumerate("abaaab")]
    for order in orders:
        studio.place(order)
    maker.go_on.set()
    assert [order.future.result(LIMIT_S) for order in orders] == [0, 2, 4, 6, 8, 10]
    assert maker.batches[1:] == [("a", [0, 2, 3]), ("b", [1, 5]), ("a", [4])]


def test_a_batch_waits_for_more_until_it_is_full(maker: Maker) -> None:
    studio: Studio[str, int, int] = Studio(maker, gather_s=LIMIT_S)
    orders = [Number("a", i, at_most=2) for i in range(2)]
    for order in orders:
        studio.place(order)
    assert [order.future.result(LIMIT_S / 2) for order in orders] == [0, 2]
    assert maker.batches == [("a", [0, 1])]
    assert studio.close(LIMIT_S)


def test_an_error_of_one_is_its_own_and_an_error_of_all_is_everybodys(
    studio: Studio[str, int, int], maker: Maker
) -> None:
    hold(studio, maker)
    good, bad = Number("a", 1, at_most=2), Number("a", -1, at_most=2)
    broken = [Number("broken", i, at_most=2) for i in range(2)]
    for order in (good, bad, *broken):
        studio.place(order)
    maker.go_on.set()
    assert good.future.result(LIMIT_S) == 2
    with pytest.raises(ValueError, match="-1"):
        bad.future.result(LIMIT_S)
    for order in broken:
        with pytest.raises(ValueError, match="broken"):
            order.future.result(LIMIT_S)
    assert maker.batches[1:] == [("a", [1, -1]), ("broken", [0, 1])]


def test_progress_is_told_to_each_order_of_a_batch(studio: Studio[str, int, int], maker: Maker) -> None:
    hold(studio, maker)
    shares: list[list[float]] = [[], []]
    orders = [Number("a", i, at_most=2, progressed=shares[i].append) for i in range(2)]
    for order in orders:
        studio.place(order)
    maker.go_on.set()
    for order in orders:
        order.future.result(LIMIT_S)
    assert shares == [[0.0, 0.5]] * 2


def test_what_nobody_waits_for_is_not_made(studio: Studio[str, int, int], maker: Maker) -> None:
    hold(studio, maker)
    left, wanted = Number("a", 1), Number("b", 2)
    studio.place(left)
    studio.place(wanted)
    assert left.future.cancel()
    maker.go_on.set()
    assert wanted.future.result(LIMIT_S) == 4
    assert [settings for settings, _ in maker.batches] == ["held", "b"]


def test_a_step_ends_what_nobody_waits_for_any_more(studio: Studio[str, int, int], maker: Maker) -> None:
    held = hold(studio, maker)
    held.abandoned.set()
    maker.go_on.set()
    with pytest.raises(AbandonedError):
        held.future.result(LIMIT_S)


def test_a_batch_goes_on_while_somebody_waits_for_part_of_it(
    studio: Studio[str, int, int], maker: Maker
) -> None:
    hold(studio, maker)
    orders = [Number("a", i, at_most=2) for i in range(2)]
    for order in orders:
        studio.place(order)
    orders[0].abandoned.set()
    maker.go_on.set()
    assert orders[1].future.result(LIMIT_S) == 2


def test_closing_lets_go_of_all(maker: Maker) -> None:
    studio: Studio[str, int, int] = Studio(maker, gather_s=0.0)
    held = hold(studio, maker)
    waiting = Number("a", 1)
    studio.place(waiting)
    assert not studio.close(timeout_s=0.0)
    with pytest.raises(CancelledError):
        waiting.future.result(LIMIT_S)
    maker.go_on.set()
    assert studio.close(LIMIT_S)
    with pytest.raises(AbandonedError):
        held.future.result(LIMIT_S)


def test_a_studio_without_work_needs_no_thread(maker: Maker) -> None:
    assert Studio(maker).close(0.0)
