"""Comparing two arms of a paired experiment: how large the difference is, and how sure that is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]

RESAMPLES = 4000
PERMUTATIONS = 10_000
FEW_CLUSTERS = 10
"""With fewer clusters intervals are Student's."""
EXACT_UP_TO = 13
"""With so many clusters at most all sign flips are tried (2^13 = 8,192)."""


@dataclass(frozen=True)
class Interval:
    """An estimate with its interval."""

    estimate: float
    low: float
    high: float


@dataclass(frozen=True)
class Effect:
    """The effect of an arm beside another, over pairs of images.

    Attributes
    ----------
    pairs, clusters : int
        Pairs of images, and the poses that they are of.
    mean : Interval
        Mean paired difference with its 95 % interval, bootstrapped by cluster.
    median : float
        Of the differences.
    win_rate : float
        Share of pairs in which the arm is better; ties count half.
    cohens_d_z : float
        Mean over standard deviation of the differences; NaN if they do not differ.
    p : float
        Of a sign-flip permutation by cluster, two-sided.
    """

    pairs: int
    clusters: int
    mean: Interval
    median: float
    win_rate: float
    cohens_d_z: float
    p: float


def paired_effect(
    arm: FloatArray,
    beside: FloatArray,
    clusters: NDArray[np.str_],
    *,
    seed: int = 0,
    level: float = 0.95,
    resamples: int = RESAMPLES,
    greatest: float = np.inf,
) -> Effect:
    """Return the effect of an arm beside another.

    Parameters
    ----------
    arm, beside : float array, shape (N,)
        The measure of each pair: the same pose, view, prompt and seed in both arms. Not found is 0, not NaN.
    clusters : array of str, shape (N,)
        The pose of each pair: images of one pose are alike, so poses and not images are drawn.
    seed : int
        Of the resampling; the same arguments give the same figures.
    level : float
        Of the interval.
    resamples : int
    greatest : float
        That a measure can be, and so a difference.

    Returns
    -------
    Effect

    Raises
    ------
    ValueError
        Shapes disagree, no pairs, or a measure is not finite.
    """
    if not arm.shape == beside.shape == clusters.shape or arm.ndim != 1:
        raise ValueError(f"shapes disagree: {arm.shape}, {beside.shape}, {clusters.shape}")
    if not arm.size:
        raise ValueError("there are no pairs to compare")
    difference = arm - beside
    if not np.isfinite(difference).all():
        raise ValueError("a measure is not finite: what was not found counts as 0")
    spread = float(difference.std(ddof=1)) if len(difference) > 1 else 0.0
    return Effect(
        pairs=len(difference),
        clusters=len(np.unique(clusters)),
        mean=cluster_interval(
            difference, clusters, seed=seed, level=level, resamples=resamples, bounds=(-greatest, greatest)
        ),
        median=float(np.median(difference)),
        win_rate=float(((difference > 0) + 0.5 * (difference == 0)).mean()),
        cohens_d_z=float(difference.mean()) / spread if spread > 0 else float("nan"),
        p=sign_flip_p(difference, clusters, seed=seed),
    )


def cluster_interval(
    values: FloatArray,
    clusters: NDArray[np.str_],
    *,
    seed: int = 0,
    level: float = 0.95,
    resamples: int = RESAMPLES,
    bounds: tuple[float, float] = (-np.inf, np.inf),
) -> Interval:
    """Return the mean with a studentised bootstrap interval, whole clusters being drawn.

    A percentile interval is too narrow for a few dozen clusters; here each resample's mean is divided by its
    own standard error (bootstrap-t), which holds its level from about 10 clusters on. Where resamples have no
    spread (a rare event), the interval is at least as wide as the percentile one. With fewer than 10 clusters
    resamples say too little, and the interval is Student's.

    Parameters
    ----------
    values : float array, shape (N,)
    clusters : array of str, shape (N,)
    seed, level, resamples
        As `paired_effect`.
    bounds : (float, float)
        What the mean can be; the interval's ends are kept within.

    Returns
    -------
    Interval
        NaN at both ends with fewer than 3 clusters.

    References
    ----------
    Efron & Tibshirani, "An Introduction to the Bootstrap", 1993, 12.5; Cameron, Gelbach & Miller,
    "Bootstrap-based improvements for inference with clustered errors", 2008.
    """
    sums, sizes = _by_cluster(values, clusters)
    estimate, error = _mean_and_error(sums[None], sizes[None])
    if len(sums) < 3:
        return Interval(float(estimate[0]), float("nan"), float("nan"))
    if error[0] <= 1e-12 * max(1.0, abs(float(estimate[0]))):
        return Interval(float(estimate[0]), float(estimate[0]), float(estimate[0]))
    if len(sums) < FEW_CLUSTERS:
        reach = t_quantile(1 - (1 - level) / 2, len(sums) - 1) * float(error[0])
        return _within(float(estimate[0]), float(estimate[0]) - reach, float(estimate[0]) + reach, bounds)
    drawn = np.random.default_rng(seed).integers(0, len(sums), (resamples, len(sums)))
    means, errors = _mean_and_error(sums[drawn], sizes[drawn])
    usable = errors > 1e-12
    t = (means[usable] - estimate[0]) / errors[usable]
    tails = [(1 - level) / 2, 1 - (1 - level) / 2]
    low, high = np.quantile(t, tails)
    ends = float(estimate[0] - high * error[0]), float(estimate[0] - low * error[0])
    if not usable.all():  # a rare event that some resamples lack: they have no t, and would be left out
        plain = np.quantile(means, tails)
        ends = min(ends[0], float(plain[0])), max(ends[1], float(plain[1]))
    return _within(float(estimate[0]), *ends, bounds)


