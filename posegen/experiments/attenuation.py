"""What the estimator makes of a known truth: measured beside true OKS, where the drawn joints are known.

An estimator errs, so that good pictures are read as less good: measured effects are smaller than true ones.
By how much is the attenuation. Only the embedded renderer knows what it drew; the figure is the estimator's
on such pictures, and says nothing about a generative model.
"""

from __future__ import annotations

import itertools
from collections.abc import Collection, Sequence

import msgspec
import numpy as np
from numpy.typing import NDArray

from posegen.accuracy.statistics import cluster_interval
from posegen.experiments.measures import HEADLINE, MEASURES, TRUE_OKS, Columns, Measure
from posegen.experiments.scores import Score
from posegen.parameters import Arm

FloatArray = NDArray[np.float64]

RESAMPLES = 2000


class AttenuationRow(msgspec.Struct, frozen=True, kw_only=True):
    """An arm's true effect on OKS beside the measured one.

    Attributes
    ----------
    ratio, ratio_low, ratio_high : float
        Measured by true effect, with a 95 % interval bootstrapped by pose; NaN where the true effect is not
        clearly other than 0.
    """

    arm: str
    pairs: int
    true_oks: float
    measured_oks: float
    true_effect: float
    measured_effect: float
    ratio: float
    ratio_low: float
    ratio_high: float


class Agreement(msgspec.Struct, frozen=True, kw_only=True):
    """Measured beside true OKS over all images whose truth is known.

    Attributes
    ----------
    images : int
        Each counted once: arms that make no images are left out of it, of the line and of the correlation.
    slope, slope_low, slope_high : float
        Of measured on true OKS by least squares, with a 95 % interval bootstrapped by pose.
    intercept, correlation : float
    true_order, measured_order : tuple of str
        Arms from worst to best, over the cells that they share.
    order_is_right : bool
        Whether arms whose true OKS clearly differ are measured in the right order, pair by pair.
    """

    images: int
    slope: float
    slope_low: float
    slope_high: float
    intercept: float
    correlation: float
    true_order: tuple[str, ...]
    measured_order: tuple[str, ...]
    order_is_right: bool


class DosePoint(msgspec.Struct, frozen=True, kw_only=True):
    """An arm's place on a dose curve; the true OKS is None where it is not known."""

    dose_of: str
    dose: float
    arm: str
    oks: float
    low: float
    high: float
    true_oks: float | None = None


def attenuation(
    scores: Sequence[Score], arms: Sequence[str], baseline: str, *, seed: int = 0
) -> list[AttenuationRow]:
    """Return true and measured effects of the arms whose truth is known, and the baseline's level."""
    columns = Columns(scores)
    rows = []
    for arm in arms:
        true, read, poses = _both_known(columns, arm, baseline)
        if not len(poses):
            continue
        ratio = _ratio(read[0] - read[1], true[0] - true[1], poses, seed)
        rows.append(
            AttenuationRow(
                arm=arm,
                pairs=len(poses),
                true_oks=float(true[0].mean()),
                measured_oks=float(read[0].mean()),
                true_effect=float((true[0] - true[1]).mean()),
                measured_effect=float((read[0] - read[1]).mean()),
                ratio=ratio[0],
                ratio_low=ratio[1],
                ratio_high=ratio[2],
            )
        )
    return rows


def _both_known(columns: Columns, arm: str, baseline: str) -> tuple[FloatArray, FloatArray, NDArray[np.str_]]:
    """Return true and measured OKS of arm and baseline, each of shape (2, N), and the poses."""
    true = np.stack([columns.values(name, TRUE_OKS) for name in (arm, baseline)])
    read = np.stack([columns.values(name, MEASURES[HEADLINE]) for name in (arm, baseline)])
    known = (np.isfinite(true) & np.isfinite(read)).all(axis=0) & columns.paired(arm, baseline)
    return true[:, known], read[:, known], columns.poses[known]


def _ratio(
    read: FloatArray, true: FloatArray, poses: NDArray[np.str_], seed: int
) -> tuple[float, float, float]:
    """Return the ratio of two means with its interval, poses being drawn."""
    nothing = (float("nan"),) * 3
    clear = cluster_interval(true, poses, seed=seed)
    if not (clear.low > 0 or clear.high < 0):
        return nothing
    drawn = _resampled(np.stack([read, true]), poses, seed)
    with np.errstate(divide="ignore", invalid="ignore"):
        low, high = _interval(drawn[0] / drawn[1], poses)
    return float(read.mean() / true.mean()), low, high


