"""Draw keypoints as the OpenPose body map that pose ControlNets were trained on.

A ControlNet has only ever seen maps of one drawing routine (lllyasviel/ControlNet, huggingface/controlnet_aux
`open_pose/util.py`, `draw_bodypose`), so this one aims at the same pixels: limbs as ellipses on a one-degree
polygon at 0.6 of their colour, then joints as discs of radius 4 at full colour, nothing antialiased. The
rasterisation is reimplemented in NumPy in `rasterise`; the colours and the limb order come from `skeletons`.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

from posegen.controlnet.rasterise import convex_polygon_pixels, disc_pixels, ellipse_polygon
from posegen.records import StickScale
from posegen.skeletons import OPENPOSE_18, OPENPOSE_COLORS

FloatArray = NDArray[np.float64]

STICK_WIDTH = 4
"""Minor half-axis of a limb in pixels (controlnet_aux `open_pose/util.py`)."""

JOINT_RADIUS = 4
"""Radius of a joint in pixels (controlnet_aux `open_pose/util.py`)."""

LIMB_DIMMING = 0.6
"""A limb's colour as a share of its joint's (controlnet_aux `open_pose/util.py`)."""

FARTHEST_PX = 1_000_000
"""A coordinate beyond this is an error, not a joint; the original fails where 32 bits overflow."""

_LIMB_COLORS = tuple(
    tuple(int(channel * LIMB_DIMMING) for channel in color) for color in OPENPOSE_COLORS[:17]
)
_FACE = [
    OPENPOSE_18.keypoints.index(name) for name in ("nose", "right_eye", "left_eye", "right_ear", "left_ear")
]


def draw_map(
    keypoints: ArrayLike,
    width: int,
    height: int,
    *,
    stick_width: int = STICK_WIDTH,
    joint_radius: int = JOINT_RADIUS,
    stick_scale: StickScale = "none",
) -> NDArray[np.uint8]:
    """Draw people's keypoints as an OpenPose body map.

    Parameters
    ----------
    keypoints : float array, shape (18, 3) or (P, 18, 3)
        OPENPOSE_18 keypoints of one or of P people: x, y in pixels (origin top left, y down) and visibility.
        A keypoint whose visibility is 0 (or less), or that has a number that is not finite, is missing:
        neither it nor its limbs are drawn. Points outside the canvas are clipped. P may be 0.
    width, height : int
        Size of the map in pixels.
    stick_width : int
        Minor half-axis of a limb in pixels.
    joint_radius : int
        Radius of a joint in pixels; 0 draws single pixels.
    stick_scale : {"none", "xinsir"}
        "xinsir" widens the sticks as the SDXL ControlNets of that author expect (see `xinsir_stick_scale`).

    Returns
    -------
    uint8 array, shape (height, width, 3)
        RGB on black. With several people all limbs lie under all joints.

    Raises
    ------
    ValueError
        The shape is another, a size or width is not a positive integer, `stick_scale` is unknown, or a drawn
        keypoint lies more than `FARTHEST_PX` from the origin.

    Notes
    -----
    As in the original, coordinates pass through the unit square (x / width * width) and are cut, not
    rounded, to whole pixels; angles are cut to whole degrees.

    Examples
    --------
    >>> person = np.zeros((18, 3))
    >>> person[:2] = [[32, 20, 1], [32, 40, 1]]  # nose and neck
    >>> [[int(c) for c in draw_map(person, 64, 64)[y, 32]] for y in (0, 20, 30, 40)]
    [[0, 0, 0], [255, 0, 0], [0, 0, 153], [255, 85, 0]]
    """
    people = _people(keypoints)
    width, height = _positive("width", width), _positive("height", height)
    half_width = _positive("stick_width", stick_width)
    if stick_scale == "xinsir":
        half_width *= xinsir_stick_scale(width, height)
    elif stick_scale != "none":
        raise ValueError(f"stick_scale must be 'none' or 'xinsir', not {stick_scale!r}")
    if joint_radius != 0:
        joint_radius = _positive("joint_radius", joint_radius)
    drawn = _drawn(people, width, height)
    canvas = np.zeros((height, width, 3), dtype=np.uint8)
    _draw_limbs(canvas, drawn, half_width)
    _draw_joints(canvas, drawn, joint_radius)
    return canvas


def control_keypoints(keypoints: ArrayLike) -> FloatArray:
    """Return the keypoints that belong on the control map of a target pose.

    A target knows where every joint is, the hidden ones too (visibility 0, coordinates finite). On the map

    - hidden body joints are drawn: the pose estimators whose maps the ControlNets learnt from infer an arm
      behind the back, and a map without it would ask for a person without that arm;
    - hidden face points (nose, eyes, ears) are not: estimators do not guess a face through the back of a
      head, and the missing face is the one thing by which a flat map tells a back view from a front view.

    Parameters
    ----------
    keypoints : float array, shape (..., 18, 3)
        OPENPOSE_18 keypoints: x, y in pixels, visibility 1 or 0. Exactly (0, 0, 0), OpenPose's own mark of a
        keypoint that was never found, or a coordinate that is not finite, stays missing.

    Returns
    -------
    float array, shape (..., 18, 3)
        A copy for `draw_map`: visibility 1 for what is drawn and 0 for what is not.

    Raises
    ------
    ValueError
        The shape is another.
    """
    target = np.array(keypoints, dtype=np.float64)
    if target.ndim < 2 or target.shape[-2:] != (18, 3):
        raise ValueError(f"expected (..., 18, 3) OPENPOSE_18 keypoints, got shape {target.shape}")
    seen = target[..., 2] > 0
    located = np.isfinite(target).all(axis=-1) & (seen | (target[..., :2] != 0).any(axis=-1))
    drawn = located.copy()
    drawn[..., _FACE] &= seen[..., _FACE]
    target[..., 2] = drawn
    return target


def xinsir_stick_scale(width: int, height: int) -> int:
    """Return how many times wider xinsir's SDXL ControlNets want the sticks; the joints stay as they are.

    Source: huggingface.co/xinsir/controlnet-openpose-sdxl-1.0, as in Fannovel16/comfyui_controlnet_aux
    (`xinsr_stick_scaling`).

    Examples
    --------
    >>> xinsir_stick_scale(448, 448), xinsir_stick_scale(768, 512), xinsir_stick_scale(1024, 1024)
    (1, 2, 3)
    """
    longer_side = max(width, height)
    return 1 if longer_side < 500 else min(2 + longer_side // 1000, 7)


def _people(keypoints: ArrayLike) -> FloatArray:
    people = np.asarray(keypoints, dtype=np.float64)
    if people.ndim == 2:
        people = people[np.newaxis]
    if people.ndim != 3 or people.shape[1:] != (18, 3):
        raise ValueError(
            f"expected keypoints of shape (18, 3) or (P, 18, 3), x, y and visibility in OPENPOSE_18 order; "
            f"got shape {np.shape(keypoints)}"
        )
    return people


def _positive(name: str, value: int) -> int:
    # NumPy integers are welcome, and no integers to the type checker; fractions and truth values are not.
    number: object = value
    if isinstance(number, bool) or not isinstance(number, int | np.integer) or number <= 0:
        raise ValueError(f"{name} must be a positive whole number of pixels, not {value!r}")
    return int(number)


def _drawn(people: FloatArray, width: int, height: int) -> list[list[tuple[float, float] | None]]:
    """Return each person's points as the original would have them after its unit square; None is missing."""
    present = np.isfinite(people).all(axis=-1) & (people[..., 2] > 0)
    points = np.where(present[..., np.newaxis], people[..., :2], 0.0)
    if (far := np.abs(points).max(initial=0.0)) > FARTHEST_PX:
        raise ValueError(
            f"a visible keypoint has a coordinate of {far:.4g} pixels; at most {FARTHEST_PX} can be drawn"
        )
    size = np.array([width, height], dtype=np.float64)
    points = points / size * size
    return [
        [(float(x), float(y)) if here else None for (x, y), here in zip(person, seen, strict=True)]
        for person, seen in zip(points, present, strict=True)
    ]


