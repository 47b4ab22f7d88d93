from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import nbformat
import pytest

from posegen.errors import StorageError
from posegen.executed_notebook import mark_cut_off, mend, mend_notebooks, read_executed
from posegen.journal import RunState

THEN = "2026-03-01T12:00:00+00:00"
DONE, RUNS, NEVER = ("completed", THEN), ("running", THEN), ("pending", None)
LIED = ("completed", None)
"""What papermill says of a cell that never ran after its kernel was killed."""


def notebook(*cells: tuple[str, str | None], ended: bool = True, exception: bool | None = None) -> Any:
    made = nbformat.v4.new_notebook()
    made.metadata["papermill"] = {"end_time": THEN if ended else None, "exception": exception}
    for number, (status, start) in enumerate(cells):
        make = nbformat.v4.new_markdown_cell if number == 0 else nbformat.v4.new_code_cell
        facts = {"status": status, "start_time": start, "exception": False if start else None}
        made.cells.append(make(f"cell {number}", metadata={"papermill": facts}))
    return made


def saved(path: Path, made: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    nbformat.write(made, path)
    return path


def statuses(path: Path) -> list[str]:
    executed = read_executed(path)
    assert executed is not None
    return [cell.status for cell in executed.cells]


@pytest.mark.parametrize(
    ("made", "cut_off"),
    [
        (notebook(DONE, DONE, DONE), False),
        (notebook(DONE, DONE, ("failed", THEN), NEVER, exception=True), False),
        (notebook(DONE, DONE, LIED, LIED), True),
        (notebook(DONE, RUNS, NEVER, ended=False), True),
        (notebook(NEVER, NEVER, ended=False), True),
        (notebook(), False),
    ],
)
def test_what_claims_more_than_is_true_is_seen(made: Any, cut_off: bool, tmp_path: Path) -> None:
    executed = read_executed(saved(tmp_path / "n.ipynb", made))
    assert executed is not None
    assert executed.cut_off == cut_off


@pytest.mark.parametrize(
    "made", [notebook(DONE, DONE, LIED, LIED), notebook(DONE, RUNS, NEVER, NEVER, ended=False)]
)
def test_mended_it_says_which_cell_was_cut_off(made: Any, tmp_path: Path) -> None:
    path = saved(tmp_path / "n.ipynb", made)
    mend(path, RunState(run_id="r"), "the kernel was killed")
    assert statuses(path) == ["completed", "failed", "pending", "pending"]
    after = nbformat.read(path, as_version=4)
    nbformat.validate(after)
    (error,) = after.cells[1].outputs
    assert error.ename == "CutOff"
    assert error.evalue == (
        "the kernel was killed. run r has 0 of 0 images; `posegen resume r` goes on with it"
    )
    assert after.metadata.papermill.exception is True
    assert after.metadata.posegen.cut_off == "the kernel was killed"
    executed = read_executed(path)
    assert executed is not None
    assert executed.exception
    assert not executed.cut_off


def test_mending_again_changes_nothing(tmp_path: Path) -> None:
    path = saved(tmp_path / "n.ipynb", notebook(DONE, RUNS, NEVER, ended=False))
    mend(path, RunState(run_id="r"), "killed")
    once = path.read_bytes()
    mend(path, RunState(run_id="r"), "killed")
    assert path.read_bytes() == once


def test_without_a_run_it_says_why_alone(tmp_path: Path) -> None:
    path = saved(tmp_path / "n.ipynb", notebook(DONE, RUNS, ended=False))
    mend(path, None, "killed")
    after = nbformat.read(path, as_version=4)
    assert after.cells[1].outputs[0].evalue == "killed"
    assert "posegen" not in after.metadata


def test_cut_off_before_the_first_cell(tmp_path: Path) -> None:
    made = notebook(LIED, LIED)
    mark_cut_off(made, "no kernel")
    path = saved(tmp_path / "n.ipynb", made)
    assert statuses(path) == ["pending", "pending"]
    executed = read_executed(path)
    assert executed is not None
    assert executed.exception


NOT_PAPERMILLS = [
    "",
    "{",
    "[]",
    '{"cells": []}',
    '{"metadata": {"papermill": 3}, "cells": []}',
    '{"metadata": {"papermill": {}}, "cells": [3]}',
]


@pytest.mark.parametrize("text", NOT_PAPERMILLS)
def test_what_papermill_did_not_write_is_left_as_it_is(text: str, tmp_path: Path) -> None:
    path = tmp_path / "n.ipynb"
    path.write_text(text)
    assert read_executed(path) is None
    mend(path, None, "killed")
    assert path.read_text() == text
    assert read_executed(tmp_path / "none.ipynb") is None


def test_all_notebooks_of_a_run_are_mended_and_good_ones_left(tmp_path: Path) -> None:
    good = saved(tmp_path / "notebooks/0001.ipynb", notebook(DONE, DONE))
    bad = saved(tmp_path / "notebooks/0002.ipynb", notebook(DONE, RUNS, ended=False))
    before = good.read_bytes()
    assert mend_notebooks(tmp_path, RunState(run_id="r")) == [bad]
    assert mend_notebooks(tmp_path, RunState(run_id="r")) == []
    assert good.read_bytes() == before
    assert json.loads(bad.read_text())["metadata"]["papermill"]["exception"] is True


def test_one_that_cannot_be_written_stops_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    saved(tmp_path / "notebooks/0001.ipynb", notebook(DONE, RUNS, ended=False))

    def refuse(*_: Any) -> None:
        raise StorageError("read-only")

    monkeypatch.setattr("posegen.executed_notebook.write_atomically", refuse)
    assert mend_notebooks(tmp_path, RunState(run_id="r")) == []
