import json
import logging
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from posegen import __version__
from posegen.cli import main
from posegen.errors import RunInterruptedError
from posegen.journal import RunLease, read_run
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
    names = (
        "demo",
        "run",
        "runs",
        "show",
        "stop",
        "resume",
        "recover",
        "export",
        "nightly",
        "credits",
        "poses",
        "doctor",
    )
    assert all(f"  {name} " in text for name in names)
    assert (
        "posegen"
        in subprocess.run(
            [sys.executable, "-m", "posegen.cli", "-h"], capture_output=True, text=True, check=True
        ).stdout
    )


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


def test_verbose_logs_are_json_lines(posegen: Any, root: Path) -> None:
    assert posegen("-v", "runs")[0] == 0
    interrupted(root)
    code, _, error = posegen("-v", "resume", "r")
    assert code == 0
    lines = [json.loads(line) for line in error.splitlines() if line.startswith("{")]
    assert {"attempt begins", "attempt ended: finished"} <= {line["message"] for line in lines}
    assert any(line["message"].startswith("flux.generate completed in ") for line in lines)


def test_logs_go_to_a_file_and_show_nothing_of_a_normal_run(posegen: Any, root: Path) -> None:
    assert posegen("runs")[0] == 0
    assert not (root / "logs").exists(), "a command that changes nothing writes nothing"
    interrupted(root)
    code, _, error = posegen("resume", "r")
    assert code == 0
    assert "worker" not in error
    assert "attempt" not in error
    lines = [json.loads(line) for line in (root / "logs/posegen.jsonl").read_text("utf-8").splitlines()]
    assert lines[-1]["message"] == "attempt ended: finished"
    assert logging.getLogger("posegen").level == logging.NOTSET, "whoever calls it has their loggers back"


def test_a_wrong_log_level_is_a_sentence(posegen: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("POSEGEN_LOG_LEVEL", "loud")
    code, _, error = posegen("runs")
    assert code == 2
    assert "POSEGEN_LOG_LEVEL" in error
    assert posegen("resume", "--help")[0] == 0


def interrupted(root: Path, run_id: str = "r") -> None:
    """Leave a run that was told to stop before its first image."""
    values = {
        "poses": ["standing_relaxed"],
        "images_per_pose": 2,
        "width": 256,
        "height": 256,
        "run_id": run_id,
    }
    run = start(build_plan(check(BatchParameters, values)), load_settings())
    run.stop("for the test")
    with pytest.raises(RunInterruptedError):
        run.wait(lambda _: None)


def test_a_run_that_nobody_drives_cannot_be_stopped(posegen: Any, root: Path) -> None:
    interrupted(root)
    assert "nothing to stop" in posegen("stop", "r")[1]
    assert not (root / "runs/r/stop").exists()
    code, _, error = posegen("stop", "q")
    assert (code, "no run 'q'" in error) == (2, True)


def test_one_that_is_driven_is_asked_to_stop(posegen: Any, root: Path) -> None:
    interrupted(root)
    with RunLease.acquire(root, "r"):
        assert "is asked to stop" in posegen("stop", "r")[1]
        assert (root / "runs/r/stop").exists()
        code, _, error = posegen("resume", "r")
    assert code == 6
    assert f"run r is owned by process {os.getpid()}" in error


def test_an_interrupted_run_is_gone_on_with(posegen: Any, root: Path) -> None:
    interrupted(root)
    made = read_run(root, "r").made
    code, out, err = posegen("resume", "r", "--json")
    facts = json.loads(out)
    assert code == 0
    assert (facts["made"], facts["kept"], facts["status"]) == (2 - made, made, "finished")
    assert "2/2 images" in err
    code, out, _ = posegen("resume", "r")
    assert code == 0
    assert "2 of 2 images made, 0 failed" in out
    assert posegen("resume", "q")[0] == 2


def test_recover_as_lines_and_as_json(posegen: Any, root: Path) -> None:
    assert posegen("recover") == (0, "0 runs looked at, 0 needed something\n", "")
    interrupted(root)
    code, out, _ = posegen("recover", "--dry-run")
    assert (code, out.splitlines()[0]) == (0, "r: resume: would: interrupted")
    code, out, _ = posegen("recover", "--json")
    assert (code, json.loads(out)[0]["result"]) == (0, "finished")
    code, out, _ = posegen("recover", "--delete-images", "r")
    assert "delete images" in out
    assert not list((root / "runs/r/images").iterdir())


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--every", "soon"], "'soon' is not a time such as 90s, 30m, 2h or 7d"),
        (["--delete-images", "q"], "no run 'q'"),
        (["--unknown", "perhaps"], "perhaps"),
    ],
)
def test_recover_refuses_what_is_wrong(posegen: Any, arguments: list[str], words: str) -> None:
    code, _, error = posegen("recover", *arguments)
    assert code == 2
    assert words in error


def test_recover_says_what_it_could_not_do(posegen: Any, root: Path) -> None:
    (root / "runs/broken/journal/0001.jsonl").mkdir(parents=True)
    code, out, _ = posegen("recover")
    assert code == 1
    assert out.startswith("broken: ask a person: it cannot be read")


def test_recover_every_goes_on_until_a_signal(root: Path) -> None:
    command = [sys.executable, "-m", "posegen.cli", "recover", "--every", "1h"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "0 runs looked at, 0 needed something\n"
        process.terminate()
        out, error = process.communicate(timeout=30)
    assert (process.returncode, out) == (0, "")
    assert "SIGTERM: stopping" in error


def test_credits_are_granted_once_and_add_up(posegen: Any) -> None:
    assert posegen("credits", "balance", "ann")[1] == "ann has 100000 credits\n"
    for _ in range(2):
        assert posegen("credits", "grant", "ann", "50", "--key", "k", "--note", "a gift")[0] == 0
    assert json.loads(posegen("credits", "balance", "ann", "--json")[1]) == {"user": "ann", "balance": 100050}
    rows = json.loads(posegen("credits", "history", "ann", "--json")[1])
    assert sum(row["amount"] for row in rows) == 100050
    assert "a gift" in posegen("credits", "history", "ann")[1]
    assert posegen("credits", "grant", "ann", "0")[0] == 2


def test_a_night_with_a_wrong_file_is_refused(posegen: Any, tmp_path: Path) -> None:
    assert posegen("nightly", "-f", str(tmp_path / "none.yaml"))[0] == 2
