import copy
import json

import duckdb
import msgspec
import pytest

from posegen.errors import StorageError
from posegen.experiments.results import (
    EFFECTS,
    IMAGES,
    analyse,
    is_reported,
    read_results,
    read_rows,
    results_path,
    save,
    to_json,
    to_parquet,
)
from posegen.experiments.scores import Score, score_run
from tests.experiments.conftest import a_score


@pytest.fixture(scope="module")
def results(state, plan, scores):
    return analyse(state, plan.design, scores)


def test_synthetic_and_circular_arms_are_named(results):
    assert results.synthetic
    assert results.statements[0].startswith("Synthetic: the pictures were drawn by the embedded renderer")
    assert "arms none up in the prompt's words" in results.statements[1]
    assert [arm["circular"] for arm in results.arms] == [True, False, False, False, False]


def test_a_real_arm_beside_the_ceiling_is_partly_synthetic(state, plan, scores):
    real = [msgspec.structs.replace(score, synthetic=score.arm == "direct") for score in scores]
    tasks = tuple(
        msgspec.structs.replace(task, backend="fal") if task.options or task.conditioning == "none" else task
        for task in plan.tasks
    )
    design = type(plan.design)(plan.design.arms, "none", tasks, 0)
    found = analyse(state, design, real)
    assert not found.synthetic
    (said,) = found.statements
    assert said.startswith("Partly synthetic: arms direct were drawn by the embedded renderer")


def test_few_poses_and_missing_images_are_warned_of(state, plan, scores):
    lost = [msgspec.structs.replace(score, status="failed") if score.cell == 0 else score for score in scores]
    warnings = analyse(state, plan.design, lost).warnings
    assert any(text.startswith("4 poses: with fewer than 30") for text in warnings)
    assert "arm none: 1 failed; these pairs are left out" in warnings
    assert any("the run is unfinished" in text for text in warnings)


def test_the_truth_is_recovered(results):
    assert results.agreement.order_is_right
    assert results.agreement.slope == pytest.approx(0.97, abs=0.06)
    by_arm = {row.arm: row for row in results.attenuation}
    assert by_arm["direct"].ratio == pytest.approx(0.97, abs=0.06)
    order = [row.oks for row in results.dose_curve]
    assert order == sorted(order, reverse=True)


def test_the_same_scores_give_the_same_results(state, plan, scores, results):
    again = analyse(state, plan.design, scores)
    environment = {"analysed_at": ""}
    one, other = (json.loads(to_json(r)) for r in (results, again))
    assert {**one, "environment": environment} == {**other, "environment": environment}


def test_what_is_saved_can_be_read(tmp_path, results, scores):
    folder = tmp_path / "runs" / "e"
    paths = save(folder, results, scores)
    assert [path.name for path in paths] == ["results.json", "images.parquet", "effects.parquet"]
    assert paths[0] == results_path(tmp_path, "e")
    (read,) = read_results(tmp_path)
    assert (read["run_id"], read["baseline"], read["schema"]) == ("e", "none", 1)
    estimators = [{"name": "fake", "version": "1", "weights_sha256": "abc", "images": 20}]
    assert read["environment"]["estimators"] == estimators
    assert read["context"]["claims"][1]["claim"] == "40-50 % better pose accuracy"
    assert len(read["context"]["published_ap"]) == 5
    images = duckdb.sql(
        f"SELECT arm, count(*), avg(oks), min(run_id) FROM '{paths[1]}' GROUP BY arm ORDER BY arm"
    )
    rows = {row[0]: row[1:] for row in images.fetchall()}
    assert rows["direct"][0] == 5
    assert rows["direct"][1] == pytest.approx(sum(s.oks for s in scores if s.arm == "direct") / 5)
    effects = duckdb.sql(f"SELECT mean FROM '{paths[2]}' WHERE arm = 'direct' AND measure = 'oks'").fetchall()
    assert effects[0][0] == next(r.mean for r in results.effects if (r.arm, r.measure) == ("direct", "oks"))


def test_json_has_no_nan(results):
    text = to_json(results).decode()
    assert "NaN" not in text
    assert "Infinity" not in text
    assert '"ratio": null' in text


def test_parquet_keeps_types_of_empty_columns():
    data = to_parquet(Score, [a_score("arm", 0, oks=None, swapped=None, joint_errors=(None, float("inf")))])
    assert data[:4] == b"PAR1"


def types(path):
    return duckdb.sql(f"DESCRIBE SELECT * FROM '{path}'").project("column_name, column_type").fetchall()


