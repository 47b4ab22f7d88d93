"""The views: what is in them, whatever the journals look like."""

import json
import sqlite3

import pytest
from seeded_runs import RETRIES

from posegen.credits import ACCOUNTS_FILE
from posegen.errors import StorageError
from posegen.journal import (
    ExportFailed,
    ImageExported,
    ImageMeasured,
    Metric,
    SegmentWriter,
    TaskFailed,
    journal_folder,
)
from posegen.metrics import connect, left_out
from posegen.metrics.rows import BESIDE, TABLES, columns
from posegen.records import Measurement

VIEWS = ("runs", "images", "events", "errors", "credits", "exports", "stages")


@pytest.mark.parametrize("view", [*TABLES, *BESIDE])
def test_views_are_typed_and_empty_without_runs(tmp_path, view):
    with connect(tmp_path / "nowhere") as connection:
        described = connection.execute(f"DESCRIBE {view}").fetchall()
        rows = connection.execute(f"SELECT count(*) FROM {view}").fetchall()
    found = {name: kind for name, kind, *_ in described}
    expected = columns({**TABLES, **BESIDE}[view])
    assert found == (expected | {"category": "VARCHAR"} if view == "images" else expected)
    assert rows[0][0] == (64 if view == "poses" else 0)


def test_a_run_in_every_view(tmp_path, scribe, seeded, ask):
    scribe.write(seeded("run-1", 3, failures={2: RETRIES}, cut_after=1, formats=("tiktok",)))
    folder = journal_folder(tmp_path, "run-1")
    counts = {view: ask(tmp_path, f"SELECT count(*) FROM {view}")[0][0] for view in (*VIEWS, "attempts")}
    lines = sum(len(path.read_bytes().splitlines()) for path in folder.iterdir())
    assert counts == {
        "runs": 1, "images": 3, "events": lines, "errors": 1, "credits": 4, "exports": 2, "stages": 10,
        "attempts": 2,
    }  # fmt: skip
    counts = "planned, made, failed, pending, exported, attempts"
    run = f"SELECT status, outcome, {counts}, started_at::VARCHAR, duration_ms FROM runs"
    assert ask(tmp_path, run) == [("finished", "failed", 3, 2, 1, 0, 2, 2, "2026-03-01 12:00:00", 10_000)]
    images = "status, code, pose_id, category, conditioning, oks > 0.5, run_started_at::VARCHAR"
    assert ask(tmp_path, f"SELECT {images} FROM images ORDER BY position") == [
        ("stored", None, "standing_relaxed", "standing", "control", True, "2026-03-01 12:00:00"),
        ("stored", None, "standing_arms_folded", "standing", "control", True, "2026-03-01 12:00:00"),
        ("failed", RETRIES, "standing_relaxed", "standing", None, None, "2026-03-01 12:00:00"),
    ]
    assert ask(tmp_path, "SELECT kind, sum(amount), sum(charged) FROM credits GROUP BY 1 ORDER BY 1") == [
        ("hold", -90, None), ("opening", 10_000_000, None), ("refund", 30, None), ("settlement", 0, 60),
    ]  # fmt: skip
    attempts = (
        "SELECT attempt, kind, outcome, interrupted, found, made, failed FROM attempts ORDER BY attempt"
    )
    assert ask(tmp_path, attempts) == [
        (1, "batch", "interrupted", "SIGTERM", 0, 1, 0),
        (2, "resume", "finished", None, 1, 1, 1),
    ]


