"""Named hand shapes, as finger angles in degrees.

Angles are added to the mesh's rest, a hand with slightly bent fingers. In the hand's own frame (left hand
hanging, palm to the thigh): x to the back of the hand, y to the little finger, z to the wrist.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from types import MappingProxyType
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from posegen.errors import UnknownNameError
from posegen.poses.rotations import about_axis, about_x, mirrored

FloatArray = NDArray[np.float64]
Triple = tuple[float, float, float]


class HandShape(NamedTuple):
    """Finger angles of one hand.

    Attributes
    ----------
    index_finger, middle_finger, ring_finger, little_finger : (float, float, float)
        Flexion at the three joints, from the knuckle on; positive closes the hand.
    spread : float
        Degrees between neighbouring fingers, added to the rest's.
    thumb : (float, float, float)
        At its base: opposition (into the palm), abduction (away from the fingers), turn about its length.
    thumb_flexion : (float, float)
        At its two outer joints.
    """

    index_finger: Triple
    middle_finger: Triple
    ring_finger: Triple
    little_finger: Triple
    spread: float = 0.0
    thumb: Triple = (0.0, 0.0, 0.0)
    thumb_flexion: tuple[float, float] = (0.0, 0.0)


_STRAIGHT: Triple = (-12.0, -16.0, -14.0)
_PRESSED: Triple = (-2.0, -8.0, -8.0)
"""On the floor: palm, fingers and thumb lie within some 4 mm of one plane."""
_CURLED: Triple = (68.0, 72.0, 46.0)

HAND_SHAPES: Mapping[str, HandShape] = MappingProxyType(
    {
        "relaxed": HandShape((8, 10, 5), (10, 12, 6), (12, 14, 7), (12, 14, 7), -3, thumb=(8, -4, 0)),
        "flat": HandShape(_STRAIGHT, _STRAIGHT, _STRAIGHT, _STRAIGHT, spread=-8, thumb=(0, -10, 0)),
        "spread": HandShape(_STRAIGHT, _STRAIGHT, _STRAIGHT, _STRAIGHT, spread=9, thumb=(-8, 18, 0)),
        "press": HandShape(_PRESSED, _PRESSED, _PRESSED, _PRESSED, 9, (-28, 18, 0), (0, -4)),
        "fist": HandShape(_CURLED, _CURLED, _CURLED, _CURLED, -2, (38, -10, 20), (30, 45)),
        "point": HandShape(_STRAIGHT, _CURLED, _CURLED, _CURLED, -2, (38, -10, 20), (30, 40)),
        "peace": HandShape(
            (-10, -16, -14), (-10, -16, -14), _CURLED, _CURLED, 6, (44, -10, 20), (34, 44)
        ),
        "thumb_up": HandShape(_CURLED, _CURLED, _CURLED, _CURLED, -2, (-14, 24, 0), (-14, -16)),
        "grip": HandShape((46, 48, 28), (48, 50, 30), (50, 52, 30), (52, 52, 30), -1, (32, 4, 10), (18, 22)),
        "cup": HandShape((20, 22, 14), (22, 24, 14), (24, 26, 14), (24, 26, 14), -2, (20, 0, 5), (8, 10)),
        "phone": HandShape((26, 34, 18), (30, 38, 20), (32, 40, 22), (34, 40, 22), 0, (22, 10, 5), (10, 16)),
    }
)  # fmt: skip

_FINGERS = {"2": "index_finger", "3": "middle_finger", "4": "ring_finger", "5": "little_finger"}
_FAN = {"2": -1.5, "3": -0.5, "4": 0.5, "5": 1.5}
"""How many spreads each finger is from the hand's middle, positive to the little finger's side."""
_REST_FAN_DEG = {"2": -10.0, "3": 0.0, "4": 8.0, "5": 18.0}
"""How far each finger of the mesh points away from the middle one; it curls about an axis across itself, and
a little more inward, as fingers closing on the palm do."""
_THUMB_HINGE: FloatArray = np.array([0.42, 0.34, -0.84]) / np.linalg.norm([0.42, 0.34, -0.84])
"""About which the thumb's outer joints close, in the hand's frame (fitted by eye to the mesh)."""
_THUMB_LENGTH: FloatArray = np.array([-0.52, -0.62, -0.58]) / np.linalg.norm([-0.52, -0.62, -0.58])


def hand_shape(name: str) -> HandShape:
    """Return a hand shape by name.

    Raises
    ------
    UnknownNameError
        No such shape.
    """
    try:
        return HAND_SHAPES[name]
    except KeyError:
        raise UnknownNameError("hand shape", name, HAND_SHAPES) from None


@lru_cache(maxsize=64)
def finger_rotations(name: str, side: str) -> Mapping[str, FloatArray]:
    """Return the local rotation of each finger bone of one hand.

    Parameters
    ----------
    name : str
        A key of `HAND_SHAPES`.
    side : {"L", "R"}

    Returns
    -------
    mapping of str to float array, shape (3, 3)
        By bone name, e.g. ``"finger2-1.L"``.
    """
    shape = hand_shape(name)
    local: dict[str, FloatArray] = {}
    for finger, attribute in _FINGERS.items():
        hinge = about_x(_REST_FAN_DEG[finger])[:, 1]
        flexion: Triple = getattr(shape, attribute)
        for joint, degrees in enumerate(flexion, start=1):
            local[f"finger{finger}-{joint}"] = about_axis(hinge, degrees)
        fan = about_x(_FAN[finger] * shape.spread)
        local[f"finger{finger}-1"] = fan @ local[f"finger{finger}-1"]
    opposition, abduction, turn = shape.thumb
    local["finger1-1"] = (
        about_axis((0.0, 0.0, 1.0), -opposition) @ about_x(-abduction) @ about_axis(_THUMB_LENGTH, turn)
    )
    for joint, degrees in enumerate(shape.thumb_flexion, start=2):
        local[f"finger1-{joint}"] = about_axis(_THUMB_HINGE, degrees)
    return {f"{bone}.{side}": mirrored(r) if side == "R" else r for bone, r in local.items()}
