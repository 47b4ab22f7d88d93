import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from posegen import __version__
from posegen.cli import main
from posegen.parameters import BatchParameters, check
from posegen.pipeline.plan import build_plan
from posegen.pipeline.run import start
from posegen.settings import load_settings

SMALL = ["-p", "width", "256", "-p", "height", "256", "-p", "poses", "standing_relaxed"]


@pytest.fixture(autouse=True)
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("STORAGE_LOCAL_PATH", str(tmp_path / "out"))
    return tmp_path / "out"


@pytest.fixture
def posegen(capsys: pytest.CaptureFixture[str]) -> Any:
    """Return a function that runs a command: exit code, stdout, stderr."""

    def run(*arguments: str) -> tuple[int, str, str]:
        try:
            main(arguments)
            code = 0
        except SystemExit as exc:
            code = int(exc.code or 0)
        return (code, *capsys.readouterr())

    return run


def test_version_and_help(posegen: Any) -> None:
    assert posegen("--version")[1].strip() == __version__
    code, text, _ = posegen("--help")
    assert code == 0
    assert all(name in text for name in ("demo", "run", "runs", "show", "poses", "doctor"))


def test_a_wrong_option_is_usage(posegen: Any) -> None:
    assert posegen("runs", "--jsn")[0] == 2
    assert posegen("rnus")[0] == 2


def test_poses_are_listed_searched_and_filtered(posegen: Any) -> None:
    rows = json.loads(posegen("poses", "--json")[1])
    assert {"id", "category", "difficulty", "tags", "description"} == set(rows[0])
    assert "walking_stride" in [row["id"] for row in rows]
    code, text, _ = posegen("poses", "--category", "walking")
    assert code == 0
    assert "walking_stride" in text
    assert "standing_relaxed" not in text
    found = json.loads(posegen("poses", "--search", "walking stride", "--json")[1])
    assert found[0]["id"] == "walking_stride"
    assert "no pose matches" in posegen("poses", "--search", "xylophone")[1]
    code, _, error = posegen("poses", "--category", "walkin")
    assert code == 2
    assert "did you mean 'walking'" in error


def test_without_runs_the_list_says_so(posegen: Any) -> None:
    assert "no runs yet" in posegen("runs")[1]
    assert json.loads(posegen("runs", "--json")[1]) == []


def test_a_run_is_listed_and_shown(posegen: Any, root: Path) -> None:
    values = {
        "poses": ["standing_relaxed"],
        "width": 256,
        "height": 256,
        "run_id": "r",
        "prompt": "[red]a[/red]",
    }
    plan = build_plan(check(BatchParameters, values))
    start(plan, load_settings()).wait(lambda _: None)
    rows = json.loads(posegen("runs", "--json")[1])
    assert [(row["run_id"], row["status"], row["made"]) for row in rows] == [("r", "finished", 1)]
    assert "finished" in posegen("runs")[1]
    assert "standing_relaxed" in posegen("show", "r")[1]
    facts = json.loads(posegen("show", "r", "--json")[1])
    assert facts["images"][0]["pose"] == "standing_relaxed"
    recipe = json.loads(posegen("show", "r", "--task", plan.tasks[0].task_id[:10])[1])
    assert recipe["recipe"]["task"]["user_prompt"] == "[red]a[/red]"
    assert posegen("show", "r", "--task", "zz")[0] == 2
    code, _, error = posegen("show", "q")
    assert code == 2
    assert "no run 'q'" in error


def test_a_dry_run_shows_the_plan_and_writes_nothing(posegen: Any, root: Path) -> None:
    code, text, _ = posegen("run", "batch_generation", *SMALL, "--dry-run", "--json")
    facts = json.loads(text)
    assert code == 0
    assert (facts["images"], facts["credits"]) == (1, 30)
    assert not root.exists()
    assert "credits" in posegen("run", "batch_generation", *SMALL, "--dry-run")[1]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["-p", "sead", "3"], "did you mean 'seed'"),
        (["-p", "seed", "many"], "'many'"),
        (["-p", "width", "1000"], "multiple of 16"),
        (["-p", "poses", "walkin_stride"], "did you mean"),
        (["-p", "categories", "walkin"], "did you mean 'walking'"),
        (["-p", "backend", "fluxx"], "unknown backend 'fluxx'"),
        (["-p", "exports", "tiktak"], "did you mean 'tiktok'"),
        (["-p", "poses", "[]"], "nothing is selected"),
        (["-p", "search", "xylophone"], "no pose matches"),
        (["-f", "missing.yaml"], "there is no file 'missing.yaml'"),
        (["-y", "- a"], "holds list"),
        (["-y", "a: [b"], "not YAML"),
        (["-p", "pose_library", "missing.json"], "missing.json"),
    ],
)
def test_bad_input_is_one_sentence_and_exit_code_2(
    posegen: Any, root: Path, arguments: list[str], words: str
) -> None:
    code, _, error = posegen("run", "batch_generation", *arguments)
    assert code == 2
    assert words in error
    assert error.startswith("error: ")
    assert "Traceback" not in error
    assert not root.exists()


def test_a_folder_that_cannot_be_written_is_exit_code_1(
    posegen: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("STORAGE_LOCAL_PATH", str(tmp_path / "file" / "out"))
    code, _, error = posegen("run", "batch_generation", *SMALL)
    assert code == 1
    assert "file" in error
    code, text, _ = posegen("doctor")
    assert code == 1
    assert "storage" in text


def test_the_doctor_names_what_it_found(posegen: Any) -> None:
    code, text, _ = posegen("doctor", "--json")
    rows = {row["what"]: row for row in json.loads(text)}
    assert code == 0
    assert rows["backend figure"]["good"] == "yes"
    assert {"posegen", "storage", "disk", "pose library", "Jupyter kernel"} <= set(rows)


def test_a_wrong_environment_variable_is_exit_code_2(posegen: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STORAGE_MODE", "floppy")
    code, _, error = posegen("runs")
    assert code == 2
    assert "STORAGE_MODE" in error


def test_a_closed_pipe_is_no_traceback() -> None:
    command = f"{sys.executable} -m posegen.cli poses --json | head -c 10"
    done = subprocess.run(
        ["bash", "-c", command], capture_output=True, text=True, env=dict(os.environ), check=False
    )
    assert "Traceback" not in done.stderr


def test_verbose_logs_are_json_lines(posegen: Any) -> None:
    assert posegen("-v", "runs")[0] == 0
