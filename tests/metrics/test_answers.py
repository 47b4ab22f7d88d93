"""The four answers, on the reference's example and on a few runs worked out by hand."""

import json

import msgspec
import pytest
from seeded_runs import PROMPT, RETRIES

from posegen.errors import ParameterError
from posegen.journal import (
    AttemptFinished,
    Interrupted,
    RunPlanned,
    SegmentWriter,
    journal_folder,
)
from posegen.metrics import connect, error_analysis, popular_poses, system_metrics, top_users


def test_the_references_example(reference_root):
    with connect(reference_root) as connection:
        found = json.loads(msgspec.json.encode(system_metrics(connection)))
    assert found == {
        "total_generations": 1247,
        "successful_generations": 1198,
        "failed_generations": 49,
        "success_rate_percent": 96.07,
        "average_duration_ms": 45320,
        "total_poses_generated": 6235,
        "credits_used": 187050,
        "credits_refunded": 1470,
        "refund_rate_percent": 0.79,
        "top_errors": [{"code": RETRIES, "count": 32}, {"code": PROMPT, "count": 17}],
    }


def test_the_references_limits(reference_root):
    with connect(reference_root) as connection:
        users, poses = top_users(connection), popular_poses(connection)
        errors = {row["code"]: row["credits_refunded"] for row in error_analysis(connection)}
        everyone = top_users(connection, limit=100)
    assert (len(users), len(poses)) == (10, 20)
    assert users == everyone[:10]
    assert sum(row["generations"] for row in everyone) == 1247
    assert [row["generations"] for row in users] == sorted((u["generations"] for u in users), reverse=True)
    assert errors == {RETRIES: 960, PROMPT: 510, "FIGURE_TOO_LARGE": 0}


@pytest.fixture
def small(tmp_path, scribe, seeded):
    """Return a workspace of seven runs.

    | run   | user | day | images made | failed | duration | how it stands           |
    |-------|------|-----|-------------|--------|----------|-------------------------|
    | run-1 | ada  | 1   | 2           | -      | 10.000 s | finished                |
    | run-2 | ada  | 2   | 3           | 1      | 20.000 s | finished in two attempts|
    | run-3 | ben  | 2   | 0           | 2      | 3.000 s  | finished                |
    | run-4 | ben  | 3   | 1           | -      | 7.001 s  | finished                |
    | run-5 | cy   | 3   | 2           | -      | 99 s     | being made              |
    | run-6 | cy   | 4   | 0 of 2      | -      | 2 s      | closed by recovery      |
    | run-7 | cy   | 4   | 0 of 1      | -      | 1 s      | interrupted             |
    """
    scribe.write(seeded("run-1", 2, day=1, formats=("tiktok",)))
    scribe.write(seeded("run-2", 4, day=2, failures={3: RETRIES}, cut_after=2, duration_ms=20_000))
    scribe.write(seeded("run-3", 2, day=2, failures={0: PROMPT, 1: PROMPT}, user="ben", duration_ms=3_000))
    scribe.write(seeded("run-4", 1, day=3, user="ben", duration_ms=7_001, measured=False))
    scribe.write(seeded("run-5", 2, day=3, user="cy", duration_ms=99_000, finished=False))
    for number, count, ends in (
        (6, 2, AttemptFinished(outcome="closed")),
        (7, 1, Interrupted(reason="stop")),
    ):
        run = seeded(f"run-{number}", count, day=4, user="cy")
        scribe.clock.now = run.begin
        folder = journal_folder(tmp_path, run.run_id)
        with SegmentWriter.open(folder, run.run_id, kind="batch", clock=scribe.clock) as writer:
            writer.append(RunPlanned(spec={}, spec_hash="0", tasks=run.tasks, user="cy"), durable=False)
            scribe.clock.now = run.begin.replace(second=8 - number)
            writer.append(ends, durable=False)
    return tmp_path


