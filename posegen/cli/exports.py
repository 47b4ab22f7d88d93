"""The command that makes exports of a run: files for each platform, a ZIP, a gallery."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from posegen.cli.app import app, json_option
from posegen.cli.output import print_json, say, say_on_stderr, short

if TYPE_CHECKING:
    from posegen.pipeline.export_report import ExportReport

_OWN_PLACE = "\0"
"""What `--zip` without a file stands for: no path can be it."""


@app.command()
@click.argument("run_id", metavar="RUN")
@click.option(
    "--poses",
    multiple=True,
    metavar="A,B",
    help="Only these: pose ids (`text`: images without one) and task ids or their first digits.",
)
@click.option(
    "--formats",
    "--format",
    multiple=True,
    metavar="A,B",
    help="In these formats; by default those of the run's parameters, else instagram_post and tiktok.",
)
@click.option(
    "--task", metavar="ID", help="One image by its task id, or its first digits: again, whatever is there."
)
@click.option(
    "--zip",
    "zip_file",
    is_flag=False,
    flag_value=_OWN_PLACE,
    metavar="[FILE]",
    help="Write them into a ZIP with a manifest; by default poses-RUN.zip in the run's folder.",
)
@click.option(
    "--html", is_flag=True, help="Write a gallery that opens offline: the run's folder, gallery/index.html."
)
@json_option
def export(
    run_id: str,
    poses: Sequence[str],
    formats: Sequence[str],
    task: str | None,
    zip_file: str | None,
    html: bool,
    as_json: bool,
) -> None:
    """Make what is missing or out of date of RUN's exports.

    Safe to repeat: what is there and right is left alone.

    Exit codes: 0 all are there, 2 a name is wrong, 3 some failed, 4 there is none, 5 stopped before the
    end, 6 another process owns the run.
    """
    from posegen.pipeline.export_run import Exporter
    from posegen.pipeline.signals import stopping_cleanly

    if task is not None and poses:
        raise click.UsageError("--task names one image already; leave --poses out")
    exporter = Exporter(run_id)
    with stopping_cleanly(lambda: exporter.stop("asked to stop by a signal")):
        report = exporter.export(
            poses=_names(poses),
            formats=_names(formats),
            task=task,
            zip_file=True if zip_file == _OWN_PLACE else zip_file,
            gallery=html,
        )
    if as_json:
        print_json(report.facts())
    else:
        _print(report)
    sys.exit(report.exit_code)


def _names(given: Sequence[str]) -> list[str]:
    return [name.strip() for part in given for name in part.split(",") if name.strip()]


def _print(report: ExportReport) -> None:
    for line in report.problem_lines():
        say_on_stderr(line)
    say(report.count_line())
    if report.archive is not None:
        say(f"zip      {short(report.archive.path)} ({report.archive_line()})")
    if report.gallery is not None:
        say(f"gallery  {short(report.gallery.path)}")
