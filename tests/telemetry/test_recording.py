import asyncio
import logging
from collections.abc import Iterator, Mapping

import pytest

from posegen.telemetry import measure, record_metric, recording_to, timed

Metric = tuple[str, str, dict[str, str]]


@pytest.fixture
def seen() -> Iterator[list[Metric]]:
    found: list[Metric] = []

    def keep(name: str, value: float, unit: str, tags: Mapping[str, str]) -> None:
        assert value >= 0
        found.append((name, unit, dict(tags)))

    with recording_to(keep):
        yield found


def test_a_function_is_measured_at_each_call_and_stays_what_it_is(seen: list[Metric]) -> None:
    @measure("flux.plan", backend="figure")
    def double(number: int, *, fail: bool = False) -> int:
        """Say what it does."""
        if fail:
            raise ValueError
        return double(number - 1) + 2 if number else 0

    assert double(2) == 4
    assert (double.__name__, double.__doc__) == ("double", "Say what it does.")
    with pytest.raises(ValueError):  # noqa: PT011
        double(0, fail=True)
    plain = ("flux.plan", "ms", {"backend": "figure"})
    assert seen == [plain] * 3 + [("flux.plan", "ms", {"backend": "figure", "error": "ValueError"})]


def test_a_coroutine_function_is_measured_to_its_end(seen: list[Metric]) -> None:
    @measure("flux.wait")
    async def wait(*, fail: bool) -> str:
        await asyncio.sleep(0)
        assert not inside or not fail
        inside.append(len(seen))
        if fail:
            raise KeyError
        return "done"

    inside: list[int] = []

    async def both() -> list[object]:
        return await asyncio.gather(wait(fail=False), wait(fail=False))

    assert asyncio.run(both()) == ["done", "done"]
    assert len(inside) == 2
    inside.clear()
    with pytest.raises(KeyError):
        asyncio.run(wait(fail=True))
    assert [tags for _, _, tags in seen] == [{}, {}, {"error": "KeyError"}]


def test_async_with_and_cancellation(seen: list[Metric]) -> None:
    async def cut_short() -> None:
        async with measure("flux.wait"):
            await asyncio.wait_for(asyncio.Event().wait(), timeout=0)

    with pytest.raises(TimeoutError):
        asyncio.run(cut_short())
    assert seen[0][2]["error"] == "TimeoutError"


def test_a_generator_cannot_be_decorated() -> None:
    with pytest.raises(TypeError, match="measure a block"):

        @measure("x.y")
        def numbers() -> Iterator[int]:
            yield 1


def test_what_a_record_holds_is_recorded_only_if_it_raises(seen: list[Metric]) -> None:
    with timed("flux.generate", backend="fal"):
        pass
    assert seen == []
    with pytest.raises(OSError), timed("flux.generate", backend="fal"):  # noqa: PT011
        raise OSError
    assert seen == [("flux.generate", "ms", {"backend": "fal", "error": "OSError"})]


def test_tags_may_come_as_a_mapping_and_a_tag_may_be_called_name(seen: list[Metric]) -> None:
    record_metric("flux.retries", 1, "count", {"name": "a"}, backend="b")
    record_metric(name="flux.retries", value=1, unit="count", tags={"name": "a"})
    record_metric("flux.ratio", 0.5, {"backend": "b"})
    record_metric("flux.ratio", 0.5)
    with measure("flux.plan", tags={"name": "a"}):
        pass
    assert seen == [
        ("flux.retries", "count", {"name": "a", "backend": "b"}),
        ("flux.retries", "count", {"name": "a"}),
        ("flux.ratio", "", {"backend": "b"}),
        ("flux.ratio", "", {}),
        ("flux.plan", "ms", {"name": "a"}),
    ]


def test_a_sink_that_fails_fails_nobody(caplog: pytest.LogCaptureFixture) -> None:
    def broken(*_: object) -> None:
        raise OSError("the disk is full")

    with recording_to(broken), measure("store.put"):
        pass
    assert "store.put could not be recorded: OSError" in caplog.text


def test_the_time_is_logged_with_its_unit(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "posegen.flux")
    with measure("flux.generate", backend="figure"):
        pass
    record = caplog.records[-1]
    assert record.getMessage() == "flux.generate completed in 0 ms"
    assert record.context["backend"] == "figure"  # type: ignore[attr-defined]
