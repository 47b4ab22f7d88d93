"""What a run makes of a backend that is full, refuses everything, or gives no answer."""

import asyncio
import threading
from typing import Any

import pytest

from posegen.backends import GeneratedImage, ImageRequest, Workshop
from posegen.errors import (
    BackendUnavailableError,
    ImageFailedError,
    OutcomeUnknownError,
    RunInterruptedError,
    UserLimitError,
)
from posegen.journal import read_run, run_exists
from posegen.parameters import BatchParameters, check
from posegen.pipeline.plan import Plan, build_plan
from posegen.pipeline.run import resume, start
from posegen.settings import Settings
from tests.pipeline.conftest import PlainBackend

EMPTY = BackendUnavailableError("the account is empty", backend="plain", code="ACCOUNT_EMPTY")


def plan(**values: Any) -> Plan:
    given = {
        "backend": "plain",
        "width": 256,
        "height": 256,
        "poses": ["walking_stride"],
        "images_per_pose": 16,
        "run_id": "r",
    }
    return build_plan(check(BatchParameters, {**given, **values}))


def quiet(_: object) -> None:
    """Show nothing."""


def test_a_run_stops_early_where_no_image_could_be_made(backend: PlainBackend, settings: Settings) -> None:
    asked: list[str] = []
    backend.on_image = lambda request: asked.append(request.task.task_id)
    backend.fail = lambda _: EMPTY if len(asked) > 5 else None
    with pytest.raises(RunInterruptedError, match=r"of 16 images \(the account is empty\)"):
        start(plan(), settings).wait(quiet)
    state = read_run(settings.root, "r")
    assert (state.status, state.failed, state.made) == ("interrupted", 0, 5)
    assert state.attempts[-1].interrupted == "the account is empty"
    assert len(asked) < 12
    backend.fail = lambda _: None
    assert resume("r", settings).wait(quiet).exit_code == 0
    assert len(backend.made) == 16


