"""An avatar's attributes in natural words."""

from __future__ import annotations

import re

from posegen.records import COLOR_NAMES, Avatar

_NOUNS = {"female": "woman", "male": "man"}
_AGES = {"young adult": "young"}
_HAIR_NOUNS = ("buzz cut", "bob", "ponytail", "bun")
_PAIRS = ("jeans", "trousers", "leggings", "shorts", "bottoms", "sneakers", "boots", "loafers", "shoes")
_HEX = re.compile(r"#[0-9a-fA-F]{6}")


def avatar_words(avatar: Avatar) -> str:
    """Describe an avatar in a sentence; what is None is not mentioned.

    Parameters
    ----------
    avatar : Avatar
        Values outside `AVATAR_CHOICES` are taken as they are; a garment's #rrggbb becomes the nearest of
        `COLOR_NAMES`, since text encoders know no hexadecimal colours.

    Returns
    -------
    str
        Empty if nothing is set. `extra` follows as a sentence of its own.

    Examples
    --------
    >>> avatar_words(Avatar(gender="female", age="senior", hair_style="bun", shoes="boots"))
    'The person is a senior woman with a bun, wearing boots.'
    """
    age, gender = avatar.age, avatar.gender
    noun = _NOUNS.get(gender, gender) if gender else "person" if age else ""
    who = _with_article(f"{_AGES.get(age, age)} {noun}" if age else noun) if noun else ""
    traits = _listed([words for words in (_build(avatar), _skin(avatar), _hair(avatar)) if words])
    clothes = _clothes(avatar)
    sentence = f"The person is {who}" if who else "The person"
    if traits:
        sentence += f" with {traits}" if who else f" has {traits}"
    if clothes:
        sentence += f", {clothes}" if who or traits else f" is {clothes}"
    extra = (avatar.extra or "").strip()
    sentences = [f"{sentence}."] if who or traits or clothes else []
    if extra:
        extra = extra[0].upper() + extra[1:]
        sentences.append(extra if extra[-1] in ".!?…" else f"{extra}.")
    return " ".join(sentences)


def _build(avatar: Avatar) -> str:
    return _with_article(f"{avatar.body_type} build") if avatar.body_type else ""


def _skin(avatar: Avatar) -> str:
    return f"{avatar.skin_tone} skin" if avatar.skin_tone else ""


def _hair(avatar: Avatar) -> str:
    style, color = avatar.hair_style, avatar.hair_color
    if style == "bald":
        return "a bald head"
    if style in _HAIR_NOUNS:
        return _with_article(f"{color} {style}" if color else str(style))
    words = " ".join(word for word in (style, color) if word)
    return f"{words} hair" if words else ""


def _clothes(avatar: Avatar) -> str:
    garments = [
        _garment(avatar.top, avatar.top_color, "top"),
        _garment(avatar.bottom, avatar.bottom_color, "bottoms"),
    ]
    if avatar.shoes != "barefoot":
        garments.append(_garment(avatar.shoes, avatar.shoes_color, "shoes"))
    worn = _listed([garment for garment in garments if garment])
    parts = [f"wearing {worn}"] if worn else []
    if avatar.shoes == "barefoot":
        parts.append("barefoot")
    return ", ".join(parts)


def _garment(name: str | None, color: str | None, unnamed: str) -> str:
    if name is None and color is None:
        return ""
    garment = name or unnamed
    words = f"{_color_name(color)} {garment}" if color else garment
    return words if garment in _PAIRS else _with_article(words)


def _color_name(color: str) -> str:
    if not _HEX.fullmatch(color):
        return color
    wanted = _rgb(color)

    def distance(name: str) -> int:
        return sum((a - b) ** 2 for a, b in zip(_rgb(COLOR_NAMES[name]), wanted, strict=True))

    return min(COLOR_NAMES, key=distance)


def _rgb(color: str) -> tuple[int, int, int]:
    return int(color[1:3], 16), int(color[3:5], 16), int(color[5:7], 16)


def _with_article(words: str) -> str:
    return f"{'an' if words[0].lower() in 'aeiou' else 'a'} {words}"


def _listed(items: list[str]) -> str:
    return items[0] if len(items) == 1 else f"{', '.join(items[:-1])} and {items[-1]}" if items else ""
