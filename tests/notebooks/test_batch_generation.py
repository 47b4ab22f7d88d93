"""The batch notebook, executed: by `posegen run`, by plain papermill, and as a person's front end does."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import nbclient
import nbformat
import papermill
import pytest

from posegen.journal import read_run
from posegen.notebook_runs import notebooks_folder
from posegen.notebook_runs.engine import AtomicHandler

NOTEBOOK = notebooks_folder() / "02_batch_generation.ipynb"
VALUES: dict[str, Any] = {
    "poses": ["standing_relaxed", "walking_stride"], "views": [0, 35], "seed": 7, "width": 256, "height": 256,
}  # fmt: skip
YAML = "{poses: [standing_relaxed, walking_stride], views: [0, 35], width: 256, height: 256}"


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "posegen.cli", *arguments]


def hashes(root: Path, run_id: str) -> dict[str, str]:
    state = read_run(root, run_id)
    assert state.status == "finished"
    return {task_id: record.sha256 for task_id, record in state.records.items()}


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("outputs")


@pytest.fixture(scope="module")
def env(root: Path) -> dict[str, str]:
    return {**os.environ, "STORAGE_LOCAL_PATH": str(root)}


@pytest.fixture(scope="module")
def by_posegen(root: Path, env: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """Run the notebook strictly, once for all tests that look at it."""
    line = command("run", "batch_generation", "-y", YAML, "-p", "seed", "7", "-p", "run_id", "strict")
    return subprocess.run(line, capture_output=True, text=True, env=env, check=False)


def test_posegen_run_makes_the_images_and_names_where_they_are(
    by_posegen: subprocess.CompletedProcess[str], root: Path
) -> None:
    assert by_posegen.returncode == 0, by_posegen.stderr
    assert "4 of 4 images made" in by_posegen.stdout
    assert "4/4 images" in by_posegen.stdout
    assert by_posegen.stderr == ""
    assert len(hashes(root, "strict")) == 4
    assert (root / "runs/strict/contact_sheet.png").is_file()


def test_the_kernel_logs_to_the_workspace(by_posegen: subprocess.CompletedProcess[str], root: Path) -> None:
    assert by_posegen.returncode == 0, by_posegen.stderr
    lines = [json.loads(line) for line in (root / "logs/posegen.jsonl").read_text("utf-8").splitlines()]
    strict = [line for line in lines if line.get("run") == "strict"]
    assert [line["message"] for line in strict if "task" not in line][-2:] == [
        "attempt begins", "attempt ended: finished",
    ]  # fmt: skip
    assert len({line["task"] for line in strict if "task" in line}) == 4


def test_the_executed_notebook_shows_plan_progress_sheets_and_table(
    by_posegen: subprocess.CompletedProcess[str], root: Path
) -> None:
    notebook = nbformat.read(root / "runs/strict/notebooks/0001.ipynb", as_version=4)
    nbformat.validate(notebook)
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    assert not [output for output in outputs if output.output_type == "error"]
    pictures = [output for output in outputs if "image/jpeg" in output.get("data", {})]
    tables = [output for output in outputs if "<table>" in output.get("data", {}).get("text/html", "")]
    lines = "".join(output.text for output in outputs if output.output_type == "stream")
    assert (len(pictures), len(tables)) == (2, 2)
    assert "4/4 images" in lines
    assert "posegen-atomic" not in nbformat.writes(notebook)


def test_plain_papermill_makes_the_same_images(
    by_posegen: subprocess.CompletedProcess[str], root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STORAGE_LOCAL_PATH", str(root))
    values = {**VALUES, "run_id": "plain"}
    papermill.execute_notebook(str(NOTEBOOK), str(tmp_path / "o.ipynb"), values, progress_bar=False)
    assert hashes(root, "plain") == hashes(root, "strict")


def test_cells_run_by_hand_make_the_same_images(
    by_posegen: subprocess.CompletedProcess[str], root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STORAGE_LOCAL_PATH", str(root))
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    cell = next(cell for cell in notebook.cells if "parameters" in cell.metadata.get("tags", []))
    cell.source += "".join(f"\n{name} = {value!r}" for name, value in {**VALUES, "run_id": "hand"}.items())
    nbclient.NotebookClient(notebook, timeout=120).execute()
    assert hashes(root, "hand") == hashes(root, "strict")


@pytest.mark.parametrize("engine", [None, "posegen"])
def test_a_misspelt_parameter_is_refused_under_papermill_too(
    engine: str | None, root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STORAGE_LOCAL_PATH", str(root / "refused"))
    with pytest.raises(Exception, match="did you mean 'seed'"):
        papermill.execute_notebook(
            str(NOTEBOOK), str(tmp_path / "o.ipynb"), {"sead": 7}, progress_bar=False, engine_name=engine
        )
    assert not (root / "refused").exists()


def test_a_finished_run_starts_no_kernel(
    by_posegen: subprocess.CompletedProcess[str], root: Path, env: dict[str, str]
) -> None:
    line = command("run", "batch_generation", "-y", YAML, "-p", "seed", "7", "-p", "run_id", "strict")
    done = subprocess.run(line, capture_output=True, text=True, env=env, check=False)
    assert done.returncode == 0
    assert "nothing to make" in done.stdout
    assert len(list((root / "runs/strict/notebooks").iterdir())) == 1


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_stops_cleanly_and_the_run_goes_on_later(
    number: signal.Signals, root: Path, env: dict[str, str]
) -> None:
    run_id = f"stopped-{number.name}"
    line = command(
        "run", "batch_generation", "-y", YAML, "-p", "images_per_pose", "10", "-p", "run_id", run_id
    )
    with subprocess.Popen(
        line, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=env
    ) as process:
        assert process.stdout is not None
        for text in process.stdout:
            if "/40 images" in text:
                process.send_signal(number)
                break
        process.communicate()
    assert process.returncode == 5
    state = read_run(root, run_id)
    assert (state.status, state.attempts[0].interrupted) == ("interrupted", "asked to stop")
    assert 0 < state.made < 40
    notebook = nbformat.read(root / f"runs/{run_id}/notebooks/0001.ipynb", as_version=4)
    errors = [o.ename for c in notebook.cells for o in c.get("outputs", []) if o.output_type == "error"]
    assert errors == ["RunInterruptedError"]
    done = subprocess.run(line, capture_output=True, text=True, env=env, check=False)
    assert done.returncode == 0
    after = read_run(root, run_id)
    assert after.made == 40
    assert {k: r.sha256 for k, r in state.records.items()}.items() <= {
        k: r.sha256 for k, r in after.records.items()
    }.items()
    assert len(list((root / f"runs/{run_id}/notebooks").iterdir())) == 2


def test_an_atomic_write_replaces_the_whole_notebook(tmp_path: Path) -> None:
    handler, path = AtomicHandler(), tmp_path / "n.ipynb"
    handler.write('{"a": "posegen-atomic:///x"}', f"posegen-atomic://{path}")
    assert handler.read(f"posegen-atomic://{path}") == '{"a": "/x"}'
    assert handler.listdir(f"posegen-atomic://{tmp_path}") == [str(path)]
    assert handler.pretty_path(f"posegen-atomic://{path}") == str(path)