def test_system_metrics_by_hand(small):
    with connect(small) as connection:
        found = system_metrics(connection)
    # 1 to 4 and the closed 6 have ended; 5 is being made and 7 can be gone on with.
    assert (found.total_generations, found.successful_generations, found.failed_generations) == (5, 2, 3)
    assert found.success_rate_percent == 40.0
    assert found.average_duration_ms == round((10_000 + 20_000 + 3_000 + 7_001 + 2_000) / 5)
    assert found.total_poses_generated == 2 + 3 + 0 + 1 + 2
    assert found.credits_used == 30 * (2 + 3 + 0 + 1)  # run-5 is not settled yet
    assert found.credits_refunded == 30 * 3
    assert found.refund_rate_percent == 50.0
    assert [(one.code, one.count) for one in found.top_errors] == [(PROMPT, 2), (RETRIES, 1)]


@pytest.mark.parametrize(
    ("since", "until", "total", "poses"),
    [
        ("2026-03-02", "2026-03-02", 2, 3),  # a day belongs to the range whole
        ("2026-03-02", "2026-03-03", 3, 6),
        ("2026-03-02T12:00", None, 4, 6),  # the first moment belongs to it
        (None, "2026-03-02T12:00", 1, 2),  # the last does not
        ("2026-03-02T14:00+02:00", "2026-03-02T14:01+02:00", 2, 3),
        ("2027-01-01", None, 0, 0),
    ],
)
def test_a_range_is_of_the_runs_beginnings(small, since, until, total, poses):
    with connect(small) as connection:
        found = system_metrics(connection, since=since, until=until)
    assert (found.total_generations, found.total_poses_generated) == (total, poses)


def test_nothing_has_no_rates(tmp_path):
    with connect(tmp_path / "nowhere") as connection:
        found = system_metrics(connection)
        assert [top_users(connection), popular_poses(connection), error_analysis(connection)] == [[], [], []]
    assert (found.success_rate_percent, found.average_duration_ms, found.refund_rate_percent) == (None,) * 3
    assert (found.total_generations, found.credits_used, found.top_errors) == (0, 0, ())


def test_users_by_hand(small):
    with connect(small) as connection:
        rows = top_users(connection)
    shown = ("user", "generations", "successful", "failed", "poses", "credits_used", "credits_refunded")
    assert [tuple(row[name] for name in shown) for row in rows] == [
        ("ada", 2, 1, 1, 5, 150, 30),
        ("ben", 2, 1, 1, 1, 30, 60),
        ("cy", 1, 0, 1, 2, 0, 0),
    ]


def test_poses_by_hand(small):
    with connect(small) as connection:
        rows = popular_poses(connection)
    shown = ("pose_id", "category", "images", "generations", "made", "failed")
    assert [tuple(row[name] for name in shown) for row in rows] == [
        ("standing_relaxed", "standing", 8, 7, 5, 1),
        ("standing_arms_folded", "standing", 6, 5, 3, 2),
    ]


def test_errors_by_hand(small):
    with connect(small) as connection:
        rows = error_analysis(connection)
    shown = ("kind", "code", "failed", "recovered", "generations", "share_percent", "credits_refunded")
    assert [tuple(row[name] for name in shown) for row in rows] == [
        ("generate", PROMPT, 2, 0, 1, 66.67, 60),
        ("generate", RETRIES, 1, 0, 1, 33.33, 30),
    ]


def test_one_users_figures_are_of_that_user_alone(small):
    with connect(small) as connection:
        found = system_metrics(connection, user="ben")
        users = top_users(connection, user="ben")
        errors = error_analysis(connection, user="ben")
        poses = popular_poses(connection, user="ben")
    assert (found.total_generations, found.credits_used, found.credits_refunded) == (2, 30, 60)
    assert [row["user"] for row in users] == ["ben"]
    assert [row["code"] for row in errors] == [PROMPT]
    assert sum(row["images"] for row in poses) == 3


@pytest.mark.parametrize("bad", [{"since": "yesterday"}, {"until": "2026-13-01"}, {"limit": 0}])
def test_what_is_no_date_or_limit_is_refused(tmp_path, bad):
    with connect(tmp_path) as connection, pytest.raises(ParameterError, match=next(iter(bad))):
        system_metrics(connection, **bad)
