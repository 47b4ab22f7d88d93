import hashlib
import io
from typing import Any

import msgspec
import pytest
from PIL import Image

from posegen.errors import RunInterruptedError, StorageError, StorageFullError
from posegen.exports.crop import Crop
from posegen.exports.formats import ExportFormat
from posegen.exports.metadata import read_exif
from posegen.exports.render import ByteLimitError, Rendered, Renderer
from posegen.images import decode, read_metadata
from posegen.journal import read_run
from posegen.parameters import BatchParameters, check
from posegen.pipeline.figure_place import figure_box
from posegen.pipeline.plan import Plan, build_plan
from posegen.pipeline.run import open_run, start
from posegen.settings import Settings
from posegen.storage import LocalStorage, export_key
from tests.pipeline.conftest import PlainBackend

FORMATS = ["tiktok", "facebook", "instagram_story"]


def quiet(_: object) -> None:
    """Show nothing."""


def plan(**values: Any) -> Plan:
    given = {"backend": "plain", "width": 256, "height": 256, "poses": ["standing_relaxed", "walking_stride"]}
    return build_plan(check(BatchParameters, {**given, "run_id": "r", "exports": FORMATS, **values}))


def journal_without(settings: Settings, *words: bytes) -> None:
    """Cut the first attempt's journal as if it had been killed: no end, and no line with one of `words`."""
    segment = settings.root / "runs/r/journal/0001.jsonl"
    lines = segment.read_bytes().splitlines(keepends=True)
    lost = (b"attempt_finished", *words)
    segment.write_bytes(b"".join(line for line in lines if not any(word in line for word in lost)))


def test_a_run_makes_every_export_and_journals_each(backend: PlainBackend, settings: Settings) -> None:
    made = plan(exports=[*FORMATS, "tiktok"])
    assert made.facts()["exports"] == FORMATS
    summary = start(made, settings).wait(quiet)
    assert (summary.state.made, summary.exit_code) == (2, 0)
    assert (summary.facts()["exports_made"], summary.facts()["exports_failed"]) == (6, 0)
    assert [(row["exports"], row["exports_failed"]) for row in summary.rows()] == [(3, [])] * 2
    for task in made.tasks:
        exports = summary.state.exports[task.task_id]
        assert sorted(exports) == sorted(FORMATS)  # as they are ready
        for name, event in exports.items():
            assert event.key == export_key("r", name, task.task_id, "jpg")
            data = (settings.root / event.key).read_bytes()
            assert (hashlib.sha256(data).hexdigest(), len(data)) == (event.sha256, event.size_bytes)
            assert decode(data).shape == (event.height, event.width, 3)
        assert summary.task_facts(task.task_id)["exports"]["tiktok"]["width"] == 1080
    assert "exports" in summary.columns
    assert "exports failed" in summary._repr_html_()


def test_an_export_carries_the_images_own_words(backend: PlainBackend, settings: Settings) -> None:
    made = plan(poses=["standing_relaxed"], prompt="in the rain, 雨", exports="twitter")
    summary = start(made, settings).wait(quiet)
    task = made.tasks[0]
    image = read_metadata((settings.root / summary.records[task.task_id].key).read_bytes())
    data = (settings.root / summary.state.exports[task.task_id]["twitter"].key).read_bytes()
    with Image.open(io.BytesIO(data)) as picture:
        parameters, recipe = read_exif(picture.getexif())
    assert parameters == image.parameters
    assert parameters.startswith("in the rain, 雨")
    assert msgspec.json.decode(recipe)["task"]["task_id"] == task.task_id
    source_type = read_metadata(data).digital_source_type
    assert source_type == image.digital_source_type
    assert source_type is not None
    assert source_type.endswith("/trainedAlgorithmicMedia")


def test_without_exports_nothing_is_exported(backend: PlainBackend, settings: Settings) -> None:
    summary = start(plan(exports=[]), settings).wait(quiet)
    assert (summary.state.made, summary.state.exports) == (2, {})
    assert "exports" not in summary.columns
    assert not (settings.root / "runs/r/exports").exists()


