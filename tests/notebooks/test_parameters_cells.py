"""Every notebook's parameters cell and its schema say the same."""

from __future__ import annotations

from typing import Any

import nbformat
import papermill
import pytest
import yaml

from posegen.notebook_runs import GivenParameters, notebooks_folder, parameters_folder
from posegen.notebook_runs.runner import prepare
from posegen.parameters import SCHEMAS, check, defaults

EACH = pytest.mark.parametrize("name", SCHEMAS)


def test_every_notebook_with_parameters_has_a_schema() -> None:
    with_parameters = {
        path.stem
        for path in notebooks_folder().glob("[0-9][0-9]_*.ipynb")
        if any("parameters" in cell.metadata.get("tags", []) for cell in nbformat.read(path, 4).cells)
    }
    assert with_parameters == set(SCHEMAS)


@EACH
def test_the_parameters_cell_and_the_schema_agree(name: str) -> None:
    notebook = nbformat.read(notebooks_folder() / f"{name}.ipynb", as_version=4)
    cell = next(cell for cell in notebook.cells if "parameters" in cell.metadata.get("tags", []))
    namespace: dict[str, Any] = {}
    exec(cell.source, namespace)
    del namespace["__builtins__"], namespace["__annotations__"]
    assert namespace == defaults(SCHEMAS[name])


@EACH
def test_papermill_knows_every_parameter_and_its_help(name: str) -> None:
    known = papermill.inspect_notebook(str(notebooks_folder() / f"{name}.ipynb"))
    assert set(known) == set(SCHEMAS[name].model_fields)
    assert all(entry["help"] for entry in known.values())


@EACH
def test_the_parameters_file_that_comes_with_it_is_right(name: str) -> None:
    path = parameters_folder() / f"{name[3:]}.yaml"
    check(SCHEMAS[name], yaml.safe_load(path.read_text(encoding="utf-8")))
    assert prepare(name[3:], GivenParameters(files=[path])).notebook.stem == name


@EACH
def test_it_is_committed_without_outputs(name: str) -> None:
    notebook = nbformat.read(notebooks_folder() / f"{name}.ipynb", as_version=4)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert not [cell for cell in code if cell.outputs or cell.execution_count]
    assert not [cell for cell in code if "def " in cell.source]
    lengths = {"parameters" in cell.metadata.get("tags", []): len(cell.source.splitlines()) for cell in code}
    assert max(len(cell.source.splitlines()) for cell in code if not cell.metadata.get("tags")) < 15
    assert lengths[True] <= 40
