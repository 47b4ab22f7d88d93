"""Everything an appearance puts on: the skin that shows, the garments, shoes and hair."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from posegen.figure.anatomy import anatomy
from posegen.figure.appearance import Appearance
from posegen.figure.body import BodyShape, body_shape
from posegen.figure.garments import bottom_limits, bottom_surface, top_limits, top_surface
from posegen.figure.mesh import load_mesh
from posegen.figure.surface import Surface, make_surface

Float = NDArray[np.float32]

_HIDDEN_M = 0.035
"""Skin this far inside a garment is never seen and not drawn, so that it cannot poke through."""


def shape_of(appearance: Appearance) -> BodyShape:
    """Return the body an appearance has."""
    return body_shape(appearance.male_share, appearance.heaviness, appearance.muscle)


@lru_cache(maxsize=32)
def dress(appearance: Appearance) -> tuple[Surface, ...]:
    """Return the surfaces of a dressed figure, in drawing order."""
    shape = shape_of(appearance)
    covers = [top_limits(appearance.top).min(axis=0)]
    covers.append(bottom_limits(appearance.bottom).min(axis=0))
    under_top = covers[0]
    garments = [
        _without_hidden(bottom_surface(appearance.bottom, shape), under_top),
        top_surface(appearance.top, shape),
    ]
    return (*_skin(shape, covers), *garments)


def _skin(shape: BodyShape, covers: list[Float]) -> tuple[Surface, ...]:
    mesh, a = load_mesh(), anatomy()
    depth = np.max(covers, axis=0)
    shown = mesh.faces[(depth[mesh.faces] < _HIDDEN_M).any(axis=1)]
    index = np.arange(len(shape.vertices))
    detail = np.stack([depth, a.head], axis=1)
    is_eye = mesh.eye[shown].all(axis=1)
    skin = make_surface("skin", shape.vertices, a.template, shown[~is_eye], index, detail=detail)
    eyes = make_surface("eyes", shape.vertices, a.template, shown[is_eye], index)
    return skin, eyes


def _without_hidden(surface: Surface, cover: Float) -> Surface:
    """Return `surface` without the faces that lie deep under another garment."""
    if not isinstance(surface.follow, np.ndarray):
        return surface
    shown = (cover[surface.follow][surface.faces] < _HIDDEN_M + 0.01).any(axis=1)
    return make_surface(
        surface.material, surface.rest, surface.template, surface.faces[shown], surface.follow,
        surface.limits, surface.detail, double_sided=surface.double_sided, settle=surface.settle,
    )  # fmt: skip
