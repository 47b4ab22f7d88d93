"""What a figure looks like, and how an avatar and a seed decide it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from posegen.errors import ParameterError, UnknownNameError
from posegen.figure import palettes
from posegen.figure.color import is_hex_color
from posegen.records import AVATAR_CHOICES, COLOR_NAMES, Avatar

_T = TypeVar("_T")

BACKGROUNDS = ("gradient", "plain")

_COLORS = (
    "skin",
    "hair_color",
    "top_color",
    "bottom_color",
    "shoes_color",
    "eye_color",
    "backdrop",
    "seat_color",
)
_NAMED = ("hair_style", "top", "bottom", "shoes")


@dataclass(frozen=True)
class Appearance:
    """Everything that decides a picture besides posture, camera and size.

    Attributes
    ----------
    male_share : float
        0 is the female body, 1 the male one.
    heaviness : float
        -1 slim to 1 sturdy.
    muscle : float
        0 to 1.
    age : float
        0 young to 1 old.
    skin, hair_color, top_color, bottom_color, shoes_color, eye_color, backdrop, seat_color : str
        "#rrggbb", sRGB.
    hair_style, top, bottom, shoes : str
        Entries of `records.AVATAR_CHOICES`.
    background : {"gradient", "plain"}
        A studio sweep, or the backdrop's colour alone.

    Raises
    ------
    UnknownNameError
        A garment, hair style, pair of shoes or background nobody knows.
    ParameterError
        A share out of range or a colour that is not #rrggbb.
    """

    male_share: float = 0.0
    heaviness: float = 0.0
    muscle: float = 0.0
    age: float = 0.2
    skin: str = "#d9a683"
    hair_style: str = "short"
    hair_color: str = "#3a2a20"
    eye_color: str = "#5b4632"
    top: str = "t-shirt"
    top_color: str = "#eef0f0"
    bottom: str = "jeans"
    bottom_color: str = "#41597c"
    shoes: str = "sneakers"
    shoes_color: str = "#eef0f0"
    background: str = "gradient"
    backdrop: str = "#c9ccd0"
    seat_color: str = "#b08a62"

    def __post_init__(self) -> None:
        """Refuse what cannot be drawn."""
        for name in _NAMED:
            allowed = AVATAR_CHOICES[name]
            if getattr(self, name) not in allowed:
                raise UnknownNameError(name.replace("_", " "), getattr(self, name), allowed)
        if self.background not in BACKGROUNDS:
            raise UnknownNameError("background", self.background, BACKGROUNDS)
        for name in _COLORS:
            if not is_hex_color(getattr(self, name)):
                raise ParameterError(name, f"{getattr(self, name)!r} is not a colour like #a1b2c3")
        for name, low in (("male_share", 0), ("heaviness", -1), ("muscle", 0), ("age", 0)):
            value = getattr(self, name)
            if not low <= value <= 1:
                raise ParameterError(name, f"{value!r} is not between {low} and 1")


def choose_appearance(avatar: Avatar, seed: int, background: str = "gradient") -> Appearance:
    """Return how `avatar` looks; `seed` decides what it leaves open.

    Parameters
    ----------
    avatar : records.Avatar
    seed : int
        Not negative. The same seed gives the same choice for what an avatar leaves open, whatever else
        it says.
    background : str
        "gradient" (a studio sweep) or "plain", both in a colour that goes with the clothes; or a colour, by
        name or #rrggbb, for a plain background.

    Raises
    ------
    UnknownNameError
        An attribute's value, a colour's name or the background is unknown.
    """
    for name, allowed in AVATAR_CHOICES.items():
        value = getattr(avatar, name)
        if value is not None and value not in allowed:
            raise UnknownNameError(name.replace("_", " "), value, allowed)
    if seed < 0:
        raise ParameterError("seed", f"{seed} is negative")
    draw = _Draw(seed)
    gender = draw.unless(avatar.gender, ("female", "male"))
    age = draw.unless(avatar.age, ("young adult", "young adult", "adult", "adult", "middle-aged", "senior"))
    build = draw.unless(avatar.body_type, ("slim", "average", "average", "athletic", "sturdy"))
    tone = draw.unless(avatar.skin_tone, AVATAR_CHOICES["skin_tone"])
    hair_color = draw.unless(avatar.hair_color, palettes.HAIR_BY_SKIN[tone])
    grey = draw.one_of(palettes.GREYS[age])
    if avatar.hair_color is None and grey:
        hair_color = grey
    hair_style = draw.unless(avatar.hair_style, palettes.HAIR_STYLES[gender])
    outfit = draw.one_of(palettes.OUTFITS)
    top = draw.unless(avatar.top, palettes.TOPS[gender])
    bottom = draw.unless(avatar.bottom, palettes.BOTTOMS[gender])
    shoes = draw.unless(avatar.shoes, palettes.SHOES)
    heaviness, muscle = palettes.BUILDS[build]
    own_color = background not in BACKGROUNDS
    return Appearance(
        male_share=1.0 if gender == "male" else 0.0,
        heaviness=heaviness,
        muscle=muscle,
        age=palettes.AGES[age],
        skin=palettes.SKIN[tone],
        hair_style=hair_style,
        hair_color=palettes.HAIR[hair_color],
        eye_color=draw.one_of(palettes.EYES_BY_SKIN[tone]),
        top=top,
        top_color=color_code(avatar.top_color or outfit.top, "top_color"),
        bottom=bottom,
        bottom_color=color_code(avatar.bottom_color or outfit.bottom_for(bottom), "bottom_color"),
        shoes=shoes,
        shoes_color=color_code(draw.unless(avatar.shoes_color, palettes.SHOE_COLORS[shoes]), "shoes_color"),
        background="plain" if own_color else background,
        backdrop=color_code(background, "background") if own_color else outfit.backdrop,
        seat_color=palettes.SEAT,
    )


def color_code(color: str, parameter: str = "color") -> str:
    """Return "#rrggbb" for a colour's name or code.

    Raises
    ------
    UnknownNameError
        Neither a name of `records.COLOR_NAMES` nor of the form #rrggbb.
    """
    if color in COLOR_NAMES:
        return COLOR_NAMES[color]
    if is_hex_color(color):
        return color.lower()
    raise UnknownNameError(parameter.replace("_", " "), color, [*COLOR_NAMES, "#rrggbb"])


class _Draw:
    """Independent draws: one stream per question, so that answering one leaves the others alone."""

    def __init__(self, seed: int) -> None:
        self._uniform = iter(np.random.Generator(np.random.PCG64(seed)).random(64).tolist())

    def unless(self, told: str | None, choices: tuple[str, ...]) -> str:
        drawn = self.one_of(choices)
        return drawn if told is None else told

    def one_of(self, choices: tuple[_T, ...]) -> _T:
        return choices[int(next(self._uniform) * len(choices))]
