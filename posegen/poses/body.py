"""The body that poses move: bones, keypoint regressor and surface samples, for any blend of two adults."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from importlib import resources

import numpy as np
from numpy.typing import NDArray

from posegen.errors import UnknownNameError
from posegen.poses.rotations import about_y, about_z, between, mirrored

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

MALE_SHARE = {"female": 0.0, "male": 1.0}
DOWN: FloatArray = np.array([0.0, 0.0, -1.0])
GIRDLE_DROP_DEG = 7.0
"""The rest pose's arms are 42 degrees up, and its shoulders with them; hanging arms let them sink."""
TWIST_SHARE = {"upperarm01": 0.5, "lowerarm01": 0.25, "lowerarm02": 0.7, "upperleg01": 0.5}
"""Share of a limb's twist that its first bones take, so that the skin does not wring at one joint."""


@dataclass(frozen=True, eq=False)
class Body:
    """A body at rest.

    B bones, K keypoints (COCO-17, then big toe, small toe, heel, left and right), S surface samples.

    Attributes
    ----------
    male_share : float
        0 is the female body, 1 the male one; all else is the straight line between.
    bone_names : tuple of str
    parents : tuple of int
        A parent comes before its children; -1 for the root.
    heads : float array, shape (B, 3)
        Rest position of each bone's head, metres.
    zero : float array, shape (B, 3, 3)
        Rotation of each bone from the mesh's rest (an A-pose) to the zero pose of `joints`.
    keypoint_names : tuple of str
    keypoint_offsets, sample_offsets : float array, shape (K or S, B, 3)
        A posed point is the sum over bones of rotation[b] @ offsets[b] + weights[b] * position[b].
    keypoint_weights, sample_weights : float array, shape (K or S, B)
    sample_bones : int array, shape (S,)
        The bone that moves each sample most.
    ball_offsets, ball_weights, ball_radii, ball_bones
        The same for some 180 balls that fill the body and tell what hides a joint, shapes (N, B, 3), (N, B),
        (N,) in metres and (N,).
    """

    male_share: float
    bone_names: tuple[str, ...]
    parents: tuple[int, ...]
    heads: FloatArray
    zero: FloatArray
    keypoint_names: tuple[str, ...]
    keypoint_offsets: FloatArray
    keypoint_weights: FloatArray
    sample_offsets: FloatArray
    sample_weights: FloatArray
    sample_bones: IntArray
    ball_offsets: FloatArray
    ball_weights: FloatArray
    ball_radii: FloatArray
    ball_bones: IntArray

    def bone(self, name: str) -> int:
        """Return the index of a bone by its name, e.g. ``"lowerarm01.L"``."""
        return self.bone_names.index(name)


@lru_cache(maxsize=16)
def load_body(name: str = "female", *, male_share: float | None = None) -> Body:
    """Return one of the two bodies, or a blend of them.

    Parameters
    ----------
    name : {"female", "male"}
    male_share : float, optional
        In [0, 1]; overrides `name`.

    Raises
    ------
    UnknownNameError
        `name` is neither.
    ValueError
        `male_share` is outside [0, 1].
    """
    if name not in MALE_SHARE:
        raise UnknownNameError("body", name, MALE_SHARE)
    share = MALE_SHARE[name] if male_share is None else float(male_share)
    if not 0.0 <= share <= 1.0:
        raise ValueError(f"male_share must be from 0 to 1, got {male_share!r}")
    arrays = _arrays()
    names = tuple(str(bone) for bone in arrays["bone_names"])
    heads = _blend(arrays, "heads", share)
    samples = _blend(arrays, "samples", share)
    weights = _unit_rows(arrays["sample_weights"])
    ball_weights = _unit_rows(arrays["ball_weights"])
    balls = _blend(arrays, "balls", share)
    return Body(
        male_share=share,
        bone_names=names,
        parents=tuple(int(parent) for parent in arrays["parents"]),
        heads=heads,
        zero=_zero_rotations(names, heads),
        keypoint_names=tuple(str(keypoint) for keypoint in arrays["keypoint_names"]),
        keypoint_offsets=_blend(arrays, "keypoint_offsets", share),
        keypoint_weights=_unit_rows(arrays["keypoint_weights"]),
        sample_offsets=weights[:, :, None] * (samples[:, None, :] - heads),
        sample_weights=weights,
        sample_bones=weights.argmax(axis=1),
        ball_offsets=ball_weights[:, :, None] * (balls[:, None, :] - heads),
        ball_weights=ball_weights,
        ball_radii=_blend(arrays, "ball_radii", share),
        ball_bones=ball_weights.argmax(axis=1),
    )


