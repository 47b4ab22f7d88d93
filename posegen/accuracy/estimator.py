"""What a pose estimator is: it finds the people in a picture and where their joints are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Person:
    """One person found in a picture.

    Attributes
    ----------
    keypoints : float array, shape (17, 3)
        COCO_17: x and y in pixels, the centre of the top-left pixel being (0, 0), and a confidence in [0, 1].
        NaN where a keypoint was not found.
    world : float array, shape (33, 3), or None
        BLAZEPOSE_33 in metres, if the estimator knows depth: x to the picture's right, y down, z away from
        the camera, from the middle of the hips.
    """

    keypoints: FloatArray
    world: FloatArray | None = None

    @property
    def score(self) -> float:
        """Mean confidence of the keypoints that were found; 0 if none was."""
        found = np.isfinite(self.keypoints).all(axis=1)
        return float(self.keypoints[found, 2].mean()) if found.any() else 0.0

    @property
    def area(self) -> float:
        """Area of the keypoints' box in square pixels; 0 if none was found."""
        found = self.keypoints[np.isfinite(self.keypoints).all(axis=1), :2]
        return float(np.prod(np.ptp(found, axis=0))) if len(found) else 0.0


@dataclass(frozen=True)
class EstimatorInfo:
    """Which estimator it was: goes into every record.

    Attributes
    ----------
    name : str
        As in the registry.
    version : str
        Of the package that runs the model.
    weights_sha256 : str
        Of the model's files, hexadecimal.
    """

    name: str
    version: str
    weights_sha256: str


class PoseEstimator(Protocol):
    """Finds the people in a picture. One call at a time."""

    info: EstimatorInfo

    def estimate(self, pixels: NDArray[np.uint8], /) -> list[Person]:
        """Return the people, the largest first; empty if nobody was found.

        Parameters
        ----------
        pixels : uint8 array, shape (H, W, 3)
            sRGB.

        Raises
        ------
        EstimatorError
            The model gave up.
        """


def largest_first(people: list[Person]) -> list[Person]:
    """Return people by the area of their keypoints' boxes."""
    return sorted(people, key=lambda person: -person.area)
