"""The parameters that a notebook's cells have set, also those that papermill put there."""

from __future__ import annotations

import ast
from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import BaseModel

from posegen.parameters.checking import M, check, defaults


def from_notebook(schema: type[M], namespace: Mapping[str, Any]) -> M:
    """Return the validated parameters that a notebook's cells have set.

    papermill puts its parameters into a cell of their own and runs on the default when a name is misspelt, so
    the names set there and in the notebook's own parameters cell are read from the executed cells.

    Parameters
    ----------
    schema : type of model
    namespace : mapping
        The notebook's `globals()`.

    Raises
    ------
    ParameterError
        As from `check`.
    """
    # A cell sets every parameter; one that says what the default says has not been asked for.
    values = {
        name: namespace[name]
        for name, default in defaults(schema).items()
        if name in namespace and namespace[name] != default
    }
    for name in _assigned_names(schema, namespace.get("In", [])):
        if name not in schema.model_fields:
            values.setdefault(name, namespace.get(name))
    return check(schema, values)


def _assigned_names(schema: type[BaseModel], cells: Sequence[str]) -> list[str]:
    """Return the names set by the newest parameters cell and the newest cell that papermill injected."""
    newest: dict[str, list[str]] = {}
    for source in cells:
        names = _literal_assignments(source)
        if not names:
            continue
        if source.lstrip().startswith("# Parameters"):
            newest["injected"] = names
        elif len(set(names) & set(schema.model_fields)) * 2 > len(names) > 2:
            newest = {"own": names}  # run again by hand: what was injected before it no longer counts
    return [name for names in newest.values() for name in names if not name.startswith("PAPERMILL_")]


def _literal_assignments(source: str) -> list[str]:
    """Return the names that a cell sets, if it does nothing but set names to literals."""
    try:
        statements = ast.parse(source).body
    except SyntaxError:
        return []
    names = []
    for statement in statements:
        if isinstance(statement, ast.Assign) and len(statement.targets) == 1:
            target, value = statement.targets[0], statement.value
        elif isinstance(statement, ast.AnnAssign) and statement.value is not None:
            target, value = statement.target, statement.value
        else:
            return []
        try:
            ast.literal_eval(value)
        except ValueError:
            return []
        if not isinstance(target, ast.Name):
            return []
        names.append(target.id)
    return names
