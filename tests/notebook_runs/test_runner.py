"""Exit codes of notebooks: from the journal, and from how the notebook ended."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Any

import pytest

from posegen.journal import RunState
from posegen.notebook_runs import engine, runner
from posegen.notebook_runs.engine import NotebookOutcome, interrupt_kernels
from posegen.notebook_runs.runner import _batch_exit_code
from posegen.pipeline.summary import RunSummary

HERE = Path("n.ipynb")


@pytest.mark.parametrize(
    ("error", "died", "code"),
    [
        (None, False, 0),
        ("ParameterError", False, 2),
        ("UnknownNameError", False, 2),
        ("ImagesFailedError", False, 3),
        ("RunInterruptedError", False, 5),
        ("KeyboardInterrupt", False, 5),
        ("RunOwnedError", False, 6),
        ("InsufficientCreditsError", False, 7),
        ("RecoveryFailedError", False, 1),
        ("ZeroDivisionError", False, 1),
        ("nearest_names", False, 1),
        ("DeadKernelError", True, 5),
    ],
)
def test_the_exit_code_of_a_notebook_without_images(error: str | None, died: bool, code: int) -> None:
    said: list[str] = []
    outcome = NotebookOutcome(HERE, error and f"{error}: why", error, kernel_died=died)
    assert runner._plain_exit_code(outcome, said.append) == code
    assert said == ([] if error is None else [f"the notebook ended with {error}: why; see n.ipynb"])


class Child:
    def __init__(self, *words: str) -> None:
        self.words = list(words)
        self.signals: list[int] = []

    def cmdline(self) -> list[str]:
        return self.words

    def send_signal(self, number: int) -> None:
        self.signals.append(number)


def family(monkeypatch: pytest.MonkeyPatch, *children: Child) -> None:
    class Parent:
        def __init__(self, _: int) -> None:
            pass

        def children(self) -> list[Child]:
            return list(children)

    monkeypatch.setattr(engine.psutil, "Process", Parent)


def test_only_kernels_are_interrupted(monkeypatch: pytest.MonkeyPatch) -> None:
    kernel = Child(
        "python", "-m", "ipykernel_launcher", "-f", "/tmp/x.json", "--HistoryManager.enabled=False"
    )
    other = Child("git", "commit", "-f", "x.txt")
    family(monkeypatch, kernel, other)
    interrupt_kernels()
    assert (kernel.signals, other.signals) == ([signal.SIGINT], [])


def test_without_a_kernel_the_interrupt_is_our_own(monkeypatch: pytest.MonkeyPatch) -> None:
    family(monkeypatch)
    with pytest.raises(KeyboardInterrupt):
        interrupt_kernels()


@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError("the kernel died before it replied")])
def test_a_signal_while_the_kernel_starts_is_an_interrupt(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, error: Any
) -> None:
    def starting(*_: Any, **__: Any) -> None:
        signal.raise_signal(signal.SIGTERM)
        raise error

    family(monkeypatch)
    monkeypatch.setattr(engine, "execute_notebook", starting)
    outcome = engine.execute(HERE, tmp_path / "o.ipynb", {})
    assert (outcome.error_name, outcome.kernel_died) == ("KeyboardInterrupt", False)


def test_other_errors_are_ours(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def broken(*_: Any, **__: Any) -> None:
        raise RuntimeError("no kernel")

    monkeypatch.setattr(engine, "execute_notebook", broken)
    with pytest.raises(RuntimeError, match="no kernel"):
        engine.execute(HERE, tmp_path / "o.ipynb", {})


@pytest.mark.parametrize(
    ("error", "code"),
    [
        ("StorageFullError", 1),
        ("JournalError", 1),
        ("ValueError", 1),
        ("RunOwnedError", 6),
        ("InsufficientCreditsError", 7),
        ("ParameterError", 2),
        ("RunInterruptedError", 5),
    ],
)
def test_an_unfinished_run_ends_with_the_code_of_what_broke_it(error: str, code: int, tmp_path: Path) -> None:
    summary = RunSummary(RunState(run_id="r"), tmp_path)
    outcome = NotebookOutcome(tmp_path / "n.ipynb", f"{error}: it broke", error)
    assert _batch_exit_code(summary, outcome, lambda _: None) == code
