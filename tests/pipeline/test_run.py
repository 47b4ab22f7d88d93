import errno
import hashlib
import json
import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from posegen.credits import price
from posegen.errors import (
    ImageFailedError,
    ImagesFailedError,
    ImageWithheldError,
    RunConflictError,
    RunInterruptedError,
    RunNotFoundError,
    StorageError,
    StorageFullError,
)
from posegen.images import decode, read_metadata
from posegen.journal import ImageWithheld, RunPlanned, SegmentWriter, read_run, read_segments
from posegen.parameters import BatchParameters, check
from posegen.pipeline import engine as engine_module
from posegen.pipeline import run as run_module
from posegen.pipeline.at_exit import PROCESS_ENDED
from posegen.pipeline.job import STOP_FILE, request_stop
from posegen.pipeline.paying import accounts_of
from posegen.pipeline.plan import Plan, build_plan
from posegen.pipeline.run import new_run_id, open_run, start
from posegen.settings import Settings
from posegen.storage import LocalStorage, image_key
from tests.pipeline.conftest import PlainBackend


def quiet(_: object) -> None:
    """Show nothing."""


def plan(**values: Any) -> Plan:
    given = {"backend": "plain", "width": 256, "height": 256, "poses": ["standing_relaxed", "walking_stride"]}
    return build_plan(check(BatchParameters, {**given, "run_id": "r", **values}))


def test_a_run_stores_images_thumbnails_and_maps_and_journals_them(
    backend: PlainBackend, settings: Settings
) -> None:
    made = plan(views=[0, 45])
    summary = start(made, settings).wait(quiet)
    assert (summary.state.status, summary.state.made, summary.exit_code) == ("finished", 4, 0)
    for task in made.tasks:
        record = summary.records[task.task_id]
        data = (settings.root / record.key).read_bytes()
        assert hashlib.sha256(data).hexdigest() == record.sha256
        assert decode(data).shape == (256, 256, 3)
        assert decode((settings.root / record.thumbnail_key).read_bytes()).shape == (400, 400, 3)
        map_data = (settings.root / f"controlnet-cache/{task.control_map_sha256}.png").read_bytes()
        assert hashlib.sha256(map_data).hexdigest() == task.control_map_sha256
        recipe = read_metadata(data).recipe
        assert recipe is not None
        assert recipe.task == task
        assert (record.model, record.provider, record.cost_usd) == ("plain-1", "here", 0.01)
        assert set(record.stage_ms) == {"control", "generate", "encode", "thumbnail", "store"}
    assert summary.contact_sheet_path.is_file()
    assert {t: [s.request_id for s in subs] for t, subs in summary.state.submissions.items()} == {
        task.task_id: [f"request-{task.task_id[:4]}"] for task in made.tasks
    }


def test_a_failing_image_is_journalled_and_does_not_stop_the_others(
    backend: PlainBackend, settings: Settings
) -> None:
    errors = iter(
        [ImageFailedError("no", backend="plain", code="INAPPROPRIATE_PROMPT"), ValueError("oops"), None, None]
    )
    backend.fail = lambda _: next(errors)
    summary = start(plan(images_per_pose=2, concurrency=1), settings).wait(quiet)
    assert (summary.state.made, summary.state.failed, summary.exit_code) == (2, 2, 3)
    codes = [(failure.code, failure.message) for failure in summary.state.failures.values()]
    assert codes == [("INAPPROPRIATE_PROMPT", "no"), ("INTERNAL_ERROR", "ValueError: oops")]
    with pytest.raises(ImagesFailedError, match="2 of 4 images failed"):
        summary.raise_for_failures()
    assert [row["status"] for row in summary.rows()] == ["failed", "failed", "made", "made"]


def test_an_image_that_its_provider_flags_is_withheld_and_refunded(
    backend: PlainBackend, settings: Settings
) -> None:
    errors = iter([ImageWithheldError("flagged by its provider", backend="plain", by="provider"), None])
    backend.fail = lambda _: next(errors)
    made = plan(concurrency=1)
    summary = start(made, settings).wait(quiet)
    assert (summary.state.made, summary.state.failed, summary.exit_code) == (1, 1, 3)
    withheld = summary.state.failures[made.tasks[0].task_id]
    assert isinstance(withheld, ImageWithheld)
    assert (withheld.code, withheld.by, withheld.score) == ("IMAGE_WITHHELD", "provider", None)
    assert withheld.refunded == price(1)
    assert not LocalStorage(settings.root).exists(image_key("r", made.tasks[0].task_id))
    assert summary.rows()[0]["failure"] == "IMAGE_WITHHELD: flagged by its provider"
    assert summary.task_facts(made.tasks[0].task_id)["failure"]["by"] == "provider"
    assert accounts_of(settings).balance("local") == settings.starting_grant - price(1)


