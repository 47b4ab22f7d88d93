"""A run that was cut off: what is asked for again, what is fetched, and what waits for a person."""

import threading
from typing import Any

import pytest

from posegen.backends import GeneratedImage, ImageRequest, Workshop
from posegen.errors import ImageFailedError, ResultGoneError
from posegen.journal import SegmentWriter, TaskSubmitted, read_run
from posegen.parameters import BatchParameters, check
from posegen.pipeline.plan import Plan, build_plan
from posegen.pipeline.run import start
from posegen.pipeline.summary import RunSummary
from posegen.settings import Settings
from tests.pipeline.conftest import PlainBackend


def plan(**values: Any) -> Plan:
    given = {"backend": "plain", "width": 256, "height": 256, "poses": ["standing_relaxed", "walking_stride"]}
    return build_plan(check(BatchParameters, {**given, "run_id": "r", **values}))


def quiet(_: object) -> None:
    """Show nothing."""


@pytest.fixture
def cut_off(backend: PlainBackend, settings: Settings) -> Plan:
    """Leave a run whose first task was sent to the provider and never answered."""
    made = plan()
    gate = threading.Event()
    backend.on_image = lambda _: gate.wait(30) and None
    run = start(made, settings)
    run.stop("cut")
    gate.set()
    while run.running:
        pass
    folder = settings.root / "runs/r/journal"
    state = read_run(settings.root, "r")
    for task in made.tasks:
        record = state.records.get(task.task_id)
        if record is not None:
            (settings.root / record.key).unlink()
    for segment in folder.iterdir():
        lines = segment.read_bytes().splitlines(keepends=True)
        segment.write_bytes(b"".join(lines[:2]))
    with SegmentWriter.open(folder, "r", kind="batch") as writer:
        writer.append(TaskSubmitted(task_id=made.tasks[0].task_id, request_id="req-1")).result()
    backend.made.clear()
    backend.on_image = quiet
    return made


def resumed(made: Plan, settings: Settings, **options: Any) -> RunSummary:
    return start(made, settings, **options).wait(quiet)


def test_a_known_request_is_fetched_and_not_bought_again(
    cut_off: Plan, backend: PlainBackend, settings: Settings
) -> None:
    backend.paid = backend.keeps_results = True
    fetched: list[str] = []

    async def fetch(request: ImageRequest, request_id: str, workshop: Workshop) -> GeneratedImage:
        fetched.append(request_id)
        return backend.picture(request)

    backend.fetch = fetch  # type: ignore[method-assign]
    summary = resumed(cut_off, settings)
    assert fetched == ["req-1"]
    assert backend.made == [cut_off.tasks[1].task_id]
    assert (summary.state.made, summary.exit_code) == (2, 0)


def test_a_request_that_failed_at_the_provider_fails_the_image(
    cut_off: Plan, backend: PlainBackend, settings: Settings
) -> None:
    backend.keeps_results = True

    async def fetch(request: ImageRequest, request_id: str, workshop: Workshop) -> GeneratedImage:
        raise ImageFailedError("refused there", code="INAPPROPRIATE_PROMPT")

    backend.fetch = fetch  # type: ignore[method-assign]
    assert [f.code for f in resumed(cut_off, settings).state.failures.values()] == ["INAPPROPRIATE_PROMPT"]


def test_a_free_backend_makes_an_unknown_one_again(
    cut_off: Plan, backend: PlainBackend, settings: Settings
) -> None:
    assert resumed(cut_off, settings).state.made == 2
    assert len(backend.made) == 2


def gone(backend: PlainBackend) -> None:
    backend.paid = backend.keeps_results = True

    async def fetch(request: ImageRequest, request_id: str, workshop: Workshop) -> GeneratedImage:
        raise ResultGoneError("kept for an hour only", code="RESULT_GONE")

    backend.fetch = fetch  # type: ignore[method-assign]


def test_a_paid_one_of_unknown_outcome_waits_for_a_persons_word(
    cut_off: Plan, backend: PlainBackend, settings: Settings
) -> None:
    gone(backend)
    summary = resumed(cut_off, settings)
    assert (summary.state.status, summary.state.made, summary.exit_code) == ("waiting", 1, 5)
    unknown = summary.state.unknown[cut_off.tasks[0].task_id]
    assert unknown.request_id == "req-1"
    assert "no longer has request req-1" in unknown.reason
    assert summary.rows()[0]["status"] == "unknown"
    again = resumed(cut_off, settings)
    assert again.state.status == "waiting"
    assert backend.made == [cut_off.tasks[1].task_id]


@pytest.mark.parametrize(("policy", "made", "failed"), [("retry", 2, 0), ("fail", 1, 1)])
def test_a_persons_word_decides(
    cut_off: Plan, backend: PlainBackend, settings: Settings, policy: str, made: int, failed: int
) -> None:
    gone(backend)
    resumed(cut_off, settings)
    summary = resumed(cut_off, settings, unknown=policy)
    assert (summary.state.status, summary.state.made, summary.state.failed) == ("finished", made, failed)
    assert not summary.state.unknown


def test_a_paid_backend_without_request_ids_is_journalled_before_it_is_called(
    backend: PlainBackend, settings: Settings
) -> None:
    backend.paid = True
    seen: list[int] = []
    backend.on_image = lambda _: seen.append(len(read_run(settings.root, "r").submissions))
    start(plan(concurrency=1), settings).wait(quiet)
    assert seen == [1, 2]
