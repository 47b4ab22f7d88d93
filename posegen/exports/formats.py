"""The export formats: what ships, as data in `formats.toml`, and a user's own in a file of the same form."""

from __future__ import annotations

import hashlib
import re
import tomllib
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from posegen.errors import InputError

FileType = Literal["jpeg", "png"]

EXTENSIONS: dict[FileType, str] = {"jpeg": "jpg", "png": "png"}
CONTENT_TYPES: dict[FileType, str] = {"jpeg": "image/jpeg", "png": "image/png"}

SHIPPED = Path(__file__).with_name("formats.toml")
MOST_BYTES = 1_000_000
"""A file of formats may have so many bytes."""

FRAMING = 1
"""Counts the changes of how pictures are framed and filled: what was exported before the last is outdated."""

_STRICT = ConfigDict(frozen=True, extra="forbid", strict=True)


class SafeArea(BaseModel):
    """Pixels at each side that a platform covers or cuts off: the figure stays out of them."""

    model_config = _STRICT

    left: Annotated[int, Field(ge=0)] = 0
    top: Annotated[int, Field(ge=0)] = 0
    right: Annotated[int, Field(ge=0)] = 0
    bottom: Annotated[int, Field(ge=0)] = 0


class ExportFormat(BaseModel):
    """One platform's picture.

    Attributes
    ----------
    name, category : str
    width, height : int
        Pixels.
    file_type : {"jpeg", "png"}
    quality, least_quality : int
        JPEG quality, 1-95: what is wanted, and how far it may be lowered to meet `max_bytes`.
    chroma : {"4:2:0", "4:4:4"}
        Chroma subsampling of a JPEG.
    colour : {"sRGB"}
        The ICC profile that is written.
    dpi : int
        Written into the file; 300 for print.
    max_bytes : int
        The platform's limit; 0 where it names none.
    safe_area : SafeArea
    source : str
        Where the rule is published.
    note : str
        What of it is no published rule.
    """

    model_config = _STRICT

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,63}$")]
    category: Annotated[str, Field(min_length=1, max_length=64)] = "own"
    width: Annotated[int, Field(ge=16, le=10_000)]
    height: Annotated[int, Field(ge=16, le=10_000)]
    file_type: FileType = "jpeg"
    quality: Annotated[int, Field(ge=1, le=95)] = 90
    least_quality: Annotated[int, Field(ge=1, le=95)] = 70
    chroma: Literal["4:2:0", "4:4:4"] = "4:2:0"
    colour: Literal["sRGB"] = "sRGB"
    dpi: Annotated[int, Field(ge=1, le=10_000)] = 72
    max_bytes: Annotated[int, Field(ge=0)] = 0
    safe_area: SafeArea = SafeArea()
    source: str = ""
    note: str = ""

    @model_validator(mode="after")
    def _sound(self) -> ExportFormat:
        if self.least_quality > self.quality:
            raise ValueError(f"least_quality {self.least_quality} is above quality {self.quality}")
        covered = self.safe_area
        if covered.left + covered.right > self.width / 2 or covered.top + covered.bottom > self.height * 0.6:
            raise ValueError("safe_area leaves less than half of the width or 0.4 of the height")
        return self

    @property
    def extension(self) -> str:
        """The ending of its files, without the dot."""
        return EXTENSIONS[self.file_type]

    @property
    def content_type(self) -> str:
        """MIME type."""
        return CONTENT_TYPES[self.file_type]

    @property
    def look(self) -> tuple[object, ...]:
        """What decides its pixels and bytes: formats that agree in it share one picture."""
        fields = self.model_dump(exclude={"name", "category", "source", "note"})
        return tuple((name, str(value)) for name, value in fields.items())

    @property
    def rule(self) -> str:
        """A short hash of all that decides its bytes; an export made by another rule is out of date."""
        return hashlib.sha256(repr((FRAMING, self.look)).encode()).hexdigest()[:16]


def load_formats(own: Path | None = None) -> Mapping[str, ExportFormat]:
    """Return the formats by name: those that ship, and those of a user's file after them.

    Raises
    ------
    InputError
        The file cannot be read, or says what no format may say; names the file, the format and the value.
    """
    shipped = _shipped()
    if own is None:
        return shipped
    mine = _read(own)
    for name in mine:
        if name in shipped:
            raise InputError(f"{own}: format {name!r} ships with posegen; give yours another name")
    return {**shipped, **mine}


@lru_cache(maxsize=1)
def _shipped() -> Mapping[str, ExportFormat]:
    return _read(SHIPPED)


def _read(path: Path) -> dict[str, ExportFormat]:
    try:
        with path.open("rb") as file:
            data = file.read(MOST_BYTES + 1)
        tables = tomllib.loads(data.decode())
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as exc:
        raise InputError(f"the file of export formats {path} cannot be read: {exc}") from exc
    if len(data) > MOST_BYTES:
        raise InputError(f"the file of export formats {path} has more than {MOST_BYTES:,} bytes")
    return {name: _format(path, name, table) for name, table in tables.items()}


def _format(path: Path, name: str, table: object) -> ExportFormat:
    if not isinstance(table, dict):
        raise InputError(f"{path}: {name!r} is {table!r}, not a table such as [{name}]")
    try:
        return ExportFormat(name=name, **_sized(table))
    except (ValidationError, ValueError, TypeError) as exc:
        raise InputError(f"{path}: format {name!r}: {_sentence(exc)}") from exc


def _sized(table: Mapping[str, Any]) -> dict[str, Any]:
    """Return a table with its `size` as width and height."""
    left = {key: value for key, value in table.items() if key != "size"}
    size = table.get("size")
    if not isinstance(size, list) or len(size) != 2 or "width" in left or "height" in left or "name" in left:
        raise ValueError(f"size must be [width, height] in pixels, not {size!r}")
    return {**left, "width": size[0], "height": size[1]}


def _sentence(error: Exception) -> str:
    if not isinstance(error, ValidationError):
        return str(error)
    first = error.errors()[0]
    place = ".".join(map(str, first["loc"]))
    said = re.sub(r"^Value error, ", "", first["msg"])
    return f"{place} is {first['input']!r}: {said}" if place else said


EXPORT_FORMATS: Mapping[str, ExportFormat] = _shipped()
"""The formats that ship, by name."""