def test_when_every_image_fails_the_exit_code_says_so(backend: PlainBackend, settings: Settings) -> None:
    backend.fail = lambda _: ImageFailedError("no", code="X")
    assert start(plan(), settings).wait(quiet).exit_code == 4


def test_a_finished_run_makes_nothing_again(backend: PlainBackend, settings: Settings) -> None:
    start(plan(), settings).wait(quiet)
    again = start(plan(concurrency=1), settings)
    assert not again.running
    assert again.progress.done == 2
    assert again.wait(quiet).state.made == 2
    assert len(backend.made) == 2
    assert len(read_run(settings.root, "r").attempts) == 1


def test_the_run_id_of_another_spec_is_refused_with_the_difference(
    backend: PlainBackend, settings: Settings
) -> None:
    start(plan(), settings).wait(quiet)
    with pytest.raises(RunConflictError, match=r"seed: it has 0, now 5"):
        start(plan(seed=5), settings)
    assert len(backend.made) == 2


def test_a_stopped_run_is_interrupted_and_goes_on_where_it_was(
    backend: PlainBackend, settings: Settings, gate: threading.Event
) -> None:
    first = threading.Event()

    def hold(_: object) -> None:
        if first.is_set():
            gate.wait(30)
        first.set()

    backend.on_image = hold
    run = start(plan(images_per_pose=4, concurrency=1), settings)
    assert first.wait(30)
    run.stop("enough")
    gate.set()
    with pytest.raises(RunInterruptedError, match="goes on"):
        run.wait(quiet)
    state = run.state()
    assert state.status == "interrupted"
    assert state.attempts[0].interrupted == "enough"
    done = list(backend.made)
    assert 0 < len(done) < 8
    summary = start(plan(images_per_pose=4), settings).wait(quiet)
    assert (summary.state.status, summary.state.made) == ("finished", 8)
    assert len(backend.made) == len(set(backend.made)) == 8
    assert [attempt.outcome for attempt in summary.state.attempts] == ["interrupted", "finished"]


def test_a_stop_file_from_another_process_stops_the_run(
    backend: PlainBackend, settings: Settings, gate: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine_module, "STOP_POLL_S", 0.01)
    backend.on_image = lambda _: gate.wait(30) and None
    run = start(plan(images_per_pose=4, concurrency=1), settings)
    request_stop(run.folder)
    while run._engine is not None and run._engine.stop_reason is None:
        run._engine.join(0.01)
    gate.set()
    with pytest.raises(RunInterruptedError):
        run.wait(quiet)
    assert run.state().attempts[0].interrupted == "asked to stop"
    assert not (run.folder / STOP_FILE).exists()


@pytest.mark.parametrize("reaped", [True, False])
def test_a_kernel_whose_parent_is_gone_before_it_begins_makes_nothing(
    backend: PlainBackend, settings: Settings, reaped: bool
) -> None:
    parent = subprocess.Popen(["true"])
    os.waitid(os.P_PID, parent.pid, os.WEXITED | os.WNOWAIT)
    if reaped:
        parent.wait()
    run = start(plan(), settings.model_copy(update={"kernel_parent_pid": parent.pid}))
    with pytest.raises(RunInterruptedError):
        run.wait(quiet)
    parent.wait()
    assert run.state().attempts[0].interrupted == "the process that ran this notebook is gone"
    assert backend.made == []


def test_a_kernel_stops_when_its_parent_goes(
    backend: PlainBackend, settings: Settings, gate: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine_module, "STOP_POLL_S", 0.01)
    parent = os.getppid()

    def orphan(_: object) -> None:
        gate.wait(30)
        monkeypatch.setattr(os, "getppid", lambda: 1)
        while run.running and run._engine is not None and run._engine.stop_reason is None:
            run._engine.join(0.01)

    backend.on_image = orphan
    run = start(plan(concurrency=1), settings.model_copy(update={"kernel_parent_pid": parent}))
    gate.set()
    with pytest.raises(RunInterruptedError):
        run.wait(quiet)
    assert len(backend.made) == 1


def test_what_a_notebooks_cell_starts_is_no_kernel(backend: PlainBackend, settings: Settings) -> None:
    """`!posegen resume RUN` inherits the kernel's variable, which names a process that is not its parent."""
    alive = settings.model_copy(update={"kernel_parent_pid": os.getpid()})
    assert start(plan(), alive).wait(quiet).exit_code == 0


def test_an_interrupt_while_waiting_stops_the_run(backend: PlainBackend, settings: Settings) -> None:
    def interrupt(_: object) -> None:
        if not backend.made:
            raise KeyboardInterrupt

    hold = threading.Event()
    backend.on_image = lambda _: hold.wait(0.3) and None
    run = start(plan(images_per_pose=30, concurrency=1), settings)
    calls = iter([True])

    def once(progress: object) -> None:
        if next(calls, False):
            raise KeyboardInterrupt

    with pytest.raises(RunInterruptedError):
        run.wait(once)
    assert run.state().status == "interrupted"


