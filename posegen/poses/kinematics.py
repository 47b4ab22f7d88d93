"""From joint angles to the posed body: rotations and positions of all bones, on the floor or a seat.

All bones' frames are parallel to the world's in the zero pose (`joints`), so each joint's rotation is written
in world axes: x to the body's left, y to its back, z up. The right side is the left one in a mirror.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from posegen.errors import UnknownNameError
from posegen.poses.body import TWIST_SHARE, Body, load_body
from posegen.poses.hands import finger_rotations
from posegen.poses.joints import ANGLE_INDEX, ANGLE_NAMES, angle_vector
from posegen.poses.rotations import about_axis, about_x, about_y, about_z, mirrored
from posegen.poses.settle import settling_turn
from posegen.skeletons import openpose_from_coco

FloatArray = NDArray[np.float64]
Column = Callable[[str], FloatArray]

SUPPORTS: tuple[str, ...] = ("floor", "air", "seat")
RELAXED_HANDS: tuple[str, str] = ("relaxed", "relaxed")

_SPINE_SHARES = {
    "flexion": (0.12, 0.25, 0.25, 0.23, 0.15),
    "side_bend": (0.10, 0.25, 0.25, 0.25, 0.15),
    "twist": (0.04, 0.12, 0.24, 0.30, 0.30),
}
"""From the lowest bone (spine05) up: the loins bend, the chest turns (White & Panjabi 1990, in outline)."""
_SPINE = ("spine05", "spine04", "spine03", "spine02", "spine01")
_NECK = ("neck01", "neck02", "neck03")

_RHYTHM_START_DEG, _RHYTHM_SHARE = 30.0, 1 / 3
"""Beyond some 30 degrees of arm elevation the shoulder girdle makes a third of it (Inman et al. 1944)."""
_CLAVICLE_SHARE = 0.5
_SEAT_BONES = ("root", "pelvis", "spine05", "upperleg01")
_SEAT_DEPTH_M = 0.03


@dataclass(frozen=True)
class Seat:
    """What a sitting body rests on.

    Attributes
    ----------
    top_m : float
        Height of the seat's upper face above the floor.
    center : (float, float)
        World x, y of the middle of the contact.
    yaw_deg : float
        Where the seat faces: the root's yaw.
    lifted_m : float
        How far the body's lowest point hangs above the floor.
    """

    top_m: float
    center: tuple[float, float]
    yaw_deg: float
    lifted_m: float = 0.0


@dataclass(frozen=True, eq=False)
class Posture:
    """A posed body, its feet (or what is lowest) on the floor z = 0 and its pelvis above the origin.

    Attributes
    ----------
    rotations : float array, shape (B, 3, 3)
        Rotation of each bone from the mesh's rest to the pose, world axes.
    root : float array, shape (3,)
        World position of the root bone's head, metres.
    seat : Seat or None
    """

    rotations: FloatArray
    root: FloatArray
    seat: Seat | None = None


@dataclass(frozen=True, eq=False)
class Postures:
    """M posed bodies; as `Posture`, with a leading axis.

    Attributes
    ----------
    rotations : float array, shape (M, B, 3, 3)
    positions : float array, shape (M, B, 3)
        World position of each bone's head.
    """

    body: Body
    rotations: FloatArray
    positions: FloatArray
    seats: tuple[Seat | None, ...]

    def keypoints(self) -> FloatArray:
        """Return COCO-17 and foot keypoints (`Body.keypoint_names`), shape (M, K, 3), metres."""
        return _points(self.rotations, self.positions, self.body.keypoint_offsets, self.body.keypoint_weights)

    def openpose(self) -> FloatArray:
        """Return OPENPOSE_18 keypoints, shape (M, 18, 3), metres."""
        return openpose_from_coco(self.keypoints()[:, :17])

    def samples(self) -> FloatArray:
        """Return surface samples, shape (M, S, 3), metres."""
        return _points(self.rotations, self.positions, self.body.sample_offsets, self.body.sample_weights)

    def balls(self) -> FloatArray:
        """Return the centres of the balls that fill the body, shape (M, N, 3), metres."""
        return _points(self.rotations, self.positions, self.body.ball_offsets, self.body.ball_weights)

    def __len__(self) -> int:
        return len(self.rotations)

    def __getitem__(self, index: int) -> Posture:
        return Posture(self.rotations[index], self.positions[index, 0], self.seats[index])


def solve(
    angles: Mapping[str, float],
    body: Body | None = None,
    *,
    hands: tuple[str, str] = RELAXED_HANDS,
    support: str = "floor",
    lift_m: float = 0.0,
    seat_height_m: float | None = None,
) -> Posture:
    """Return the posture of one set of angles, on its support.

    Parameters
    ----------
    angles : mapping of str to float
        Degrees by name; see `joints.LIMITS`. What is not named is 0.
    body : Body, optional
        The female body unless given.
    hands : (str, str)
        Shapes of the left and the right hand; see `hands.HAND_SHAPES`.
    support : {"floor", "air", "seat"}
        Lowest surface sample on the floor; `lift_m` above it; or sitting.
    lift_m : float
        Height of the lowest sample, for "air".
    seat_height_m : float, optional
        Height of the seat, for "seat". It rises if the feet would go through the floor; None lets the lowest
        sample touch the floor and puts the seat where the body needs it.

    Raises
    ------
    UnknownNameError
        An unknown angle, hand shape or support.
    """
    return solve_many(
        angle_vector(angles)[None],
        body,
        hands=[hands],
        supports=[support],
        lifts_m=[lift_m],
        seat_heights_m=[seat_height_m],
    )[0]


def solve_many(
    angles: FloatArray,
    body: Body | None = None,
    *,
    hands: Sequence[tuple[str, str]] | None = None,
    supports: Sequence[str] | None = None,
    lifts_m: Sequence[float] | None = None,
    seat_heights_m: Sequence[float | None] | None = None,
) -> Postures:
    """Return the postures of M angle vectors, each on its support; see `solve`.

    Parameters
    ----------
    angles : float array, shape (M, D)
        Degrees in the order of `joints.ANGLE_NAMES`.
    hands, supports, lifts_m, seat_heights_m : sequence of M, optional

    Raises
    ------
    UnknownNameError
        An unknown hand shape or support.
    ValueError
        The shape is not (M, D).
    """
    body = body or load_body()
    count = len(angles)
    supports = supports or ["floor"] * count
    lifts_m = lifts_m or [0.0] * count
    seat_heights_m = seat_heights_m or [None] * count
    for support in supports:
        if support not in SUPPORTS:
            raise UnknownNameError("support", support, SUPPORTS)
    floating = forward(angles, body, hands)
    samples = floating.samples()
    positions, seats = floating.positions, []
    for i in range(count):
        _ground(floating, samples, i, settle=supports[i] == "floor")
        positions[i, :, 2] += lifts_m[i] if supports[i] == "air" else 0.0
        seat = None
        if supports[i] == "seat":
            seat = _seat(samples[i], body, float(angles[i, ANGLE_INDEX["root.yaw"]]), seat_heights_m[i])
            positions[i, :, 2] += seat.lifted_m
        seats.append(seat)
    return Postures(body, floating.rotations, positions, tuple(seats))


def _ground(postures: Postures, samples: FloatArray, i: int, *, settle: bool) -> None:
    """Put the lowest sample of body `i` on the floor; let it tip where it hovers at its other end."""

    def drop() -> None:
        lowest = samples[i, :, 2].min()
        postures.positions[i, :, 2] -= lowest
        samples[i, :, 2] -= lowest

    drop()
    turn = settling_turn(samples[i]) if settle else None
    if turn is None:
        return
    postures.rotations[i] = turn @ postures.rotations[i]
    postures.positions[i] = postures.positions[i] @ turn.T
    samples[i] = samples[i] @ turn.T
    away = postures.positions[i, 0, :2].copy()  # the pelvis stays above the origin
    postures.positions[i, :, :2] -= away
    samples[i, :, :2] -= away
    drop()


def _seat(samples: FloatArray, body: Body, yaw_deg: float, height_m: float | None) -> Seat:
    """Return the seat under a body whose lowest sample is on the floor."""
    sitting = np.array([body.bone_names[b].split(".")[0] in _SEAT_BONES for b in body.sample_bones])
    under = samples[sitting]
    lowest = float(under[:, 2].min())
    touching = under[under[:, 2] < lowest + _SEAT_DEPTH_M]
    x, y = touching[:, :2].mean(axis=0)
    top = lowest if height_m is None else max(lowest, height_m)
    return Seat(top, (float(x), float(y)), yaw_deg, top - lowest)


def forward(
    angles: FloatArray, body: Body | None = None, hands: Sequence[tuple[str, str]] | None = None
) -> Postures:
    """Return M postures with the root bone's head at the origin: no floor, no seat.

    Parameters
    ----------
    angles : float array, shape (M, D)
        Degrees in the order of `joints.ANGLE_NAMES`. Smooth but where an arm is straight overhead
        (`shoulder.elevation` 180).
    hands : sequence of M (left, right) hand shapes, optional

    Raises
    ------
    ValueError
        The shape is not (M, D).
    """
    body = body or load_body()
    angles = np.asarray(angles, dtype=np.float64)
    if angles.ndim != 2 or angles.shape[1] != len(ANGLE_NAMES):
        raise ValueError(f"expected angles of shape (M, {len(ANGLE_NAMES)}), got {angles.shape}")
    frames = _frames(angles, body, hands or [RELAXED_HANDS] * len(angles))
    rotations = frames @ body.zero
    positions = np.zeros((*rotations.shape[:2], 3))
    for bone, parent in enumerate(body.parents):
        if parent >= 0:
            step = rotations[:, parent] @ (body.heads[bone] - body.heads[parent])
            positions[:, bone] = positions[:, parent] + step
    return Postures(body, rotations, positions, (None,) * len(angles))


def _points(
    rotations: FloatArray, positions: FloatArray, offsets: FloatArray, weights: FloatArray
) -> FloatArray:
    flat = rotations.transpose(0, 1, 3, 2).reshape(len(rotations), 3 * rotations.shape[1], 3)
    return np.asarray(offsets.reshape(len(offsets), -1) @ flat + weights @ positions)


def _frames(angles: FloatArray, body: Body, hands: Sequence[tuple[str, str]]) -> FloatArray:
    """Return each bone's rotation from the zero pose, shape (M, B, 3, 3)."""
    local = _trunk(angles)
    local |= {f"{name}.L": rotation for name, rotation in _limbs(angles, "left").items()}
    local |= {f"{name}.R": mirrored(rotation) for name, rotation in _limbs(angles, "right").items()}
    for side, shapes in (("L", [left for left, _ in hands]), ("R", [right for _, right in hands])):
        fingers = [finger_rotations(shape, side) for shape in shapes]
        if fingers:
            local |= {bone: np.stack([f[bone] for f in fingers]) for bone in fingers[0]}
    frames = np.tile(np.eye(3), (len(angles), len(body.parents), 1, 1))
    for bone, (name, parent) in enumerate(zip(body.bone_names, body.parents, strict=True)):
        told_from = _BASES.get(name.split(".")[0])
        if told_from is None:
            base = parent
        else:
            base = body.bone(told_from if told_from in _SPINE else f"{told_from}.{name[-1]}")
        if base >= 0:
            frames[:, bone] = frames[:, base]
        if name in local:
            frames[:, bone] = frames[:, bone] @ local[name]
    return frames


