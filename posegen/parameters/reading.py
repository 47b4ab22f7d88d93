"""Reading what people write: lists, views, avatars, times."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any

import msgspec
from pydantic import BeforeValidator

from posegen.errors import ParameterError, UnknownNameError
from posegen.records import AVATAR_CHOICES, COLOR_NAMES, Avatar, View

MAX_DAYS = 36_500
"""The longest time that can be asked for: a hundred years, which means never and can be reckoned with."""


def listed(value: object) -> object:
    """Read one value, or words divided by commas, as a list."""
    if isinstance(value, str):
        return [part.strip() for part in value.split(",") if part.strip()]
    return [value] if isinstance(value, int | float | Mapping) and not isinstance(value, bool) else value


Names = Annotated[list[str], BeforeValidator(listed)]


def read_view(value: Any) -> View:
    """Return the view that `value` describes: 35, "35", "-90m" or {"yaw": 90, "mirrored": true}.

    Raises
    ------
    ValueError
        Names the value and the forms allowed.
    """
    forms = "a yaw in degrees such as 35, '35m' for mirrored, or {yaw: 35, mirrored: true}"
    yaw: object = value
    mirrored: object = False
    if isinstance(value, Mapping):
        unknown = set(value) - {"yaw", "mirrored"}
        if unknown:
            raise ValueError(f"view {dict(value)!r}: unknown {sorted(map(str, unknown))}; allowed: {forms}")
        yaw, mirrored = value.get("yaw", 0), value.get("mirrored", False)
    elif isinstance(value, str):
        mirrored = value.endswith("m")
        try:
            yaw = float(value.removesuffix("m"))
        except ValueError as exc:
            raise ValueError(f"view {value!r} is not {forms}") from exc
    if isinstance(yaw, bool) or not isinstance(yaw, int | float) or not isinstance(mirrored, bool):
        raise ValueError(f"view {value!r} is not {forms}")
    if not -360 <= yaw <= 360:
        raise ValueError(f"view {value!r}: yaw must be from -360 to 360 degrees")
    turned = -((180 - float(yaw)) % 360 - 180)
    return View(yaw=turned + 0.0, mirrored=mirrored)


def read_avatar(attributes: Mapping[str, Any]) -> Avatar:
    """Return the avatar of `attributes`.

    Raises
    ------
    ValueError
        An attribute or a value is not known; names what is allowed.
    """
    fields = msgspec.structs.fields(Avatar)
    names = [field.name for field in fields]
    for name, value in attributes.items():
        if name not in names:
            raise ValueError(str(UnknownNameError("avatar attribute", name, names)))
        if value is None or name == "extra":
            continue
        if name.endswith("_color") and name not in AVATAR_CHOICES:
            if value not in COLOR_NAMES and not re.fullmatch(r"#[0-9a-fA-F]{6}", str(value)):
                problem = UnknownNameError("colour", value, [*COLOR_NAMES, "#rrggbb"])
                raise ValueError(f"{name}: {problem}")
        elif value not in AVATAR_CHOICES[name]:
            raise ValueError(f"{name}: {UnknownNameError('value', value, AVATAR_CHOICES[name])}")
    if not isinstance(attributes.get("extra", ""), str | None):
        raise ValueError(f"extra: {attributes['extra']!r} is not text")
    return Avatar(**attributes)


def read_duration(text: str) -> float:
    """Return the seconds of a time such as 90s, 30m, 2h or 7d.

    Raises
    ------
    ParameterError
        Names the value and the forms allowed.

    Examples
    --------
    >>> read_duration("30m")
    1800.0
    """
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([smhd])", text.strip())
    seconds = float(match[1]) * {"s": 1, "m": 60, "h": 3600, "d": 86400}[match[2]] if match else 0.0
    if not 0 < seconds <= MAX_DAYS * 86400:
        raise ParameterError(
            "time", f"{text!r:.100} is not a time such as 90s, 30m, 2h or 7d, of at most {MAX_DAYS}d"
        )
    return seconds
