"""The shipped body: loading, build variation, skinning."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from importlib import resources

import numpy as np
from numpy.typing import NDArray

from posegen.figure.topology import Topology, build_topology

Float = NDArray[np.float32]
Int = NDArray[np.int64]

MESH_FILE = "data/body_mesh.npz"


@dataclass(frozen=True, eq=False)
class RawMesh:
    """The file's arrays, without the tongue, which no picture shows.

    Attributes
    ----------
    female, male : float32 array, shape (V, 3)
        Rest vertices in metres, z up, facing -y, x to the figure's left.
    heads_female, heads_male : float32 array, shape (B, 3)
        Rest positions of the bones' heads.
    faces : int array, shape (F, 3)
    weights : Weights
    parents : int array, shape (B,)
    bones : dict
        Bone name to index.
    eye : int array, shape (V,)
        0 for skin, 1 for the left eyeball, 2 for the right.
    """

    female: Float
    male: Float
    heads_female: Float
    heads_male: Float
    faces: Int
    weights: Weights
    parents: Int
    bones: dict[str, int]
    eye: Int


@dataclass(frozen=True, eq=False)
class Weights:
    """Skin weights in compressed rows: entry k gives bone and share, row v starts at starts[v]."""

    bone: Int
    share: Float
    starts: Int

    def dense(self, bone_count: int) -> Float:
        """Return the weights as an array of shape (V, B)."""
        table = np.zeros((len(self.starts), bone_count), np.float32)
        rows = np.repeat(np.arange(len(self.starts)), np.diff(np.append(self.starts, len(self.bone))))
        np.add.at(table, (rows, self.bone), self.share)
        return table


def pack_weights(dense: Float) -> Weights:
    """Return `dense` (V, B) in compressed rows, each row scaled to sum to 1.

    Raises
    ------
    ValueError
        A vertex has no weight at all.
    """
    total = dense.sum(axis=1, keepdims=True)
    if not (total > 0).all():
        raise ValueError("every vertex needs a bone")
    dense = np.where(dense > 1e-4 * total, dense, 0)
    dense = dense / dense.sum(axis=1, keepdims=True)
    row, bone = np.nonzero(dense)
    counts = np.bincount(row, minlength=len(dense))
    starts = np.concatenate([[0], np.cumsum(counts)[:-1]]).astype(np.int64)
    return Weights(bone.astype(np.int64), dense[row, bone].astype(np.float32), starts)


@lru_cache(maxsize=1)
def load_mesh() -> RawMesh:
    """Return the shipped mesh."""
    with resources.files("posegen.figure").joinpath(MESH_FILE).open("rb") as file:
        data = np.load(file, allow_pickle=False)
        arrays = {name: data[name] for name in data.files}
    component = _components(arrays["f"].astype(np.int64), len(arrays["v_f"]))
    sizes = np.bincount(component, minlength=component.max() + 1)
    body = int(sizes.argmax())
    eyes = [int(c) for c in np.flatnonzero(sizes == 72)]
    left = max(eyes, key=lambda c: float(arrays["v_f"][component == c, 0].mean()))
    right = min(eyes, key=lambda c: float(arrays["v_f"][component == c, 0].mean()))
    keep = np.isin(component, [body, left, right])
    renumber = np.cumsum(keep) - 1
    faces = renumber[arrays["f"].astype(np.int64)[keep[arrays["f"]].all(axis=1)]]
    dense = np.zeros((len(keep), len(arrays["par"])), np.float32)
    np.add.at(dense, (np.arange(len(keep))[:, None], arrays["bi"]), arrays["bw"])
    eye = np.where(component == left, 1, np.where(component == right, 2, 0))[keep]
    return RawMesh(
        female=arrays["v_f"][keep],
        male=arrays["v_m"][keep],
        heads_female=arrays["h_f"],
        heads_male=arrays["h_m"],
        faces=faces,
        weights=pack_weights(dense[keep]),
        parents=arrays["par"].astype(np.int64),
        bones={str(name): i for i, name in enumerate(arrays["lab"])},
        eye=eye.astype(np.int64),
    )


def _components(faces: Int, count: int) -> Int:
    label = np.arange(count)
    while True:
        lowest = label[faces].min(axis=1)
        updated = label.copy()
        np.minimum.at(updated, faces.ravel(), np.repeat(lowest, 3))
        updated = updated[updated]
        if np.array_equal(updated, label):
            return np.unique(label, return_inverse=True)[1]
        label = updated


@lru_cache(maxsize=1)
def body_topology() -> Topology:
    """Return the adjacency of the body's mesh."""
    mesh = load_mesh()
    return build_topology(mesh.faces, len(mesh.female))


def bone_transforms(rotations: NDArray[np.floating], root: NDArray[np.floating], heads: Float) -> Float:
    """Return each bone's motion as rows of 12: a 3x3 matrix, row by row, then a shift.

    Parameters
    ----------
    rotations : float array, shape (B, 3, 3)
        Global rotations away from the rest pose.
    root : float array, shape (3,)
        Where the root bone's head lies.
    heads : float32 array, shape (B, 3)
        Rest positions of the bones' heads.

    Returns
    -------
    float32 array, shape (B, 12)
        A rest point p goes to matrix @ p + shift.
    """
    parents = load_mesh().parents
    turned = np.asarray(rotations, np.float64)
    rest = np.asarray(heads, np.float64)
    place = np.empty_like(rest)
    place[0] = root
    for bone in range(1, len(rest)):
        parent = parents[bone]
        place[bone] = place[parent] + (turned[parent] * (rest[bone] - rest[parent])).sum(axis=1)
    shift = place - (turned * rest[:, None, :]).sum(axis=2)
    return np.concatenate([turned.reshape(-1, 9), shift], axis=1).astype(np.float32)


def vertex_transforms(weights: Weights, bones: Float) -> Float:
    """Return the blended motion of each vertex, shape (V, 12)."""
    return np.add.reduceat(bones[weights.bone] * weights.share[:, None], weights.starts, axis=0)


def move(points: Float, transforms: Float) -> Float:
    """Return `points` (V, 3) moved by `transforms` (V, 12)."""
    return turn(points, transforms) + transforms[:, 9:]


def turn(vectors: Float, transforms: Float) -> Float:
    """Return `vectors` (V, 3) turned, not shifted, by `transforms` (V, 12)."""
    matrix = transforms[:, :9].reshape(-1, 3, 3)
    turned: Float = (
        matrix[:, :, 0] * vectors[:, :1]
        + matrix[:, :, 1] * vectors[:, 1:2]
        + matrix[:, :, 2] * vectors[:, 2:]
    )
    return turned
