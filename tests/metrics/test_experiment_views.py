"""What experiments have saved is seen beside the runs."""

from posegen.experiments.analysis import EffectRow
from posegen.experiments.results import _columns, to_parquet
from posegen.experiments.scores import Score
from posegen.metrics import connect
from posegen.metrics.experiment_views import EFFECTS, SCORES


def saved(root, run_id, rows):
    folder = root / "runs" / run_id / "experiment"
    folder.mkdir(parents=True)
    (folder / "effects.parquet").write_bytes(
        to_parquet(EffectRow, rows, {"run_id": run_id, "baseline": "none"})
    )
    (folder / "images.parquet").write_bytes(to_parquet(Score, [], {"run_id": run_id}))
    return folder


def effect(arm):
    values = dict.fromkeys(EffectRow.__struct_fields__, 0.5) | {
        "arm": arm, "measure": "oks", "pairs": 4, "poses": 2,
    }  # fmt: skip
    return EffectRow(**values)


def test_the_views_are_empty_without_experiments(tmp_path):
    with connect(tmp_path) as connection:
        assert connection.execute("SELECT * FROM experiment_effects").fetchall() == []
        assert connection.execute("SELECT * FROM experiment_scores").fetchall() == []


def test_all_experiments_are_shown_and_broken_files_left_out(tmp_path):
    saved(tmp_path, "one", [effect("control"), effect("prompt")])
    saved(tmp_path, "none", [])
    (saved(tmp_path, "torn", [effect("control")]) / "effects.parquet").write_bytes(b"PAR1 torn")
    (saved(tmp_path, "empty", [effect("control")]) / "effects.parquet").write_bytes(b"")
    with connect(tmp_path) as connection:
        found = connection.execute("SELECT run_id, arm, mean FROM experiment_effects ORDER BY arm").fetchall()
    assert found == [("one", "control", 0.5), ("one", "prompt", 0.5)]


def test_the_columns_are_those_that_experiments_write():
    for columns, kind in ((EFFECTS, EffectRow), (SCORES, Score)):
        written = {"run_id": "VARCHAR", "baseline": "VARCHAR", **_columns(kind)}
        assert {name: written.get(name) for name in columns} == columns
