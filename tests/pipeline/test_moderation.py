"""What is refused or withheld in a run: journalled, refunded, kept nowhere; the other images go on."""

import json
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from posegen import doctor
from posegen.backends import GeneratedImage, ImageRequest
from posegen.credits import price
from posegen.errors import ParameterError
from posegen.journal import ImageWithheld, run_exists
from posegen.moderation import images
from posegen.parameters import BatchParameters, check
from posegen.pipeline.paying import accounts_of
from posegen.pipeline.plan import Plan, build_plan
from posegen.pipeline.run import start
from posegen.settings import Settings
from tests.moderation.bare_figure import bare_figure
from tests.pipeline.conftest import PlainBackend


def plan(**values: Any) -> Plan:
    given = {"backend": "plain", "width": 512, "height": 512, "poses": ["standing_relaxed"], "run_id": "r"}
    return build_plan(check(BatchParameters, {**given, **values}))


def quiet(_: object) -> None:
    """Show nothing."""


def spent(settings: Settings) -> int:
    return settings.starting_grant - accounts_of(settings).balance("local")


def test_a_refused_prompt_is_a_failed_task_that_costs_nothing(
    backend: PlainBackend, settings: Settings
) -> None:
    made = plan(prompt="", prompts=["photo of a dancer", "a n4ked dancer"])
    summary = start(made, settings).wait(quiet)
    refused = next(task for task in made.tasks if "n4ked" in task.user_prompt)
    assert (summary.state.made, summary.state.failed, summary.exit_code) == (1, 1, 3)
    failure = summary.state.failures[refused.task_id]
    assert (failure.code, failure.refunded) == ("INAPPROPRIATE_PROMPT", price(1))
    assert failure.message == "the prompt was refused (category sexual)"
    assert len(backend.made) == 1
    assert refused.task_id not in summary.state.submissions
    assert spent(settings) == price(1)


def test_nothing_is_drawn_for_a_refused_prompt(backend: PlainBackend, settings: Settings) -> None:
    summary = start(plan(prompt="nazi salute"), settings).wait(quiet)
    assert summary.exit_code == 4
    assert not (settings.root / "controlnet-cache").exists()
    assert spent(settings) == 0


def test_what_an_avatar_says_is_screened_too(backend: PlainBackend, settings: Settings) -> None:
    summary = start(plan(prompt="portrait", avatar={"extra": "topless"}), settings).wait(quiet)
    assert [failure.code for failure in summary.state.failures.values()] == ["INAPPROPRIATE_PROMPT"]


def test_the_negative_prompt_is_not_screened(backend: PlainBackend, settings: Settings) -> None:
    assert start(plan(negative_prompt="nude, nsfw, gore"), settings).wait(quiet).exit_code == 0


def test_the_words_of_a_users_own_pose_are_screened(
    backend: PlainBackend, settings: Settings, tmp_path: Path
) -> None:
    library = tmp_path / "poses.json"
    own = {
        "id": "my_pose", "name": "My pose", "description": "standing naked at a window", "tags": ["mine"],
        "difficulty": "easy", "angles": {},
    }  # fmt: skip
    library.write_text(json.dumps({"category": "standing", "poses": [own]}), encoding="utf-8")
    summary = start(plan(pose_library=str(library), poses=["my_pose"]), settings).wait(quiet)
    assert [failure.code for failure in summary.state.failures.values()] == ["INAPPROPRIATE_PROMPT"]


def test_a_plan_says_what_would_be_refused(backend: PlainBackend) -> None:
    made = plan(prompt="", prompts=["naked man", "topless woman", "a gory scene", "a dancer"])
    assert made.notes[0] == "images whose prompts would be refused, and refunded: 3 (sexual 2, violence 1)"
    assert made.notes[0] in made.facts()["notes"]
    assert not any("refused" in note for note in plan().notes)


