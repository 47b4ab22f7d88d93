"""The `posegen` command. Each command imports what it needs, so that `posegen --help` is quick."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

from posegen.cli import (  # noqa: F401  (they add their commands)
    credits,  # noqa: A004
    exports,
    library,
    metrics,
    notebooks,
    pictures,
    runs,
)
from posegen.cli.app import app
from posegen.errors import PosegenError

__all__ = ["app", "main"]


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command; a `PosegenError` becomes a sentence on stderr and its exit code."""
    try:
        app.main(args=None if arguments is None else list(arguments), prog_name="posegen")
    except PosegenError as exc:
        sys.stderr.write(f"error: {exc}\n")
        sys.exit(exc.exit_code)
    except BrokenPipeError:  # `posegen poses | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
