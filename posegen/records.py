"""Frozen records that travel between layers.

They hold plain values only, so that they can be journalled as JSON and sent to another process.
"""

from __future__ import annotations

from typing import Literal

import msgspec

Conditioning = Literal["none", "prompt", "control"]

AVATAR_CHOICES: dict[str, tuple[str, ...]] = {
    "gender": ("female", "male"),
    "age": ("young adult", "adult", "middle-aged", "senior"),
    "body_type": ("slim", "average", "athletic", "sturdy"),
    "skin_tone": ("very fair", "fair", "light", "medium", "olive", "tan", "brown", "dark"),
    "hair_style": ("buzz cut", "short", "curly", "bob", "long", "ponytail", "bun", "bald"),
    "hair_color": (
        "black", "dark brown", "brown", "light brown", "auburn", "red", "blonde", "grey", "white",
    ),
    "top": ("t-shirt", "long-sleeve shirt", "tank top", "sweater", "hoodie", "polo shirt"),
    "bottom": ("jeans", "trousers", "leggings", "shorts", "skirt"),
    "shoes": ("sneakers", "boots", "loafers", "barefoot"),
}  # fmt: skip
"""What each avatar attribute may say; `*_color` of clothes takes a `COLOR_NAMES` entry or #rrggbb."""

COLOR_NAMES: dict[str, str] = {
    "black": "#1f2023", "charcoal": "#3a3d42", "grey": "#8a8d91", "light grey": "#c4c7ca",
    "white": "#eef0f0", "cream": "#ece3d0", "beige": "#cdb999", "brown": "#6d4c36",
    "navy": "#24324f", "blue": "#2f66b0", "light blue": "#8fb7dc", "denim": "#41597c",
    "teal": "#1f7a7a", "turquoise": "#3fb5ae", "green": "#3b7d4a", "olive": "#68703d",
    "sage": "#9bab8b", "yellow": "#e2b93b", "mustard": "#c4932b", "orange": "#d9773a",
    "coral": "#e2725f", "red": "#b8353a", "burgundy": "#6e2435", "pink": "#dd9aa9",
    "purple": "#6a4a8c", "lavender": "#b3a3d1", "khaki": "#a69366",
}  # fmt: skip
"""Garment colours by name, sRGB."""


class View(msgspec.Struct, frozen=True, order=True):
    """From where a pose is seen.

    Attributes
    ----------
    yaw : float
        Degrees in (-180, 180]; 0 is from the front, +90 shows the person's left side: the camera has gone
        counter-clockwise, seen from above, round to the left of the person.
    mirrored : bool
        The finished picture is flipped left to right (and the keypoints' sides swapped).
    """

    yaw: float = 0.0
    mirrored: bool = False


class Avatar(msgspec.Struct, frozen=True, omit_defaults=True):
    """Who is in the picture. What is None is left open: the seed (or the model) decides.

    `AVATAR_CHOICES` holds the allowed values; `extra` is free text that only prompts use.
    """

    gender: str | None = None
    age: str | None = None
    body_type: str | None = None
    skin_tone: str | None = None
    hair_style: str | None = None
    hair_color: str | None = None
    top: str | None = None
    top_color: str | None = None
    bottom: str | None = None
    bottom_color: str | None = None
    shoes: str | None = None
    shoes_color: str | None = None
    extra: str | None = None
