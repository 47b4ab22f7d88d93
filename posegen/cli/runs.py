"""Commands about runs: list, show, stop, go on with, recover."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext, redirect_stdout
from typing import TYPE_CHECKING

import click

from posegen.cli.app import app, json_option
from posegen.cli.output import is_experiment, print_facts, print_json, print_outcome, print_rows, say

if TYPE_CHECKING:
    from posegen.pipeline.obtain import UnknownPolicy
    from posegen.recovery import RecoveryReport


@app.command()
@json_option
def runs(as_json: bool) -> None:
    """List the runs, newest first."""
    from posegen.journal import list_runs
    from posegen.settings import load_settings

    rows = [summary.row() for summary in list_runs(load_settings().root)]
    print_rows(rows, as_json, empty="no runs yet; `posegen demo` makes one")


@app.command()
@click.argument("run_id", metavar="RUN")
@click.option("--task", help="One image by its task id, or by its first digits.")
@json_option
def show(run_id: str, task: str | None, as_json: bool) -> None:
    """Show one run, or with --task the whole recipe of one image."""
    from posegen.pipeline.run import open_run

    summary = open_run(run_id)
    if task is not None:
        print_json(summary.task_facts(task))
        return
    if as_json:
        print_json({**summary.facts(), "images": summary.rows()})
        return
    print_facts(summary.facts(), as_json=False)
    if is_experiment(summary):
        say("an experiment: accuracy is over all arms here, and arm by arm in its notebook and results")
    columns = summary.columns
    rows = [{"task": row["task_id"][:12], **{name: row[name] for name in columns}} for row in summary.rows()]
    print_rows(rows, as_json=False, empty="no image tasks")


@app.command()
@click.argument("run_id", metavar="RUN")
@click.option("--estimator", default="auto", show_default=True, help="What looks at the pictures.")
@click.option("--option", "options", nargs=2, multiple=True, metavar="NAME VALUE", help="Of the estimator.")
@click.option("--again", is_flag=True, help="All images, also those that have figures.")
@json_option
def measure(
    run_id: str, estimator: str, options: Sequence[tuple[str, str]], again: bool, as_json: bool
) -> None:
    """Measure the pose accuracy of RUN's images that have no figures yet."""
    from posegen.pipeline.accuracy_summary import accuracy_facts
    from posegen.pipeline.measure_run import measure_run

    with _progress_aside(as_json):
        attempt = measure_run(run_id, estimator=estimator, options=dict(options), again=again)
        summary = attempt.wait_stoppable()
    print_facts({"run_id": run_id, **accuracy_facts(summary.state)}, as_json)
    sys.exit(5 if attempt.stopped else 0)


@app.command()
@click.argument("run_id", metavar="RUN")
def stop(run_id: str) -> None:
    """Ask the process that drives RUN to stop cleanly; the run can be resumed."""
    from posegen.journal import owner_status, read_run
    from posegen.pipeline.job import request_stop
    from posegen.pipeline.run import run_folder
    from posegen.settings import load_settings

    root = load_settings().root
    read_run(root, run_id)
    owner = owner_status(root, run_id)
    if owner.state not in ("ours-alive", "foreign"):
        say(f"nobody drives run {run_id}: there is nothing to stop")
        return
    request_stop(run_folder(root, run_id))
    say(f"run {run_id} is asked to stop; `posegen resume {run_id}` goes on with it")


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

    with _progress_aside(as_json):
        attempt = resume_run(run_id, unknown=unknown, concurrency=concurrency)
        summary = attempt.wait_stoppable()
    if as_json:
        print_json({**summary.facts(), **attempt.counts()})
    else:
        say(", ".join(f"{count} {what}" for what, count in attempt.counts().items()))
        print_outcome(summary)
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
    """Go on with broken runs, close those that cannot be gone on with, clean up after old ones.

    Exit codes: 0 all that could be done was done, 1 something could not, 3 images failed, 5 interrupted.
    """
    from posegen.parameters import RecoveryParameters, check, read_duration
    from posegen.recovery import Stopper, repeat
    from posegen.recovery import recover as recover_runs

    given = {"dry_run": dry_run, "unknown": unknown, "delete_images_of": list(delete)}
    parameters = check(RecoveryParameters, given)
    period_s = read_duration(every) if every is not None else None
    stopper = Stopper()

    def work() -> RecoveryReport:
        with _progress_aside(as_json):
            return recover_runs(parameters, stopper=stopper)

    code = 0
    for report in repeat(work, period_s, stopper=stopper):
        code = report.exit_code
        if as_json:
            print_json([row.row() for row in report.rows])
        else:
            for line in report.lines():
                say(line)
    sys.exit(code)


def _progress_aside(as_json: bool) -> AbstractContextManager[object]:
    """Send progress to stderr where stdout is for JSON."""
    return redirect_stdout(sys.stderr) if as_json else nullcontext()
