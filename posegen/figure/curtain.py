"""Hair that falls from the cap: beside the face, over neck and back."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from posegen.figure.anatomy import anatomy
from posegen.figure.body import BodyShape
from posegen.figure.hair_cuts import Cut
from posegen.figure.head import to_body

Double = NDArray[np.float64]

_ROW_M = 0.014
_SHORT = 0.6
"""Template height: hair that ends above it is cut straight and turns in to the jaw."""


@dataclass(frozen=True, eq=False)
class Curtain:
    """Rows of hair, each with one point per direction around the head.

    Attributes
    ----------
    points : float array, shape (R, A, 3)
    length : float array, shape (R, A)
        Along the strand from the crown, metres.
    limit : float array, shape (R, A)
        Metres inside the hair's border.
    """

    points: Double
    length: Double
    limit: Double


def with_curtain(cut: Cut, shape: BodyShape, azimuth: Double, cap: Curtain, center: Double) -> Curtain:
    """Return the cap's rows and, below them, those of the hair that falls from it.

    Parameters
    ----------
    cut : Cut
    shape : BodyShape
    azimuth : float array, shape (A,)
        Directions of the columns, radians; 0 is the face.
    cap : Curtain
        The hair on the skull.
    center : float array, shape (3,)
        The skull's middle.
    """
    unit = to_body(np.array([[0, 0, 1.0], [0, 0, 0.0]]), shape)[:, 2]
    scale = float(unit[0] - unit[1])
    hanging, falls = _rows(cut, shape, azimuth, cap.points[-1], center, scale)
    points = np.concatenate([cap.points, hanging])
    falls = np.concatenate([np.full(cap.limit.shape, 1.0), falls])
    opening = _face_opening(points, azimuth, center, scale)
    # Over the forehead the hair line ends the hair, beside the face the opening does.
    hair_line = np.concatenate([cap.limit, np.full(hanging.shape[:2], -0.05)])
    step = np.sqrt((np.diff(points[len(cap.points) - 1 :], axis=0) ** 2).sum(-1))
    length = np.concatenate([cap.length, cap.length[-1] + np.cumsum(step, axis=0)])
    return Curtain(points, length, np.minimum(np.maximum(hair_line, opening), falls))


def _rows(
    cut: Cut, shape: BodyShape, azimuth: Double, last: Double, center: Double, scale: float
) -> tuple[Double, Double]:
    """Return the rows below `last`, and the metres of each point above the hair's ends."""
    top = last[:, 2].mean()
    bottom = _ends(cut, shape, azimuth)
    count = int((top - bottom.min()) / _ROW_M)
    start = np.sqrt(((last[:, :2] - center[:2]) ** 2).sum(axis=1))
    short = cut.curtain > _SHORT
    points, above = [], []
    for i in range(1, count + 1):
        z = top + (bottom.min() - 0.02 - top) * i / count
        drop = (top - z) / scale
        # Short hair turns in to the jaw.
        inward = 0.016 * min(drop / 0.09, 1) ** 1.5 if short else 0.006 * min(drop / 0.1, 1)
        radius = np.maximum(start - inward, _clearance(shape, z, azimuth, center))
        radius = (
            radius + 0.0016 * np.sin(13 * azimuth + 30 * drop) + 0.0012 * np.sin(29 * azimuth - 18 * drop)
        )
        around = [radius * np.sin(azimuth), -radius * np.cos(azimuth), np.full(len(azimuth), z - center[2])]
        points.append(np.stack(around, axis=-1) + center)
        tips = 0.008 * np.sin(azimuth * 17 + np.sin(azimuth * 5) * 3) + 0.006 * np.sin(azimuth * 31)
        above.append(z - bottom + tips * (0.25 if short else 1.0))
    rows = np.stack(points)
    for _ in range(3):
        rows[1:-1] = (rows[:-2] + 2 * rows[1:-1] + rows[2:]) / 4
    return rows, np.stack(above)


def _ends(cut: Cut, shape: BodyShape, azimuth: Double) -> Double:
    """Return the height at which hair ends in each direction."""
    behind = np.clip((np.abs(np.degrees(azimuth)) - 112) / 34, 0, 1)
    behind = behind**2 * (3 - 2 * behind)
    ends = cut.curtain_side + (cut.curtain - cut.curtain_side) * behind
    return to_body(np.stack([0 * azimuth, 0 * azimuth, ends], 1), shape)[:, 2]


def _face_opening(points: Double, azimuth: Double, center: Double, scale: float) -> Double:
    """Return metres behind the edge that frames the face."""
    height = (points[..., 2] - center[2]) / scale
    edge = np.interp(
        -height, [-0.085, -0.06, -0.035, 0.0, 0.03, 0.075, 0.13, 0.20], [0, 14, 40, 57, 65, 66, 60, 54]
    )
    radius = np.sqrt(((points[..., :2] - center[:2]) ** 2).sum(-1))
    wave = 2.0 * np.sin(height * 60) * np.clip(-height / 0.05, 0, 1)
    result: Double = np.radians(np.abs(np.degrees(azimuth)) - edge - wave) * radius
    return result


def _clearance(shape: BodyShape, z: float, azimuth: Double, center: Double) -> Double:
    """Return how far from the head's axis hair must stay to clear neck, shoulders and back."""
    a = anatomy()
    collar = float(to_body(np.array([[0.0, 0.0, 0.615]]), shape)[0, 2])
    near = (np.abs(shape.vertices[:, 2] - z) < 0.018) & (a.arm < 0.4) & (np.abs(a.template[:, 0]) < 0.095)
    ear = (np.abs(a.template[:, 0]) > 0.0705) & (a.template[:, 2] < 0.775) & (a.template[:, 2] > 0.69)
    points = shape.vertices[near & ~ear][:, :2].astype(np.float64) - center[:2]
    if len(points) < 8:
        return np.zeros_like(azimuth)
    angle = np.arctan2(points[:, 0], -points[:, 1])
    radius = np.sqrt((points**2).sum(axis=1))
    gap = np.abs(np.angle(np.exp(1j * (azimuth[:, None] - angle))))
    reach = np.where(gap < 0.12, radius, 0).max(axis=1)
    return np.asarray(reach + 0.013 + (0.024 if z < collar else 0.0))
