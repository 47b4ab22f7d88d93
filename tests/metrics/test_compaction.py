"""Compaction changes no answer: not before, during or after it, whatever happens beside it."""

import shutil

import pytest
from filelock import FileLock
from seeded_runs import RETRIES

from posegen.credits import ACCOUNTS_FILE, open_accounts
from posegen.credits.ledger import read_ledger
from posegen.errors import StorageError
from posegen.journal import ImageExported, SegmentWriter, journal_folder
from posegen.metrics import (
    compact,
    compaction,
    connect,
    error_analysis,
    popular_poses,
    sources,
    system_metrics,
    top_users,
)
from posegen.metrics.manifest import manifest_path, read_manifest
from posegen.metrics.rows import BESIDE, TABLES

DAY_S = 24 * 3600.0


def everything(root):
    """Return every row of every view, and the answers."""
    with connect(root) as connection:
        return everything_of(connection)


def everything_of(connection):
    views = {
        view: connection.execute(f"SELECT * FROM {view} ORDER BY ALL").fetchall()
        for view in (*TABLES, *BESIDE)
    }
    answers = [ask(connection) for ask in (system_metrics, top_users, popular_poses, error_analysis)]
    return views, answers


@pytest.fixture
def workspace(tmp_path, scribe, seeded):
    """Return a workspace of two months, with an unfinished run."""
    scribe.write(seeded("run-1", 3, failures={1: RETRIES}, formats=("tiktok", "shopee"), cut_after=1))
    scribe.write(seeded("run-2", 2, day=20, user="ben"))
    scribe.write(seeded("run-3", 2, day=40))
    scribe.write(seeded("run-4", 2, day=41, finished=False))
    return tmp_path


def export(root, run_id, task_id, name):
    with SegmentWriter.open(journal_folder(root, run_id), run_id, kind="export") as writer:
        made = ImageExported(
            task_id=task_id, format=name, key="k", sha256="0", size_bytes=7, width=1, height=1
        )
        writer.append(made).result()


def test_answers_are_the_same_before_during_and_after(workspace, monkeypatch):
    before = everything(workspace)
    during = []
    real = compaction.write_manifest

    def watched(root, manifest):
        during.append(everything(root))
        real(root, manifest)
        during.append(everything(root))

    monkeypatch.setattr(compaction, "write_manifest", watched)
    with connect(workspace) as earlier:
        done = compact(workspace)
        assert everything_of(earlier) == before
    assert (done.runs, done.months) == (3, ("2026-03", "2026-04"))
    assert during == [before, before]
    assert everything(workspace) == before


def test_the_reference_example_is_the_same_compacted(own_reference_root):
    before = everything(own_reference_root)
    assert compact(own_reference_root).runs == 1247
    assert everything(own_reference_root) == before


def test_it_is_idempotent(workspace):
    compact(workspace)
    files = {path: path.stat().st_mtime_ns for path in (workspace / "metrics").rglob("*")}
    assert compact(workspace) == compaction.Compacted()
    assert {path: path.stat().st_mtime_ns for path in (workspace / "metrics").rglob("*")} == files


def test_one_row_group_a_month_and_table_in_zstd(workspace, ask):
    compact(workspace)
    files = [path.relative_to(workspace).as_posix() for path in (workspace / "metrics").rglob("*.parquet")]
    assert sum(name.startswith("metrics/images/month=2026-03/") for name in files) == 1
    assert sum(name.startswith("metrics/images/month=2026-04/") for name in files) == 1
    found = ask(workspace, f"SELECT DISTINCT compression FROM parquet_metadata('{workspace}/metrics/*/*/*')")
    assert found == [("ZSTD",)]


def test_compacted_journals_are_not_read(workspace, monkeypatch):
    compact(workspace)
    read = []
    real = compaction.read_run
    monkeypatch.setattr("posegen.metrics.sources.read_run", lambda *args: read.append(args[1]) or real(*args))
    everything(workspace)
    assert read == ["run-4"]


