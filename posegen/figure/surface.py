"""What every drawn surface is: rest geometry, how it follows the bones, and where it ends."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from posegen.figure.mesh import Weights
from posegen.figure.topology import Topology, build_topology

Float = NDArray[np.float32]
Int = NDArray[np.int64]

DISCARD_NOWHERE = np.float32(1.0)


@dataclass(frozen=True, eq=False)
class Surface:
    """One mesh in the rest pose.

    Attributes
    ----------
    material : str
        What shades it: "skin", "top", "bottom", "shoes", "hair" ...
    rest : float32 array, shape (V, 3)
        Rest positions in metres.
    template : float32 array, shape (V, 3)
        The same places on the female body in rest, where garments and the face are laid out; one
        coordinate system for every body shape.
    faces : int array, shape (F, 3)
    follow : int array, shape (V,), Weights or None
        Body vertices whose motion the vertices share, weights of their own, or None for what stands still.
    limits : float32 array, shape (K, V)
        Metres inside each border of the surface; it is drawn where all are above 0.
    border : float32 array, shape (V,)
        The least of `limits`, and large where there are none.
    detail : float32 array, shape (V, D)
        Further values interpolated for the material.
    double_sided : bool
        Also drawn from behind.
    settle : int
        Smoothing steps after posing, which let cloth bridge creases.
    ring : int
        For what moves of its own: vertices per ring, the rings ordered from where they are fastened; else 0.
    motion : {"", "dangle", "fall"}
        What it does once the bones have carried it: nothing, hang as a tail does, fall as a skirt does.
    topology : Topology
    drawn, cut : bool array, shape (F,)
        Whether a face is drawn at all, and whether a border crosses it.
    """

    material: str
    rest: Float
    template: Float
    faces: Int
    follow: Int | Weights | None
    limits: Float
    border: Float
    detail: Float
    double_sided: bool = False
    settle: int = 0
    ring: int = 0
    motion: str = ""
    topology: Topology = field(init=False, repr=False)
    drawn: NDArray[np.bool_] = field(init=False, repr=False)
    cut: NDArray[np.bool_] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        """Build what posing needs once."""
        inside = self.limits[:, self.faces]
        drawn = (inside.max(axis=2) > 0).all(axis=0) if len(inside) else np.ones(len(self.faces), bool)
        cut = (inside.min(axis=2) <= 0).any(axis=0) if len(inside) else np.zeros(len(self.faces), bool)
        object.__setattr__(self, "topology", build_topology(self.faces, len(self.rest)))
        object.__setattr__(self, "drawn", drawn)
        object.__setattr__(self, "cut", drawn & cut)


def make_surface(
    material: str,
    rest: Float,
    template: Float,
    faces: Int,
    follow: Int | Weights | None,
    limits: Float | None = None,
    detail: Float | None = None,
    *,
    double_sided: bool = False,
    settle: int = 0,
    reach: float = 0.03,
) -> Surface:
    """Return a surface without the faces and vertices that lie wholly beyond its borders.

    Parameters
    ----------
    reach : float
        Metres beyond the borders that are kept, for smooth normals there.
    """
    count = len(rest)
    limits = np.empty((0, count), np.float32) if limits is None else limits.astype(np.float32)
    detail = np.empty((count, 0), np.float32) if detail is None else detail.astype(np.float32)
    border = limits.min(axis=0) if len(limits) else np.full(count, DISCARD_NOWHERE, np.float32)
    kept = faces[(border[faces] > -reach).any(axis=1)]
    present = np.zeros(count, bool)
    present[kept] = True
    used = np.flatnonzero(present)
    flat = (np.cumsum(present) - 1)[kept]
    shared: Int | Weights | None
    if follow is None or isinstance(follow, Weights):
        if len(used) != count:
            raise ValueError("only a surface that follows the body can be trimmed")
        shared = follow
    else:
        shared = follow[used]
    return Surface(
        material=material,
        rest=np.ascontiguousarray(rest[used], np.float32),
        template=np.ascontiguousarray(template[used], np.float32),
        faces=flat.astype(np.int64),
        follow=shared,
        limits=np.ascontiguousarray(limits[:, used]),
        border=border[used],
        detail=np.ascontiguousarray(detail[used]),
        double_sided=double_sided,
        settle=settle,
    )
