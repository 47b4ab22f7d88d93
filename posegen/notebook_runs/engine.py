"""papermill made strict: parameters are checked first, saves are atomic, signals stop cleanly."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import nbformat
import psutil
import zmq
from nbclient.exceptions import DeadKernelError
from papermill.engines import NBClientEngine, papermill_engines
from papermill.exceptions import PapermillExecutionError
from papermill.execute import execute_notebook
from papermill.iorw import papermill_io
from traitlets.config import Config

from posegen import parameters as schemas
from posegen.executed_notebook import mark_cut_off
from posegen.parameters import SCHEMAS
from posegen.pipeline.job import request_stop
from posegen.pipeline.signals import stopping_cleanly
from posegen.storage.atomic import write_atomically

ENGINE = "posegen"
ATOMIC_SCHEME = "posegen-atomic://"
KERNEL_DIED = "the notebook's kernel died or was killed"
SHUTDOWN_WAIT_S = 30
"""A kernel that is told to end gets this long to finish what is in flight."""


class PosegenEngine(NBClientEngine):  # type: ignore[misc]  # papermill has no type hints
    """papermill's engine, made strict: unknown and mistyped parameters are refused before a kernel starts."""

    @classmethod
    def execute_managed_notebook(cls, nb_man: Any, kernel_name: str, **kwargs: Any) -> Any:
        """Check the notebook's parameters, then run it as papermill does.

        Raises
        ------
        ParameterError
            A parameter is unknown or has a wrong type or value.
        """
        facts = nb_man.nb.metadata.papermill
        settings = {"config": kernel_config(), "shutdown_wait_time": SHUTDOWN_WAIT_S}
        try:
            schema = SCHEMAS.get(Path(str(facts.get("input_path", ""))).stem)
            if schema is not None:
                schemas.check(schema, facts.get("parameters", {}))
            return super().execute_managed_notebook(nb_man, kernel_name, **{**settings, **kwargs})
        except BaseException as exc:  # papermill would write that all cells are completed
            what = KERNEL_DIED if isinstance(exc, DeadKernelError) else f"{type(exc).__name__}: {exc}"
            mark_cut_off(nb_man.nb, what)
            # papermill saves it once more, and wants nodes, not dicts.
            nb_man.nb = nbformat.from_dict(nb_man.nb)  # type: ignore[no-untyped-call]
            raise


def kernel_config() -> Config:
    """Return the kernel manager's settings: traffic with the kernel is encrypted where zmq can do it."""
    return Config({"KernelManager": {"transport_encryption": "auto" if zmq.has("curve") else "disabled"}})


class AtomicHandler:
    """papermill's access to files, with writes that a kill cannot tear."""

    @staticmethod
    def _path(path: str) -> Path:
        return Path(path.removeprefix(ATOMIC_SCHEME))

    def read(self, path: str) -> str:
        """Return the text of the file."""
        return self._path(path).read_text(encoding="utf-8")

    def listdir(self, path: str) -> list[str]:
        """Return the files of a folder."""
        return [str(entry) for entry in self._path(path).iterdir()]

    def write(self, buf: str, path: str) -> None:
        """Replace the file, whole."""
        write_atomically(self._path(path), buf.replace(ATOMIC_SCHEME, "").encode())

    def pretty_path(self, path: str) -> str:
        """Return the path without its scheme."""
        return str(self._path(path))


def register() -> None:
    """Make papermill know the engine and the atomic writes, also where no entry point is installed."""
    papermill_engines.register(ENGINE, PosegenEngine)
    papermill_io.register(ATOMIC_SCHEME, AtomicHandler())


@dataclass(frozen=True)
class NotebookOutcome:
    """How the execution of a notebook went.

    Attributes
    ----------
    error : str or None
        Name and text of the exception that a cell ended with.
    error_name : str or None
        Its class.
    kernel_died : bool
    """

    path: Path
    error: str | None = None
    error_name: str | None = None
    kernel_died: bool = False


def interrupt_kernels() -> None:
    """Interrupt the kernels that this process runs, as a front end's stop button does.

    Raises
    ------
    KeyboardInterrupt
        None runs yet, or none any more.
    """
    found = False
    for child in psutil.Process(os.getpid()).children():
        with suppress(psutil.Error):
            words = child.cmdline()  # a kernel is started with "-f connection.json" and more
            if any(pair[0] == "-f" and pair[1].endswith(".json") for pair in pairwise(words)):
                child.send_signal(signal.SIGINT)
                found = True
    if not found:
        raise KeyboardInterrupt


def execute(
    notebook: Path,
    output: Path,
    values: Mapping[str, Any],
    *,
    kernel: str | None = None,
    run_folder: Path | None = None,
) -> NotebookOutcome:
    """Execute a notebook with papermill; its output goes to this process's output as it comes.

    Parameters
    ----------
    notebook, output : Path
    values : mapping
        Checked parameters.
    kernel : str, optional
        Name of the Jupyter kernel; by default the notebook's.
    run_folder : Path, optional
        Where a SIGINT or SIGTERM leaves the word to stop; without it, the kernel is interrupted.
    """
    register()
    output.parent.mkdir(parents=True, exist_ok=True)
    told = False

    def stop() -> None:
        nonlocal told
        told = True
        if run_folder is not None:
            request_stop(run_folder)
        else:
            interrupt_kernels()

    with stopping_cleanly(stop):
        try:
            execute_notebook(
                str(notebook),
                ATOMIC_SCHEME + str(output),
                parameters=dict(values),
                engine_name=ENGINE,
                kernel_name=kernel,
                progress_bar=False,
                log_output=False,
                stdout_file=sys.stdout,
                stderr_file=sys.stderr,
            )
        except PapermillExecutionError as exc:
            return NotebookOutcome(output, f"{exc.ename}: {exc.evalue}", str(exc.ename))
        except DeadKernelError:
            return NotebookOutcome(output, KERNEL_DIED, "DeadKernelError", kernel_died=True)
        except (KeyboardInterrupt, RuntimeError):  # a kernel that is interrupted while it starts
            if not told:
                raise
            return NotebookOutcome(output, "an interrupt", "KeyboardInterrupt")
    return NotebookOutcome(output)