def test_an_interrupt_before_the_first_progress_is_shown_stops_the_run(
    backend: PlainBackend, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(run_module, "choose_display", interrupted)
    run = start(plan(images_per_pose=30, concurrency=1), settings)
    with pytest.raises(RunInterruptedError):
        run.wait()
    assert run.state().attempts[-1].interrupted == "interrupted"


LEFT_ALONE = """
import sys
from pathlib import Path
from posegen import batch_parameters
from posegen.pipeline.plan import build_plan
from posegen.pipeline.run import start
from posegen.settings import Settings

more = {"width": 256, "height": 256, "images_per_pose": 20, "run_id": "r", "concurrency": 3}
parameters = batch_parameters({"backend": "figure", "poses": ["walking_stride"], **more})
start(build_plan(parameters), Settings(root=Path(sys.argv[1]), cpu_threads=2, estimator="off"))
"""


def test_a_process_that_ends_before_its_run_stops_it_cleanly(settings: Settings) -> None:
    subprocess.run([sys.executable, "-c", LEFT_ALONE, str(settings.root)], check=True, timeout=120)
    state = read_run(settings.root, "r")
    assert (state.status, state.failed) == ("interrupted", 0)
    assert state.attempts[-1].interrupted == PROCESS_ENDED
    assert state.made < 20


def test_pools_that_a_process_has_shut_fail_no_image(
    backend: PlainBackend, settings: Settings, gate: threading.Event
) -> None:
    begun = threading.Event()

    def hold(_: object) -> None:
        begun.set()
        gate.wait(30)

    backend.on_image = hold
    made = plan(images_per_pose=5, concurrency=1)
    run = start(made, settings)
    engine = run._engine
    assert engine is not None
    assert begun.wait(30)
    for pool in (engine._cpu, engine._io):
        pool.shutdown(wait=False)
    gate.set()
    with pytest.raises(RunInterruptedError):
        run.wait(quiet)
    assert (run.state().failed, run.state().attempts[-1].interrupted) == (0, PROCESS_ENDED)
    summary = start(made, settings).wait(quiet)
    assert (summary.state.status, summary.state.made) == ("finished", 10)


def test_an_image_stored_but_not_journalled_is_adopted(
    backend: PlainBackend, settings: Settings, tmp_path: Path
) -> None:
    made = plan()
    start(made, settings).wait(quiet)
    segment = settings.root / "runs/r/journal/0001.jsonl"
    lines = segment.read_bytes().splitlines(keepends=True)
    segment.write_bytes(
        b"".join(line for line in lines if b"image_stored" not in line and b"attempt_fin" not in line)
    )
    before = read_run(settings.root, "r")
    assert before.status == "unfinished"
    backend.made.clear()
    summary = start(made, settings).wait(quiet)
    assert backend.made == []
    assert (summary.state.status, summary.state.made) == ("finished", 2)
    record = summary.records[made.tasks[0].task_id]
    assert (record.model, record.cost_usd, record.conditioning) == ("plain-1", 0.01, "control")


@pytest.mark.parametrize("damage", ["cut", "foreign"])
def test_a_stored_object_that_is_not_this_task_is_made_again(
    backend: PlainBackend, settings: Settings, damage: str
) -> None:
    made = plan()
    start(made, settings).wait(quiet)
    segment = settings.root / "runs/r/journal/0001.jsonl"
    lines = segment.read_bytes().splitlines(keepends=True)
    segment.write_bytes(b"".join(lines[:2]))
    first, second = (settings.root / image_key("r", task.task_id) for task in made.tasks)
    first.write_bytes(first.read_bytes()[:200] if damage == "cut" else second.read_bytes())
    backend.made.clear()
    summary = start(made, settings).wait(quiet)
    assert backend.made == [made.tasks[0].task_id]
    record = summary.records[made.tasks[0].task_id]
    assert hashlib.sha256(first.read_bytes()).hexdigest() == record.sha256


def test_a_full_disk_stops_the_run_with_a_sentence_and_nothing_half_written(
    backend: PlainBackend, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = LocalStorage.put
    calls = iter(range(100))

    def put(self: LocalStorage, key: str, data: bytes, **options: Any) -> Any:
        if "images" in key and next(calls) == 2:
            raise StorageFullError("no space is left")
        return real(self, key, data, **options)

    monkeypatch.setattr(LocalStorage, "put", put)
    run = start(plan(images_per_pose=4, concurrency=1), settings)
    with pytest.raises(StorageFullError, match="no space is left") as caught:
        run.wait(quiet)
    assert caught.value.exit_code == 1
    state = run.state()
    assert state.made == 2
    assert state.status in ("unfinished", "interrupted")
    monkeypatch.setattr(LocalStorage, "put", real)
    assert start(plan(images_per_pose=4), settings).wait(quiet).state.made == 8
    assert len(backend.made) == 9


def test_a_folder_that_cannot_be_written_is_refused_before_anything_is_made(
    backend: PlainBackend, tmp_path: Path
) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("in the way")
    with pytest.raises(StorageError, match="file"):
        start(plan(), Settings(root=blocked / "outputs"))
    assert backend.made == []


def test_a_full_disk_is_found_before_anything_is_made(
    backend: PlainBackend, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "write", full)
    with pytest.raises(StorageFullError):
        start(plan(), settings)
    assert backend.made == []


def test_many_images_are_made_at_once_but_no_more_than_asked(
    backend: PlainBackend, tmp_path: Path, gate: threading.Event
) -> None:
    settings = Settings(root=tmp_path, cpu_threads=8, estimator="off")
    at_once, most, lock = [0], [0], threading.Lock()
    three = threading.Semaphore(0)

    def count(_: object) -> None:
        with lock:
            at_once[0] += 1
            most[0] = max(most[0], at_once[0])
        three.release()
        gate.wait(30)
        with lock:
            at_once[0] -= 1

    backend.on_image = count
    run = start(plan(images_per_pose=4, concurrency=3), settings)
    for _ in range(3):
        assert three.acquire(timeout=30)
    gate.set()
    run.wait(quiet)
    assert most[0] == 3


def test_text_alone_is_made_without_maps(backend: PlainBackend, settings: Settings) -> None:
    summary = start(plan(poses=None, prompts=["a tree"], images_per_pose=2), settings).wait(quiet)
    assert [
        (r.conditioning, t.control_map_sha256)
        for t, r in zip(summary.state.tasks, summary.records.values(), strict=True)
    ] == [("none", None)] * 2
    assert summary.rows()[0]["view"] == "-"
    assert summary.contact_sheet().image.size[0] > 0


def test_a_summary_shows_facts_recipe_and_escaped_html(backend: PlainBackend, settings: Settings) -> None:
    errors = iter([ImageFailedError("<script>alert(1)</script>", code="X"), None])
    backend.fail = lambda _: next(errors)
    made = plan(concurrency=1, prompt="<b>bold</b>")
    start(made, settings).wait(quiet)
    summary = open_run("r", settings)
    assert "<script>" not in summary._repr_html_()
    assert "&lt;script&gt;" in summary._repr_html_()
    facts = summary.task_facts(made.tasks[1].task_id[:8])
    assert facts["recipe"]["task"]["prompt"].startswith("<b>bold</b>")
    assert facts["image"]["provider"] == "here"
    assert summary.task_facts(made.tasks[0].task_id)["failure"]["code"] == "X"
    assert json.dumps(facts)
    assert np.asarray(summary.beside_control_maps().image).ndim == 3
    assert summary.contact_sheet()._repr_jpeg_().startswith(b"\xff\xd8")
    with pytest.raises(Exception, match="unknown task"):
        summary.task_facts("zz")
    assert "1 of 2 made" in repr(summary)


def test_an_unknown_run_names_the_nearest(backend: PlainBackend, settings: Settings) -> None:
    start(plan(run_id="monday-night"), settings).wait(quiet)
    with pytest.raises(RunNotFoundError, match="monday-night"):
        open_run("monday-nigth", settings)


def test_run_ids_sort_by_time_and_differ() -> None:
    assert len({new_run_id() for _ in range(50)}) > 40


def test_the_journal_holds_the_plan_before_the_first_image(backend: PlainBackend, settings: Settings) -> None:
    start(plan(), settings).wait(quiet)
    events = [type(event).__name__ for event in read_segments(settings.root / "runs/r/journal")[0].events]
    assert events[:2] == ["AttemptStarted", "RunPlanned"]
    assert events[-1] == "AttemptFinished"


def test_a_run_planned_before_a_parameter_existed_is_gone_on_with(
    backend: PlainBackend, settings: Settings
) -> None:
    made = plan()
    older = {name: value for name, value in made.spec.items() if name not in ("estimator", "min_oks")}
    planned = RunPlanned(spec=older, spec_hash="of that time", tasks=made.tasks, user="local")
    with SegmentWriter.open(settings.root / "runs/r/journal", "r", kind="batch") as writer:
        writer.append(planned).result()
    with pytest.raises(RunConflictError, match=r"min_oks: it has None, now 0\.9"):
        start(plan(min_oks=0.9), settings)
    assert start(made, settings).wait(quiet).state.status == "finished"