def test_what_came_after_compaction_is_seen(workspace, seeded, scribe, ask):
    compact(workspace)
    task_id = seeded("run-2", 2).tasks[0].task_id
    export(workspace, "run-2", task_id, "tiktok")
    assert ask(workspace, "SELECT exported FROM runs WHERE run_id = 'run-2'") == [(1,)]
    assert ask(workspace, "SELECT count(*) FROM runs") == [(4,)]
    live = everything(workspace)
    scribe.write(seeded("run-5", 1, day=21))
    export(workspace, "run-4", "0" * 32, "tiktok")
    done = compact(workspace)
    assert (done.runs, done.months) == (2, ("2026-03",))  # run-4 has not ended
    assert ask(workspace, "SELECT exported FROM runs WHERE run_id = 'run-2'") == [(1,)]
    assert ask(workspace, "SELECT count(*), count(DISTINCT run_id) FROM runs") == [(5, 5)]
    assert live[0]["exports"] == ask(workspace, "SELECT * FROM exports WHERE run_id != 'run-4' ORDER BY ALL")


def test_an_acknowledged_line_in_the_same_segment_is_seen(workspace, ask):
    """The folder's time stays as it was; the segment's length does not."""
    compact(workspace)
    with (journal_folder(workspace, "run-2") / "0001.jsonl").open("ab") as file:
        file.write(b"nonsense\n")
    assert ask(workspace, "SELECT foreign_lines FROM runs WHERE run_id = 'run-2'") == [(1,)]


def test_runs_that_were_removed_keep_their_figures(workspace):
    before = everything(workspace)
    compact(workspace)
    shutil.rmtree(workspace / "runs" / "run-1" / "images", ignore_errors=True)
    shutil.rmtree(workspace / "runs" / "run-2")
    assert everything(workspace) == before
    export(workspace, "run-1", "0" * 32, "tiktok")
    compact(workspace)  # writes the month of run-2 anew
    assert [row[0] for row in everything(workspace)[0]["runs"]] == ["run-1", "run-2", "run-3", "run-4"]


def test_a_run_begun_anew_under_its_old_name_replaces_the_old_one(workspace, seeded, scribe, ask):
    compact(workspace)
    shutil.rmtree(workspace / "runs" / "run-3")
    with SegmentWriter.open(journal_folder(workspace, "run-3"), "run-3", kind="batch"):
        pass
    assert ask(workspace, "SELECT status FROM runs WHERE run_id = 'run-3'") == [("empty",)]
    compact(workspace)
    assert ask(workspace, "SELECT status FROM runs WHERE run_id = 'run-3'") == [("empty",)]


def test_a_run_that_moved_to_another_month_is_there_once(workspace, seeded, scribe, ask):
    compact(workspace)
    file = journal_folder(workspace, "run-3") / "0001.jsonl"
    file.write_bytes(file.read_bytes().replace(b'"at":"2026-04', b'"at":"long ago 2026-04'))
    done = compact(workspace)
    assert (done.runs, done.months) == (1, ("2026-04", "unknown"))
    assert "2026-04" not in read_manifest(workspace).files
    assert ask(workspace, "SELECT count(*) FROM images WHERE run_id = 'run-3'") == [(2,)]


def test_the_accounts_are_compacted_and_read_on(workspace, scribe, monkeypatch):
    compact(workspace)
    scribe.accounts.grant("ada", 7, key="k")
    before = everything(workspace)[0]["credits"]
    assert before == sorted(before, key=lambda row: row[0])
    assert before[-1][2:4] == ("grant", 7)
    asked = []

    def watched(path, after=0):
        asked.append(after)
        return read_ledger(path, after=after)

    monkeypatch.setattr(sources, "read_ledger", watched)
    compact(workspace)
    assert everything(workspace)[0]["credits"] == before
    assert asked == [before[-2][0] - 1, before[-1][0] - 1]  # nothing was read again but the last entry
    files = list((workspace / "metrics" / "credits" / "month=ledger").iterdir())
    assert compact(workspace) == compaction.Compacted()
    assert list((workspace / "metrics" / "credits" / "month=ledger").iterdir()) == files


