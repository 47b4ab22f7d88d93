import msgspec
import pytest

from posegen.errors import JournalError, RunNotFoundError
from posegen.journal import (
    AttemptFinished,
    ExportFailed,
    ImageAdopted,
    ImageExported,
    ImageStored,
    ImageWithheld,
    Interrupted,
    Metric,
    RunPlanned,
    RunState,
    SegmentWriter,
    TaskFailed,
    TaskSubmitted,
    fold,
    journal_folder,
    list_runs,
    read_run,
    read_segments,
    run_exists,
    run_ids,
)


@pytest.fixture
def attempt(tmp_path, owner, clock):
    def attempt(*events, run_id="r", kind="batch"):
        with SegmentWriter.open(
            journal_folder(tmp_path, run_id), run_id, kind=kind, owner=owner, clock=clock
        ) as writer:
            for event in events:
                writer.append(event).result()
        return read_run(tmp_path, run_id)

    return attempt


@pytest.fixture
def plan(task):
    return RunPlanned(
        spec={"seed": 7}, spec_hash="h", tasks=tuple(task(n) for n in range(3)), project="p", user="u"
    )


def tid(number):
    return f"{number:032x}"


def failed(number):
    return TaskFailed(task_id=tid(number), code="TIMEOUT", message="too slow")


def test_nothing_adds_up_to_an_empty_state():
    assert fold([]) == RunState()
    assert fold([]).status == "empty"
    assert fold([]).pending == ()


def test_a_planned_run_is_unfinished(attempt, plan):
    state = attempt(plan)
    assert (state.run_id, state.spec, state.spec_hash, state.project, state.user) == (
        "r", {"seed": 7}, "h", "p", "u",
    )  # fmt: skip
    assert state.tasks == plan.tasks
    assert state.pending == plan.tasks
    assert (state.status, state.made, state.failed) == ("unfinished", 0, 0)
    assert (state.first_at, state.last_at) == ("2026-03-01T12:00:01.000Z", "2026-03-01T12:00:02.000Z")


def test_killed_before_the_plan_is_empty(attempt):
    assert attempt().status == "empty"


def test_a_finished_run(attempt, plan, record):
    state = attempt(
        plan,
        ImageStored(record=record(0)),
        failed(1),
        ImageAdopted(record=record(2)),
        AttemptFinished(outcome="finished"),
    )
    assert state.status == "finished"
    assert (state.made, state.failed, state.pending) == (2, 1, ())
    assert [type(outcome).__name__ for _, outcome in state.rows()] == [
        "ImageRecord",
        "TaskFailed",
        "ImageRecord",
    ]
    assert [state.task_status(tid(n)) for n in range(4)] == ["stored", "failed", "stored", "pending"]
    assert state.records[tid(0)] == record(0)
    assert isinstance(state.stored[tid(2)], ImageAdopted)
    (only,) = state.attempts
    assert (only.kind, only.outcome, only.finished_at) == ("batch", "finished", only.last_at)


def test_all_made_but_killed_before_the_end_is_unfinished(attempt, plan, record):
    state = attempt(plan, *(ImageStored(record=record(n)) for n in range(3)))
    assert state.status == "unfinished"
    assert attempt(AttemptFinished(outcome="finished"), kind="resume").status == "finished"


def test_an_interrupted_run_goes_on(attempt, plan, record):
    state = attempt(
        plan,
        ImageStored(record=record(0)),
        Interrupted(reason="stop"),
        AttemptFinished(outcome="interrupted"),
    )
    assert state.status == "interrupted"
    assert state.attempts[0].interrupted == "stop"
    state = attempt(kind="resume")
    assert state.status == "unfinished"
    assert [one.kind for one in state.attempts] == ["batch", "resume"]
    assert [task.index for task in state.pending] == [1, 2]


def test_an_interrupt_alone_is_enough(attempt, plan):
    assert attempt(plan, Interrupted(reason="stop")).status == "interrupted"


