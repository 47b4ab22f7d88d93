"""Keypoint layouts: names, limbs, colours, sigmas and conversions, each with its source.

Sources
-------
OPENPOSE_18 : order and limb sequence of CMU OpenPose's COCO model as ControlNet's annotators draw it
    (huggingface/controlnet_aux, `open_pose/util.py`; reimplemented from the constants).
COCO_17 : cocodataset.org keypoint order; sigmas from cocodataset/cocoapi `cocoeval.py`.
BODY_25 : CMU OpenPose output documentation, "Keypoint ordering in C++/Python".
BLAZEPOSE_33 : MediaPipe's pose landmarker guide, "Pose landmarker model".
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class Skeleton:
    """A keypoint layout.

    Attributes
    ----------
    name : str
    keypoints : tuple of str
        In array order; `left_` and `right_` are the person's own.
    limbs : tuple of (int, int)
        Pairs of keypoint indices, zero-based, in drawing order.
    flip : tuple of int
        Index of each keypoint's left-right counterpart.
    """

    name: str
    keypoints: tuple[str, ...]
    limbs: tuple[tuple[int, int], ...]

    @property
    def flip(self) -> tuple[int, ...]:
        """Index of each keypoint's left-right counterpart (itself on the midline)."""
        swap = {"left": "right", "right": "left"}
        index = {keypoint: i for i, keypoint in enumerate(self.keypoints)}

        def counterpart(keypoint: str) -> int:
            side, _, rest = keypoint.partition("_")
            return index[f"{swap[side]}_{rest}"] if side in swap else index[keypoint]

        return tuple(counterpart(keypoint) for keypoint in self.keypoints)


OPENPOSE_18 = Skeleton(
    name="OPENPOSE_18",
    keypoints=(
        "nose", "neck",
        "right_shoulder", "right_elbow", "right_wrist",
        "left_shoulder", "left_elbow", "left_wrist",
        "right_hip", "right_knee", "right_ankle",
        "left_hip", "left_knee", "left_ankle",
        "right_eye", "left_eye", "right_ear", "left_ear",
    ),
    limbs=(
        (1, 2), (1, 5), (2, 3), (3, 4), (5, 6), (6, 7), (1, 8), (8, 9), (9, 10),
        (1, 11), (11, 12), (12, 13), (1, 0), (0, 14), (14, 16), (0, 15), (15, 17),
    ),
)  # fmt: skip

COCO_17 = Skeleton(
    name="COCO_17",
    keypoints=(
        "nose", "left_eye", "right_eye", "left_ear", "right_ear",
        "left_shoulder", "right_shoulder", "left_elbow", "right_elbow", "left_wrist", "right_wrist",
        "left_hip", "right_hip", "left_knee", "right_knee", "left_ankle", "right_ankle",
    ),
    limbs=(
        (15, 13), (13, 11), (16, 14), (14, 12), (11, 12), (5, 11), (6, 12), (5, 6), (5, 7), (6, 8),
        (7, 9), (8, 10), (1, 2), (0, 1), (0, 2), (1, 3), (2, 4), (3, 5), (4, 6),
    ),
)  # fmt: skip

BLAZEPOSE_33: tuple[str, ...] = (
    "nose", "left_eye_inner", "left_eye", "left_eye_outer", "right_eye_inner", "right_eye", "right_eye_outer",
    "left_ear", "right_ear", "mouth_left", "mouth_right", "left_shoulder", "right_shoulder", "left_elbow",
    "right_elbow", "left_wrist", "right_wrist", "left_pinky", "right_pinky", "left_index", "right_index",
    "left_thumb", "right_thumb", "left_hip", "right_hip", "left_knee", "right_knee", "left_ankle",
    "right_ankle", "left_heel", "right_heel", "left_foot_index", "right_foot_index",
)  # fmt: skip
"""Landmarks of MediaPipe's pose model, in its order."""

OPENPOSE_COLORS: tuple[tuple[int, int, int], ...] = (
    (255, 0, 0), (255, 85, 0), (255, 170, 0), (255, 255, 0), (170, 255, 0), (85, 255, 0),
    (0, 255, 0), (0, 255, 85), (0, 255, 170), (0, 255, 255), (0, 170, 255), (0, 85, 255),
    (0, 0, 255), (85, 0, 255), (170, 0, 255), (255, 0, 255), (255, 0, 170), (255, 0, 85),
)  # fmt: skip
"""RGB of keypoint i, and of limb i for the first 17 (controlnet_aux `open_pose/util.py`)."""

OPENPOSE_FROM_COCO: tuple[int | None, ...] = (
    0, None, 6, 8, 10, 5, 7, 9, 12, 14, 16, 11, 13, 15, 2, 1, 4, 3,
)  # fmt: skip
"""COCO_17 index of each OPENPOSE_18 keypoint; None is the neck, the shoulders' midpoint."""

COCO_FROM_OPENPOSE: tuple[int, ...] = tuple(OPENPOSE_FROM_COCO.index(i) for i in range(17))
"""OPENPOSE_18 index of each COCO_17 keypoint."""

COCO_FROM_BLAZEPOSE: tuple[int, ...] = tuple(BLAZEPOSE_33.index(name) for name in COCO_17.keypoints)
"""BLAZEPOSE_33 index of each COCO_17 keypoint."""

COCO_SIGMAS: FloatArray = np.array(
    [.026, .025, .025, .035, .035, .079, .079, .072, .072, .062, .062, .107, .107, .087, .087, .089, .089]
)  # fmt: skip
"""Standard deviations per COCO_17 keypoint for OKS (cocodataset/cocoapi `cocoeval.py`)."""

OPENPOSE_SIGMAS: FloatArray = np.array(
    [COCO_SIGMAS[5] if i is None else COCO_SIGMAS[i] for i in OPENPOSE_FROM_COCO]
)
"""The same in OPENPOSE_18 order; the neck, which COCO lacks, takes the shoulders' sigma."""

OPENPOSE_FROM_BODY_25: tuple[int, ...] = (0, 1, 2, 3, 4, 5, 6, 7, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18)
"""BODY_25 index of each OPENPOSE_18 keypoint (BODY_25 inserts the mid-hip at 8, feet from 19)."""


def openpose_from_coco(coco: FloatArray) -> FloatArray:
    """Convert COCO_17 points to OPENPOSE_18, the neck being the shoulders' midpoint.

    Parameters
    ----------
    coco : float array, shape (..., 17, D)
        Coordinates, D of them (2 for pixels, 3 for metres).

    Returns
    -------
    float array, shape (..., 18, D)

    Raises
    ------
    ValueError
        The second last axis is not 17 long.
    """
    if coco.ndim < 2 or coco.shape[-2] != 17:
        raise ValueError(f"expected (..., 17, D) COCO keypoints, got shape {coco.shape}")
    neck = (coco[..., 5, :] + coco[..., 6, :]) / 2
    order = [5 if i is None else i for i in OPENPOSE_FROM_COCO]
    openpose = coco[..., order, :].astype(np.float64)
    openpose[..., 1, :] = neck
    return openpose
