"""Everything an appearance puts on: the skin that shows, the garments, shoes and hair."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from posegen.figure.anatomy import anatomy
from posegen.figure.appearance import Appearance
from posegen.figure.body import BodyShape, body_shape
from posegen.figure.collars import collar_surfaces
from posegen.figure.garments import BOTTOMS, bottom_limits, bottom_surface, top_limits, top_surface
from posegen.figure.hair import hair_surfaces
from posegen.figure.head import scalp_depth
from posegen.figure.mesh import load_mesh
from posegen.figure.shoes import covered_foot, shoe_surface
from posegen.figure.skirt import skirt_limits, skirt_surface
from posegen.figure.surface import Surface, make_surface

Float = NDArray[np.float32]

WIDE = ("shorts", "skirt")
"""Bottoms that one can look into."""
LONG = ("jeans", "trousers")
"""Bottoms whose legs fall over the shoes."""
SOLE_HEIGHT = 0.8188
"""Of the template's pelvis above its soles, metres."""
_TUCKED_M = 0.015
_IN_SHOE_M = 0.006
_HIDDEN_WIDE_M = 0.075
_HIDDEN_M = 0.035
"""Skin this far inside a garment is never seen and not drawn, so that it cannot poke through."""


def shape_of(appearance: Appearance) -> BodyShape:
    """Return the body an appearance has."""
    return body_shape(appearance.male_share, appearance.heaviness, appearance.muscle)


def dress(appearance: Appearance) -> tuple[Surface, ...]:
    """Return the surfaces of a dressed figure, in drawing order."""
    shape = shape_of(appearance)
    return (
        *_clothed(shape, appearance.top, appearance.bottom, appearance.shoes),
        *hair_surfaces(appearance.hair_style, shape),
    )


@lru_cache(maxsize=48)
def _clothed(shape: BodyShape, top: str, bottom: str, shoes: str) -> tuple[Surface, ...]:
    """Return the skin that shows and the garments; they do not depend on colours, which vary most."""
    covers = [top_limits(top).min(axis=0)]
    upper = top_surface(top, shape)
    garments = [upper, *collar_surfaces(top, upper)]
    if bottom == "skirt":
        covers.append(skirt_limits())
        garments.append(skirt_surface(shape))
    else:
        covers.append(bottom_limits(bottom).min(axis=0))
        garments.append(_without_hidden(bottom_surface(bottom, shape), covers[0]))
    if shoes != "barefoot":
        covers.append(covered_foot(shoes))
        pair = shoe_surface(shoes, shape)
        garments.append(pair if bottom not in LONG else under_hem(pair, BOTTOMS[bottom].hem))
    hidden = [_HIDDEN_M, _HIDDEN_WIDE_M if bottom in WIDE else _HIDDEN_M, _IN_SHOE_M]
    return (*_skin(shape, covers, hidden), *garments)


def _skin(shape: BodyShape, covers: list[Float], hidden: list[float]) -> tuple[Surface, ...]:
    """Return the skin that shows and the eyes; `covers` are metres inside top, bottom and shoes."""
    mesh, a = load_mesh(), anatomy()
    depth = np.max(covers, axis=0)
    seen = np.all([cover < limit for cover, limit in zip(covers, hidden, strict=False)], axis=0)
    shown = mesh.faces[seen[mesh.faces].any(axis=1)]
    index = np.arange(len(shape.vertices))
    detail = np.stack([depth, scalp_depth()], axis=1)
    is_eye = mesh.eye[shown].all(axis=1)
    skin = make_surface("skin", shape.vertices, a.template, shown[~is_eye], index, detail=detail)
    eyes = make_surface("eyes", shape.vertices, a.template, shown[is_eye], index)
    return skin, eyes


def under_hem(shoes: Surface, hem: float) -> Surface:
    """Return `shoes` without what a trouser leg that ends at `hem` hides."""
    height = shoes.template[:, 2]
    below = (hem + SOLE_HEIGHT + _TUCKED_M - height).astype(np.float32)
    return replace(shoes, limits=np.concatenate([shoes.limits, below[None]]))


def _without_hidden(surface: Surface, cover: Float) -> Surface:
    """Return `surface` without the faces that lie deep under another garment."""
    if not isinstance(surface.follow, np.ndarray):
        return surface
    shown = (cover[surface.follow][surface.faces] < _TUCKED_M + 0.01).any(axis=1)
    return make_surface(
        surface.material, surface.rest, surface.template, surface.faces[shown], surface.follow,
        surface.limits, surface.detail, double_sided=surface.double_sided, settle=surface.settle,
    )  # fmt: skip
