"""Triangle-mesh arithmetic whose sums run in a fixed order: normals and smoothing."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np
from numpy.typing import NDArray

Float = NDArray[np.float32]
Int = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Topology:
    """Adjacency of a triangle mesh, in the form `np.add.reduceat` takes.

    Attributes
    ----------
    faces : int array, shape (F, 3)
    corner_faces, corner_starts : int arrays
        Faces around each vertex, and where each vertex's list starts.
    neighbours, neighbour_starts : int arrays
        Vertices joined to each vertex by an edge, and where each list starts.
    """

    faces: Int
    corner_faces: Int
    corner_starts: Int
    neighbours: Int
    neighbour_starts: Int
    degree: Float

    @cached_property
    def rounds(self) -> tuple[Int, tuple[Int, ...]]:
        """The vertices by falling degree, and per round the neighbour each of the first of them adds.

        Neighbours are numbers in that order. Whole rounds add much faster than `np.add.reduceat`.
        """
        degree = self.degree.astype(np.int64)
        order = np.argsort(-degree, kind="stable")
        place = np.empty_like(order)
        place[order] = np.arange(len(order))
        counts = np.bincount(degree)[::-1].cumsum()[::-1]
        first = self.neighbour_starts[order]
        neighbours = place[self.neighbours]
        return order, tuple(neighbours[first[: counts[k + 1]] + k] for k in range(len(counts) - 1))


def build_topology(faces: NDArray[np.integer], vertex_count: int) -> Topology:
    """Return the adjacency of `faces`; a vertex of no face gets itself as its only neighbour.

    Parameters
    ----------
    faces : int array, shape (F, 3)
    vertex_count : int
    """
    # Bodies of every shape wear the same triangles: they share one adjacency.
    return _topology_of(np.ascontiguousarray(faces, np.int64).tobytes(), vertex_count)


@lru_cache(maxsize=96)
def _topology_of(packed: bytes, vertex_count: int) -> Topology:
    faces: Int = np.frombuffer(packed, np.int64).reshape(-1, 3)
    corners = faces.ravel()
    order = np.argsort(corners, kind="stable")
    present = np.bincount(corners, minlength=vertex_count)
    face_of = order // 3
    missing = np.flatnonzero(present == 0)
    edges = np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]])
    both = np.concatenate([edges, edges[:, ::-1], np.stack([missing, missing], 1)])
    # One number per edge: numpy sorts those much faster than pairs, and faster than it hashes them.
    edge = np.sort(both[:, 0] * vertex_count + both[:, 1])
    owner, other = np.divmod(edge[np.diff(edge, prepend=-1) > 0], vertex_count)
    degree = np.bincount(owner, minlength=vertex_count)
    return Topology(
        faces=faces,
        corner_faces=face_of,
        corner_starts=_starts(present),
        neighbours=other,
        neighbour_starts=_starts(degree),
        degree=degree.astype(np.float32),
    )


def _starts(counts: NDArray[np.integer]) -> Int:
    return np.concatenate([[0], np.cumsum(counts)[:-1]]).astype(np.int64)


def vertex_normals(positions: Float, topology: Topology) -> Float:
    """Return unit normals, the area-weighted mean of the faces around each vertex.

    Parameters
    ----------
    positions : float32 array, shape (V, 3)
    topology : Topology
        Every vertex must belong to a face.
    """
    a, b, c = (positions[topology.faces[:, i]] for i in range(3))
    flat = cross(b - a, c - a)
    summed = np.add.reduceat(flat[topology.corner_faces], topology.corner_starts, axis=0)
    return unit(summed)


def smooth(values: Float, topology: Topology, iterations: int, amount: float = 0.5) -> Float:
    """Return `values` (V, ...) moved `amount` of the way to their neighbours' mean, repeatedly."""
    order, rounds = topology.rounds
    degree = topology.degree[order]
    result = np.empty_like(values.reshape(len(values), -1))
    for i, column in enumerate(values.reshape(len(values), -1).T):
        value = column[order]
        for _ in range(iterations):
            total = value[rounds[0]]
            if len(rounds) > 1:
                others = value[rounds[1]]
                for neighbours in rounds[2:]:
                    others[: len(neighbours)] += value[neighbours]
                total[: len(others)] += others
            value = value + (np.float32(amount) * (total / degree - value)).astype(np.float32)
        result[order, i] = value
    return result.reshape(values.shape)


def spread_maximum(values: Float, topology: Topology, iterations: int) -> Float:
    """Return the maximum of `values` (V,) over each vertex and its neighbours, repeatedly."""
    for _ in range(iterations):
        around = np.maximum.reduceat(values[topology.neighbours], topology.neighbour_starts)
        values = np.maximum(values, around)
    return values


def cross(a: Float, b: Float) -> Float:
    """Return the cross product along the last axis (several times faster than np.cross)."""
    out = np.empty(np.broadcast_shapes(a.shape, b.shape), np.float32)
    out[..., 0] = a[..., 1] * b[..., 2] - a[..., 2] * b[..., 1]
    out[..., 1] = a[..., 2] * b[..., 0] - a[..., 0] * b[..., 2]
    out[..., 2] = a[..., 0] * b[..., 1] - a[..., 1] * b[..., 0]
    return out


def dot(a: Float, b: Float) -> Float:
    """Return the scalar product along the last axis of length 3."""
    product: Float = a[..., 0] * b[..., 0] + a[..., 1] * b[..., 1] + a[..., 2] * b[..., 2]
    return product


def unit(vectors: Float) -> Float:
    """Return `vectors` (..., 3) at length 1; zero vectors stay zero."""
    length = np.sqrt(dot(vectors, vectors))[..., None]
    return np.asarray(vectors / np.maximum(length, np.float32(1e-12)), np.float32)
