"""What commands print: lines, tables and JSON."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from posegen.pipeline.summary import RunSummary

RESUMABLE = 5
"""Exit code of a run that was stopped or cut off."""


def say(line: str) -> None:
    """Print a line at once, also into a pipe."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def say_on_stderr(line: str) -> None:
    """Print a line on stderr."""
    sys.stderr.write(line + "\n")


def print_outcome(summary: RunSummary) -> None:
    """Name what a run made and where it is."""
    facts = summary.facts()
    if not facts["planned"]:  # refused before it began: the error has said why
        return
    say(f"\n{facts['made']} of {facts['planned']} images made, {facts['failed']} failed")
    if facts.get("mean_oks") is not None and not is_experiment(summary):
        say(f"pose accuracy  OKS {facts['mean_oks']:.2f} over {facts['measured']}, by {facts['estimator']}")
    if facts.get("not_measured"):
        say(f"not measured   {facts['not_measured']}; {command()} measure {facts['run_id']} tries again")
    if facts["exports_made"] or facts["exports_failed"]:
        say(f"{facts['exports_made']} exports made, {facts['exports_failed']} failed")
    if summary.contact_sheet_path.exists():
        say(f"contact sheet  {short(summary.contact_sheet_path)}")
    notebooks = sorted((summary.folder / "notebooks").glob("*.ipynb"))
    if notebooks:
        say(f"notebook       {short(notebooks[-1])}")
    say(f"images         {short(summary.folder / 'images')}")
    if is_experiment(summary):
        say(f"results        {short(summary.folder / 'experiment')}, arm by arm in the notebook")
    if summary.exit_code == RESUMABLE:
        say(f"go on with it  {command()} resume {facts['run_id']}")
    say(f"look closer    {command()} show {facts['run_id']}")
    for note in summary.notes():
        say(f"note           {note}")


def is_experiment(summary: RunSummary) -> bool:
    """Return whether a run compares arms: figures over all of its images mean nothing."""
    return "arms" in (summary.state.spec or {})


def command() -> str:
    """Return what to type for `posegen` here: its path where the shell would not find it."""
    ours = Path(sys.executable).with_name("posegen")
    found = shutil.which("posegen")
    if found is not None and Path(found).absolute() == ours.absolute():
        return "posegen"
    return short(ours) if ours.exists() else f"{short(Path(sys.executable))} -m posegen.cli"


def short(path: Path) -> str:
    """Return a path below the working folder without it, to be read and pasted."""
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else str(path)


def print_json(value: Any) -> None:
    """Print a value as JSON."""
    sys.stdout.write(json.dumps(value, ensure_ascii=False, indent=2) + "\n")


def print_facts(facts: dict[str, Any], as_json: bool) -> None:
    """Print a mapping as JSON, or as a line for each entry."""
    if as_json:
        print_json(facts)
        return
    from rich.table import Table

    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_column(style="bold")
    table.add_column(overflow="fold")
    for name, value in facts.items():
        table.add_row(name.replace("_", " "), _cell(value))
    _console().print(table)


def print_rows(rows: Sequence[dict[str, Any]], as_json: bool, *, empty: str) -> None:
    """Print rows as JSON, or as a table with a column for each key."""
    if as_json:
        print_json(rows)
        return
    if not rows:
        say(empty)
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
    text = ", ".join(map(str, value)) if isinstance(value, list) else str(value)
    return Text("".join(char if char.isprintable() else " " for char in text))  # no terminal codes in data