def test_a_failed_attempt_is_unfinished(attempt, plan):
    assert attempt(plan, AttemptFinished(outcome="failed")).status == "unfinished"


def test_a_later_export_that_dies_leaves_the_run_finished(attempt, plan, record):
    attempt(plan, *(ImageStored(record=record(n)) for n in range(3)), AttemptFinished(outcome="finished"))
    assert attempt(kind="export").status == "finished"


def test_a_failed_task_that_is_made_later_is_made(attempt, plan, record):
    attempt(plan, failed(0))
    state = attempt(ImageStored(record=record(0)), kind="resume")
    assert (state.made, state.failed) == (1, 0)
    assert state.task_status(tid(0)) == "stored"


def test_a_failure_after_the_image_changes_nothing(attempt, plan, record):
    state = attempt(plan, ImageStored(record=record(0)), failed(0))
    assert (state.made, state.failed) == (1, 0)


def test_the_first_plan_is_the_plan(attempt, plan):
    state = attempt(plan, msgspec.structs.replace(plan, spec_hash="other", tasks=()))
    assert state.spec_hash == "h"
    assert len(state.tasks) == 3


def test_a_withheld_image_is_a_failure_that_says_who_flagged_it(attempt, plan, record):
    flagged = ImageWithheld(task_id=tid(0), code="IMAGE_WITHHELD", message="flagged", by="fal", refunded=30)
    state = attempt(plan, flagged, failed(1), ImageStored(record=record(2)))
    assert (state.made, state.failed, state.pending) == (1, 2, ())
    withheld = state.failures[tid(0)]
    assert isinstance(withheld, ImageWithheld)
    assert (withheld.by, withheld.code, withheld.refunded) == ("fal", "IMAGE_WITHHELD", 30)
    assert not isinstance(state.failures[tid(1)], ImageWithheld)
    assert state.task_status(tid(0)) == "failed"


def test_requests_and_metrics_are_kept(attempt, plan):
    state = attempt(
        plan,
        TaskSubmitted(task_id=tid(1), request_id="a", provider="fal"),
        TaskSubmitted(task_id=tid(1), request_id="b", provider="fal"),
        Metric(name="queue_s", value=1.5, unit="s"),
    )
    assert [event.request_id for event in state.submissions[tid(1)]] == ["a", "b"]
    assert [(event.name, event.value) for event in state.metrics] == [("queue_s", 1.5)]


def exported(number, name, sha256="0" * 64):
    return ImageExported(
        task_id=tid(number), format=name, key=f"runs/r/exports/{name}/{number}.jpg", sha256=sha256,
        size_bytes=9, width=1080, height=1920,
    )  # fmt: skip


def export_failed(number, name):
    return ExportFailed(task_id=tid(number), format=name, code="NO", message="it cannot be")


def test_exports_are_kept_by_image_and_format_and_a_newer_one_takes_the_place(attempt, plan, record):
    state = attempt(
        plan,
        ImageStored(record=record(0)),
        exported(0, "tiktok"),
        exported(0, "facebook"),
        exported(0, "tiktok", "1" * 64),
        exported(1, "tiktok"),
    )
    found = {
        (task_id, name): e.sha256[0] for task_id, made in state.exports.items() for name, e in made.items()
    }
    assert found == {(tid(0), "tiktok"): "1", (tid(0), "facebook"): "0", (tid(1), "tiktok"): "0"}
    assert (state.made, state.failed) == (1, 0)


def test_a_failed_export_fails_no_image_and_counts_until_it_is_made(attempt, plan, record):
    state = attempt(
        plan,
        ImageStored(record=record(0)),
        export_failed(0, "tiktok"),
        export_failed(0, "facebook"),
        exported(0, "facebook"),
        export_failed(0, "facebook"),
    )
    assert (state.made, state.failed, state.task_status(tid(0))) == (1, 0, "stored")
    assert [list(failed) for failed in state.export_failures.values()] == [["tiktok"]]
    assert list(state.exports[tid(0)]) == ["facebook"]