def test_no_rows_are_a_table_of_the_same_types(tmp_path):
    full, empty = tmp_path / "full.parquet", tmp_path / "empty.parquet"
    full.write_bytes(to_parquet(Score, [a_score("arm", 0)], {"run_id": "e"}))
    empty.write_bytes(to_parquet(Score, [], {"run_id": "f"}))
    assert types(empty) == types(full)
    assert ("joint_errors", "DOUBLE[]") in types(empty)
    assert duckdb.sql(f"SELECT count(*) FROM '{tmp_path}/*.parquet'").fetchall() == [(1,)]


def test_rows_of_all_experiments_are_read_and_not_mixed(tmp_path, results, scores):
    assert read_rows(tmp_path, IMAGES) == []
    for run_id in ("a", "b"):
        save(tmp_path / "runs" / run_id, msgspec.structs.replace(results, run_id=run_id), scores)
    save(tmp_path / "runs" / "c", msgspec.structs.replace(results, run_id="c", effects=[]), [])
    images, effects = read_rows(tmp_path, IMAGES), read_rows(tmp_path, EFFECTS)
    assert [(row["run_id"], row["arm"]) for row in images[:2]] == [("a", "none"), ("a", "control~20")]
    assert len(images) == 2 * len(scores)
    assert {row["run_id"] for row in images} == {row["run_id"] for row in effects} == {"a", "b"}
    assert "baseline" in effects[0]
    assert "baseline" not in images[0]
    with pytest.raises(ValueError, match=r"allowed: images\.parquet"):
        read_rows(tmp_path, "*.parquet")
    (tmp_path / "runs/b/experiment/images.parquet").write_bytes(b"")
    with pytest.raises(StorageError, match=r"images\.parquet"):
        read_rows(tmp_path, IMAGES)


def test_no_results_and_torn_ones(tmp_path):
    assert read_results(tmp_path) == []
    path = results_path(tmp_path, "x")
    path.parent.mkdir(parents=True)
    path.write_text("{")
    with pytest.raises(StorageError, match=r"results\.json"):
        read_results(tmp_path)


@pytest.fixture
def twice_measured(state, plan):
    """A run that another estimator measured again, and was cut off at: cell 0, and arm none of cell 1."""
    changed = copy.copy(state)
    changed.measurements = dict(state.measurements)
    for task in plan.tasks[:5]:
        old = state.measurements[task.task_id]
        changed.measurements[task.task_id] = msgspec.structs.replace(old, estimator_version="2")
    return changed


def test_all_estimators_are_listed_and_not_paired(twice_measured, plan):
    found = analyse(twice_measured, plan.design, score_run(twice_measured, plan.design))
    assert [(e["version"], e["images"]) for e in found.environment["estimators"]] == [("1", 15), ("2", 5)]
    (said,) = [text for text in found.warnings if text.startswith("MEASURED BY 2 ESTIMATORS")]
    assert "fake 1 (weights abc) 15 images; fake 2 (weights abc) 5 images" in said
    assert "arm direct: 1 pairs measured by different estimators are left out" in found.warnings
    pairs = {row.arm: row.pairs for row in found.effects if row.measure == "oks"}
    assert pairs == dict.fromkeys(["control~20", "control~3", "shuffled", "direct"], 4)
    assert [row.mixed for row in found.missing] == [0, 1, 1, 1, 1]
    assert {row.pairs for row in found.attenuation if row.arm != "none"} == {4}
    assert (found.coverage.shared, found.coverage.left_out) == (4, 1)


def test_an_arm_of_another_estimator_has_no_pairs(state, plan):
    changed = copy.copy(state)
    changed.measurements = dict(state.measurements)
    for task in plan.tasks[0::4]:
        old = state.measurements[task.task_id]
        changed.measurements[task.task_id] = msgspec.structs.replace(old, weights_sha256="def")
    found = analyse(changed, plan.design, score_run(changed, plan.design))
    assert found.effects == []
    assert found.coverage.shared == 0
    assert any(
        "none of 5 cells" in text and "must not be set side by side" in text for text in found.warnings
    )
    assert {row.images for row in found.levels if row.measure == "oks"} == {5}


def test_one_estimator_is_no_warning(results):
    assert not any("ESTIMATORS" in text or "left out" in text for text in results.warnings)


def test_a_report_of_a_part_is_told_from_one_of_all(tmp_path, state, plan, twice_measured):
    partial = copy.copy(state)
    partial.measurements = {task.task_id: state.measurements[task.task_id] for task in plan.tasks[:8]}
    assert not is_reported(tmp_path, state)
    for saved in (partial, state, twice_measured):
        save(tmp_path / "runs" / "e", analyse(saved, plan.design, score_run(saved, plan.design)), [])
        assert [is_reported(tmp_path, each) for each in (partial, state, twice_measured)] == [
            each is saved for each in (partial, state, twice_measured)
        ]
    for torn in ("{", "[]", "{}"):
        results_path(tmp_path, "e").write_text(torn)
        assert not is_reported(tmp_path, twice_measured)