@lru_cache(maxsize=1)
def _arrays() -> dict[str, NDArray[np.generic]]:
    source = resources.files("posegen.poses") / "data" / "skeleton.npz"
    with source.open("rb") as file, np.load(file, allow_pickle=False) as archive:
        return {name: archive[name] for name in archive.files}


def _blend(arrays: dict[str, NDArray[np.generic]], what: str, share: float) -> FloatArray:
    female, male = (arrays[f"{what}_{name}"].astype(np.float64) for name in ("female", "male"))
    return np.asarray((1 - share) * female + share * male)


def _unit_rows(weights: NDArray[np.generic]) -> FloatArray:
    """Return weights whose rows sum to 1 in double precision too, so that lifting a body lifts all of it."""
    rows = weights.astype(np.float64)
    return np.asarray(rows / rows.sum(axis=1, keepdims=True))


def _zero_rotations(names: tuple[str, ...], heads: FloatArray) -> FloatArray:
    """Return each bone's rotation from the mesh's rest to the zero pose, shape (B, 3, 3)."""
    zero = np.tile(np.eye(3), (len(names), 1, 1))
    by_name = dict(zip(names, heads, strict=True))
    left = {name[:-2]: head for name, head in by_name.items() if name.endswith(".L")}
    right = {name[:-2]: head * [-1, 1, 1] for name, head in by_name.items() if name.endswith(".R")}
    for bone, name in enumerate(names):
        stem, _, side = name.partition(".")
        rotation = _side_zero(stem, left if side == "L" else right) if side else None
        if rotation is not None:
            zero[bone] = mirrored(rotation) if side == "R" else rotation
    return zero


def _side_zero(stem: str, heads: dict[str, FloatArray]) -> FloatArray | None:
    """Return a left-hand bone's rotation to the zero pose, None if it keeps its rest."""
    if stem in ("clavicle", "shoulder01"):
        return about_y(GIRDLE_DROP_DEG)
    if stem in ("upperleg01", "upperleg02"):
        return between(heads["lowerleg01"] - heads["upperleg01"], DOWN)
    if stem in ("lowerleg01", "lowerleg02"):
        return between(heads["foot"] - heads["lowerleg01"], DOWN)
    if stem.startswith(("upperarm", "lowerarm", "wrist", "metacarpal", "finger")):
        return _arm_zero(stem, heads)
    return None


def _arm_zero(stem: str, heads: dict[str, FloatArray]) -> FloatArray:
    along = heads["lowerarm01"] - heads["upperarm01"]
    forearm = heads["wrist"] - heads["lowerarm01"]
    upper = between(along, DOWN)
    # The elbow's hinge must lie sideways, or flexing would not bring the forearm straight forward.
    hinge = upper @ np.cross(along, forearm)
    upper = about_z(-_turn(hinge, np.array([-1.0, 0.0, 0.0]))) @ upper
    if stem.startswith("upperarm"):
        return upper
    lower = between(upper @ forearm, DOWN) @ upper
    hand = _hand_zero(heads)
    if stem.startswith("lowerarm"):
        # The rest hand is turned against the elbow: the forearm's two bones share that turn.
        relative = hand @ lower.T
        turn = np.degrees(np.arctan2(relative[1, 0] - relative[0, 1], relative[0, 0] + relative[1, 1]))
        return about_z(TWIST_SHARE[stem] * turn) @ lower
    return hand


def _turn(start: FloatArray, end: FloatArray) -> float:
    """Return the angle about z from `end` to `start`, degrees."""
    return float(np.degrees(np.arctan2(start[1], start[0]) - np.arctan2(end[1], end[0])))


def _hand_zero(heads: dict[str, FloatArray]) -> FloatArray:
    """Return the rotation that lets the left hand hang, thumb forward, palm to the thigh."""
    along = heads["finger3-1"] - heads["wrist"]
    along = along / np.linalg.norm(along)
    across = heads["finger5-1"] - heads["finger2-1"]
    across = across - along * (across @ along)
    across = across / np.linalg.norm(across)
    rest = np.stack([np.cross(along, across), across, along], axis=1)
    hanging = np.stack([np.cross(DOWN, (0.0, 1.0, 0.0)), (0.0, 1.0, 0.0), DOWN], axis=1)
    return np.asarray(hanging @ rest.T)