def test_other_accounts_replace_those_that_were_compacted(workspace, ask):
    compact(workspace)
    (workspace / ACCOUNTS_FILE).unlink()
    assert ask(workspace, "SELECT count(*) FROM credits") == [(0,)]
    other = open_accounts(workspace / ACCOUNTS_FILE)
    for user in ("x", "y"):
        other.balance(user)
    assert ask(workspace, 'SELECT "user" FROM credits ORDER BY 1') == [("x",), ("y",)]
    compact(workspace)
    assert ask(workspace, 'SELECT "user" FROM credits ORDER BY 1') == [("x",), ("y",)]
    (workspace / ACCOUNTS_FILE).unlink()
    compact(workspace)
    assert ask(workspace, "SELECT count(*) FROM credits") == [(0,)]


def test_a_second_compaction_at_the_same_time_does_nothing(workspace):
    (workspace / "metrics").mkdir()
    with FileLock(workspace / "metrics" / "compaction.lock"):
        assert compact(workspace) == compaction.Compacted(busy=True)
    assert compact(workspace).runs == 3


def test_one_that_was_killed_leaves_nothing_that_counts(workspace, monkeypatch):
    before = everything(workspace)

    def killed(root, manifest):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(compaction, "write_manifest", killed)
        with pytest.raises(KeyboardInterrupt):
            compact(workspace)
    left = set((workspace / "metrics").rglob("*.parquet"))
    assert left
    assert everything(workspace) == before
    later = max(path.stat().st_mtime for path in left) + DAY_S + 1
    assert compact(workspace, clock=lambda: later).removed == len(left)
    assert everything(workspace) == before


def test_replaced_files_stay_for_a_day(workspace, seeded):
    compact(workspace, clock=lambda: 1e9)
    first = read_manifest(workspace)
    export(workspace, "run-2", "0" * 32, "tiktok")
    with connect(workspace) as earlier:
        before = everything_of(earlier)
        compact(workspace, clock=lambda: 2e9)  # long after the file was made
        assert everything_of(earlier) == before
    old = [workspace / "metrics" / name for name in first.files["2026-03"].values()]
    assert all(path.exists() for path in old)
    assert compact(workspace, clock=lambda: 2e9 + DAY_S + 1).removed == len(old)
    assert not any(path.exists() for path in old)
    assert everything(workspace) == before


def test_parquet_of_an_older_posegen_lacks_columns(workspace, ask):
    """A column that is newer than the file is NULL in it, not an error."""
    compact(workspace)
    path = workspace / "metrics" / read_manifest(workspace).files["2026-04"]["images"]
    with connect(workspace) as connection:
        connection.execute(f"COPY (SELECT * EXCLUDE (oks) FROM '{path}') TO '{path}.old' (FORMAT parquet)")
    path.with_name(path.name + ".old").rename(path)
    assert ask(workspace, "SELECT count(*), count(oks) FROM images WHERE run_id = 'run-3'") == [(2, 0)]
    assert ask(workspace, "SELECT count(oks) FROM images WHERE run_id = 'run-2'") == [(2,)]


@pytest.mark.parametrize("data", [b"", b"{", b'{"schema": 99}'])
def test_a_manifest_that_cannot_be_read_is_said(workspace, data):
    compact(workspace)
    manifest_path(workspace).write_bytes(data)
    for act in (connect, compact):
        with pytest.raises(StorageError, match=r"manifest\.json"):
            act(workspace)


def test_a_compacted_file_that_is_gone_is_said(workspace):
    compact(workspace)
    (workspace / "metrics" / read_manifest(workspace).files["2026-04"]["images"]).unlink()
    with pytest.raises(StorageError, match="compacted of images"):
        connect(workspace)


def test_nothing_is_made_where_there_are_no_runs(tmp_path):
    assert compact(tmp_path) == compaction.Compacted()
    assert list(tmp_path.iterdir()) == []