def _draw_limbs(
    canvas: NDArray[np.uint8], people: list[list[tuple[float, float] | None]], half_width: int
) -> None:
    height, width = canvas.shape[:2]
    pixels = canvas.reshape(-1, 3)
    for (start, end), color in zip(OPENPOSE_18.limbs, _LIMB_COLORS, strict=True):
        for person in people:
            a, b = person[start], person[end]
            if a is None or b is None:
                continue
            dx, dy = a[0] - b[0], a[1] - b[1]
            length = (dx**2 + dy**2) ** 0.5
            polygon = ellipse_polygon(
                (int((a[0] + b[0]) / 2), int((a[1] + b[1]) / 2)),
                (int(length / 2), half_width),
                int(math.degrees(math.atan2(dy, dx))),
            )
            pixels[convex_polygon_pixels(polygon, width, height)] = color


def _draw_joints(
    canvas: NDArray[np.uint8], people: list[list[tuple[float, float] | None]], radius: int
) -> None:
    height, width = canvas.shape[:2]
    pixels = canvas.reshape(-1, 3)
    for joint, color in enumerate(OPENPOSE_COLORS):
        for person in people:
            point = person[joint]
            if point is not None:
                pixels[disc_pixels((int(point[0]), int(point[1])), radius, width, height)] = color
