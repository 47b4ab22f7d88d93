"""Commands that execute notebooks: demo, run, nightly."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import click

from posegen.cli.app import app, json_option
from posegen.cli.output import command, print_facts, print_json, print_outcome, say, say_on_stderr

C = TypeVar("C", bound=Callable[..., Any])


def parameter_options(command: C) -> C:
    """Add papermill's options for parameters to a command."""
    for option in (
        click.option("-r", "--parameters_raw", "raw", nargs=2, multiple=True, help="A parameter, as text."),
        click.option(
            "-p", "--parameters", "values", nargs=2, multiple=True, metavar="NAME VALUE",
            help="A parameter; numbers, booleans and lists are read as such.",
        ),
        click.option("-y", "--parameters_yaml", "texts", multiple=True, help="Parameters as YAML text."),
        click.option(
            "-f", "--parameters_file", "files", multiple=True, type=click.Path(path_type=Path),
            help="A YAML file of parameters.",
        ),
    ):  # fmt: skip
        command = option(command)
    return command


@app.command()
def demo() -> None:
    """Run the main job on the embedded renderer: free, offline, in well under a minute."""
    from posegen.notebook_runs import GivenParameters, parameters_folder, run_notebook

    given = GivenParameters(files=[parameters_folder() / "demo.yaml"])
    code, summary = run_notebook("batch_generation", given, say=say)
    if summary is not None:
        print_outcome(summary)
        say("\nNext: `make lab` opens the notebook to change by hand, or choose poses of your own:")
        say(f"  {command()} poses --category yoga")
        say(f"  {command()} run batch_generation -p categories yoga -p seed 7")
    sys.exit(code)


@app.command()
@click.argument("notebook")
@parameter_options
@click.option("-k", "--kernel", help="Jupyter kernel to run in.")
@click.option("--dry-run", "only_plan", is_flag=True, help="Show the plan; make and spend nothing.")
@json_option
def run(
    notebook: str,
    files: Sequence[Path],
    values: Sequence[tuple[str, str]],
    raw: Sequence[tuple[str, str]],
    texts: Sequence[str],
    kernel: str | None,
    only_plan: bool,
    as_json: bool,
) -> None:
    """Run NOTEBOOK, strictly: wrong parameters are refused before a kernel starts.

    NOTEBOOK is a name such as batch_generation or 02_batch_generation, or a path.

    Exit codes: 0 all made, 1 a fault of ours, 2 bad parameters, 3 some images failed, 4 none made, 5
    interrupted and resumable, 6 another process owns the run, 7 not enough credits.
    """
    from posegen.notebook_runs import GivenParameters, dry_run, run_notebook

    given = GivenParameters(files, texts, values, raw)
    if only_plan:
        print_facts(dry_run(notebook, given).facts(), as_json)
        return
    code, summary = run_notebook(notebook, given, kernel=kernel, say=say_on_stderr if as_json else say)
    if summary is not None and as_json:
        print_json(summary.facts())
    elif summary is not None:
        print_outcome(summary)
    sys.exit(code)


@app.command()
@click.option(
    "-f", "--parameters_file", "file", type=click.Path(path_type=Path), help="By default nightly.yaml."
)
def nightly(file: Path | None) -> None:
    """Recovery, the batch, a report: for a scheduler. One line a step, exit codes as of `posegen run`."""
    from posegen.nightly import run_nightly
    from posegen.notebook_runs import parameters_folder

    sys.exit(run_nightly(file or parameters_folder() / "nightly.yaml", say=say))
