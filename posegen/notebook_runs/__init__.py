"""The strict papermill engine and runner behind `posegen run`.

Parameters are checked against the notebook's schema before a kernel starts, the executed notebook is replaced
atomically at every save, and the exit code comes from the run's journal, never from the notebook.
"""

import sys

# jsonschema imports it, where it is installed, for format checks that notebooks do not use: reading its
# grammar takes 2 s, half of what papermill takes to import. So it comes before the imports below.
sys.modules.setdefault("rfc3987_syntax", None)  # type: ignore[arg-type]  # None: "cannot be imported"

from posegen.notebook_runs.engine import PosegenEngine  # noqa: E402
from posegen.notebook_runs.given import GivenParameters, find_notebook, notebooks_folder, parameters_folder  # noqa: E402
from posegen.notebook_runs.runner import dry_run, run_notebook  # noqa: E402

__all__ = [
    "GivenParameters",
    "PosegenEngine",
    "dry_run",
    "find_notebook",
    "notebooks_folder",
    "parameters_folder",
    "run_notebook",
]