@pytest.mark.parametrize(
    ("error", "code"),
    [(ValueError("oops"), "EXPORT_ERROR"), (StorageError("not writable"), "STORAGE_ERROR")],
)
def test_a_failing_export_is_journalled_and_the_image_stays(
    backend: PlainBackend,
    settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
    error: Exception,
    code: str,
) -> None:
    real = LocalStorage.put

    def put(self: LocalStorage, key: str, data: bytes, **options: Any) -> Any:
        if "/exports/facebook/" in key:
            raise error
        return real(self, key, data, **options)

    monkeypatch.setattr(LocalStorage, "put", put)
    made = plan()
    summary = start(made, settings).wait(quiet)
    assert (summary.state.status, summary.state.made, summary.state.failed) == ("finished", 2, 0)
    assert summary.exit_code == 0
    assert (summary.facts()["exports_made"], summary.facts()["exports_failed"]) == (4, 2)
    assert summary.rows()[0]["exports_failed"] == [f"facebook: {code}"]
    failure = summary.task_facts(made.tasks[0].task_id)["export_failures"]["facebook"]
    assert str(error) in failure["message"]


def test_a_lowered_quality_is_journalled_and_a_limit_not_met_has_its_code(
    backend: PlainBackend, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    def render(_: Renderer, crop: Crop, entry: ExportFormat) -> Rendered:
        if entry.name == "facebook":
            raise ByteLimitError(entry.name, 3_000, 2_000, 70)
        return Rendered(b"file", 78, ("quality 78 instead of 90, to stay within 2,000 bytes",))

    monkeypatch.setattr(Renderer, "render", render)
    made = plan(poses=["standing_relaxed"])
    state = start(made, settings).wait(quiet).state
    event = state.exports[made.tasks[0].task_id]["tiktok"]
    assert (event.quality, event.size_bytes) == (78, 4)
    assert event.notes == ("quality 78 instead of 90, to stay within 2,000 bytes",)
    failure = state.export_failures[made.tasks[0].task_id]["facebook"]
    assert failure.code == "BYTE_LIMIT"
    assert "3,000 bytes at quality 70" in failure.message


@pytest.mark.parametrize("damage", ["gone", "changed"])
def test_an_image_that_is_gone_or_changed_is_not_exported(
    backend: PlainBackend, settings: Settings, damage: str
) -> None:
    made = plan()
    start(made, settings).wait(quiet)
    journal_without(settings, b"image_exported")
    first, second = (settings.root / read_run(settings.root, "r").records[t.task_id].key for t in made.tasks)
    if damage == "gone":
        first.unlink()
    else:
        first.write_bytes(second.read_bytes())
    state = start(made, settings).wait(quiet).state
    failures = state.export_failures[made.tasks[0].task_id]
    assert {event.code for event in failures.values()} == {
        "SOURCE_MISSING" if damage == "gone" else "SOURCE_CHANGED"
    }
    assert list(failures) == FORMATS
    assert list(state.exports) == [made.tasks[1].task_id]
    assert state.made == 2


def test_gone_on_with_a_run_makes_the_exports_that_are_missing_and_no_others(
    backend: PlainBackend, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = plan()
    start(made, settings).wait(quiet)
    journal_without(settings, b'"format":"facebook"')
    assert read_run(settings.root, "r").status == "unfinished"
    backend.made.clear()
    written: list[str] = []
    real = LocalStorage.put

    def put(self: LocalStorage, key: str, data: bytes, **options: Any) -> Any:
        written.append(key)
        return real(self, key, data, **options)

    monkeypatch.setattr(LocalStorage, "put", put)
    run = start(made, settings)
    summary = run.wait(quiet)
    assert backend.made == []
    assert sorted(written) == sorted(export_key("r", "facebook", t.task_id, "jpg") for t in made.tasks)
    assert summary.facts()["exports_made"] == 6
    assert summary.state.status == "finished"
    assert run.progress.done == 2


def test_an_adopted_image_gets_its_exports(backend: PlainBackend, settings: Settings) -> None:
    made = plan()
    start(made, settings).wait(quiet)
    journal_without(settings, b"image_stored", b"image_exported")
    backend.made.clear()
    state = start(made, settings).wait(quiet).state
    assert backend.made == []
    assert [len(state.exports[task.task_id]) for task in made.tasks] == [3, 3]


def test_a_failed_export_is_tried_again_when_the_run_is_gone_on_with(
    backend: PlainBackend, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> Rendered:
        raise ValueError("no")

    monkeypatch.setattr(Renderer, "render", broken)
    made = plan()
    assert start(made, settings).wait(quiet).facts()["exports_failed"] == 6
    journal_without(settings)
    monkeypatch.undo()
    facts = start(made, settings).wait(quiet).facts()
    assert (facts["exports_made"], facts["exports_failed"]) == (6, 0)


def test_a_full_disk_ends_the_attempt_and_no_export_is_given_up(
    backend: PlainBackend, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = LocalStorage.put

    def put(self: LocalStorage, key: str, data: bytes, **options: Any) -> Any:
        if "/exports/" in key:
            raise StorageFullError("no space is left")
        return real(self, key, data, **options)

    monkeypatch.setattr(LocalStorage, "put", put)
    with pytest.raises(StorageFullError):
        start(plan(concurrency=1), settings).wait(quiet)
    state = read_run(settings.root, "r")
    assert (state.made, state.export_failures) == (1, {})
    monkeypatch.setattr(LocalStorage, "put", real)
    facts = start(plan(), settings).wait(quiet).facts()
    assert (facts["made"], facts["exports_made"]) == (2, 6)
    assert len(backend.made) == 2


def test_a_stop_between_images_leaves_their_exports_to_the_next_attempt(
    backend: PlainBackend, settings: Settings
) -> None:
    made = plan(images_per_pose=4, concurrency=1)
    run = start(made, settings)
    backend.on_image = lambda _: run.stop("enough")
    with pytest.raises(RunInterruptedError):
        run.wait(quiet)
    backend.on_image = lambda _: None
    facts = start(made, settings).wait(quiet).facts()
    assert (facts["made"], facts["exports_made"]) == (8, 24)


@pytest.mark.parametrize("view", [0, 90, "90m", "-45m"])
def test_the_box_holds_the_figure_as_it_is_drawn(settings: Settings, view: object) -> None:
    """The renderer's plain background is one colour, so that what differs from it is the figure."""
    made = build_plan(
        check(
            BatchParameters,
            {
                "poses": ["yoga_warrior_two"], "views": [view], "width": 256, "height": 256, "run_id": "r",
                "backend_options": {"background": "plain"}, "exports": ["tiktok"],
                "avatar": {"hair_style": "buzz cut", "top": "t-shirt", "bottom": "leggings"},
            },
        )
    )  # fmt: skip
    summary = start(made, settings).wait(quiet)
    task = made.tasks[0]
    record = summary.records[task.task_id]
    box = figure_box(task, record)
    assert box is not None
    # Hands, head and feet: the shadow lies on the floor, so only the upper part tells left from right.
    pixels = decode((settings.root / record.key).read_bytes()).astype(int)[
        : int(box[1] + 0.5 * (box[3] - box[1]))
    ]
    drawn = abs(pixels - pixels[0, 0]).sum(axis=2) > 40
    across, down = drawn.any(axis=0).nonzero()[0], drawn.any(axis=1).nonzero()[0]
    assert down[0] == pytest.approx(box[1], abs=6)
    assert across[0] > box[0] - 6
    assert across[-1] < box[2] + 6
    assert len(summary.state.exports[task.task_id]) == 1


def test_words_alone_say_nothing_of_where_the_figure_is(backend: PlainBackend, settings: Settings) -> None:
    made = plan(conditioning="prompt", exports="shopee")
    state = start(made, settings).wait(quiet).state
    task = made.tasks[0]
    assert figure_box(task, state.records[task.task_id]) is None
    assert len(state.exports) == 2


def test_a_picture_of_another_size_than_asked_has_its_box_scaled(
    backend: PlainBackend, settings: Settings
) -> None:
    made = plan(exports=[])
    record = start(made, settings).wait(quiet).records[made.tasks[0].task_id]
    box = figure_box(made.tasks[0], record)
    twice = figure_box(made.tasks[0], msgspec.structs.replace(record, width=512))
    assert box is not None
    assert twice is not None
    assert (twice[0] + 0.5, twice[1], twice[2] + 0.5, twice[3]) == pytest.approx(
        (2 * (box[0] + 0.5), box[1], 2 * (box[2] + 0.5), box[3])
    )


def test_a_summary_opened_later_tells_the_same(backend: PlainBackend, settings: Settings) -> None:
    facts = start(plan(), settings).wait(quiet).facts()
    assert open_run("r", settings).facts() == facts
