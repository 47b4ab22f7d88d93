"""The `posegen` command. Each command imports what it needs, so that `posegen --help` is quick."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from posegen import __version__
from posegen.errors import PosegenError

if TYPE_CHECKING:
    from posegen.pipeline.summary import RunSummary

app = typer.Typer(
    name="posegen",
    help="Batches of pictures of people in chosen poses, and how well they came out.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,  # a rich traceback may show local variables, and so secrets
    add_completion=False,
)
SHOWN = ("pose", "view", "seed", "status", "conditioning", "seconds", "kilobytes", "failure")
"""Columns of `posegen show`."""

out = Console(highlight=False)
err = Console(stderr=True, highlight=False)

Json = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]
NameValues = Annotated[
    list[tuple[str, str]] | None,
    typer.Option(
        "-p", "--parameters", metavar="NAME VALUE", help="A parameter; numbers, lists and booleans are read."
    ),
]
RawValues = Annotated[
    list[tuple[str, str]] | None,
    typer.Option("-r", "--parameters_raw", metavar="NAME VALUE", help="A parameter, as text."),
]
YamlTexts = Annotated[
    list[str] | None, typer.Option("-y", "--parameters_yaml", metavar="YAML", help="Parameters as YAML text.")
]
Files = Annotated[
    list[Path] | None,
    typer.Option("-f", "--parameters_file", metavar="FILE", help="A YAML file of parameters."),
]


@app.callback(invoke_without_command=True)
def root(
    version: Annotated[bool, typer.Option("--version", help="Print the version.", is_eager=True)] = False,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Structured logs on stderr.")] = False,
) -> None:
    """Batches of pictures of people in chosen poses, and how well they came out."""
    if version:
        out.print(__version__)
        raise typer.Exit
    if verbose:
        from posegen.telemetry import JsonFormatter

        handler = logging.StreamHandler()
        handler.setFormatter(JsonFormatter())
        logging.getLogger("posegen").addHandler(handler)
        logging.getLogger("posegen").setLevel(logging.DEBUG)


@app.command()
def demo() -> None:
    """Run the main job on the embedded renderer: free, offline, in well under a minute."""
    from posegen.notebook_runs import GivenParameters, notebooks_folder, run_notebook

    demo_file = notebooks_folder().parent / "parameters" / "demo.yaml"
    code, summary = run_notebook("batch_generation", GivenParameters(files=[demo_file]), say=_say)
    if summary is not None:
        _print_outcome(summary)
        _say("\nNext: `make lab` to change the notebook by hand, or pick poses of your own:")
        _say("  posegen poses --category yoga")
        _say("  posegen run batch_generation -p categories yoga -p seed 7")
    raise typer.Exit(code)


@app.command()
def run(
    notebook: Annotated[str, typer.Argument(help="batch_generation, 02_batch_generation or a path.")],
    files: Files = None,
    values: NameValues = None,
    raw: RawValues = None,
    texts: YamlTexts = None,
    kernel: Annotated[str | None, typer.Option("-k", "--kernel", help="Jupyter kernel to run in.")] = None,
    only_plan: Annotated[
        bool, typer.Option("--dry-run", help="Show the plan; make and spend nothing.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Run a notebook, strictly: wrong parameters are refused before a kernel starts.

    Exit codes: 0 all made, 1 a fault of ours, 2 bad parameters, 3 some images failed, 4 none made, 5
    interrupted and resumable.
    """
    from posegen.notebook_runs import GivenParameters, dry_run, run_notebook

    given = GivenParameters(files or [], texts or [], values or [], raw or [])
    if only_plan:
        plan = dry_run(notebook, given)
        _print_facts(plan.facts(), as_json)
        return
    code, summary = run_notebook(notebook, given, kernel=kernel, say=(lambda _: None) if as_json else _say)
    if summary is not None:
        if as_json:
            _print_json(summary.facts())
        else:
            _print_outcome(summary)
    raise typer.Exit(code)


