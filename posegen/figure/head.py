"""The head's form in polar coordinates about the skull's middle, and where hair grows on it.

Directions: azimuth 0 is the face, growing to the figure's left; elevation 90 degrees is the crown. Places
are on the template; see `anatomy`.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from posegen.figure.anatomy import anatomy
from posegen.figure.body import BodyShape
from posegen.figure.mesh import body_topology
from posegen.figure.topology import smooth

Float = NDArray[np.float32]
Double = NDArray[np.float64]

SKULL_CENTER = np.array([0.0, -0.038, 0.775])
"""Middle of the template's skull."""
_KERNEL_DEG = 4.5
_TILE = 6
"""Directions that are looked up together, along each of azimuth and elevation."""

_AZIMUTH_DEG = np.array([0, 18, 30, 42, 52, 60, 68, 76, 84, 92, 104, 120, 150, 180])
_ELEVATION_DEG = np.array([37.0, 36, 33, 26, 19, 10, -6, -18, -13, -5, -14, -30, -46, -50])
"""The hair line: forehead, temple, side burn before the ear, over and behind the ear, nape."""


def hair_line_deg(azimuth: Double) -> Double:
    """Return the elevation of the hair line, degrees, at `azimuth` in radians."""
    line: Double = np.interp(np.abs(np.degrees(azimuth)), _AZIMUTH_DEG, _ELEVATION_DEG)
    return line


def directions(points: Float | Double) -> tuple[Double, Double, Double]:
    """Return azimuth and elevation in radians, and distance, of template points from the skull's middle."""
    offset = np.asarray(points, np.float64) - SKULL_CENTER
    radius = np.sqrt((offset**2).sum(axis=-1))
    azimuth = np.arctan2(offset[..., 0], -offset[..., 1])
    elevation = np.arcsin(np.clip(offset[..., 2] / np.maximum(radius, 1e-9), -1, 1))
    return azimuth, elevation, radius


@lru_cache(maxsize=1)
def scalp_depth() -> Float:
    """Return how many metres each vertex of the body lies inside the hair line, negative outside; (V,)."""
    a = anatomy()
    azimuth, elevation, radius = directions(a.template)
    inside = np.radians(np.degrees(elevation) - hair_line_deg(azimuth)) * radius
    on_head = (a.head > 0.5) | (a.template[:, 2] > 0.66)
    ear = (np.abs(a.template[:, 0]) > 0.0705) & (a.template[:, 2] < 0.775) & (a.template[:, 1] > -0.07)
    depth = np.where(on_head & ~ear, np.clip(inside, -0.03, 0.03), -0.03).astype(np.float32)
    return smooth(depth, body_topology(), 2)


@lru_cache(maxsize=32)
def skull_radius(shape: BodyShape, azimuth: tuple[float, ...], elevation: tuple[float, ...]) -> Double:
    """Return the head's radius about its own middle without ears and nose, shape (elevations, azimuths)."""
    a = anatomy()
    template = a.template
    ear = (np.abs(template[:, 0]) > 0.0705) & (template[:, 2] < 0.775)
    inner = (
        (template[:, 1] > -0.10)
        & (np.abs(template[:, 0]) < 0.045)
        & (template[:, 2] < 0.74)
        & (template[:, 1] < 0)
    )
    nose = (template[:, 1] < -0.128) & (template[:, 2] < 0.75)
    near = (a.head > 0.3) & (template[:, 2] > 0.655) & ~ear & ~inner & ~nose
    points = (shape.vertices[near] - skull_center(shape)).astype(np.float64)
    radius = np.sqrt((points**2).sum(axis=1))
    toward = points / radius[:, None]
    phi, theta = np.meshgrid(np.array(azimuth), np.array(elevation))
    wanted = np.stack([np.sin(phi) * np.cos(theta), -np.cos(phi) * np.cos(theta), np.sin(theta)], -1)
    result = np.empty(phi.shape)
    for row in range(0, len(elevation), _TILE):
        for column in range(0, len(azimuth), _TILE):
            tile = np.s_[row : row + _TILE, column : column + _TILE]
            block = wanted[tile].reshape(-1, 3)
            some = _within_reach(block, toward)
            cosine = sum(block[:, i : i + 1] * toward[some, i] for i in range(3))
            share = np.exp((cosine - cosine.max(axis=1, keepdims=True)) / np.radians(_KERNEL_DEG) ** 2)
            mean = (share * radius[some]).sum(axis=1) / share.sum(axis=1)
            result[tile] = mean.reshape(result[tile].shape)
    return result


def _within_reach(wanted: Double, toward: Double) -> NDArray[np.int64]:
    """Return which of the directions `toward` have a say in any of the directions `wanted`, near each other.

    The others' shares lie below 1e-15 of the greatest.
    """
    middle = wanted.mean(axis=0)
    middle = middle / np.sqrt((middle**2).sum())
    spread = np.arccos(np.clip((wanted * middle).sum(axis=1).min(), -1, 1))
    cosine = toward[:, 0] * middle[0] + toward[:, 1] * middle[1] + toward[:, 2] * middle[2]
    nearest = np.arccos(np.clip(cosine.max(), -1, 1))
    least = np.cos(min(nearest + spread, np.pi)) - 35 * np.radians(_KERNEL_DEG) ** 2
    reach = np.arccos(np.clip(least, -1, 1)) + spread
    return np.flatnonzero(cosine >= np.cos(min(reach, np.pi)))


def skull_center(shape: BodyShape) -> Double:
    """Return the middle of the skull of the body `shape`: the template's, moved and scaled with the head."""
    return np.asarray(to_body(SKULL_CENTER[None], shape)[0])


def to_body(points: Double, shape: BodyShape) -> Double:
    """Return template places about the head, moved to the head of the body `shape`."""
    head = anatomy().head > 0.9
    source, target = anatomy().template[head].astype(np.float64), shape.vertices[head].astype(np.float64)
    low, high = source.min(axis=0), source.max(axis=0)
    other_low, other_high = target.min(axis=0), target.max(axis=0)
    moved: Double = other_low + (points - low) * (other_high - other_low) / (high - low)
    return moved