def _interval(drawn: FloatArray, poses: NDArray[np.str_]) -> tuple[float, float]:
    """Return the middle 95 % of resampled figures; NaN with fewer than 3 poses."""
    known = drawn[np.isfinite(drawn)]
    if len(np.unique(poses)) < 3 or not known.size:
        return float("nan"), float("nan")
    low, high = np.quantile(known, [0.025, 0.975])
    return float(low), float(high)


def _resampled(values: FloatArray, poses: NDArray[np.str_], seed: int) -> FloatArray:
    """Return sums of rows of shape (R, N) over resampled poses, shape (R, resamples)."""
    _, index = np.unique(poses, return_inverse=True)
    sums = np.stack([np.bincount(index, row) for row in values])
    count = sums.shape[1]
    drawn = np.random.default_rng(seed).integers(0, count, (RESAMPLES, count))
    return np.asarray(sums[:, drawn].sum(axis=-1))


def agreement(scores: Sequence[Score], makers: Collection[str], *, seed: int = 0) -> Agreement | None:
    """Return how measured OKS follows true OKS; None where the truth is not known or never differs.

    Parameters
    ----------
    scores : sequence of Score
    makers : collection of str
        Arms that make images. Others score these again: they have a place in the order alone.
    seed : int
    """
    every = [score for score in scores if score.true_oks is not None and score.oks is not None]
    known = [score for score in every if score.arm in makers]
    true = np.array([score.true_oks for score in known], dtype=np.float64)
    read = np.array([score.oks for score in known], dtype=np.float64)
    if len(known) < 3 or np.ptp(true) == 0 or np.ptp(read) == 0:
        return None
    poses = np.array([score.pose for score in known], dtype=np.str_)
    parts = np.stack([np.ones_like(true), true, read, true * true, true * read])
    slope, intercept = _line(parts.sum(axis=1))
    low, high = _interval(_line(_resampled(parts, poses, seed))[0], poses)
    columns = Columns(every)
    true_levels, read_levels = (_levels(columns, measure) for measure in (TRUE_OKS, _OKS))
    return Agreement(
        images=len(known),
        slope=float(slope),
        slope_low=low,
        slope_high=high,
        intercept=float(intercept),
        correlation=float(np.corrcoef(true, read)[0, 1]),
        true_order=tuple(sorted(columns.arms, key=true_levels.__getitem__)),
        measured_order=tuple(sorted(columns.arms, key=read_levels.__getitem__)),
        order_is_right=_same_order(columns, seed),
    )


def _line(parts: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return slope and intercept by least squares from the sums of 1, x, y, x^2 and x y."""
    count, x, y, xx, xy = parts
    with np.errstate(divide="ignore", invalid="ignore"):  # a resample of alike poses has no slope
        slope = (count * xy - x * y) / (count * xx - x * x)
    return slope, (y - slope * x) / count


_OKS = MEASURES[HEADLINE]


def _levels(columns: Columns, measure: Measure) -> dict[str, float]:
    """Return each arm's mean over the cells compared."""
    return {arm: float(np.nanmean(columns.values(arm, measure)[columns.compared])) for arm in columns.arms}


def _same_order(columns: Columns, seed: int) -> bool:
    """Return whether no two arms whose true OKS clearly differ are measured the other way round.

    Truth and measurement are compared over the same pairs; two arms without a pair say nothing.
    """
    for one, other in itertools.combinations(columns.arms, 2):
        true, read, poses = _both_known(columns, one, other)
        if not len(poses):
            continue
        clear, difference = cluster_interval(true[0] - true[1], poses, seed=seed), (read[0] - read[1]).mean()
        if (clear.low > 0 and difference <= 0) or (clear.high < 0 and difference >= 0):
            return False
    return True


def dose_curve(scores: Sequence[Score], arms: Sequence[Arm], *, seed: int = 0) -> list[DosePoint]:
    """Return the arms that have a dose, by dose, over the cells that arms share.

    A noise is a dose of which less is better.
    """
    columns = Columns(scores)
    points = []
    for arm in arms:
        read = columns.values(arm.name, _OKS)
        known = np.isfinite(read) & columns.compared
        if arm.placed is None or not known.any():
            continue
        mean = cluster_interval(read[known], columns.poses[known], seed=seed)
        true = columns.values(arm.name, TRUE_OKS)[known]
        points.append(
            DosePoint(
                dose_of=arm.placed[0],
                dose=arm.placed[1],
                arm=arm.name,
                oks=mean.estimate,
                low=mean.low,
                high=mean.high,
                true_oks=float(np.nanmean(true)) if np.isfinite(true).any() else None,
            )
        )
    return sorted(points, key=lambda point: (point.dose_of, point.dose))
