"""One image against its target: what was found of the pose that was asked for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from posegen.accuracy.estimator import EstimatorInfo, Person
from posegen.accuracy.oks import keypoint_area, oks
from posegen.accuracy.pck import mean_error, pck, torso_diameter
from posegen.accuracy.posture import is_swapped, joint_angle_errors
from posegen.records import Measurement

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Target:
    """Where the joints should be.

    Attributes
    ----------
    keypoints : float array, shape (17, 3)
        COCO_17: x and y in pixels of the image that is measured, and 1 where the target shows the keypoint, 0
        where the body hides it.
    body_height_px : float
        The body's height, standing upright, at the picture's scale.
    """

    keypoints: FloatArray
    body_height_px: float

    @property
    def counted(self) -> NDArray[np.bool_]:
        """Keypoints that are compared."""
        return np.asarray(self.keypoints[:, 2] > 0)

    @property
    def area(self) -> FloatArray:
        """Area of the figure in square pixels, from all keypoints, hidden ones too; shape ()."""
        return keypoint_area(self.keypoints[:, :2], np.ones(len(self.keypoints), bool))

    def similarity(self, points: FloatArray) -> float:
        """Return the OKS of keypoints of shape (17, 2), NaN being not found."""
        return float(oks(points, self.keypoints[:, :2], self.counted, self.area))


def measure(
    people: Sequence[Person], target: Target, info: EstimatorInfo, *, duration_ms: float = 0.0
) -> Measurement:
    """Return how well what was found in an image fits its target.

    Parameters
    ----------
    people : sequence of Person
        Everybody who was found. The figures are of the one with the highest OKS: a second person does not
        hide that the first stands right, and is counted in `people`. One without a single keypoint is nobody.
    target : Target
    info : EstimatorInfo
    duration_ms : float

    Returns
    -------
    Measurement
        With nobody found, similarities are 0 and errors None.

    Raises
    ------
    ValueError
        The target shows no keypoint, or is not finite.
    """
    if not target.counted.any():
        raise ValueError("the target shows no keypoint to compare")
    people = [person for person in people if _has_keypoint(person)]
    shapes = [person.keypoints[:, :2] for person in people]
    scores = [target.similarity(points) for points in shapes]
    best = int(np.argmax(scores)) if scores else None
    points = np.full((17, 2), np.nan) if best is None else shapes[best]
    pair = points[None], target.keypoints[None, :, :2], target.counted[None]
    torso_px = torso_diameter(target.keypoints[None, :, :2])
    return Measurement(
        estimator=info.name,
        estimator_version=info.version,
        weights_sha256=info.weights_sha256,
        people=len(people),
        oks=0.0 if best is None else round(scores[best], 4),
        pck_10=round(pck(*pair, scale_px=torso_px, alpha=0.1), 4),
        pck_20=round(pck(*pair, scale_px=torso_px, alpha=0.2), 4),
        counted=int(target.counted.sum()),
        mean_error=_rounded(mean_error(*pair, scale_px=np.array([target.body_height_px])), 5),
        angle_error_deg=_rounded(_mean(joint_angle_errors(*pair)), 2),
        swapped=bool(is_swapped(*pair)[0]),
        keypoints=() if best is None else _flat(people[best].keypoints),
        duration_ms=round(duration_ms, 2),
    )


def measured_keypoints(measurement: Measurement) -> FloatArray | None:
    """Return the keypoints of a measurement, shape (17, 3), NaN being not found; None if nobody was."""
    if not measurement.keypoints:
        return None
    return np.array(measurement.keypoints, dtype=np.float64).reshape(17, 3)


def _has_keypoint(person: Person) -> bool:
    return bool(np.isfinite(person.keypoints[:, :2]).all(axis=1).any())


def _flat(keypoints: FloatArray) -> tuple[float | None, ...]:
    rows = [(round(x, 1), round(y, 1), round(score, 2)) for x, y, score in keypoints.tolist()]
    return tuple(value if np.isfinite(value) else None for row in rows for value in row)


def _mean(values: FloatArray) -> float:
    known = values[np.isfinite(values)]
    return float(known.mean()) if known.size else float("nan")


def _rounded(value: float, digits: int) -> float | None:
    return round(value, digits) if np.isfinite(value) else None
