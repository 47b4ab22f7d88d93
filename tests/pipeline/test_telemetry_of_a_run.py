"""What a real run logs and journals of itself."""

import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from posegen.backends import ImageRequest
from posegen.errors import ImageFailedError
from posegen.pipeline.run import start
from posegen.settings import Settings
from posegen.telemetry import configure_logging, logger, masking, record_metric
from tests.pipeline.conftest import PlainBackend
from tests.pipeline.test_run import plan, quiet

KEY = "fal-0123456789abcdef"
PROMPT = "portrait of my neighbour at dusk"


@pytest.fixture
def logged(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[Settings]:
    """Return settings with a key, of a workspace that logs everything."""
    monkeypatch.setattr(masking, "_secrets", [])
    chosen = settings.model_copy(update={"fal_key": SecretStr(KEY), "log_level": "debug"})
    undo = configure_logging(chosen)
    yield chosen
    undo()


def lines(root: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (root / "logs/posegen.jsonl").read_text("utf-8").splitlines()]


def metrics(root: Path) -> list[dict[str, Any]]:
    text = (root / "runs/r/journal/0001.jsonl").read_text("utf-8")
    found = [json.loads(line) for line in text.splitlines()]
    return [line for line in found if line["event"] == "metric"]


def test_run_attempt_and_task_are_bound_in_every_thread(backend: PlainBackend, logged: Settings) -> None:
    def say(request: ImageRequest) -> None:  # on a thread of the pool for computing
        logger("flux").info("drawing", wanted=request.task.task_id)
        record_metric("flux.drawn", 1, "count")

    backend.on_image = say
    made = plan(images_per_pose=3)
    start(made, logged).wait(quiet)
    found = lines(logged.root)
    assert all((line["run"], line["attempt"]) == ("r", 1) for line in found if "plan" not in line["message"])
    drawn = [line for line in found if line["message"] == "drawing"]
    assert {line["task"] for line in drawn} == {task.task_id for task in made.tasks}
    assert all(line["task"] == line["wanted"] for line in drawn)
    generated = [line for line in found if line["message"].startswith("flux.generate completed in ")]
    assert {(line["task"], line["backend"]) for line in generated} == {
        (task.task_id, "plain") for task in made.tasks
    }
    whole = [line["message"] for line in found if "task" not in line]
    assert whole == ["planning 6 images", "attempt begins", "attempt ended: finished"]
    assert [line["name"] for line in metrics(logged.root)].count("flux.drawn") == 6


def test_the_journal_gets_what_no_record_holds(backend: PlainBackend, settings: Settings) -> None:
    errors = iter([ImageFailedError("no", code="X"), None])
    backend.fail = lambda _: next(errors)
    summary = start(plan(concurrency=1, exports=["instagram_story"]), settings).wait(quiet)
    found = metrics(settings.root)
    assert [(line["name"], line["unit"], line["tags"]) for line in found if "queue" not in line["name"]] == [
        ("flux.generate", "ms", {"backend": "plain", "error": "ImageFailedError"}),
        ("export.make", "ms", {"format": "instagram_story"}),
    ]
    waits = [line for line in found if line["name"] == "worker.queue_wait"]
    assert [line["tags"] for line in waits] == [{"backend": "plain"}] * 2
    assert all(line["run_id"] == "r" and line["attempt"] == 1 and line["value"] >= 0 for line in found)
    assert [metric.name for metric in summary.state.metrics] == [line["name"] for line in found]


def test_neither_key_nor_prompt_is_in_any_log_of_a_failing_run(
    backend: PlainBackend, logged: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(request: ImageRequest) -> Exception:
        body = json.dumps({"prompt": request.task.prompt, "headers": {"Authorization": f"Key {KEY}"}})
        return ImageFailedError(f"the provider says: {body}", code="X")

    backend.fail = fail
    summary = start(plan(prompt=PROMPT, exports=[]), logged).wait(quiet)
    assert summary.exit_code == 4
    shown = capsys.readouterr().err
    assert shown.count("failed: X the provider says") == 2
    for text in (shown, (logged.root / "logs/posegen.jsonl").read_text("utf-8")):
        assert KEY not in text
        assert "neighbour" not in text
        assert "<prompt: " in text


def test_a_quiet_run_shows_nothing_and_logs_that_cannot_be_written_stop_none(
    backend: PlainBackend, settings: Settings, capfd: pytest.CaptureFixture[str]
) -> None:
    undo = configure_logging(settings)
    try:
        start(plan(), settings).wait(quiet)
        assert capfd.readouterr() == ("", "")
    finally:
        undo()
    broken = settings.model_copy(update={"root": settings.root / "other"})
    broken.root.mkdir()
    (broken.root / "logs").write_text("where the folder should be")
    undo = configure_logging(broken)
    try:
        summary = start(plan(), broken).wait(quiet)
    finally:
        undo()
    assert (summary.state.status, summary.state.made) == ("finished", 2)
    assert capfd.readouterr().err.count("logs cannot be written") == 1


def test_a_run_configures_nobody_s_logging(backend: PlainBackend, settings: Settings) -> None:
    before = list(logging.getLogger("posegen").handlers)
    start(plan(), settings).wait(quiet)
    assert logging.getLogger("posegen").handlers == before
    assert not (settings.root / "logs").exists()
