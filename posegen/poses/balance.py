"""Balance: who stands has the weight over the feet, which a picture from the front does not show."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from posegen.poses.camera import view_axes
from posegen.poses.kinematics import Postures

FloatArray = NDArray[np.float64]

STANDING_M = 0.75
"""Whose weight is lower than this above the feet sits, kneels or lies, and may rest on something else."""
CONTACT_M = 0.2
"""Feet that are lower than this above the lowest may stand on the floor."""
INNER_SHARE = 0.25
"""Nobody stands on the tips of toes or heels: so much at either end of the feet does not carry."""
TOLERANCE_M = 0.02
FLAT_M = 0.04
"""A toe that is this much higher or lower than its heel costs as much as `TOLERANCE_M` of balance."""
LARGEST, LARGEST_FLAT = 5.0, 1.5
"""In tolerances; who is much further out of balance runs or jumps, and is not pulled back."""

_FOOT = ("heel", "big_toe", "small_toe", "ankle")


@dataclass(frozen=True, eq=False)
class Balance:
    """Which points of the feet carry a standing body, and the direction in which a picture shows nothing.

    Attributes
    ----------
    feet : tuple of int
        Of the body's keypoints.
    away : float array, shape (3,)
        Horizontal, away from the camera.
    """

    feet: tuple[int, ...]
    away: FloatArray

    @classmethod
    def of(cls, postures: Postures, yaw: float) -> Balance | None:
        """Return the balance of the first posture; None if it does not stand."""
        names = postures.body.keypoint_names
        points = postures.keypoints()[0]
        feet = [names.index(f"{side}_{part}") for side in ("left", "right") for part in _FOOT]
        lowest = points[feet, 2].min()
        if _weight(postures)[0, 2] - lowest < STANDING_M:
            return None
        carrying = tuple(point for point in feet if points[point, 2] < lowest + CONTACT_M)
        return cls(carrying, view_axes(yaw, 0.0)[2])

    def residuals(self, postures: Postures) -> FloatArray:
        """Return how far M postures are from balance and flat feet, in tolerances, (M, 3).

        First how far the weight is before or behind what carries it, then how far the toes of each foot are
        from its heel's height, where the foot carries.
        """
        points = postures.keypoints()
        feet = points[:, self.feet] @ self.away
        near, far = feet.min(axis=1), feet.max(axis=1)
        inner = INNER_SHARE * (far - near)
        weight = _weight(postures) @ self.away
        over = np.maximum(near + inner - weight, 0.0) + np.maximum(weight - far + inner, 0.0)
        names = postures.body.keypoint_names
        tipped = np.zeros((len(postures), 2))
        for side, column in (("left", 0), ("right", 1)):
            heel, toe = (names.index(f"{side}_{part}") for part in ("heel", "big_toe"))
            if heel in self.feet or toe in self.feet:
                tipped[:, column] = points[:, toe, 2] - points[:, heel, 2]
        balance = _bounded(over / TOLERANCE_M, LARGEST)
        return np.concatenate([balance[:, None], _bounded(tipped / FLAT_M, LARGEST_FLAT)], axis=1)


def _bounded(units: FloatArray, most: float) -> FloatArray:
    return np.asarray(units / np.sqrt(1 + (units / most) ** 2))


def _weight(postures: Postures) -> FloatArray:
    """Return about where the middle of the weight is: between hips and shoulders, shape (M, 3)."""
    names = postures.body.keypoint_names
    trunk = [names.index(f"{side}_{part}") for side in ("left", "right") for part in ("hip", "shoulder")]
    return np.asarray(postures.keypoints()[:, trunk].mean(axis=1))
