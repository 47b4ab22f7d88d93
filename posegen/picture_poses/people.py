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
from posegen.skeletons import openpose_from_coco

FloatArray = NDArray[np.float64]
Who = int | Literal["largest"]

LEAST_CONFIDENCE = 0.3
"""A keypoint below this is taken for unseen."""
SURE = 0.5
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
    """

    number: int
    box: tuple[float, float, float, float]
    keypoints: FloatArray
    world: FloatArray | None
    confidence: float

    @property
    def area(self) -> float:
        """Area of the box in square pixels."""
        left, top, right, bottom = self.box
        return (right - left) * (bottom - top)

    @property
    def seen(self) -> int:
        """How many keypoints there are."""
        return int(np.isfinite(self.keypoints[:, :2]).all(axis=1).sum())

    def where(self) -> str:
        """Return the person's number and box in words."""
        left, top, right, bottom = (round(side) for side in self.box)
        return f"{self.number} at x {left} to {right}, y {top} to {bottom}"


def number_people(people: Sequence[Person], source: SourcePicture) -> list[FoundPerson]:
    """Return the people that an estimator found in `source.pixels`, from left to right."""
    sized = [(_openpose(person.keypoints, source.scale), person) for person in people]
    placed = [pair for pair in sized if np.isfinite(pair[0]).any()]
    placed.sort(key=lambda pair: float(np.nanmean(pair[0][:, 0])))
    return [
        FoundPerson(number, _box(keypoints), keypoints, person.world, person.score)
        for number, (keypoints, person) in enumerate(placed, start=1)
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


def _openpose(coco: FloatArray, scale: float) -> FloatArray:
    """Return an estimator's keypoints as OPENPOSE_18 in the picture's pixels, with visibility."""
    seen = coco[:, 2] >= LEAST_CONFIDENCE
    points = np.where(seen[:, None], coco, np.nan)
    openpose = openpose_from_coco(points)
    openpose[:, :2] = (openpose[:, :2] + 0.5) * scale - 0.5
    openpose[:, 2] = np.where(np.isfinite(openpose[:, 2]), openpose[:, 2] >= SURE, np.nan)
    return openpose


def _box(keypoints: FloatArray) -> tuple[float, float, float, float]:
    (left, top), (right, bottom) = np.nanmin(keypoints[:, :2], axis=0), np.nanmax(keypoints[:, :2], axis=0)
    return float(left), float(top), float(right), float(bottom)
