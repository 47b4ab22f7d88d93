"""`posegen run`: check, plan, execute the notebook, and say how it ended."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

from posegen import errors
from posegen import parameters as schemas
from posegen.errors import ParameterError, PosegenError, RunNotFoundError, RunOwnedError
from posegen.executed_notebook import mend, mend_notebooks
from posegen.experiments.plan import ExperimentPlan, plan_experiment
from posegen.experiments.results import is_reported
from posegen.journal import ForeignWatch, RunState, owner_status, read_run
from posegen.notebook_runs.engine import NotebookOutcome, execute
from posegen.notebook_runs.given import GivenParameters, find_notebook
from posegen.parameters import SCHEMAS, AccuracyParameters, BatchParameters
from posegen.pipeline.attempt import check_backends
from posegen.pipeline.job import STOP_FILE
from posegen.pipeline.paying import check_credits, needed_for
from posegen.pipeline.plan import build_plan
from posegen.pipeline.run import check_run, new_run_id, run_folder
from posegen.pipeline.run_plan import RunPlan
from posegen.pipeline.summary import RunSummary
from posegen.settings import Settings, load_settings
from posegen.storage import check_writable
from posegen.storage.atomic import remove

Say = Callable[[str], None]


@dataclasses.dataclass(frozen=True)
class Prepared:
    """A notebook with checked parameters, before anything is written or spent.

    Attributes
    ----------
    plan : RunPlan or None
        None for a notebook that makes no images.
    """

    notebook: Path
    values: dict[str, Any]
    plan: RunPlan | None


def prepare(notebook: str, given: GivenParameters) -> Prepared:
    """Return the notebook and its checked parameters.

    Raises
    ------
    InputError
        An unknown notebook; a parameter that is unknown, of a wrong type or not allowed; an empty selection.
    """
    path = find_notebook(notebook)
    schema = SCHEMAS.get(path.stem)
    values = given.merged(schema)
    if schema is None:
        return Prepared(path, values, None)
    checked = schemas.check(schema, values)
    if isinstance(checked, BatchParameters):
        return Prepared(path, values, build_plan(checked))
    if isinstance(checked, AccuracyParameters):
        return Prepared(path, values, plan_experiment(checked))
    return Prepared(path, values, None)


def dry_run(notebook: str, given: GivenParameters) -> RunPlan:
    """Return the plan that the notebook would carry out; writes and spends nothing.

    Raises
    ------
    ParameterError
        The notebook makes no images.
    InputError
        As `prepare`.
    """
    prepared = prepare(notebook, given)
    if prepared.plan is None:
        raise ParameterError(
            "notebook", f"{prepared.notebook.stem} makes no images, so it has no plan to show"
        )
    check_run(prepared.plan, load_settings())
    return prepared.plan


def run_notebook(
    notebook: str, given: GivenParameters, *, kernel: str | None = None, say: Say = print
) -> tuple[int, RunSummary | None]:
    """Run a notebook strictly; return the exit code and, for a batch, how the run stands.

    Raises
    ------
    InputError, RunOwnedError, InsufficientCreditsError
        Before a kernel starts.
    StorageError
        The folder cannot be written.
    """
    prepared = prepare(notebook, given)
    settings = load_settings()
    if prepared.plan is None:
        output = settings.root / "notebooks" / f"{prepared.notebook.stem}-{new_run_id()}.ipynb"
        check_writable(settings.root)
        outcome = execute(prepared.notebook, output, prepared.values, kernel=kernel)
        return _plain_exit_code(outcome, say), None
    return _run_batch(prepared, prepared.plan, settings, kernel, say)


def _run_batch(
    prepared: Prepared, plan: RunPlan, settings: Settings, kernel: str | None, say: Say
) -> tuple[int, RunSummary]:
    state = check_run(plan, settings)
    run_id = plan.parameters.run_id or new_run_id()
    if state is not None and state.status == "finished" and not _lacks_its_report(plan, settings, state):
        say(f"run {run_id} is finished: nothing to make")
        summary = RunSummary(state, settings.root)
        return summary.exit_code, summary
    check_writable(settings.root)
    _check_free(settings, run_id)
    _check_means(settings, plan, state)
    folder = run_folder(settings.root, run_id)
    if state is not None:
        mend_notebooks(folder, state)
    remove(folder / STOP_FILE)
    say(f"run {run_id}: {len(plan.tasks)} images into {folder}")
    output = next_notebook(folder)
    outcome = execute(
        prepared.notebook, output, {**prepared.values, "run_id": run_id}, kernel=kernel, run_folder=folder
    )
    summary = RunSummary(_state_now(settings, run_id), settings.root)
    if outcome.kernel_died:
        mend(outcome.path, summary.state, outcome.error or "")
    return _batch_exit_code(summary, outcome, say), summary


def _lacks_its_report(plan: RunPlan, settings: Settings, state: RunState) -> bool:
    """Return whether a finished run is an experiment without results, or with those of a part of it.

    `posegen resume` ends a run without a report, and leaves one that was saved while it was cut off.
    """
    return isinstance(plan, ExperimentPlan) and not is_reported(settings.root, state)


def _state_now(settings: Settings, run_id: str) -> RunState:
    """Return how a run stands; one that never began is empty."""
    try:
        return read_run(settings.root, run_id)
    except RunNotFoundError:
        return RunState(run_id=run_id)


def _check_free(settings: Settings, run_id: str) -> None:
    """Refuse a run that another process drives, before a kernel starts for nothing; the kernel asks again.

    Raises
    ------
    RunOwnedError
    """
    status = owner_status(settings.root, run_id)
    if status.state not in ("ours-alive", "foreign"):
        return
    quiet_s = stall_after_s = None
    if status.state == "foreign":
        quiet_s, stall_after_s = ForeignWatch(settings.root).quiet_s(run_id), settings.stall_after_s
        if quiet_s >= stall_after_s:
            return
    raise RunOwnedError(
        run_id,
        pid=status.owner.pid if status.owner else None,
        host=status.owner.host if status.owner else "",
        since=status.since,
        quiet_s=quiet_s,
        stall_after_s=stall_after_s,
    )


def _check_means(settings: Settings, plan: RunPlan, state: RunState | None) -> None:
    """Refuse a run that could not be made or paid, before a kernel starts; the hold is taken by the run.

    Raises
    ------
    BackendUnavailableError, InsufficientCreditsError, UserLimitError
    """
    if state is None or state.spec_hash is None:
        check_backends(plan.tasks, settings)
        check_credits(settings, plan.parameters.user, len(plan.tasks))
        return
    check_backends(state.pending, settings)
    if needed_for(settings, state):
        check_credits(settings, state.user or "", len(state.pending), state.run_id)


def next_notebook(folder: Path) -> Path:
    """Return the path of the next attempt's executed notebook; no earlier one is overwritten."""
    taken = [int(path.stem) for path in (folder / "notebooks").glob("*.ipynb") if path.stem.isdigit()]
    return folder / "notebooks" / f"{max(taken, default=0) + 1:04d}.ipynb"


def _batch_exit_code(summary: RunSummary, outcome: NotebookOutcome, say: Say) -> int:
    """Return the journal's exit code, or that of the error that broke the notebook: 1 for a full disk."""
    expected = {"ImagesFailedError", "RunInterruptedError", "KeyboardInterrupt"}
    if outcome.error is None or outcome.error_name in expected:
        return summary.exit_code
    say(f"the notebook ended with {outcome.error}; see {outcome.path}")
    if outcome.kernel_died and summary.state.status != "finished":
        return 5
    return _exit_code_of(outcome.error_name or "")


def _plain_exit_code(outcome: NotebookOutcome, say: Say) -> int:
    if outcome.error is None:
        return 0
    say(f"the notebook ended with {outcome.error}; see {outcome.path}")
    return 5 if outcome.kernel_died else _exit_code_of(outcome.error_name or "")


def _exit_code_of(error_name: str) -> int:
    """Return the exit code of an error that a notebook ended with, known by its class's name."""
    if error_name == "KeyboardInterrupt":
        return 5
    error = getattr(errors, error_name, None)
    return error.exit_code if isinstance(error, type) and issubclass(error, PosegenError) else 1
