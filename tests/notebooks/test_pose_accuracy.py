"""The accuracy notebook, executed: by `posegen run`, by plain papermill, cut off and gone on with."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import nbformat
import papermill
import pytest

from posegen.errors import RunInterruptedError
from posegen.experiments.experiment import open_experiment
from posegen.experiments.plan import plan_experiment
from posegen.experiments.results import read_results, to_json
from posegen.journal import read_run
from posegen.notebook_runs import notebooks_folder, parameters_folder
from posegen.parameters import AccuracyParameters
from posegen.pipeline.run import resume, start
from posegen.settings import Settings

pytest.importorskip("mediapipe", reason="experiments need the estimator")
pytestmark = pytest.mark.notebook

NOTEBOOK = notebooks_folder() / "03_pose_accuracy.ipynb"
VALUES: dict[str, Any] = {
    "poses": ["standing_relaxed", "walking_stride", "waving_hello", "yoga_warrior_two"], "width": 256,
    "height": 256, "arms": ["none", "control~20", "control~3", "shuffled", "direct"],
}  # fmt: skip


def posegen(*arguments: str, root: Path) -> subprocess.CompletedProcess[str]:
    env = {**os.environ, "STORAGE_LOCAL_PATH": str(root)}
    command = [sys.executable, "-m", "posegen.cli", *arguments]
    return subprocess.run(command, capture_output=True, text=True, env=env, check=False, timeout=170)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("outputs")


@pytest.fixture(scope="module")
def by_posegen(root: Path) -> subprocess.CompletedProcess[str]:
    """Run the notebook strictly, once for all tests that look at it."""
    return posegen("run", "pose_accuracy", "-y", json.dumps(VALUES), "-p", "run_id", "strict", root=root)


def test_posegen_run_makes_measures_and_keeps(
    by_posegen: subprocess.CompletedProcess[str], root: Path
) -> None:
    assert by_posegen.returncode == 0, by_posegen.stdout + by_posegen.stderr
    assert "16 of 16 images made" in by_posegen.stdout
    state = read_run(root, "strict")
    assert (state.status, len(state.measurements)) == ("finished", 16)
    (found,) = read_results(root)
    assert (found["run_id"], found["synthetic"], found["agreement"]["order_is_right"]) == (
        "strict",
        True,
        True,
    )
    effects = {row["arm"]: row for row in found["effects"] if row["measure"] == "oks"}
    assert effects["direct"]["mean"] > effects["control~3"]["mean"] > effects["control~20"]["mean"]
    assert (effects["direct"]["pairs"], effects["direct"]["low"] > 0) == (4, True)


def test_the_executed_notebook_is_the_report(
    by_posegen: subprocess.CompletedProcess[str], root: Path
) -> None:
    notebook = nbformat.read(root / "runs/strict/notebooks/0001.ipynb", as_version=4)
    nbformat.validate(notebook)
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    assert not [output for output in outputs if output.output_type == "error"]
    pages = [output.data["text/html"] for output in outputs if "text/html" in output.get("data", {})]
    figures = [output for output in outputs if "image/png" in output.get("data", {})]
    assert (len(pages), len(figures)) == (12, 5)
    text = "".join(pages)
    for said in (
        "Synthetic: ",
        "Circular: ",
        "4 poses: with fewer than 30",
        "measured / true",
        "HumanSD",
        "PCK@0.1",
    ):
        assert said in text
    assert "20-25 % better pose accuracy" in text
    assert sum("image/jpeg" in output.get("data", {}) for output in outputs) == 1


def test_a_finished_experiment_starts_no_kernel(
    by_posegen: subprocess.CompletedProcess[str], root: Path
) -> None:
    again = posegen("run", "pose_accuracy", "-y", json.dumps(VALUES), "-p", "run_id", "strict", root=root)
    assert again.returncode == 0
    assert "nothing to make" in again.stdout
    other = posegen("run", "pose_accuracy", "-p", "run_id", "strict", "-p", "seed", "9", root=root)
    assert other.returncode == 2
    assert "seed: it has 0, now 9" in other.stderr


def test_other_commands_know_it_as_a_run(by_posegen: subprocess.CompletedProcess[str], root: Path) -> None:
    shown = posegen("show", "strict", root=root)
    assert (shown.returncode, "joint" in posegen("runs", root=root).stderr) == (0, False)
    assert "waving_hello" in shown.stdout


def test_plain_papermill_comes_to_the_same(
    by_posegen: subprocess.CompletedProcess[str], root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STORAGE_LOCAL_PATH", str(tmp_path))
    values = {**VALUES, "run_id": "plain"}
    papermill.execute_notebook(str(NOTEBOOK), str(tmp_path / "o.ipynb"), values, progress_bar=False)
    ((plain,), strict) = read_results(tmp_path), read_results(root)[-1]
    for name in ("levels", "effects", "strata", "joints", "attenuation", "dose_curve"):
        assert plain[name] == strict[name]


def test_a_cut_off_experiment_is_gone_on_with_and_comes_to_the_same(
    by_posegen: subprocess.CompletedProcess[str], root: Path, tmp_path: Path
) -> None:
    settings = Settings(root=tmp_path, cpu_threads=2)
    run = start(plan_experiment(AccuracyParameters(**VALUES, run_id="cut", concurrency=1)), settings)
    with pytest.raises(RunInterruptedError):
        run.wait(lambda _: run.stop() if len(run.state().measurements) >= 4 else None)
    early = open_experiment("cut", settings)
    assert 4 <= sum(score.status == "scored" for score in early.scores if score.arm != "shuffled") < 16
    assert any("the run is interrupted" in text for text in early.results.warnings)
    early.save()
    resume("cut", settings).wait(lambda _: None)
    late = open_experiment("cut", settings).results
    strict = open_experiment("strict", Settings(root=root)).results
    one, other = (json.loads(to_json(results)) for results in (late, strict))
    assert (one["levels"], one["effects"]) == (other["levels"], other["effects"])
    assert [found["status"] for found in read_results(tmp_path)] == ["interrupted"]
    reported = posegen("run", "pose_accuracy", "-y", json.dumps(VALUES), "-p", "run_id", "cut", root=tmp_path)
    assert reported.returncode == 0, reported.stdout + reported.stderr
    (saved,) = read_results(tmp_path)
    assert (saved["run_id"], saved["status"], saved["effects"]) == ("cut", "finished", one["effects"])
    again = posegen("run", "pose_accuracy", "-y", json.dumps(VALUES), "-p", "run_id", "cut", root=tmp_path)
    assert "nothing to make" in again.stdout


def test_the_dry_run_shows_the_plan_and_writes_nothing(tmp_path: Path) -> None:
    path = parameters_folder() / "pose_accuracy.yaml"
    shown = posegen("run", "pose_accuracy", "-f", str(path), "--dry-run", "--json", root=tmp_path / "no")
    facts = json.loads(shown.stdout)
    assert facts["arms"][-1] == "direct"
    assert facts["poses"] >= 30
    assert facts["images"] == 6 * facts["poses"]
    assert not (tmp_path / "no").exists()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("arms: [none, contrl]", "'contrl' is not an arm"),
        ("arm: [none]", "did you mean 'arms'"),
        ("arms: [control, direct]", "same images"),
    ],
)
def test_wrong_parameters_are_refused_before_a_kernel_starts(text: str, said: str, tmp_path: Path) -> None:
    refused = posegen("run", "pose_accuracy", "-y", f"{{{text}}}", root=tmp_path / "no")
    assert refused.returncode == 2
    assert said in refused.stderr
    assert not (tmp_path / "no").exists()
