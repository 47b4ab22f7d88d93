"""The degrees of freedom of the body: names, meanings and limits, in degrees.

Zero everywhere is standing upright, arms hanging with the palms to the thighs, legs straight and parallel,
feet forward and flat. Directions follow the recommendations of the International Society of Biomechanics (Wu
et al., J. Biomech. 2002 and 2005) with one sign for both sides of the body, so that equal numbers left and
right are a symmetric body. Limits are wider than the textbook ranges (Kapandji; Boone & Azen 1979) where
dancers and gymnasts go.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from posegen.errors import UnknownNameError

FloatArray = NDArray[np.float64]


class JointLimit(NamedTuple):
    """Least and greatest angle in degrees, both inclusive, and what a positive angle does."""

    least: float
    greatest: float
    positive: str


_TRUNK: dict[str, JointLimit] = {
    "root.yaw": JointLimit(-180, 180, "the whole body turns to its left about the vertical"),
    "root.pitch": JointLimit(-180, 180, "the whole body tips forward (90: face down, -90: on the back)"),
    "root.roll": JointLimit(-180, 180, "the whole body tips to its left (90: on the left side)"),
    "spine.flexion": JointLimit(-65, 100, "the trunk bends forward"),
    "spine.side_bend": JointLimit(-55, 55, "the trunk bends to its left"),
    "spine.twist": JointLimit(-65, 65, "the chest turns to its left"),
    "neck.flexion": JointLimit(-40, 45, "the neck bends forward"),
    "neck.side_bend": JointLimit(-35, 35, "the neck bends to its left"),
    "neck.twist": JointLimit(-50, 50, "the neck turns to its left"),
    "head.flexion": JointLimit(-30, 30, "the head nods down"),
    "head.side_bend": JointLimit(-20, 20, "the head tilts to its left"),
    "head.twist": JointLimit(-40, 40, "the head turns to its left"),
}

_SIDE: dict[str, JointLimit] = {
    "clavicle.elevation": JointLimit(-12, 35, "the shoulder is shrugged up"),
    "clavicle.protraction": JointLimit(-25, 30, "the shoulder comes forward"),
    "shoulder.plane": JointLimit(-100, 140, "0: the arm rises sideways, 90: forward, 135: across, -90: back"),
    "shoulder.elevation": JointLimit(0, 180, "the upper arm rises from hanging (0) to overhead (180)"),
    "shoulder.rotation": JointLimit(-110, 110, "the upper arm turns inward about its length"),
    "elbow.flexion": JointLimit(-8, 152, "the elbow bends"),
    "forearm.pronation": JointLimit(-95, 95, "from thumb forward (0) to palm back (90)"),
    "wrist.flexion": JointLimit(-85, 85, "the palm bends toward the forearm"),
    "wrist.deviation": JointLimit(-25, 40, "the hand tilts to the little finger's side"),
    "hip.flexion": JointLimit(-40, 140, "the thigh rises forward"),
    "hip.abduction": JointLimit(-40, 90, "the thigh opens sideways"),
    "hip.rotation": JointLimit(-75, 55, "the thigh turns inward about its length"),
    "knee.flexion": JointLimit(-5, 158, "the knee bends"),
    "ankle.dorsiflexion": JointLimit(-65, 40, "the toes come up toward the shin"),
    "ankle.inversion": JointLimit(-30, 40, "the sole turns to face the other foot"),
    "toes.flexion": JointLimit(-75, 45, "the toes curl down"),
}

LIMITS: Mapping[str, JointLimit] = MappingProxyType(
    _TRUNK | {f"{side}_{name}": limit for side in ("left", "right") for name, limit in _SIDE.items()}
)
"""Every degree of freedom in the order of angle vectors, with its limits."""

ANGLE_NAMES: tuple[str, ...] = tuple(LIMITS)
ANGLE_INDEX: Mapping[str, int] = MappingProxyType({name: i for i, name in enumerate(ANGLE_NAMES)})
LEAST: FloatArray = np.array([limit.least for limit in LIMITS.values()], dtype=np.float64)
GREATEST: FloatArray = np.array([limit.greatest for limit in LIMITS.values()], dtype=np.float64)


def angle_vector(angles: Mapping[str, float]) -> FloatArray:
    """Return angles by name as a vector in the order of `ANGLE_NAMES`; what is not named is 0.

    Parameters
    ----------
    angles : mapping of str to float
        Degrees; see `LIMITS`. Limits are not applied here.

    Returns
    -------
    float array, shape (D,)

    Raises
    ------
    UnknownNameError
        A name that is no degree of freedom.
    """
    vector = np.zeros(len(ANGLE_NAMES))
    for name, degrees in angles.items():
        if name not in ANGLE_INDEX:
            raise UnknownNameError("joint angle", name, ANGLE_NAMES)
        vector[ANGLE_INDEX[name]] = degrees
    return vector


def angle_indices(names: Iterable[str]) -> NDArray[np.int64]:
    """Return where these angles stand in angle vectors, shape (F,)."""
    return np.array([ANGLE_INDEX[name] for name in names], dtype=np.int64)


def mirrored_angles(angles: Mapping[str, float]) -> dict[str, float]:
    """Return the angles of the mirror-image body: sides swapped, turns and tilts reversed."""
    midline = {name for name in _TRUNK if name.rsplit(".", 1)[1] in ("yaw", "roll", "side_bend", "twist")}
    out: dict[str, float] = {}
    for name, degrees in angles.items():
        side, _, rest = name.partition("_")
        swapped = {"left": f"right_{rest}", "right": f"left_{rest}"}.get(side, name)
        out[swapped] = -degrees if name in midline else degrees
    return out


def beyond_limits(angles: Mapping[str, float]) -> Iterable[tuple[str, float, JointLimit]]:
    """Yield each angle outside its limits, with them; NaN counts as outside."""
    for name, degrees in angles.items():
        limit = LIMITS[name]
        if not limit.least <= degrees <= limit.greatest:
            yield name, degrees, limit
