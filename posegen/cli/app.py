"""The command itself, which the topics' modules add their commands to."""

from __future__ import annotations

import click

from posegen import __version__

json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table.")


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, message="%(version)s")
@click.option(
    "-v", "--verbose", is_flag=True, help="All logs on stderr: readable in a terminal, else JSON lines."
)
def app(verbose: bool) -> None:
    """Batches of pictures of people in chosen poses, and how well they came out."""
    from posegen.errors import ParameterError
    from posegen.settings import load_settings
    from posegen.telemetry import configure_logging

    try:
        settings = load_settings()
    except ParameterError:  # the command says so itself, if it needs them
        return
    # Whoever calls the command in their own process has their stderr and their loggers back.
    click.get_current_context().call_on_close(configure_logging(settings, verbose=verbose))
