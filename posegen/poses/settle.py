"""Settling: a body that stands on one end and hovers at the other tips until both touch the floor.

One set of angles cannot put hands and feet of differently built bodies on one floor: what fits the one leaves
the other a centimetre or two in the air.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from posegen.poses.rotations import about_axis

FloatArray = NDArray[np.float64]

MAX_TIP_DEG = 3.0
"""A body that would have to tip further is meant to balance."""
TOUCH_M = 0.006
"""What is lower than this rests on the floor."""
LEAST_REACH_M = 0.12
"""What is nearer to the contact is the same foot or hand."""


def settling_turn(samples: FloatArray) -> FloatArray | None:
    """Return the small rotation after which a body rests on a second point, if there is one to be had.

    Parameters
    ----------
    samples : float array, shape (S, 3)
        Surface samples in world metres, the lowest at z = 0.

    Returns
    -------
    float array, shape (3, 3), or None
        A turn about a horizontal axis, by at most `MAX_TIP_DEG`; None where the weight is over the support
        already, or where tipping finds nothing to rest on.
    """
    resting = samples[samples[:, 2] < TOUCH_M]
    pivot = resting[:, :2].mean(axis=0)
    toward = samples[:, :2].mean(axis=0) - pivot
    distance = float(np.hypot(*toward))
    if distance < LEAST_REACH_M / 2:
        return None
    toward /= distance
    reach = (samples[:, :2] - pivot) @ toward
    if ((resting[:, :2] - pivot) @ toward).max() >= distance:
        return None
    edge = float(((resting[:, :2] - pivot) @ toward).max())
    beyond = reach > edge + LEAST_REACH_M
    if not beyond.any():
        return None
    tip = np.degrees(np.arctan2(samples[beyond, 2], reach[beyond] - edge)).min()
    if not 0.0 < tip <= MAX_TIP_DEG:
        return None
    return about_axis(np.array([-toward[1], toward[0], 0.0]), np.array(tip))
