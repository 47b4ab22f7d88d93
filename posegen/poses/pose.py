"""A pose: what decides the picture (angles, hands, support) and what people and models call it."""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from posegen.errors import PoseDataError, nearest_names
from posegen.poses.hands import HAND_SHAPES
from posegen.poses.joints import LIMITS, beyond_limits
from posegen.poses.kinematics import RELAXED_HANDS, SUPPORTS

CATEGORIES: Mapping[str, str] = MappingProxyType(
    {
        "standing": "Standing",
        "contrapposto": "Contrapposto and fashion stances",
        "walking": "Walking",
        "running": "Running",
        "jumping": "Jumping",
        "sitting_chair": "Sitting on a chair",
        "sitting_floor": "Sitting on the floor",
        "kneeling": "Kneeling",
        "crouching": "Crouching",
        "lying": "Lying",
        "leaning": "Leaning",
        "dance": "Dance",
        "ballet": "Ballet",
        "yoga": "Yoga",
        "martial_arts": "Martial arts",
        "ball_sports": "Ball sports",
        "racket_sports": "Racket sports",
        "gym": "Gym",
        "stretching": "Stretching",
        "gestures": "Gestures",
        "presenting": "Presenting a product",
        "phone": "On the phone",
        "selfie": "Taking a selfie",
        "celebrating": "Celebrating",
        "thinking": "Thinking",
        "desk_work": "Desk work",
        "runway": "Runway",
        "hands_on_hips": "Hands on hips",
    }
)
"""Every category by id, with its title, in the order of the library."""

DIFFICULTIES: tuple[str, ...] = ("easy", "medium", "hard")
LIFT_RANGE_M = (0.0, 1.5)
SEAT_RANGE_M = (0.2, 1.2)
_REQUIRED = ("id", "name", "description", "tags", "difficulty", "angles")
_CONTENT = ("angles", "hands", "support", "lift_m", "seat_height_m")
_ALLOWED = (*_REQUIRED, *_CONTENT[1:], "provenance")
_ID = re.compile(r"[a-z0-9]+(_[a-z0-9]+)*")
_ANGLE_NAMES = (*LIMITS, *(name.replace("left_", "both_", 1) for name in LIMITS if name.startswith("left_")))


