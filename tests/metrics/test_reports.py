"""The operator's reports, on runs worked out by hand."""

import pytest
from seeded_runs import RETRIES, task

from posegen.errors import ParameterError, RunNotFoundError, UnknownNameError
from posegen.metrics import REPORTS, compare_runs, connect, report


@pytest.fixture
def root(tmp_path, scribe, seeded):
    """Return a workspace of two runs.

    run-1: 3 of 3 images in 30 s, in two attempts (1 + 2), one try rejected; run-2: 1 of 2 images in 9 s,
    without a pose, in April.
    """
    scribe.write(seeded("run-1", 3, cut_after=1, duration_ms=30_000, rejected=frozenset({2})))
    tasks = tuple(
        task(900 + index, None, index=index, backend="comfyui", conditioning="none") for index in (0, 1)
    )
    scribe.write(
        seeded(
            "run-2",
            2,
            day=40,
            tasks=tasks,
            duration_ms=9_000,
            user="ben",
            failures={1: RETRIES},
            measured=False,
        )
    )
    return tmp_path


@pytest.fixture
def ask_report(root):
    """Return a function that gives some columns of a report."""

    def run(name, *columns, **chosen):
        with connect(root) as connection:
            return [tuple(row[column] for column in columns) for row in report(connection, name, **chosen)]

    return run


def test_throughput(ask_report):
    columns = ("runs", "images", "minutes_worked", "images_per_minute")
    assert ask_report("throughput", *columns) == [(1, 3, 0.5, 6.0), (1, 1, 0.15, 6.67)]


def test_stage_times(root, ask_report):
    columns = ("backend", "stage", "count", "p50_ms", "p95_ms", "p99_ms")
    rows = ask_report("stage_times", *columns)
    assert [row[:3] for row in rows] == [
        ("comfyui", "encode", 1), ("comfyui", "generate", 1), ("comfyui", "store", 1),
        ("comfyui", "thumbnail", 1),
        ("fal", "encode", 3), ("fal", "generate", 3), ("fal", "measure", 3), ("fal", "store", 3),
        ("fal", "thumbnail", 3),
    ]  # fmt: skip
    assert ("fal", "encode", 3, 80.0, 80.0, 80.0) in rows
    (generate,) = (row for row in rows if row[:2] == ("fal", "generate"))
    with connect(root) as connection:
        found = connection.execute(
            "SELECT duration_ms FROM stages WHERE backend = 'fal' AND stage = 'generate' ORDER BY 1"
        ).fetchall()
    low, middle, high = (row[0] for row in found)
    # Between the middle and the highest of three values lie the quantiles from 0.5 to 1, linearly.
    assert generate[3:] == pytest.approx(
        (middle, middle + 0.9 * (high - middle), middle + 0.98 * (high - middle)), abs=0.06
    )
    assert low < middle


def test_costs_include_rejected_tries(ask_report):
    columns = ("backend", "images", "rejected_tries", "images_usd", "rejected_usd", "usd_per_image")
    assert ask_report("costs", *columns) == [
        ("comfyui", 1, 0, 0.04, None, 0.04),
        ("fal", 3, 1, 0.12, 0.04, round(0.16 / 3, 4)),
    ]


def test_accuracy(root, ask_report):
    rows = ask_report("accuracy", "dimension", "value", "month", "images", "mean_oks")
    assert [row[:4] for row in rows] == [
        ("backend", "fal", "2026-03", 3),
        ("category", "standing", "2026-03", 3),
        ("conditioning", "control", "2026-03", 3),
        ("pose", "standing_arms_folded", "2026-03", 1),
        ("pose", "standing_relaxed", "2026-03", 2),
    ]
    with connect(root) as connection:
        found = [oks for (oks,) in connection.execute("SELECT oks FROM images WHERE oks > 0").fetchall()]
    assert rows[0][4] == round(sum(found) / 3, 3)


def test_storage(root, ask_report):
    rows = ask_report("storage", "kind", "bytes", "bytes_so_far")
    with connect(root) as connection:
        sizes = connection.execute(
            "SELECT size_bytes FROM images WHERE status = 'stored' ORDER BY run_id"
        ).fetchall()
    images = [row[1:] for row in rows if row[0] == "images"]
    total = sum(size for (size,) in sizes)
    assert images == [(total - sizes[-1][0], total - sizes[-1][0]), (sizes[-1][0], total)]
    journal = sum(path.stat().st_size for path in root.rglob("*.jsonl"))
    assert [row[2] for row in rows if row[0] == "journal"][-1] == journal
    assert len(rows) == 2 * 5


def test_recoveries(ask_report):
    columns = ("run_id", "attempt", "kind", "after", "images_saved", "seconds_saved", "usd_saved", "made")
    assert ask_report("recoveries", *columns) == [("run-1", 2, "resume", "interrupted", 1, 7.5, 0.04, 2)]


def test_requests(ask_report):
    columns = ("backend", "images", "requests", "asked_again", "p50_wait_s")
    assert ask_report("requests", *columns) == [("comfyui", 2, 2, 0, 0.0), ("fal", 3, 3, 0, 0.0)]


def test_comparison(root):
    with connect(root) as connection:
        rows = compare_runs(connection, ["run-2", "run-1"])
    shown = ("run_id", "made", "failed", "rejected", "duration_ms", "images_per_minute", "usd_per_image")
    assert [tuple(row[name] for name in shown) for row in rows] == [
        ("run-2", 1, 1, 0, 9_000, 6.67, 0.04),
        ("run-1", 3, 0, 1, 30_000, 6.0, round(0.16 / 3, 4)),
    ]
    assert rows[0]["mean_oks"] is None
    assert rows[1]["p50_image_ms"] == 5_000.0  # of 7.5, 5 and 5 s


def test_comparisons_that_cannot_be(root):
    with connect(root) as connection:
        with pytest.raises(ParameterError, match="fewer than two"):
            compare_runs(connection, ["run-1", "run-1"])
        with pytest.raises(RunNotFoundError, match="run-3"):
            compare_runs(connection, ["run-1", "run-3"])
        with pytest.raises(RunNotFoundError, match="run-2"):
            compare_runs(connection, ["run-1", "run-2"], user="ada")


def test_an_unknown_report_names_the_nearest(root):
    with connect(root) as connection, pytest.raises(UnknownNameError, match="stage_times"):
        report(connection, "stage_time")


@pytest.mark.parametrize("name", REPORTS)
def test_reports_of_one_user_or_of_nothing(ask_report, tmp_path, name):
    assert 0 < len(ask_report(name, user="ada")) <= len(ask_report(name))
    assert ask_report(name, since="2030-01-01") == []
    with connect(tmp_path / "nowhere") as connection:
        assert report(connection, name) == []
