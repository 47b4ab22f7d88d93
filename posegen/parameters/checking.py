"""Checking values against a schema: unknown names, wrong types and wrong values, one sentence each."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError, field_validator

from posegen.errors import ParameterError, nearest_names

M = TypeVar("M", bound=BaseModel)


def check_text(text: str) -> str:
    """Return a text that can be stored and shown.

    Raises
    ------
    ValueError
        It holds half of a character (text that was not valid in its encoding) or a control character other
        than a tab or a line's end.
    """
    if any("\ud800" <= char <= "\udfff" for char in text):
        raise ValueError(f"{text!r} is not valid text: part of it was not readable in its encoding")
    if any(unicodedata.category(char) == "Cc" and char not in "\t\n\r" for char in text):
        raise ValueError(f"{text!r} holds a control character")
    return text


def _check_texts(value: Any) -> Any:
    """Return plain values with every text in them checked."""
    if isinstance(value, str):
        check_text(value)
    elif isinstance(value, Mapping):
        for name, entry in value.items():
            _check_texts(name)
            _check_texts(entry)
    elif isinstance(value, list | tuple):
        for entry in value:
            _check_texts(entry)
    return value


class StrictModel(BaseModel):
    """Base of all parameter schemas: unknown names and wrong types are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, use_attribute_docstrings=True)

    @field_validator("*", mode="before")
    @classmethod
    def _storable(cls, value: Any) -> Any:
        return _check_texts(value)


def check(schema: type[M], values: Mapping[str, Any], *, within: str = "") -> M:
    """Return `values` as validated parameters.

    Raises
    ------
    ParameterError
        One sentence for each wrong value and unknown name; for a name, the nearest right one.
    """
    try:
        return schema.model_validate(dict(values))
    except ValidationError as exc:
        problems = [_sentence(schema, error, within) for error in exc.errors()]
        first = str(exc.errors()[0]["loc"][0]) if exc.errors()[0]["loc"] else ""
        error = ParameterError("", "\n".join(problems))
        error.parameter = first
        raise error from None


def _sentence(schema: type[BaseModel], error: Any, within: str) -> str:
    """Return one sentence for one of pydantic's errors."""
    path = ".".join(str(part) for part in error["loc"] if not _is_pydantics_own(str(part)))
    prefix = f"{within}." if within else ""
    if error["type"] == "extra_forbidden":
        names = list(schema.model_fields)
        nearest = nearest_names(path, names)
        hint = (
            f"did you mean {prefix + nearest[0]!r}?" if nearest else f"Allowed: {', '.join(names) or 'none'}."
        )
        return f"unknown parameter {prefix + path!r}; {hint}"
    message = str(error["msg"]).removeprefix("Value error, ")
    if error["type"] == "value_error":
        return f"{prefix}{path}: {message}" if path else message
    return f"{prefix}{path}: {error['input']!r} is not allowed: {message[0].lower() + message[1:]}"


def _is_pydantics_own(part: str) -> bool:
    """Whether part of an error's place is not a name or number that the user wrote."""
    return part.startswith("function-") or "[" in part


def defaults(schema: type[BaseModel]) -> dict[str, Any]:
    """Return every parameter's default."""
    return {name: field.get_default(call_default_factory=True) for name, field in schema.model_fields.items()}