def _within(estimate: float, low: float, high: float, bounds: tuple[float, float]) -> Interval:
    return Interval(estimate, max(low, bounds[0]), min(high, bounds[1]))


def t_quantile(p: float, df: int) -> float:
    """Return the quantile of Student's t distribution, for p from 0.5 to 1 (exclusive).

    Its distribution function is integrated in the angle atan(t / sqrt(df)), where the density is a power of
    the cosine, and inverted by interpolation.

    >>> round(t_quantile(0.975, 4), 4)
    2.7764
    """
    angles = np.linspace(0.0, np.pi / 2, 20_001)
    density = np.cos(angles) ** (df - 1)
    steps = (density[1:] + density[:-1]) / 2
    share = 0.5 + 0.5 * np.concatenate([[0.0], np.cumsum(steps)]) / steps.sum()
    return float(np.sqrt(df) * np.tan(np.interp(p, share, angles)))


def smallest_detectable(values: FloatArray, clusters: NDArray[np.str_]) -> float:
    """Return the true mean that an experiment like this one would find in 4 of 5 repeats.

    Parameters
    ----------
    values : float array, shape (N,)
        Paired differences.
    clusters : array of str, shape (N,)

    Returns
    -------
    float
        2.8 standard errors (1.96 for a two-sided test at 5 %, 0.84 for a power of 80 %); NaN with fewer than
        3 clusters.

    References
    ----------
    Bloom, "Minimum detectable effects", Evaluation Review 1995.
    """
    sums, sizes = _by_cluster(values, clusters)
    if len(sums) < 3:
        return float("nan")
    _, error = _mean_and_error(sums[None], sizes[None])
    return (1.96 + 0.84) * float(error[0])


def _by_cluster(values: FloatArray, clusters: NDArray[np.str_]) -> tuple[FloatArray, FloatArray]:
    """Return each cluster's sum and size."""
    _, index = np.unique(clusters, return_inverse=True)
    return np.bincount(index, values).astype(np.float64), np.bincount(index).astype(np.float64)


def _mean_and_error(sums: FloatArray, sizes: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return the mean of all values and its standard error by clusters; both of shape (R,) for (R, C)."""
    count = sums.shape[1]
    mean = sums.sum(axis=1) / sizes.sum(axis=1)
    residual = sums - sizes * mean[:, None]
    spread = np.sqrt((residual**2).sum(axis=1) * count / max(1, count - 1)) / sizes.sum(axis=1)
    return mean, spread


def sign_flip_p(
    values: FloatArray, clusters: NDArray[np.str_], *, seed: int = 0, permutations: int = PERMUTATIONS
) -> float:
    """Return how likely so large a mean is where arms do not differ: signs are flipped cluster by cluster.

    Parameters
    ----------
    values : float array, shape (N,)
        Paired differences.
    clusters : array of str, shape (N,)
    seed, permutations : int
        Up to 13 clusters all flips are tried, and no chance is left.

    Returns
    -------
    float
        Two-sided, never 0.

    References
    ----------
    Fisher, "The Design of Experiments", 1935; Phipson & Smyth, "Permutation p-values should never be zero",
    2010.
    """
    sums, _ = _by_cluster(values, clusters)
    observed = abs(float(sums.sum()))
    slack = 1e-12 * float(np.abs(sums).sum())
    if len(sums) <= EXACT_UP_TO:
        bits = np.arange(2 ** len(sums))[:, None] >> np.arange(len(sums)) & 1
        return float((np.abs((1 - 2 * bits) @ sums) >= observed - slack).mean())
    signs = np.random.default_rng(seed).choice([-1.0, 1.0], (permutations, len(sums)))
    hits = int((np.abs(signs @ sums) >= observed - slack).sum())
    return (hits + 1) / (permutations + 1)


def holm(p: Mapping[str, float]) -> dict[str, float]:
    """Return p values corrected for their number: the chance of any false find stays at the level.

    References
    ----------
    Holm, "A simple sequentially rejective multiple test procedure", 1979.
    """
    corrected: dict[str, float] = {}
    running = 0.0
    for rank, name in enumerate(sorted(p, key=lambda name: p[name])):
        running = max(running, min(1.0, p[name] * (len(p) - rank)))
        corrected[name] = running
    return {name: corrected[name] for name in p}
