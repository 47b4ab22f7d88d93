"""Folds in cloth: a height over the template that bends normals, deeper where the pose compresses it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from posegen.figure.materials import Samples
from posegen.figure.surface import Surface
from posegen.figure.topology import cross, dot, smooth, unit

Float = NDArray[np.float32]

_STEP = np.float32(0.08)
"""Share of a triangle's edge over which the height's slope is taken."""


def compression(surface: Surface, placed: Float) -> Float:
    """Return by what share the edges around each vertex are shorter than at rest, shape (V,), in [0, 1]."""
    topology = surface.topology
    owner = np.repeat(np.arange(len(placed)), topology.degree.astype(np.int64))
    now = placed[topology.neighbours] - placed[owner]
    rest = surface.rest[topology.neighbours] - surface.rest[owner]
    ratio = np.sqrt(dot(now, now) / np.maximum(dot(rest, rest), np.float32(1e-10)))
    shorter = np.clip(1 - ratio, 0, 1)
    mean = np.add.reduceat(shorter, topology.neighbour_starts) / topology.degree
    return smooth(mean.astype(np.float32), topology, 4)


def folded(s: Samples, depth: float) -> tuple[Float, Float]:
    """Return the samples' normals bent by folds, and how far out of a fold's bottom each lies, in [0, 1].

    Parameters
    ----------
    s : Samples
        Of a garment whose last detail is the distance along the limb.
    depth : float
        Metres.

    References
    ----------
    Mikkelsen, "Bump Mapping Unparametrized Surfaces on the GPU", 2010: the slope is taken within the
    triangle.
    """
    limb = s.surface.detail[:, -1:]
    place = np.concatenate([s.surface.template, limb], axis=1)
    corner = [place[s.corners[:, i]] for i in range(3)]
    here = np.concatenate([s.template, s.detail[:, -1:]], axis=1)
    strain = s.blend(compression(s.surface, s.placed)[:, None])[:, 0]
    amount = np.float32(depth) * (np.float32(0.30) + np.minimum(strain * np.float32(7.0), np.float32(1.5)))
    middle = _height(here)
    first = (_height(here + _STEP * (corner[1] - corner[0])) - middle) * (amount / _STEP)
    second = (_height(here + _STEP * (corner[2] - corner[0])) - middle) * (amount / _STEP)
    a = s.placed[s.corners[:, 1]] - s.placed[s.corners[:, 0]]
    b = s.placed[s.corners[:, 2]] - s.placed[s.corners[:, 0]]
    face = cross(a, b)
    area = np.maximum(dot(face, face), np.float32(1e-12))[:, None]
    slope = (cross(b, face) * first[:, None] + cross(face, a) * second[:, None]) / area
    steep = np.sqrt(dot(slope, slope))[:, None]
    slope *= np.float32(1) / (1 + steep)
    flip = np.where(s.behind, np.float32(-1), np.float32(1))[:, None]
    raised = np.clip(middle * np.float32(0.5) + np.float32(0.5), 0, 1)
    return unit(s.normal - slope * flip), 1 - (1 - raised) * np.minimum(amount * 90, 1)


def _height(place: Float) -> Float:
    """Return fold heights of about +-1 at places (x, y, z, distance along the limb) on the template."""
    x, y, z, u = place.T
    side = x + np.float32(0.7) * y
    warp = np.sin(np.float32(17) * side + np.float32(9) * u) + np.sin(np.float32(29) * y - np.float32(13) * z)
    warp += np.float32(0.8) * np.sin(np.float32(41) * x + np.float32(23) * u + np.float32(1.3) * warp)
    across = np.sin(np.float32(104) * u + np.float32(2.4) * warp + np.float32(34) * side)
    slanted = np.sin(np.float32(61) * u + np.float32(58) * x - np.float32(18) * y + np.float32(1.9) * warp)
    place_of = np.sin(np.float32(13) * u + np.float32(23) * y + np.float32(31) * x + np.float32(1.5) * warp)
    patch = np.float32(0.5) + np.float32(0.5) * place_of
    calm = np.float32(0.62) + np.float32(0.38) * np.sin(np.float32(19) * u - np.float32(17) * side + warp)
    mixed: Float = (across * patch * np.float32(0.85) + slanted * (1 - patch)) * calm
    return mixed
