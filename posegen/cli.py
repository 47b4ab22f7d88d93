"""The `posegen` command. Each command imports what it needs, so that `posegen --help` is quick."""

from __future__ import annotations

import json
import logging
import os
import secrets
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from posegen import __version__
from posegen.errors import PosegenError

if TYPE_CHECKING:
    from posegen.credits import Accounts
    from posegen.pipeline.obtain import UnknownPolicy
    from posegen.pipeline.summary import RunSummary

C = TypeVar("C", bound=Callable[..., Any])

json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table.")


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


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, message="%(version)s")
@click.option("-v", "--verbose", is_flag=True, help="Structured logs on stderr.")
def app(verbose: bool) -> None:
    """Batches of pictures of people in chosen poses, and how well they came out."""
    if verbose:
        from posegen.telemetry import JsonFormatter

        handler = logging.StreamHandler()
        handler.setFormatter(JsonFormatter())
        logging.getLogger("posegen").addHandler(handler)
        logging.getLogger("posegen").setLevel(logging.DEBUG)


@app.command()
def demo() -> None:
    """Run the main job on the embedded renderer: free, offline, in well under a minute."""
    from posegen.notebook_runs import GivenParameters, parameters_folder, run_notebook

    given = GivenParameters(files=[parameters_folder() / "demo.yaml"])
    code, summary = run_notebook("batch_generation", given, say=_say)
    if summary is not None:
        _print_outcome(summary)
        _say("\nNext: `make lab` opens the notebook to change by hand, or choose poses of your own:")
        _say("  posegen poses --category yoga")
        _say("  posegen run batch_generation -p categories yoga -p seed 7")
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
    interrupted and resumable.
    """
    from posegen.notebook_runs import GivenParameters, dry_run, run_notebook

    given = GivenParameters(files, texts, values, raw)
    if only_plan:
        _print_facts(dry_run(notebook, given).facts(), as_json)
        return
    code, summary = run_notebook(notebook, given, kernel=kernel, say=_say_on_stderr if as_json else _say)
    if summary is not None and as_json:
        _print_json(summary.facts())
    elif summary is not None:
        _print_outcome(summary)
    sys.exit(code)


@app.command()
@json_option
def runs(as_json: bool) -> None:
    """List the runs, newest first."""
    from posegen.journal import list_runs
    from posegen.settings import load_settings

    rows = [summary.row() for summary in list_runs(load_settings().root)]
    _print_rows(rows, as_json, empty="no runs yet; `posegen demo` makes one")


@app.command()
@click.argument("run_id", metavar="RUN")
@click.option("--task", help="One image by its task id, or by its first digits.")
@json_option
def show(run_id: str, task: str | None, as_json: bool) -> None:
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
    columns = summary.columns
    rows = [{"task": row["task_id"][:12], **{name: row[name] for name in columns}} for row in summary.rows()]
    _print_rows(rows, as_json=False, empty="no image tasks")


@app.command()
@click.argument("run_id", metavar="RUN")
def stop(run_id: str) -> None:
    """Ask the process that drives RUN to stop cleanly; the run can be resumed."""
    from posegen.journal import owner_status, read_run
    from posegen.pipeline.engine import request_stop
    from posegen.pipeline.run import run_folder
    from posegen.settings import load_settings

    root = load_settings().root
    read_run(root, run_id)
    owner = owner_status(root, run_id)
    if owner.state not in ("ours-alive", "foreign"):
        _say(f"nobody drives run {run_id}: there is nothing to stop")
        return
    request_stop(run_folder(root, run_id))
    _say(f"run {run_id} is asked to stop; `posegen resume {run_id}` goes on with it")


UNKNOWN = click.option(
    "--unknown",
    type=click.Choice(["retry", "ask", "fail"]),
    help="What to do with images that a provider may have made and that cannot be asked for.",
)


@app.command()
@click.argument("run_id", metavar="RUN")
@UNKNOWN
@click.option("--concurrency", default=4, show_default=True, type=click.IntRange(1, 64))
@json_option
def resume(run_id: str, unknown: UnknownPolicy | None, concurrency: int, as_json: bool) -> None:
    """Go on with RUN by its own plan: only what is missing is made."""
    from posegen.pipeline.run import resume as resume_run

    attempt = resume_run(run_id, unknown=unknown, concurrency=concurrency)
    summary = attempt.wait_stoppable()
    if as_json:
        _print_json({**summary.facts(), **attempt.counts()})
    else:
        _say(", ".join(f"{count} {what}" for what, count in attempt.counts().items()))
        _print_outcome(summary)
    sys.exit(summary.exit_code)


@app.command()
@click.option(
    "--every", metavar="TIME", help="Go on until stopped, looking again after each TIME, such as 30m."
)
@click.option("--dry-run", is_flag=True, help="Only say what would be done.")
@UNKNOWN
@click.option(
    "--delete-images", "delete", multiple=True, metavar="RUN", help="Delete the images of a finished RUN."
)
@json_option
def recover(
    every: str | None, dry_run: bool, unknown: UnknownPolicy | None, delete: Sequence[str], as_json: bool
) -> None:
    """Go on with broken runs, close those that cannot be gone on with, clean up after old ones."""
    from posegen.parameters import RecoveryParameters, check, read_duration
    from posegen.recovery import recover as recover_runs
    from posegen.recovery import repeat

    given = {"dry_run": dry_run, "unknown": unknown, "delete_images_of": list(delete)}
    parameters = check(RecoveryParameters, given)
    period_s = read_duration(every) if every is not None else None
    for report in repeat(lambda: recover_runs(parameters), period_s):
        if as_json:
            _print_json([row.row() for row in report.rows])
        else:
            for line in report.lines():
                _say(line)


@app.command()
@click.option(
    "-f", "--parameters_file", "file", type=click.Path(path_type=Path), help="By default nightly.yaml."
)
def nightly(file: Path | None) -> None:
    """Recovery, then the batch: for a scheduler. One line a step, exit codes as of `posegen run`."""
    from posegen.nightly import run_nightly
    from posegen.notebook_runs import parameters_folder

    sys.exit(run_nightly(file or parameters_folder() / "nightly.yaml", say=_say))


@app.group()
def credits() -> None:  # noqa: A001  (the command's name)
    """Accounts: balance, grants, history."""


@credits.command()
@click.argument("user")
@json_option
def balance(user: str, as_json: bool) -> None:
    """Print the credits that USER can spend."""
    amount = _accounts().balance(user)
    _print_json({"user": user, "balance": amount}) if as_json else _say(f"{user} has {amount} credits")


@credits.command()
@click.argument("user")
@click.argument("amount", type=click.IntRange(min=1))
@click.option("--key", help="A word that makes a repeated call do nothing more.")
@click.option("--note", default="", help="Kept with the entry.")
def grant(user: str, amount: int, key: str | None, note: str) -> None:
    """Give USER AMOUNT credits."""
    accounts = _accounts()
    accounts.grant(user, amount, key=key or f"grant:{secrets.token_hex(8)}", note=note)
    _say(f"{user} has {accounts.balance(user)} credits")


@credits.command()
@click.argument("user")
@json_option
def history(user: str, as_json: bool) -> None:
    """List USER's entries; their amounts add up to the balance."""
    shown = ("at", "kind", "amount", "run_id", "task_id", "charged", "note")
    rows = [{name: getattr(entry, name) for name in shown} for entry in _accounts().history(user)]
    _print_rows(rows, as_json, empty="no entries")


