"""The people in a picture, numbered from left to right, and the one that is meant."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from posegen.accuracy.estimator import Person
from posegen.errors import NobodyFoundError, PictureError
from posegen.picture_poses.source import SourcePicture
from posegen.skeletons import BLAZEPOSE_33, OPENPOSE_18, openpose_from_coco

FloatArray = NDArray[np.float64]
Who = int | Literal["largest"]

LEAST_CONFIDENCE = 0.3
"""A keypoint below this is taken for unseen."""
SURE = 0.5
_HAND, _FOOT = ("wrist", "index", "pinky", "thumb"), ("ankle", "heel", "foot_index")
_BEYOND = {"elbow": ("elbow", *_HAND), "wrist": _HAND, "knee": ("knee", *_FOOT), "ankle": _FOOT}
_NEXT = {
    f"{side}_{joint}": f"{side}_{after}"
    for side in ("left", "right")
    for joint, after in (("elbow", "wrist"), ("knee", "ankle"), ("hip", "knee"), ("shoulder", "elbow"))
}
LEAST_KEYPOINTS = 8
"""Fewer of the 18 keypoints do not make a pose: a face and shoulders are 8."""


@dataclass(frozen=True, eq=False)
class FoundPerson:
    """One person in a picture.

    Attributes
    ----------
    number : int
        From 1, left to right.
    box : (float, float, float, float)
        Left, top, right and bottom of the keypoints, in the picture's pixels.
    keypoints : float array, shape (18, 3)
        OPENPOSE_18: x and y in the picture's pixels and visibility: 1, or 0 where the estimator is not sure
        (behind something, mostly). NaN where it sees nothing.
    world : float array, shape (33, 3), or None
        As `Person.world`.
    confidence : float
        Mean of the keypoints'.
    cut_off : tuple of str
        Keypoints that lie outside the picture, by name.
    """

    number: int
    box: tuple[float, float, float, float]
    keypoints: FloatArray
    world: FloatArray | None
    confidence: float
    cut_off: tuple[str, ...] = ()

    @property
    def area(self) -> float:
        """Area of the box in square pixels."""
        left, top, right, bottom = self.box
        return (right - left) * (bottom - top)

    @property
    def seen(self) -> int:
        """How many keypoints there are."""
        return int(np.isfinite(self.keypoints[:, :2]).all(axis=1).sum())

    @property
    def hidden(self) -> tuple[str, ...]:
        """Keypoints that were not found though they lie in the picture, by name."""
        lost = np.flatnonzero(~np.isfinite(self.keypoints[:, :2]).all(axis=1))
        names = [OPENPOSE_18.keypoints[i] for i in lost]
        return tuple(name for name in names if name not in self.cut_off)

    @property
    def known_world(self) -> FloatArray | None:
        """The landmarks without those of limbs that are cut off, which an estimator makes up."""
        if self.world is None:
            return None
        known = self.world.copy()
        for keypoint in self.cut_off:
            side, _, joint = keypoint.partition("_")
            for beyond in _BEYOND.get(joint, ()):
                known[BLAZEPOSE_33.index(f"{side}_{beyond}")] = np.nan
        return known

    def where(self) -> str:
        """Return the person's number and box in words."""
        left, top, right, bottom = (round(side) for side in self.box)
        return f"{self.number} at x {left} to {right}, y {top} to {bottom}"


def number_people(people: Sequence[Person], source: SourcePicture) -> list[FoundPerson]:
    """Return the people that an estimator found in `source.pixels`, from left to right."""
    sized = [(*_openpose(person.keypoints, source), person) for person in people]
    placed = [found for found in sized if np.isfinite(found[0]).any()]
    placed.sort(key=lambda found: float(np.nanmean(found[0][:, 0])))
    return [
        FoundPerson(number, _box(keypoints), keypoints, person.world, person.score, cut_off)
        for number, (keypoints, cut_off, person) in enumerate(placed, start=1)
    ]


def choose(people: Sequence[FoundPerson], who: Who, picture: str) -> FoundPerson:
    """Return the person that is meant.

    Raises
    ------
    NobodyFoundError
        There is nobody.
    PictureError
        There is nobody of that number, or too little of them is seen.
    """
    if not people:
        raise NobodyFoundError("nobody was found; a person should be seen nearly whole", picture=picture)
    by_number: dict[object, FoundPerson] = {person.number: person for person in people}
    by_number["largest"] = max(people, key=lambda person: person.area)
    chosen = by_number.get(who)
    if chosen is None:
        count = "1 person is" if len(people) == 1 else f"{len(people)} people are"
        there = "; ".join(person.where() for person in people)
        problem = f"person is {who!r}; {count} in it, from left to right: {there}. Allowed: 'largest' too."
        raise PictureError(problem, picture=picture)
    if chosen.seen < LEAST_KEYPOINTS:
        problem = (
            f"of person {chosen.number} {chosen.seen} of 18 keypoints are seen; at least {LEAST_KEYPOINTS} "
            "are needed"
        )
        raise PictureError(problem, picture=picture)
    return chosen


def _openpose(coco: FloatArray, source: SourcePicture) -> tuple[FloatArray, tuple[str, ...]]:
    """Return an estimator's keypoints as OPENPOSE_18 in the picture's pixels, and which are cut off."""
    points = openpose_from_coco(coco)
    points[:, :2] = (points[:, :2] + 0.5) * source.scale - 0.5
    most = source.width - 0.5, source.height - 0.5
    inside = np.asarray(((points[:, :2] >= -0.5) & (points[:, :2] <= most)).all(axis=1))
    seen = points[:, 2] >= LEAST_CONFIDENCE
    known = dict(zip(OPENPOSE_18.keypoints, (seen & inside).tolist(), strict=True))
    # An elbow or knee just outside is told by the wrist or ankle that is seen.
    cut_off = tuple(
        name
        for name, here in zip(OPENPOSE_18.keypoints, inside.tolist(), strict=True)
        if not here and not known.get(_NEXT.get(name, ""), False)
    )
    seen &= ~np.isin(OPENPOSE_18.keypoints, cut_off)
    points[:, 2] = points[:, 2] >= SURE
    return np.where(seen[:, None], points, np.nan), cut_off


def _box(keypoints: FloatArray) -> tuple[float, float, float, float]:
    (left, top), (right, bottom) = np.nanmin(keypoints[:, :2], axis=0), np.nanmax(keypoints[:, :2], axis=0)
    return float(left), float(top), float(right), float(bottom)
