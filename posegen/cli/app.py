"""The command itself, which the topics' modules add their commands to."""

from __future__ import annotations

import logging

import click

from posegen import __version__

json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table.")


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, message="%(version)s")
@click.option("-v", "--verbose", is_flag=True, help="Structured logs on stderr.")
def app(verbose: bool) -> None:
    """Batches of pictures of people in chosen poses, and how well they came out."""
    if verbose:
        from posegen.telemetry import JsonFormatter

        handler, logs = logging.StreamHandler(), logging.getLogger("posegen")
        handler.setFormatter(JsonFormatter())
        logs.addHandler(handler)
        logs.setLevel(logging.DEBUG)
        # Whoever calls the command in their own process has their stderr and their loggers back.
        click.get_current_context().call_on_close(lambda: logs.removeHandler(handler))