def test_what_is_in_flight_is_not_cut_short_by_that(
    backend: PlainBackend, settings: Settings, gate: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("posegen.pipeline.engine.DRAIN_S", 0.0)
    held: list[str] = []
    alone = threading.Lock()

    def hold_up(request: ImageRequest) -> None:
        with alone:
            if not held:  # whichever comes first
                held.append(request.task.task_id)
        if request.task.task_id == held[0]:
            gate.wait(30)

    backend.on_image = hold_up
    backend.fail = lambda request: None if request.task.task_id == held[0] else EMPTY
    run = start(plan(concurrency=2), settings)
    while not read_run(settings.root, "r").attempts[-1].interrupted:
        assert run.running
    gate.set()
    with pytest.raises(RunInterruptedError):
        run.wait(quiet)
    assert backend.made == held


@pytest.mark.parametrize("paid", [True, False])
def test_a_refused_purchase_is_not_of_unknown_outcome(
    backend: PlainBackend, settings: Settings, paid: bool
) -> None:
    backend.paid = paid

    async def refused(request: ImageRequest, workshop: Workshop) -> GeneratedImage:
        async def send() -> GeneratedImage:
            raise EMPTY

        return await workshop.buy(send)

    backend.generate = refused  # type: ignore[method-assign]
    with pytest.raises(RunInterruptedError):
        start(plan(), settings).wait(quiet)
    assert read_run(settings.root, "r").submissions == {}
    del backend.generate  # type: ignore[method-assign]
    assert resume("r", settings).wait(quiet).exit_code == 0


def lose_answers(backend: PlainBackend, times: int) -> list[str]:
    sent: list[str] = []

    async def generate(request: ImageRequest, workshop: Workshop) -> GeneratedImage:
        async def send() -> GeneratedImage:
            sent.append(request.task.task_id)
            if sent.count(request.task.task_id) <= times:
                raise OutcomeUnknownError("no answer came back")
            return backend.picture(request)

        return await workshop.buy(send)

    backend.generate = generate  # type: ignore[method-assign]
    return sent


def test_what_waits_for_its_turn_when_the_run_is_stopped_is_not_bought(
    backend: PlainBackend, settings: Settings, gate: threading.Event
) -> None:
    backend.paid = True
    waiting = threading.Event()

    async def late(request: ImageRequest, workshop: Workshop) -> GeneratedImage:
        waiting.set()  # as a provider's pace holds it up, or a wait before the next try
        await workshop.on_io(lambda: gate.wait(30))
        return await workshop.buy(lambda: backend.sell(request, workshop))

    backend.generate = late  # type: ignore[method-assign]
    run = start(plan(images_per_pose=1), settings)
    assert waiting.wait(30)
    run.stop("enough")
    gate.set()
    with pytest.raises(RunInterruptedError):
        run.wait(quiet)
    state = read_run(settings.root, "r")
    assert (backend.made, state.submissions, len(state.pending)) == ([], {}, 1)


def test_a_lost_answer_is_not_bought_again_unasked(backend: PlainBackend, settings: Settings) -> None:
    backend.paid = True
    sent = lose_answers(backend, times=1)
    made = plan(images_per_pose=1)
    summary = start(made, settings).wait(quiet)
    assert (summary.state.status, summary.exit_code, len(sent)) == ("waiting", 5, 1)
    assert resume("r", settings).wait(quiet).state.status == "waiting"
    assert len(sent) == 1
    assert resume("r", settings, unknown="retry").wait(quiet).exit_code == 0
    assert len(sent) == 2


@pytest.mark.parametrize(("times", "code"), [(2, 0), (3, 5)])
def test_a_free_one_is_sent_again_a_few_times(
    backend: PlainBackend, settings: Settings, times: int, code: int
) -> None:
    sent = lose_answers(backend, times)
    assert start(plan(images_per_pose=1), settings).wait(quiet).exit_code == code
    assert len(sent) == 3


@pytest.mark.parametrize("concurrency", [1, 3])
def test_no_more_are_at_the_backend_than_asked_for(
    backend: PlainBackend, settings: Settings, concurrency: int
) -> None:
    there = most = 0
    full = asyncio.Event()

    async def generate(request: ImageRequest, workshop: Workshop) -> GeneratedImage:
        nonlocal there, most
        there += 1
        most = max(most, there)
        if there == concurrency:
            full.set()
        await asyncio.wait_for(full.wait(), 30)
        await asyncio.sleep(0)
        there -= 1
        return backend.picture(request)

    backend.generate = generate  # type: ignore[method-assign]
    start(plan(concurrency=concurrency), settings).wait(quiet)
    assert most == concurrency


def test_what_a_backend_lacks_is_said_before_anything_starts(
    backend: PlainBackend, settings: Settings
) -> None:
    backend.lacks = ["PLAIN_KEY is not set"]
    assert plan().facts()["lacks"] == ["PLAIN_KEY is not set"]
    with pytest.raises(BackendUnavailableError, match="PLAIN_KEY is not set") as caught:
        start(plan(), settings)
    assert caught.value.exit_code == 2
    assert not run_exists(settings.root, "r")


def test_a_users_images_an_hour_are_counted_over_runs(backend: PlainBackend, settings: Settings) -> None:
    limited = settings.model_copy(update={"user_images_per_hour": 20})
    start(plan(), limited).wait(quiet)
    with pytest.raises(UserLimitError, match="16 of 20") as caught:
        start(plan(run_id="second"), limited)
    assert caught.value.free_at is not None
    assert not run_exists(settings.root, "second")


def test_an_image_that_fails_does_not_hold_up_the_others(backend: PlainBackend, settings: Settings) -> None:
    backend.fail = lambda request: (
        ImageFailedError("given up", code="FLUX_MAX_RETRIES_EXCEEDED") if request.task.index % 2 else None
    )
    summary = start(plan(), settings).wait(quiet)
    assert (summary.state.made, summary.state.failed, summary.exit_code) == (8, 8, 3)
    assert {failure.code for failure in summary.state.failures.values()} == {"FLUX_MAX_RETRIES_EXCEEDED"}


def test_what_a_server_has_served_keeps_no_place_there(
    backend: PlainBackend, settings: Settings, gate: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun: list[str] = []

    async def sell(request: ImageRequest, workshop: Workshop) -> GeneratedImage:
        begun.append(request.task.task_id)
        if len(begun) == 3:
            gate.set()
        workshop.served()
        await asyncio.to_thread(gate.wait, 30)  # as a long decoding would
        assert len(begun) >= 3
        return backend.make(request)

    monkeypatch.setattr(backend, "sell", sell)
    summary = start(plan(images_per_pose=6, concurrency=2), settings).wait(quiet)
    assert summary.state.made == 6