_BASES = {
    "clavicle": "spine01", "shoulder01": "spine01", "upperarm01": "spine01", "upperarm02": "spine01",
    "lowerarm01": "upperarm02", "lowerarm02": "upperarm02", "wrist": "upperarm02",
}  # fmt: skip
"""Bones whose rotation is told from another bone than their parent; positions still follow the parent.

Arms are told from the chest (ISB's thoracohumeral angles), so that the girdle's rhythm moves the shoulder
without turning the arm.
"""


def _trunk(angles: FloatArray) -> dict[str, FloatArray]:
    def column(name: str) -> FloatArray:
        return angles[:, ANGLE_INDEX[name]]

    def bend(part: str, flexion: float, side_bend: float, twist: float) -> FloatArray:
        return np.asarray(
            about_z(twist * column(f"{part}.twist"))
            @ about_x(flexion * column(f"{part}.flexion"))
            @ about_y(side_bend * column(f"{part}.side_bend"))
        )

    local = {
        "root": about_z(column("root.yaw")) @ about_x(column("root.pitch")) @ about_y(column("root.roll")),
        "head": bend("head", 1.0, 1.0, 1.0),
    }
    for i, bone in enumerate(_SPINE):
        shares = _SPINE_SHARES
        local[bone] = bend("spine", shares["flexion"][i], shares["side_bend"][i], shares["twist"][i])
    for bone in _NECK:
        local[bone] = bend("neck", 1 / 3, 1 / 3, 1 / 3)
    return local


