"""Reads and mends what papermill wrote of a notebook whose kernel, or whose papermill, was killed.

papermill 2.7 marks every cell of such a notebook as completed, also those never run, or leaves it as running
for ever. What is true is worked out from when each cell began; how far the run came is in its journal.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, MutableMapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from posegen.errors import StorageError
from posegen.journal import RunState
from posegen.storage import write_atomically

CUT_OFF = "CutOff"
"""Name of the error shown in the cell that was running."""


@dataclass(frozen=True)
class CellStatus:
    """What papermill says of a cell.

    Attributes
    ----------
    status : str
        "pending", "running", "completed" or "failed".
    started : bool
    """

    status: str
    started: bool
    exception: bool


@dataclass(frozen=True)
class ExecutedNotebook:
    """What an executed notebook says of itself.

    Attributes
    ----------
    cells : tuple of CellStatus
        Code and text cells, in order.
    exception : bool
        A cell raised, or the notebook was cut off.
    ended : bool
        papermill came to its end.
    """

    cells: tuple[CellStatus, ...]
    exception: bool
    ended: bool

    @property
    def cut_off(self) -> bool:
        """Whether it says more than is true: it never ended, or cells that never ran are completed."""
        if self.exception:
            return False
        return not self.ended or any(cell.status != "pending" and not cell.started for cell in self.cells)


def read_executed(path: Path) -> ExecutedNotebook | None:
    """Return what an executed notebook says of itself; None if papermill did not write it."""
    notebook = _load(path)
    return None if notebook is None else _facts(notebook)


def mark_cut_off(notebook: MutableMapping[str, Any], why: str) -> None:
    """Set right in place what a notebook says that did not come to its end.

    Cells that never ran are pending, the one that ran has failed and says why, the notebook has an exception.
    """
    started = [cell for cell in notebook["cells"] if _papermill(cell).get("start_time")]
    for cell in notebook["cells"]:
        if not _papermill(cell).get("start_time"):
            _papermill(cell).update(status="pending", exception=None)
    if started:
        last = started[-1]
        _papermill(last).update(status="failed", exception=True)
        if last["cell_type"] == "code":
            kept = [output for output in last.get("outputs", []) if output.get("ename") != CUT_OFF]
            last["outputs"] = [*kept, _error(why)]
    _papermill(notebook)["exception"] = True


def mend(path: Path, state: RunState | None, why: str) -> None:
    """Set right what a notebook on disk says that was cut off; the file is replaced whole, or left as it is.

    Parameters
    ----------
    path : Path
    state : RunState or None
        The run that the notebook was making, if it has begun.
    why : str
        What happened, in a sentence.

    Raises
    ------
    StorageError
        The file cannot be written.
    """
    notebook = _load(path)
    if notebook is None:
        return
    mark_cut_off(notebook, f"{why}. {_how_far(state)}" if state else why)
    if state is not None:
        notebook["metadata"]["posegen"] = {
            "run_id": state.run_id,
            "status": state.status,
            "planned": len(state.tasks),
            "made": state.made,
            "failed": state.failed,
            "cut_off": why,
        }
    text = json.dumps(notebook, ensure_ascii=False, indent=1, sort_keys=True) + "\n"
    write_atomically(path, text.encode())


def mend_notebooks(run_folder: Path, state: RunState) -> list[Path]:
    """Mend every notebook of a run that nobody makes any more; return those that needed it.

    Parameters
    ----------
    run_folder : Path
    state : RunState
        As the run stood when it was found.
    """
    mended = []
    for path in sorted((run_folder / "notebooks").glob("*.ipynb")):
        executed = read_executed(path)
        if executed is None or not executed.cut_off:
            continue
        try:
            mend(path, state, "the process that ran this notebook was killed")
        except StorageError:  # a view: the run is worth more than its notebook
            continue
        mended.append(path)
    return mended


def _load(path: Path) -> dict[str, Any] | None:
    """Return the notebook, if papermill wrote it."""
    try:
        notebook = json.loads(path.read_bytes())
        facts = notebook["metadata"]["papermill"]
        good = isinstance(facts, dict) and all(isinstance(_papermill(c), dict) for c in notebook["cells"])
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
    return notebook if good else None


def _facts(notebook: Mapping[str, Any]) -> ExecutedNotebook:
    papermill = _papermill(notebook)
    return ExecutedNotebook(
        tuple(_cells(notebook)), bool(papermill.get("exception")), papermill.get("end_time") is not None
    )


def _cells(notebook: Mapping[str, Any]) -> Iterator[CellStatus]:
    for cell in notebook["cells"]:
        facts = _papermill(cell)
        yield CellStatus(
            facts.get("status", "pending"), bool(facts.get("start_time")), bool(facts.get("exception"))
        )


def _papermill(part: Mapping[str, Any]) -> Any:
    return part["metadata"].setdefault("papermill", {})


def _how_far(state: RunState) -> str:
    done = f"run {state.run_id} has {state.made} of {len(state.tasks)} images"
    if state.status == "finished":
        return f"{done} and is finished"
    return f"{done}; `posegen resume {state.run_id}` goes on with it"


def _error(why: str) -> dict[str, Any]:
    return {"output_type": "error", "ename": CUT_OFF, "evalue": why, "traceback": [f"{CUT_OFF}: {why}"]}
