import shutil
from datetime import UTC, datetime, timedelta

import pytest
from seeded_runs import Scribe, SeededRun, not_waiting_for_the_disk, reference_workspace, task

from posegen.metrics import connect


@pytest.fixture(autouse=True)
def _no_waiting_for_the_disk():
    with not_waiting_for_the_disk():
        yield


@pytest.fixture
def scribe(tmp_path):
    """Return what writes runs into the workspace `tmp_path`."""
    return Scribe(tmp_path, seed=1)


@pytest.fixture
def seeded():
    """Return a function that describes a run of `count` images, begun on a day of March 2026."""

    def make(run_id, count=2, *, day=1, number=None, **changes):
        first = (number if number is not None else int(run_id.rpartition("-")[2])) * 100
        poses = ("standing_relaxed", "standing_arms_folded")
        tasks = tuple(task(first + index, poses[index % 2], index=index) for index in range(count))
        begin = datetime(2026, 3, 1, 12, tzinfo=UTC) + timedelta(days=day - 1)
        fields = {"user": "ada", "begin": begin, "tasks": tasks, "duration_ms": 10_000}
        return SeededRun(run_id=run_id, **{**fields, **changes})

    return make


@pytest.fixture(scope="session")
def reference_root(tmp_path_factory):
    """Return the workspace of the reference's example, to be read only."""
    root = tmp_path_factory.mktemp("reference")
    reference_workspace(root)
    return root


@pytest.fixture
def own_reference_root(reference_root, tmp_path):
    """Return a copy of it, to be changed."""
    return shutil.copytree(reference_root, tmp_path / "reference")


@pytest.fixture
def ask():
    """Return a function that gives the rows of an SQL query over a workspace."""

    def run(root, sql):
        with connect(root) as connection:
            return connection.execute(sql).fetchall()

    return run