def test_torn_fenced_foreign_and_newer_lines_are_counted(tmp_path, scribe, seeded, ask):
    scribe.write(seeded("run-1", cut_after=1))
    scribe.write(seeded("run-2"))
    first = journal_folder(tmp_path, "run-1")
    with (first / "0001.jsonl").open("ab") as file:  # after the second attempt has set its fence
        file.write(b'{"event":"metric"}\n' * 2)
    with (first / "0002.jsonl").open("ab") as file:
        file.write(b'\xff\n{"event":"hologram_made","run_id":"run-1"}\nnonsense\n[]\n{"event":"task_')
    lines = "made, torn_lines, fenced_lines, unknown_events, foreign_lines"
    assert ask(tmp_path, f"SELECT {lines} FROM runs ORDER BY run_id") == [(2, 1, 2, 1, 3), (2, 0, 0, 0, 0)]
    scribe.write(seeded("run-3", finished=False))
    with (journal_folder(tmp_path, "run-3") / "0001.jsonl").open("ab") as file:
        file.write(b'{"event":')  # being written just now: nothing is lost
    with connect(tmp_path) as connection:
        assert left_out(connection) == {
            "unreadable_runs": 0, "torn_lines": 1, "fenced_lines": 2, "unknown_events": 1, "foreign_lines": 3,
        }  # fmt: skip


def test_what_no_column_can_hold_is_null_or_an_unreadable_run(tmp_path, scribe, seeded, ask):
    for number in (1, 2, 3):
        scribe.write(seeded(f"run-{number}"))
    scribe.write(seeded("run-4", 1, formats=("tiktok",), number=9))
    file = journal_folder(tmp_path, "run-1") / "0001.jsonl"
    file.write_bytes(file.read_bytes().replace(b'"at":"2026', b'"at":"long ago 2026'))
    file = journal_folder(tmp_path, "run-2") / "0001.jsonl"
    file.write_bytes(file.read_bytes().replace(b'"size_bytes":', b'"size_bytes":1' + b"0" * 30))
    file = journal_folder(tmp_path, "run-4") / "0001.jsonl"
    file.write_bytes(file.read_bytes().replace(b'"size_bytes":', b'"size_bytes":10000000000000'))
    (journal_folder(tmp_path, "run-3") / "0001.jsonl").unlink()
    (journal_folder(tmp_path, "run-3") / "0001.jsonl").mkdir()
    said = "run_id, status, started_at IS NULL, foreign_lines, image_bytes IS NULL"
    assert ask(tmp_path, f"SELECT {said} FROM runs ORDER BY run_id") == [
        ("run-1", "finished", True, 0, False),
        ("run-2", "finished", False, 0, True),
        ("run-3", "unreadable", True, 0, False),
        ("run-4", "finished", False, 0, True),
    ]


def test_lines_of_an_older_posegen_are_read(tmp_path, scribe, seeded, ask):
    """Before `rule`, `quality`, `stage_ms` and an event's `schema` were kept."""
    scribe.write(seeded("run-1", formats=("tiktok",)))
    file = journal_folder(tmp_path, "run-1") / "0001.jsonl"
    older = []
    for line in map(json.loads, file.read_bytes().splitlines()):
        del line["schema"]
        for name in ("rule", "source_sha256", "quality", "notes"):
            line.pop(name, None)
        line.get("record", {}).pop("stage_ms", None)
        older.append(json.dumps(line) + "\n")
    file.write_text("".join(older), encoding="utf-8")
    assert ask(tmp_path, "SELECT made, exported, foreign_lines, unknown_events FROM runs") == [(2, 2, 0, 0)]
    assert ask(tmp_path, "SELECT DISTINCT quality FROM exports") == [(0,)]
    assert ask(tmp_path, "SELECT DISTINCT stage FROM stages") == [("measure",)]