@dataclass(frozen=True)
class Pose:
    """A named body configuration.

    Attributes
    ----------
    id : str
        Lower case words joined by underscores.
    name, category, description : str
        `category` is a key of `CATEGORIES`; `description` guides a text-to-image model.
    tags : tuple of str
    difficulty : {"easy", "medium", "hard"}
        How far from what people, and so image models, usually show.
    angles : dict of str to float
        Degrees by name (`joints.LIMITS`); what is not named is 0.
    hands : (str, str)
        Shape of the left and the right hand (`hands.HAND_SHAPES`).
    support : {"floor", "air", "seat"}
    lift_m : float
        Height of the lowest point above the floor, for "air".
    seat_height_m : float or None
        For "seat"; None puts the seat where the feet reach the floor.
    provenance : dict of str to plain value, or None
        Where the pose comes from, for people: a picture's name and hash, say. Decides nothing.
    """

    id: str
    name: str
    category: str
    description: str
    tags: tuple[str, ...] = ()
    difficulty: str = "easy"
    angles: Mapping[str, float] = field(default_factory=dict)
    hands: tuple[str, str] = RELAXED_HANDS
    support: str = "floor"
    lift_m: float = 0.0
    seat_height_m: float | None = None
    provenance: Mapping[str, Any] | None = None

    def __hash__(self) -> int:
        """Hash by name and content; the angles themselves are a dict."""
        return hash((self.id, self.content_hash()))

    def content(self) -> dict[str, Any]:
        """Return what decides the picture, as plain JSON values in a fixed form.

        Names, description and tags are left out, and so are angles of 0: two poses that look the same by
        construction have the same content.
        """
        content: dict[str, Any] = {
            "angles": {name: float(value) for name, value in sorted(self.angles.items()) if value},
            "hands": list(self.hands),
            "support": self.support,
        }
        if self.support == "air":
            content["lift_m"] = float(self.lift_m)
        if self.support == "seat" and self.seat_height_m is not None:
            content["seat_height_m"] = float(self.seat_height_m)
        return content

    def content_hash(self) -> str:
        """Return the SHA-256 of `content` as canonical JSON, hexadecimal."""
        text = json.dumps(self.content(), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()

    def entry(self) -> dict[str, Any]:
        """Return the pose as an entry of a library file: `read_pose` of it is this pose."""
        words = {
            "id": self.id,
            "name": self.name,
            "description": self.description,
            "tags": list(self.tags),
            "difficulty": self.difficulty,
        }
        provenance = {} if self.provenance is None else {"provenance": dict(self.provenance)}
        return words | self.content() | provenance

    @classmethod
    def from_content(cls, content: Mapping[str, Any], *, pose_id: str = "unnamed") -> Pose:
        """Return the pose that `content` describes, validated, with a name to go by.

        Raises
        ------
        PoseDataError
            An unknown key, angle or hand shape, or a value out of range.
        """
        return cls(
            id=pose_id,
            name=pose_id,
            category="",
            description="",
            **_read_content(content, _Where(pose=pose_id)),
        )


@dataclass(frozen=True)
class _Where:
    """Where in which file a value stands, for error messages."""

    file: str = ""
    pose: str = ""

    def error(self, field_name: str, problem: str) -> PoseDataError:
        return PoseDataError(problem, file=self.file, pose=self.pose, field=field_name)

    def check_keys(self, found: Iterable[str], allowed: Iterable[str], kind: str) -> None:
        allowed = list(allowed)
        for key in found:
            if key not in allowed:
                nearest = nearest_names(key, allowed)
                hint = f"did you mean {' or '.join(map(repr, nearest))}?" if nearest else ""
                listed = f"Allowed: {', '.join(allowed)}." if len(allowed) <= 24 and not nearest else ""
                raise self.error("", f"unknown {kind} {key!r}; {hint or listed or 'see joints.LIMITS'}")

    def one_of(self, field_name: str, value: object, allowed: Iterable[str]) -> str:
        allowed = list(allowed)
        if not isinstance(value, str) or value not in allowed:
            nearest = nearest_names(str(value), allowed)
            hint = f"did you mean {nearest[0]!r}? " if nearest else ""
            raise self.error(field_name, f"is {value!r}; {hint}Allowed: {', '.join(allowed)}.")
        return value

    def number(self, field_name: str, value: object, least: float, greatest: float) -> float:
        if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
            raise self.error(field_name, f"is {value!r}; must be a number from {least:g} to {greatest:g}")
        if not least <= value <= greatest:
            raise self.error(field_name, f"is {value:g}; must be from {least:g} to {greatest:g}")
        return float(value)

    def text(self, field_name: str, value: object) -> str:
        if not isinstance(value, str) or not value.strip():
            raise self.error(field_name, f"is {value!r}; must be a text that is not empty")
        return value.strip()


def read_pose(document: object, category: str, *, file: str = "") -> Pose:
    """Return the pose of one entry of a library file, validated.

    Parameters
    ----------
    document : dict
        As JSON gives it: `id`, `name`, `description`, `tags`, `difficulty`, `angles`, and where they differ
        from `Pose`'s defaults `hands`, `support`, `lift_m`, `seat_height_m`; `provenance` if there is one. An
        angle named ``both_...`` stands for the left and the right one.
    category : str
        A key of `CATEGORIES`.
    file : str
        Named in errors.

    Raises
    ------
    PoseDataError
        Names file, pose, field, the value found and what is allowed.
    """
    if not isinstance(document, dict):
        raise PoseDataError(f"a pose must be a mapping, found {document!r:.60}", file=file)
    where = _Where(file, str(document.get("id", "?")))
    where.check_keys(document, _ALLOWED, "key")
    for key in _REQUIRED:
        if key not in document:
            raise where.error(key, "is missing")
    pose_id = where.text("id", document["id"])
    if not _ID.fullmatch(pose_id):
        raise where.error("id", f"is {pose_id!r}; must be lower case words joined by underscores")
    tags = document["tags"]
    if not isinstance(tags, list) or not tags:
        raise where.error("tags", f"is {tags!r}; must be a list of at least one text")
    return Pose(
        id=pose_id,
        name=where.text("name", document["name"]),
        category=where.one_of("category", category, CATEGORIES),
        description=where.text("description", document["description"]),
        tags=tuple(where.text("tags", tag) for tag in tags),
        difficulty=where.one_of("difficulty", document["difficulty"], DIFFICULTIES),
        provenance=_read_provenance(document.get("provenance"), where),
        **_read_content({key: document[key] for key in _CONTENT if key in document}, where),
    )


def _read_content(content: Mapping[str, Any], where: _Where) -> dict[str, Any]:
    where.check_keys(content, _CONTENT, "key")
    hands = content.get("hands", list(RELAXED_HANDS))
    if not isinstance(hands, list | tuple) or len(hands) != 2:
        raise where.error("hands", f"is {hands!r}; must be two hand shapes, left and right")
    support = where.one_of("support", content.get("support", "floor"), SUPPORTS)
    for key, owner in (("lift_m", "air"), ("seat_height_m", "seat")):
        if content.get(key) is not None and support != owner:
            raise where.error(key, f"has no meaning with support {support!r}, only with {owner!r}")
    seat = content.get("seat_height_m")
    return {
        "angles": _read_angles(content.get("angles", {}), where),
        "hands": tuple(where.one_of("hands", shape, HAND_SHAPES) for shape in hands),
        "support": support,
        # Below 0 the body would stand in the floor.
        "lift_m": where.number("lift_m", content.get("lift_m", 0.0), *LIFT_RANGE_M),
        "seat_height_m": None if seat is None else where.number("seat_height_m", seat, *SEAT_RANGE_M),
    }


def _read_provenance(document: object, where: _Where) -> dict[str, Any] | None:
    if document is None:
        return None
    if not isinstance(document, dict):
        raise where.error("provenance", f"is {document!r:.60}; must map names to texts, numbers or booleans")
    for name, value in document.items():
        plain = value is None or isinstance(value, str | bool | int | float)
        if not plain or (isinstance(value, float) and not math.isfinite(value)):
            raise where.error(f"provenance.{name}", f"is {value!r:.60}; must be a text, number or boolean")
    return dict(document)


def _read_angles(document: object, where: _Where) -> dict[str, float]:
    if not isinstance(document, dict):
        raise where.error("angles", f"is {document!r}; must map joint angles to degrees")
    where.check_keys(document, _ANGLE_NAMES, "joint angle")
    angles: dict[str, float] = {}
    for name, value in document.items():
        degrees = where.number(name, value, -180, 180)
        side, _, rest = name.partition("_")
        for single in (f"left_{rest}", f"right_{rest}") if side == "both" else (name,):
            if single in angles:
                raise where.error(single, f"is given twice, once by {'both_' + single.partition('_')[2]!r}")
            angles[single] = degrees
    for name, degrees, limit in beyond_limits(angles):
        raise where.error(
            name,
            f"is {degrees:g} degrees; this joint allows {limit.least:g} to {limit.greatest:g} "
            f"(positive: {limit.positive})",
        )
    return angles
