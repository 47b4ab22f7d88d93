"""All surfaces of a picture in one pose, seen by one camera."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from posegen.figure.body import BodyShape
from posegen.figure.dangle import dangle
from posegen.figure.mesh import Weights, move, vertex_transforms
from posegen.figure.skirt_cloth import fall
from posegen.figure.surface import Surface
from posegen.figure.topology import smooth, vertex_normals
from posegen.poses.camera import Camera

Float = NDArray[np.float32]
Double = NDArray[np.float64]
Int = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Posed:
    """Posed surfaces, their vertices and faces in common arrays.

    Attributes
    ----------
    surfaces : sequence of Surface
    positions, normals : float32 array, shape (V, 3)
        World metres; unit vectors.
    faces : int array, shape (F, 3)
    face_starts, vertex_starts : tuple of int
        Where each surface's faces and vertices begin, and the total at the end.
    """

    surfaces: Sequence[Surface]
    positions: Float
    normals: Float
    faces: Int
    face_starts: tuple[int, ...]
    vertex_starts: tuple[int, ...]

    def vertices_of(self, index: int) -> slice:
        """Return where the vertices of surface `index` lie."""
        return slice(self.vertex_starts[index], self.vertex_starts[index + 1])

    def faces_of(self, index: int) -> Int:
        """Return the faces of surface `index`, as numbers of common vertices."""
        return self.faces[self.face_starts[index] : self.face_starts[index + 1]]


def pose_surfaces(surfaces: Sequence[Surface], bones: Float, body: Float, shape: BodyShape) -> Posed:
    """Return `surfaces` moved by the bones.

    Parameters
    ----------
    surfaces : sequence of Surface
    bones : float32 array, shape (B, 12)
        See `mesh.bone_transforms`.
    body : float32 array, shape (V, 12)
        Motion of the body's vertices.
    shape : BodyShape
    """
    positions, normals, faces = [], [], []
    vertex_starts, face_starts = [0], [0]
    for surface in surfaces:
        placed = _placed(surface, bones, body)
        if surface.motion == "dangle":
            placed = dangle(surface, placed)
        elif surface.motion == "fall":
            placed = fall(surface, placed, bones, shape)
        if surface.settle:
            placed = smooth(placed, surface.topology, surface.settle, 0.4)
        positions.append(placed)
        normals.append(vertex_normals(placed, surface.topology))
        faces.append(surface.faces + vertex_starts[-1])
        vertex_starts.append(vertex_starts[-1] + len(placed))
        face_starts.append(face_starts[-1] + len(surface.faces))
    return Posed(
        surfaces,
        np.concatenate(positions),
        np.concatenate(normals),
        np.concatenate(faces),
        tuple(face_starts),
        tuple(vertex_starts),
    )


def _placed(surface: Surface, bones: Float, body: Float) -> Float:
    if surface.follow is None:
        return surface.rest
    if isinstance(surface.follow, Weights):
        return move(surface.rest, vertex_transforms(surface.follow, bones))
    return move(surface.rest, body[surface.follow])


def project(points: Float, camera: Camera) -> Double:
    """Return pixels and depth of `points` (N, 3), as `camera.project` does, summed in a fixed order."""
    offset = points.astype(np.float64) - camera.position
    axes = camera.axes
    seen = [offset[:, 0] * a[0] + offset[:, 1] * a[1] + offset[:, 2] * a[2] for a in axes]
    depth = np.maximum(seen[2], 0.05)
    scale = camera.focal_px / depth
    return np.stack([camera.cx + scale * seen[0], camera.cy + scale * seen[1], depth], axis=1)