def test_failures_that_were_mended_are_not_final(tmp_path, scribe, seeded, ask):
    run = seeded("run-1")
    scribe.write(run)
    task_id = run.tasks[0].task_id
    with SegmentWriter.open(journal_folder(tmp_path, "run-1"), "run-1", kind="export") as writer:
        for code in ("A", "B"):
            failed = ExportFailed(task_id=task_id, format="tiktok", code=code, message="no")
            writer.append(failed, durable=False)
        done = ImageExported(
            task_id=task_id, format="shopee", key="k", sha256="0", size_bytes=7, width=1, height=1
        )
        writer.append(ExportFailed(task_id=task_id, format="shopee", code="C", message="no"), durable=False)
        writer.append(done, durable=False)
        writer.append(TaskFailed(task_id=task_id, code="D", message="an image that is there stays"))
    found = ask(tmp_path, "SELECT kind, code, final FROM errors ORDER BY code")
    assert found == [
        ("export", "A", False),
        ("export", "B", True),
        ("export", "C", False),
        ("generate", "D", False),
    ]
    exports = ask(tmp_path, "SELECT format, status, code, size_bytes FROM exports ORDER BY format")
    assert exports == [("shopee", "made", None, 7), ("tiktok", "failed", "B", None)]


def test_metrics_in_milliseconds_are_stages(tmp_path, scribe, seeded, ask):
    run = seeded("run-1", measured=False)
    scribe.write(run)
    with SegmentWriter.open(journal_folder(tmp_path, "run-1"), "run-1", kind="measure") as writer:
        tags = {"task_id": run.tasks[0].task_id}
        writer.append(Metric(name="flux.generate", value=15_234.0, unit="ms", tags=tags), durable=False)
        writer.append(Metric(name="queue", value=3.0, unit="", tags={"b": "é", "a": "1"}), durable=False)
        writer.append(Metric(name="flux.generate", value=None, unit="ms")).result()
    stages = ask(tmp_path, "SELECT duration_ms, backend FROM stages WHERE stage = 'flux.generate' ORDER BY 1")
    assert stages == [(15_234.0, "fal"), (None, None)]
    assert ask(tmp_path, "SELECT value, tags FROM events WHERE name = 'queue'") == [
        (3.0, '{"a": "1", "b": "é"}')
    ]


def test_a_run_is_seen_while_it_is_written(tmp_path, seeded, scribe, ask):
    run = seeded("run-1", finished=False)
    scribe.write(run)
    seen = [ask(tmp_path, "SELECT measured, status, outcome FROM runs")]
    low = Measurement(estimator="e", estimator_version="1", weights_sha256="0", people=0, oks=0, pck_10=0,
                      pck_20=0, counted=17)  # fmt: skip
    with SegmentWriter.open(journal_folder(tmp_path, "run-1"), "run-1", kind="batch") as writer:
        writer.append(ImageMeasured(task_id=run.tasks[0].task_id, measurement=low)).result()
        seen.append(ask(tmp_path, "SELECT min(oks), max(people), min(people) FROM images"))
    assert seen == [[(2, "unfinished", None)], [(0.0, 1, 0)]]


def test_a_renamed_folder_is_the_run(tmp_path, scribe, seeded, ask):
    scribe.write(seeded("run-1"))
    (tmp_path / "runs" / "run-1").rename(tmp_path / "runs" / "kept")
    assert ask(tmp_path, "SELECT DISTINCT run_id FROM images") == [("kept",)]


def test_the_accounts_are_only_read(tmp_path, ask):
    assert ask(tmp_path, "SELECT * FROM credits") == []
    assert not (tmp_path / ACCOUNTS_FILE).exists()
    (tmp_path / ACCOUNTS_FILE).touch()
    assert ask(tmp_path, "SELECT * FROM credits") == []
    assert (tmp_path / ACCOUNTS_FILE).stat().st_size == 0


def test_accounts_of_an_older_schema_are_read(tmp_path, scribe, seeded, ask):
    scribe.write(seeded("run-1"))
    connection = sqlite3.connect(tmp_path / ACCOUNTS_FILE)
    connection.executescript("DROP TABLE asked; UPDATE schema_version SET version = 1")
    connection.close()
    assert ask(tmp_path, "SELECT sum(charged) FROM credits") == [(60,)]


def test_accounts_that_are_no_accounts_are_said(tmp_path):
    (tmp_path / ACCOUNTS_FILE).write_bytes(b"not a database" * 100)
    with pytest.raises(StorageError, match="not an SQLite database"):
        connect(tmp_path)
