"""What a command line gives: which notebook, and with which parameters."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel

from posegen.errors import ParameterError, UnknownNameError
from posegen.settings import project_folder


def notebooks_folder() -> Path:
    """Return the folder of the notebooks: the one of the project at hand, or the one posegen came with."""
    return _folder("notebooks")


def parameters_folder() -> Path:
    """Return the folder of the parameter files, found as the notebooks' is."""
    return _folder("parameters")


def _folder(name: str) -> Path:
    at_hand = project_folder() / name
    return at_hand if at_hand.is_dir() else Path(__file__).parents[2] / name


def find_notebook(name: str) -> Path:
    """Return the notebook that `name` means: `batch_generation`, `02_batch_generation` or a path.

    Raises
    ------
    UnknownNameError
        Names the notebooks there are.
    """
    given = Path(name)
    if given.suffix == ".ipynb" and given.is_file():
        return given.absolute()
    known = {path.stem: path for path in sorted(notebooks_folder().glob("[0-9][0-9]_*.ipynb"))}
    short = {stem[3:]: path for stem, path in known.items()}
    found = {**short, **known}.get(given.name.removesuffix(".ipynb"))
    if found is None:
        raise UnknownNameError("notebook", name, [*short, *known])
    return found


@dataclass(frozen=True)
class GivenParameters:
    """Parameters as a command line gives them; later ones win, in the order of the fields."""

    files: Sequence[Path] = ()
    yaml_texts: Sequence[str] = ()
    values: Sequence[tuple[str, str]] = ()
    raw: Sequence[tuple[str, str]] = ()

    def merged(self, schema: type[BaseModel] | None = None) -> dict[str, Any]:
        """Return all parameters as one mapping.

        Parameters
        ----------
        schema : type of model, optional
            Where a parameter is text, a value after -p stays text: `-p run_id 20261123`.

        Raises
        ------
        ParameterError
            A file or text that is not YAML or not a mapping.
        """
        merged: dict[str, Any] = {}
        for path in self.files:
            merged.update(read_parameters_file(path))
        for text in self.yaml_texts:
            merged.update(_mapping(text, "the text after -y"))
        texts = _text_parameters(schema) if schema is not None else ()
        for name, value in self.values:
            merged[name] = value if name in texts and value != "None" else _typed(value)
        merged.update(self.raw)
        return merged


def read_parameters_file(path: Path) -> dict[str, Any]:
    """Return the parameters in a YAML file.

    Raises
    ------
    ParameterError
        The file cannot be read, is not YAML, or is not a mapping of names to values.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError as exc:
        raise ParameterError("parameters file", f"there is no file {str(path)!r}") from exc
    except (OSError, UnicodeDecodeError) as exc:
        raise ParameterError("parameters file", f"{str(path)!r} cannot be read as text: {exc}") from exc
    return _mapping(text, f"the parameters file {str(path)!r}")


def _mapping(text: str, source: str) -> dict[str, Any]:
    try:
        value = yaml.safe_load(text)
    except yaml.YAMLError as exc:
        mark = getattr(exc, "problem_mark", None)
        where = f" (line {mark.line + 1}, column {mark.column + 1})" if mark else ""
        raise ParameterError(
            "", f"{source} is not YAML{where}: {getattr(exc, 'problem', None) or exc}"
        ) from exc
    if value is None:
        return {}
    if not isinstance(value, Mapping) or not all(isinstance(name, str) for name in value):
        wrong = [name for name in value if not isinstance(name, str)] if isinstance(value, Mapping) else []
        found = f"the name {wrong[0]!r}, which is not text" if wrong else type(value).__name__
        raise ParameterError("", f"{source} holds {found}, not a mapping of parameter names to values")
    return dict(value)


def _text_parameters(schema: type[BaseModel]) -> set[str]:
    return {name for name, field in schema.model_fields.items() if field.annotation in (str, str | None)}


def _typed(value: str) -> Any:
    """Read a value after -p as papermill does, and lists and mappings as YAML too."""
    constants = {"True": True, "False": False, "None": None, "true": True, "false": False}  # as YAML has them
    if value in constants:
        return constants[value]
    for number in (int, float):
        try:
            return number(value)
        except ValueError:
            continue
    if value[:1] in ("[", "{"):
        try:
            return yaml.safe_load(value)
        except yaml.YAMLError:
            return value
    return value
