"""Derive `posegen/poses/data/skeleton.npz` from the body mesh.

    python tools/build_skeleton_data.py posegen/figure/data/body_mesh.npz posegen/poses/data/skeleton.npz

The result holds what the kinematics need of the mesh, and nothing of its surface but some 500 samples.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

DIRECTIONS = {"head": 40, "foot": 60, "upperleg01": 32, "upperleg02": 16, "spine": 16, "finger": 4, "toe": 7}
"""Extremes taken per bone, by the start of its name; more where a body rests on the floor or a seat."""
DIRECTIONS_ELSEWHERE = 10
SHARED_FROM = 0.25
SHARED_VERTICES_MIN = 12
BALL_SEED_STEP = 4
BALL_START_M = 0.3
BALL_LEAST_M = 0.005
BALL_TOLERANCE_M = 0.01
BALL_GAIN_MIN = 10
BALL_SKIN_SHARE = 1.15
MOUTH_AND_EYES_MAX = 1000
"""Connected parts with fewer vertices are the tongue and eyeballs: inside the body."""


def dense_weights(mesh: dict[str, NDArray[np.generic]]) -> FloatArray:
    """Return skin weights as (vertices, bones)."""
    index, weight = mesh["bi"].astype(np.int64), mesh["bw"].astype(np.float64)
    weights = np.zeros((len(index), len(mesh["par"])))
    np.add.at(weights, (np.arange(len(index))[:, None], index), weight)
    return weights


def sphere(count: int) -> FloatArray:
    """Return `count` unit vectors spread over the sphere (Fibonacci lattice)."""
    i = np.arange(count) + 0.5
    polar, turn = np.arccos(1 - 2 * i / count), np.pi * (1 + 5**0.5) * i
    return np.stack([np.cos(turn) * np.sin(polar), np.sin(turn) * np.sin(polar), np.cos(polar)], axis=1)


def outer_surface(faces: IntArray, vertices: int) -> NDArray[np.bool_]:
    """Return which vertices belong to the large connected part of the surface: the skin."""
    label = np.arange(vertices)
    while True:
        lowest = label[faces].min(axis=1)
        new = label.copy()
        np.minimum.at(new, faces, lowest[:, None])
        new = new[new]
        if (new == label).all():
            return np.bincount(label, minlength=vertices)[label] > MOUTH_AND_EYES_MAX
        label = new


def sample_vertices(mesh: dict[str, NDArray[np.generic]], weights: FloatArray) -> IntArray:
    """Return vertices that reach furthest, per bone and direction, the same on both sides."""
    rest = mesh["v_f"].astype(np.float64)
    names = [str(name) for name in mesh["lab"]]
    strongest = weights.argmax(axis=1)
    skin = outer_surface(mesh["f"].astype(np.int64), len(rest))
    chosen: set[int] = set()
    for bone, name in enumerate(names):
        own = np.flatnonzero((strongest == bone) & skin)
        if not len(own) or name.endswith(".R"):
            continue
        count = next((n for prefix, n in DIRECTIONS.items() if name.startswith(prefix)), DIRECTIONS_ELSEWHERE)
        if name[-4:-2] == "-2" and not name.startswith(
            "toe1"
        ):  # the tip of the finger or toe reaches further than its middle
            continue
        chosen.update(int(v) for v in own[(rest[own] @ sphere(count).T).argmax(axis=0)])
    chosen.update(between_bones(rest, weights, skin, names))
    left = np.array(sorted(chosen))
    mirror = [int(np.square(rest - rest[v] * [-1, 1, 1]).sum(axis=1).argmin()) for v in left]
    return np.unique(np.concatenate([left, mirror]))


def between_bones(
    rest: FloatArray, weights: FloatArray, skin: NDArray[np.bool_], names: list[str]
) -> set[int]:
    """Return extremes of the skin that two bones share: knees, elbows, the crotch; bent joints bulge."""
    order = np.argsort(weights, axis=1)
    first, second = order[:, -1], order[:, -2]
    shared = skin & (np.take_along_axis(weights, second[:, None], 1)[:, 0] > SHARED_FROM)
    chosen: set[int] = set()
    for pair in {(a, b) for a, b in zip(first[shared], second[shared], strict=True)}:
        own = np.flatnonzero(shared & (first == pair[0]) & (second == pair[1]))
        left = names[pair[0]]
        if (
            left.endswith(".R")
            or left.startswith(("finger", "toe", "meta"))
            or len(own) < SHARED_VERTICES_MIN
        ):
            continue
        chosen.update(int(v) for v in own[(rest[own] @ sphere(DIRECTIONS_ELSEWHERE).T).argmax(axis=0)])
    return chosen


def normals(points: FloatArray, faces: IntArray) -> FloatArray:
    """Return outward unit normals of the vertices."""
    corner = points[faces]
    face_normals = np.cross(corner[:, 1] - corner[:, 0], corner[:, 2] - corner[:, 0])
    total = np.zeros_like(points)
    for i in range(3):
        np.add.at(total, faces[:, i], face_normals)
    return np.asarray(total / np.maximum(np.linalg.norm(total, axis=1, keepdims=True), 1e-12))


def inner_ball(seed: int, points: FloatArray, inward: FloatArray) -> tuple[FloatArray, float]:
    """Return the largest ball inside the skin that touches `seed` (Ma, Bae & Choi 2012, shrinking ball)."""
    start, radius = points[seed], BALL_START_M
    for _ in range(30):
        center = start + radius * inward[seed]
        distance = np.linalg.norm(points - center, axis=1)
        distance[seed] = np.inf
        nearest = int(distance.argmin())
        if distance[nearest] >= radius - 1e-4:
            break
        gap = points[nearest] - start
        shrunk = float(gap @ gap / (2 * gap @ inward[seed]))
        if shrunk < BALL_LEAST_M:  # a bump of the skin beside the seed, not the body's other side
            break
        radius = shrunk
    return start + radius * inward[seed], radius


def cover(
    points: FloatArray, balls: list[tuple[FloatArray, float]], important: NDArray[np.bool_]
) -> list[int]:
    """Return the balls that together come near all important points, those that reach most of them first."""
    reached = np.stack(
        [np.abs(np.linalg.norm(points - center, axis=1) - r) < BALL_TOLERANCE_M for center, r in balls]
    )
    reached &= important
    chosen: list[int] = []
    while True:
        gain = reached.sum(axis=1)
        best = int(gain.argmax())
        if gain[best] < BALL_GAIN_MIN:
            return chosen
        chosen.append(best)
        reached &= ~reached[best]


def collapse(points: FloatArray, rest: FloatArray, heads: FloatArray, weights: FloatArray) -> FloatArray:
    """Return c[k, b] = sum_v points[k, v] weights[v, b] (rest[v] - heads[b])."""
    moment = np.einsum("kv,vb,vc->kbc", points, weights, rest, optimize=True)
    return np.asarray(moment - (points @ weights)[:, :, None] * heads)


def occluders(mesh: dict[str, NDArray[np.generic]], weights: FloatArray) -> dict[str, NDArray[np.generic]]:
    """Return balls that fill the body: what hides a joint from the camera."""
    faces = mesh["f"].astype(np.int64)
    skin = np.flatnonzero(outer_surface(faces, len(weights)))
    rest = {key: mesh[f"v_{key}"].astype(np.float64)[skin] for key in ("f", "m")}
    inward = {key: -normals(mesh[f"v_{key}"].astype(np.float64), faces)[skin] for key in ("f", "m")}
    seeds = [int(i) for i in range(0, len(skin), BALL_SEED_STEP)]
    balls = [inner_ball(seed, rest["f"], inward["f"]) for seed in seeds]
    names = [str(name) for name in mesh["lab"]]
    strongest = weights[skin].argmax(axis=1)
    fine = np.array([name.startswith(("toe", "eye")) or name[-4:-2] in ("-2", "-3") for name in names])
    chosen = cover(rest["f"], balls, ~fine[strongest])
    out: dict[str, list[FloatArray]] = {"center_f": [], "center_m": [], "radius": [], "weights": []}
    for index in chosen:
        (center, radius), (center_m, radius_m) = (
            balls[index],
            inner_ball(seeds[index], rest["m"], inward["m"]),
        )
        near = np.linalg.norm(rest["f"] - center, axis=1) < BALL_SKIN_SHARE * radius
        near[seeds[index]] = True
        out["center_f"].append(center)
        out["center_m"].append(center_m)
        out["radius"].append(np.array([radius, radius_m]))
        out["weights"].append(weights[skin][near].mean(axis=0))
    stacked = {name: np.stack(values) for name, values in out.items()}
    return {
        "balls_female": stacked["center_f"].astype(np.float32),
        "balls_male": stacked["center_m"].astype(np.float32),
        "ball_radii_female": stacked["radius"][:, 0].astype(np.float32),
        "ball_radii_male": stacked["radius"][:, 1].astype(np.float32),
        "ball_weights": stacked["weights"].astype(np.float32),
    }


def build(mesh: dict[str, NDArray[np.generic]]) -> dict[str, NDArray[np.generic]]:
    """Return the arrays of `skeleton.npz`."""
    weights = dense_weights(mesh)
    regressor = mesh["kw"].astype(np.float64)
    samples = sample_vertices(mesh, weights)
    out: dict[str, NDArray[np.generic]] = {
        "bone_names": mesh["lab"],
        "parents": mesh["par"],
        "keypoint_names": mesh["klab"],
        "keypoint_weights": regressor @ weights,
        "sample_vertices": samples,
        "sample_weights": weights[samples].astype(np.float32),
    }
    out |= occluders(mesh, weights)
    for body, key in (("female", "f"), ("male", "m")):
        rest, heads = mesh[f"v_{key}"].astype(np.float64), mesh[f"h_{key}"].astype(np.float64)
        out[f"heads_{body}"] = mesh[f"h_{key}"]
        out[f"keypoint_offsets_{body}"] = collapse(regressor, rest, heads, weights)
        out[f"samples_{body}"] = mesh[f"v_{key}"][samples]
    return out


def main(source: str, destination: str) -> None:
    """Read the mesh at `source` and write the skeleton to `destination`."""
    with np.load(source, allow_pickle=False) as archive:
        mesh = {name: archive[name] for name in archive.files}
    arrays = build(mesh)
    np.savez_compressed(destination, allow_pickle=False, **arrays)
    sys.stdout.write(f"{len(arrays['sample_vertices'])} samples, {Path(destination).stat().st_size} bytes\n")


if __name__ == "__main__":
    main(*sys.argv[1:3])
