"""Damped least squares over joint angles, for whatever a body has to be fitted to."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from posegen.poses.joints import GREATEST, LEAST

FloatArray = NDArray[np.float64]
Residuals = Callable[[FloatArray], FloatArray]
"""From M angle vectors (M, D) to M residual vectors (M, R)."""

STEP_DEG = 0.5
LARGEST_STEP_DEG = 25.0
ROUNDS = 14


def descend(
    residuals: Residuals,
    start: FloatArray,
    free: NDArray[np.int64],
    *,
    rounds: int = ROUNDS,
    enough: float = 0.0,
) -> tuple[FloatArray, float]:
    """Return the angles of a least sum of squared residuals near a start, and that sum.

    Levenberg-Marquardt with forward differences; angles stay within their limits.

    Parameters
    ----------
    residuals : callable
    start : float array, shape (D,)
        Degrees in the order of `joints.ANGLE_NAMES`, within their limits.
    free : int array, shape (F,)
        Indices of the angles that may change.
    rounds : int
        Most steps that are taken.
    enough : float
        A step that gains less than this share of the sum is the last.

    References
    ----------
    Marquardt, "An Algorithm for Least-Squares Estimation of Nonlinear Parameters", SIAM J. 1963.
    """
    angles, damping = start.copy(), 1e-2
    current = residuals(angles[None])[0]
    for _ in range(rounds):
        slopes = _slopes(residuals, angles, current, free)
        normal, downhill = slopes.T @ slopes, slopes.T @ current
        candidates = []
        for factor in (0.2, 1.0, 8.0):
            step = np.linalg.solve(normal + damping * factor * np.diag(np.diag(normal) + 1e-9), -downhill)
            candidates.append(_stepped(angles, step, free))
        tried = residuals(np.stack(candidates))
        costs = (tried**2).sum(axis=1)
        best = int(costs.argmin())
        if costs[best] >= (current**2).sum() * (1 - 1e-6):
            if damping > 1e3:
                break
            damping *= 10
            continue
        gained = 1 - costs[best] / (current**2).sum()
        angles, current = candidates[best], tried[best]
        if gained < enough:
            break
        damping *= (0.2, 1.0, 8.0)[best]
    return angles, float((current**2).sum())


def _slopes(
    residuals: Residuals, angles: FloatArray, current: FloatArray, free: NDArray[np.int64]
) -> FloatArray:
    """Return the residuals' derivatives by the free angles, (R, F), by forward differences."""
    nudged = np.repeat(angles[None], len(free), axis=0)
    sign = np.where(angles[free] + STEP_DEG > GREATEST[free], -1.0, 1.0)
    nudged[np.arange(len(free)), free] += sign * STEP_DEG
    return np.asarray(((residuals(nudged) - current) / (sign * STEP_DEG)[:, None]).T)


def _stepped(angles: FloatArray, step: FloatArray, free: NDArray[np.int64]) -> FloatArray:
    """Return the angles after a step, each of at most 25 degrees, within their limits."""
    stepped = angles.copy()
    stepped[free] += np.clip(step, -LARGEST_STEP_DEG, LARGEST_STEP_DEG)
    return np.clip(stepped, LEAST, GREATEST)