@app.command()
def show(
    run_id: Annotated[str, typer.Argument(metavar="RUN", help="A run id; `posegen runs` lists them.")],
    task: Annotated[
        str | None, typer.Option("--task", help="One image by its task id, or its first digits.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Show one run, or with --task the whole recipe of one image."""
    from posegen.pipeline.run import open_run

    summary = open_run(run_id)
    if task is not None:
        _print_json(summary.task_facts(task))
        return
    if as_json:
        _print_json({**summary.facts(), "images": summary.rows()})
        return
    _print_facts(summary.facts(), as_json=False)
    rows = [{"task": row["task_id"][:12], **{name: row[name] for name in SHOWN}} for row in summary.rows()]
    _print_rows(rows, as_json=False, empty="no image tasks")


@app.command()
def doctor(as_json: Json = False) -> None:
    """Say what is configured and what is missing; never a key's value."""
    from posegen.doctor import checks

    found = checks()
    _print_rows([check.row() for check in found], as_json, empty="")
    if not all(check.good for check in found if check.needed):
        raise typer.Exit(1)


@app.command()
def runs(as_json: Json = False) -> None:
    """List the runs, newest first."""
    from posegen.journal import list_runs
    from posegen.settings import load_settings

    rows = [summary.row() for summary in list_runs(load_settings().root)]
    _print_rows(rows, as_json, empty="no runs yet; `posegen demo` makes one")


@app.command()
def poses(
    category: Annotated[str | None, typer.Option("--category", "-c", help="Only this category.")] = None,
    search: Annotated[
        str | None, typer.Option("--search", "-s", help="Words to search for, best match first.")
    ] = None,
    as_json: Json = False,
) -> None:
    """List the pose library."""
    from posegen.poses.library import PoseLibrary

    library = PoseLibrary.builtin()
    found = library.search(search) if search else list(library)
    if category:
        wanted = {pose.id for pose in library.category(category)}
        found = [pose for pose in found if pose.id in wanted]
    rows = [
        {
            "id": pose.id,
            "category": pose.category,
            "difficulty": pose.difficulty,
            "tags": list(pose.tags),
            "description": pose.description,
        }
        for pose in found
    ]
    _print_rows(rows, as_json, empty="no pose matches")


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def _print_outcome(summary: RunSummary) -> None:
    """Name what a run made and where it is."""
    facts = summary.facts()
    _say(f"\n{facts['made']} of {facts['planned']} images made, {facts['failed']} failed")
    if summary.contact_sheet_path.exists():
        _say(f"contact sheet  {summary.contact_sheet_path}")
    notebooks = sorted((summary.folder / "notebooks").glob("*.ipynb"))
    if notebooks:
        _say(f"notebook       {notebooks[-1]}")
    _say(f"images         {summary.folder / 'images'}")
    _say(f"look closer    posegen show {facts['run_id']}")


def _print_json(value: Any) -> None:
    sys.stdout.write(json.dumps(value, ensure_ascii=False, indent=2) + "\n")


def _print_facts(facts: dict[str, Any], as_json: bool) -> None:
    """Print a mapping as JSON, or as a line for each entry."""
    if as_json:
        _print_json(facts)
        return
    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_column(style="bold")
    table.add_column(overflow="fold")
    for name, value in facts.items():
        table.add_row(name.replace("_", " "), _cell(value))
    out.print(table)


def _print_rows(rows: Sequence[dict[str, Any]], as_json: bool, *, empty: str) -> None:
    """Print rows as JSON, or as a table with a column for each key."""
    if as_json:
        _print_json(rows)
        return
    if not rows:
        out.print(empty)
        return
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in rows[0]:
        numeric = all(isinstance(row[name], int | float) for row in rows)
        table.add_column(name.replace("_", " "), justify="right" if numeric else "left", overflow="fold")
    for row in rows:
        table.add_row(*(_cell(value) for value in row.values()))
    out.print(table)


def _cell(value: Any) -> Any:
    from rich.text import Text  # Text, so that brackets in a prompt are not read as markup

    if value is None:
        return Text("-")
    return Text(", ".join(map(str, value)) if isinstance(value, list) else str(value))


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command; a `PosegenError` becomes a sentence on stderr and its exit code."""
    try:
        app(args=list(arguments) if arguments is not None else None)
    except PosegenError as exc:
        from rich.text import Text

        err.print(Text(f"error: {exc}", style="bold red"), soft_wrap=True)
        sys.exit(exc.exit_code)


if __name__ == "__main__":
    main()
