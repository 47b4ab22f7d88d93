import importlib.metadata
import subprocess
import sys

import nbformat
import pytest


def run_python(code):
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)


@pytest.fixture
def notebook():
    notebook = nbformat.v4.new_notebook()
    notebook.metadata.kernelspec = {"name": "python3", "language": "python"}
    return notebook


@pytest.mark.parametrize(
    "imports",
    ["import papermill, posegen.notebook_runs", "import posegen.notebook_runs, papermill"],
    ids=["papermill first", "posegen first"],
)
def test_either_may_be_imported_first(imports):
    look_up = "papermill.engines.papermill_engines.get_engine('posegen').__name__"
    child = run_python(f"{imports}, papermill.engines; print({look_up})")
    assert child.stdout.strip() == "PosegenEngine", child.stderr


def test_loading_the_entry_point_does_not_load_papermill():
    child = run_python("import posegen.papermill_entry, sys; print('papermill' in sys.modules)")
    assert child.stdout.strip() == "False", child.stderr


def test_the_entry_point_stands_for_the_engine(notebook, monkeypatch):
    from posegen import notebook_runs

    (entry,) = importlib.metadata.entry_points(group="papermill.engine", name="posegen")
    engine = entry.load()
    assert (
        engine.nb_kernel_name(notebook) == notebook_runs.PosegenEngine.nb_kernel_name(notebook) == "python3"
    )
    assert engine.nb_language(notebook) == "python"
    monkeypatch.setattr(
        notebook_runs.PosegenEngine,
        "execute_notebook",
        lambda nb, kernel_name, **options: (nb, kernel_name, options),
    )
    assert engine.execute_notebook(notebook, "python3", timeout=3) == (notebook, "python3", {"timeout": 3})