def test_folding_step_by_step_is_folding_at_once(attempt, plan, record, tmp_path):
    attempt(plan, failed(0), Interrupted(reason="x"))
    whole = attempt(ImageStored(record=record(0)), AttemptFinished(outcome="finished"), kind="resume")
    state = RunState()
    for segment in read_segments(journal_folder(tmp_path, "r")):
        for event in segment.events:
            state.apply([event])
    state.apply([])
    assert state == whole


# The runs of a folder.


def test_a_run_that_is_not_there_names_the_nearest(tmp_path, attempt):
    attempt(run_id="nightly-2026-03-01")
    with pytest.raises(RunNotFoundError, match="nightly-2026-03-01"):
        read_run(tmp_path, "nightly-2026-03-02")


@pytest.mark.parametrize("run_id", ["", "..", "../runs/r", "a/b", ".hidden"])
def test_a_run_id_cannot_lead_out(tmp_path, attempt, run_id):
    attempt()
    assert not run_exists(tmp_path, run_id)
    with pytest.raises(RunNotFoundError):
        read_run(tmp_path, run_id)


def test_no_folder_has_no_runs(tmp_path):
    assert list_runs(tmp_path) == []
    (tmp_path / "runs").write_bytes(b"a file")
    assert list_runs(tmp_path) == []


def test_runs_are_listed_newest_first(tmp_path, attempt, plan, record):
    attempt(plan, failed(0), run_id="b")
    attempt(plan, ImageStored(record=record(0)), run_id="a")
    newest, oldest = list_runs(tmp_path)
    assert (newest.run_id, newest.status, newest.planned, newest.made, newest.failed) == (
        "a", "unfinished", 3, 1, 0,
    )  # fmt: skip
    assert oldest.row() == {
        "run_id": "b", "status": "unfinished", "planned": 3, "made": 0, "failed": 1, "attempts": 1,
        "mean_oks": None, "rejected": 0, "project": "p", "user": "u",
        "started_at": "2026-03-01T12:00:01.000Z", "last_at": "2026-03-01T12:00:03.000Z",
    }  # fmt: skip


def test_foreign_files_and_half_made_runs_do_no_harm(tmp_path, attempt, plan):
    attempt(plan)
    runs = tmp_path / "runs"
    (runs / "file").write_bytes(b"")
    (runs / "no journal").mkdir()
    (runs / "nothing").mkdir()
    (runs / "empty" / "journal").mkdir(parents=True)
    (runs / ".hidden" / "journal").mkdir(parents=True)
    (runs / "journal-is-a-file").mkdir()
    (runs / "journal-is-a-file" / "journal").write_bytes(b"")
    (runs / "torn" / "journal").mkdir(parents=True)
    (runs / "torn" / "journal" / "0001.jsonl").write_bytes(b'{"event":"atte')
    (runs / "unreadable" / "journal" / "0001.jsonl").mkdir(parents=True)
    assert run_ids(tmp_path) == ["r", "torn", "unreadable"]
    assert {run.run_id: run.status for run in list_runs(tmp_path)} == {
        "r": "unfinished", "torn": "empty", "unreadable": "unreadable",
    }  # fmt: skip
    assert read_run(tmp_path, "torn").run_id == "torn"


def test_a_folder_that_cannot_be_listed_is_a_journal_error(tmp_path, monkeypatch):
    def refuse(_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("pathlib.Path.iterdir", refuse)
    with pytest.raises(JournalError, match="cannot list the runs"):
        list_runs(tmp_path)


def test_a_journal_that_cannot_be_listed_is_still_a_run(tmp_path, attempt, monkeypatch):
    attempt()

    def refuse(*_):
        raise JournalError("no")

    monkeypatch.setattr("posegen.journal.runs.list_segments", refuse)
    assert [run.status for run in list_runs(tmp_path)] == ["unreadable"]