def test_it_can_be_switched_off(
    backend: PlainBackend, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    off = settings.model_copy(update={"moderation": "off"})
    assert start(plan(prompt="naked"), off).wait(quiet).exit_code == 0
    monkeypatch.setenv("POSEGEN_MODERATION", "off")
    assert not any("refused" in note for note in plan(prompt="naked").notes)


def test_a_wrong_file_of_terms_stops_a_run_before_it_begins(
    backend: PlainBackend, settings: Settings, tmp_path: Path
) -> None:
    given = settings.model_copy(update={"moderation_terms": tmp_path / "gone.yaml"})
    with pytest.raises(ParameterError, match=r"gone\.yaml"):
        start(plan(), given)
    assert not run_exists(settings.root, "r")
    assert spent(settings) == 0


def pictures(backend: PlainBackend, pixels: Callable[[ImageRequest], np.ndarray[Any, Any]]) -> None:
    """Let the backend make these pictures."""

    def picture(request: ImageRequest) -> GeneratedImage:
        return GeneratedImage(pixels(request), request.task.conditioning, model="plain-1")

    backend.picture = picture  # type: ignore[method-assign]


@pytest.fixture
def screened(settings: Settings) -> Settings:
    pytest.importorskip("nudenet", reason="the extra nsfw is not installed")
    return settings.model_copy(update={"image_screening": "nudenet"})


def test_an_image_that_the_model_flags_is_withheld_and_refunded(
    backend: PlainBackend, screened: Settings
) -> None:
    """The real detector at the default threshold, on the renderer's figure without clothes."""
    made = plan(images_per_pose=2)
    bare, plain = bare_figure(), np.full((512, 512, 3), 90, np.uint8)
    flagged = made.tasks[0].task_id
    pictures(backend, lambda request: bare if request.task.task_id == flagged else plain)
    summary = start(made, screened).wait(quiet)
    assert (summary.state.made, summary.state.failed, summary.exit_code) == (1, 1, 3)
    withheld = summary.state.failures[flagged]
    assert isinstance(withheld, ImageWithheld)
    assert (withheld.code, withheld.by, withheld.refunded) == ("IMAGE_WITHHELD", "nudenet", price(1))
    assert withheld.label == "BUTTOCKS_EXPOSED"
    assert (withheld.score or 0) >= screened.image_screening_threshold
    assert [path for path in screened.root.rglob(f"{flagged}*") if path.is_file()] == []
    assert spent(screened) == price(1)
    assert summary.task_facts(flagged)["failure"]["by"] == "nudenet"
    kept = summary.records[made.tasks[1].task_id]
    assert kept.stage_ms["screen"] > 0


def test_when_all_are_withheld_the_exit_code_says_none_was_made(
    backend: PlainBackend, screened: Settings
) -> None:
    bare = bare_figure()
    pictures(backend, lambda _: bare)
    assert start(plan(), screened).wait(quiet).exit_code == 4


def test_images_are_screened_off_the_event_loop(
    backend: PlainBackend, screened: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    threads: list[str] = []

    def exposed(_: object) -> dict[str, float]:
        threads.append(threading.current_thread().name)
        return {}

    monkeypatch.setattr(images, "exposed", exposed)
    start(plan(), screened).wait(quiet)
    assert [name.rsplit("_", 1)[0] for name in threads] == ["posegen-cpu"]


def test_without_the_packages_neither_a_plan_nor_a_run_begins(
    backend: PlainBackend, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = plan()
    monkeypatch.setattr(images, "missing", lambda: ["nudenet not installed: pip install 'posegen[nsfw]'"])
    with pytest.raises(ParameterError, match=r"POSEGEN_IMAGE_SCREENING.*not installed"):
        start(made, settings.model_copy(update={"image_screening": "nudenet"}))
    assert not run_exists(settings.root, "r")
    monkeypatch.setenv("POSEGEN_IMAGE_SCREENING", "nudenet")
    with pytest.raises(ParameterError, match="not installed"):
        plan()


@pytest.mark.parametrize("wanted", ["off", "nudenet"])
def test_the_doctor_says_what_is_missing(
    wanted: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("STORAGE_LOCAL_PATH", str(tmp_path))
    monkeypatch.setenv("POSEGEN_IMAGE_SCREENING", wanted)
    monkeypatch.setattr(images, "missing", lambda: ["nudenet not installed"])
    found = {check.what: check for check in doctor.checks()}
    assert found["prompt screening"].good
    assert found["image screening"].row()["good"] == ("no" if wanted == "nudenet" else "not set up")
    monkeypatch.setenv("POSEGEN_MODERATION_TERMS", str(tmp_path / "gone.yaml"))
    assert "gone.yaml" in next(check.found for check in doctor.checks() if check.what == "prompt screening")