def _accounts() -> Accounts:
    from posegen.pipeline.paying import accounts_of
    from posegen.settings import load_settings

    return accounts_of(load_settings())


@app.command()
@click.option("-c", "--category", help="Only this category.")
@click.option("-s", "--search", help="Words to search for, best match first.")
@json_option
def poses(category: str | None, search: str | None, as_json: bool) -> None:
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


@app.command()
@json_option
def doctor(as_json: bool) -> None:
    """Say what is configured and what is missing; never a key's value."""
    from posegen.doctor import checks

    found = checks()
    _print_rows([check.row() for check in found], as_json, empty="")
    if not all(check.good for check in found if check.needed):
        sys.exit(1)


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def _say_on_stderr(line: str) -> None:
    sys.stderr.write(line + "\n")


def _print_outcome(summary: RunSummary) -> None:
    """Name what a run made and where it is."""
    facts = summary.facts()
    _say(f"\n{facts['made']} of {facts['planned']} images made, {facts['failed']} failed")
    if facts["exports_made"] or facts["exports_failed"]:
        _say(f"{facts['exports_made']} exports made, {facts['exports_failed']} failed")
    if summary.contact_sheet_path.exists():
        _say(f"contact sheet  {_short(summary.contact_sheet_path)}")
    notebooks = sorted((summary.folder / "notebooks").glob("*.ipynb"))
    if notebooks:
        _say(f"notebook       {_short(notebooks[-1])}")
    _say(f"images         {_short(summary.folder / 'images')}")
    _say(f"look closer    posegen show {facts['run_id']}")


def _short(path: Path) -> str:
    """Return a path below the working folder without it, to be read and pasted."""
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else str(path)


def _print_json(value: Any) -> None:
    sys.stdout.write(json.dumps(value, ensure_ascii=False, indent=2) + "\n")


def _print_facts(facts: dict[str, Any], as_json: bool) -> None:
    """Print a mapping as JSON, or as a line for each entry."""
    if as_json:
        _print_json(facts)
        return
    from rich.table import Table

    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_column(style="bold")
    table.add_column(overflow="fold")
    for name, value in facts.items():
        table.add_row(name.replace("_", " "), _cell(value))
    _console().print(table)


def _print_rows(rows: Sequence[dict[str, Any]], as_json: bool, *, empty: str) -> None:
    """Print rows as JSON, or as a table with a column for each key."""
    if as_json:
        _print_json(rows)
        return
    if not rows:
        _say(empty)
        return
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in rows[0]:
        numeric = all(isinstance(row[name], int | float) for row in rows)
        table.add_column(name.replace("_", " "), justify="right" if numeric else "left", overflow="fold")
    for row in rows:
        table.add_row(*(_cell(value) for value in row.values()))
    _console().print(table)


def _console() -> Any:
    from rich.console import Console

    # Into a file or a pipe a table is as wide as it needs to be, so that grep sees whole lines.
    width = None if sys.stdout.isatty() else 240
    return Console(highlight=False, width=width)


def _cell(value: Any) -> Any:
    from rich.text import Text  # Text, so that brackets in a prompt are not read as markup

    if value is None or value == []:
        return Text("-")
    return Text(", ".join(map(str, value)) if isinstance(value, list) else str(value))


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command; a `PosegenError` becomes a sentence on stderr and its exit code."""
    try:
        app.main(args=None if arguments is None else list(arguments), prog_name="posegen")
    except PosegenError as exc:
        sys.stderr.write(f"error: {exc}\n")
        sys.exit(exc.exit_code)
    except BrokenPipeError:  # `posegen poses | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


if __name__ == "__main__":
    main()