def _limbs(angles: FloatArray, side: str) -> dict[str, FloatArray]:
    """Return the local rotations of one side's bones, written for the left side."""

    def column(name: str) -> FloatArray:
        return angles[:, ANGLE_INDEX[f"{side}_{name}"]]

    return _arm(column) | _leg(column)


def _arm(column: Column) -> dict[str, FloatArray]:
    plane, elevation, inward = (column(f"shoulder.{n}") for n in ("plane", "elevation", "rotation"))
    radians = np.radians(plane)
    axis = np.stack([-np.sin(radians), -np.cos(radians), np.zeros_like(radians)], axis=1)
    # Swing, then twist: unlike ISB's Y-X-Y angles this has no jump where the arm hangs.
    swing = about_axis(axis, elevation)
    # Exactly nothing while the arm hangs, or `plane` would turn the girdle of a hanging arm.
    girdle = _RHYTHM_SHARE * (
        _soft_excess(elevation - _RHYTHM_START_DEG) - _soft_excess(np.array(-_RHYTHM_START_DEG))
    )
    forward_deg = column("clavicle.protraction") + 12 * np.sin(radians) * np.minimum(elevation / 90, 1)
    lift_deg = column("clavicle.elevation") + _CLAVICLE_SHARE * girdle
    clavicle = about_z(-forward_deg) @ about_y(-lift_deg)
    flexed = about_x(-column("elbow.flexion"))
    turn = -column("forearm.pronation")
    upper = swing @ about_z(-inward)
    return {
        "clavicle": clavicle,
        "shoulder01": about_axis(axis, (1 - _CLAVICLE_SHARE) * girdle) @ clavicle,
        "upperarm01": swing @ about_z(-TWIST_SHARE["upperarm01"] * inward),
        "upperarm02": upper,
        "lowerarm01": flexed @ about_z(TWIST_SHARE["lowerarm01"] * turn),
        "lowerarm02": flexed @ about_z(TWIST_SHARE["lowerarm02"] * turn),
        "wrist": flexed
        @ about_z(turn)
        @ about_y(column("wrist.flexion"))
        @ about_x(column("wrist.deviation")),
    }


def _leg(column: Column) -> dict[str, FloatArray]:
    swing = about_x(-column("hip.flexion")) @ about_y(-column("hip.abduction"))
    inward = column("hip.rotation")
    share = TWIST_SHARE["upperleg01"]
    toes = about_x(column("toes.flexion"))
    return {
        "upperleg01": swing @ about_z(-share * inward),
        "upperleg02": about_z(-(1 - share) * inward),
        "lowerleg01": about_x(column("knee.flexion")),
        "foot": about_x(-column("ankle.dorsiflexion")) @ about_y(column("ankle.inversion")),
    } | {f"toe{i}-1": toes for i in range(1, 6)}


def _soft_excess(degrees: FloatArray) -> FloatArray:
    """Return max(degrees, 0) with its corner rounded over about 10 degrees."""
    return np.asarray((degrees + np.sqrt(degrees**2 + 100.0)) / 2)
