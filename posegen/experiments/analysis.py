"""From scores to results: how each arm does, what difference it makes, and for which poses and views."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec
import numpy as np
from numpy.typing import NDArray

from posegen.accuracy.statistics import cluster_interval, holm, paired_effect, smallest_detectable
from posegen.experiments.measures import HEADLINE, MEASURES, Columns, Measure
from posegen.experiments.scores import Score
from posegen.skeletons import COCO_17

FloatArray = NDArray[np.float64]

WITHIN_TORSO = 0.1
"""A joint is placed right within so many torso diameters."""

KINDS: dict[str, Callable[[Score], str]] = {
    "posture": lambda score: score.posture,
    "side": lambda score: score.side,
    "view": lambda score: score.view,
    "category": lambda score: score.category,
    "prompt": lambda score: score.prompt,
    "pose": lambda score: score.pose,
}
"""What results are told apart by."""


class Level(msgspec.Struct, frozen=True, kw_only=True):
    """How an arm does: the mean of a measure with its 95 % interval, bootstrapped by pose.

    It is of the cells that were scored in every arm (see `Coverage`), so that arms can be set side by side.

    Attributes
    ----------
    images, poses : int
        That the mean is of.
    """

    arm: str
    measure: str
    images: int
    poses: int
    mean: float
    low: float
    high: float


class EffectRow(msgspec.Struct, frozen=True, kw_only=True):
    """What difference an arm makes to a measure, beside the baseline.

    Attributes
    ----------
    pairs, poses : int
        Pairs in which both arms have the measure by the same estimator, and the poses they are of.
    mean, low, high : float
        Mean paired difference with its 95 % interval, bootstrapped by pose; NaN with fewer than 3 poses.
    median, cohens_d_z : float
    win_rate : float
        Share of pairs in which the arm is the better one, ties counting half.
    p, p_holm : float
        Of sign flips by pose, and corrected by Holm; see `effects`.
    detectable : float
        A true difference so large would be found in 4 of 5 such experiments.
    """

    arm: str
    measure: str
    pairs: int
    poses: int
    mean: float
    low: float
    high: float
    median: float
    win_rate: float
    cohens_d_z: float
    p: float
    p_holm: float
    detectable: float


class StratumRow(msgspec.Struct, frozen=True, kw_only=True):
    """OKS of an arm, and its difference to the baseline, among poses or views of one kind.

    Attributes
    ----------
    shared : bool
        Whether the OKS is of cells that were scored in every arm with a score in the stratum. If there is no
        such cell it is of the arm's own, and arms must not be set side by side.
    images, poses : int
        That the OKS is of; the effect is of the arm's pairs with the baseline.
    """

    kind: str
    stratum: str
    arm: str
    shared: bool
    images: int
    poses: int
    oks: float
    effect: float
    low: float
    high: float


class JointRow(msgspec.Struct, frozen=True, kw_only=True):
    """One keypoint of an arm.

    Attributes
    ----------
    counted : int
        Images in which the target shows it.
    right : float
        Share placed within 0.1 torso diameters; not found is wrong.
    error_torso : float
        Mean distance of those found, in torso diameters.
    rise : float
        How much higher than the target it is found, as a share of the body's height: a bias.
    """

    arm: str
    joint: str
    counted: int
    right: float
    error_torso: float
    rise: float


class Missing(msgspec.Struct, frozen=True, kw_only=True):
    """How many images of an arm were scored, and why the others were not.

    Attributes
    ----------
    scored, failed, unmeasured, pending : int
    mixed : int
        Cells in which arm and baseline were measured by different estimators: they are no pairs.
    """

    arm: str
    scored: int
    failed: int
    unmeasured: int
    pending: int
    mixed: int = 0


class Coverage(msgspec.Struct, frozen=True, kw_only=True):
    """How many cells arms are set side by side by: in levels, strata, joints and doses.

    Attributes
    ----------
    scored : int
        Cells that were scored in any arm.
    shared : int
        Of these, the ones that the same estimator scored in every arm with a score. If there is none, every
        arm's figures are of its own cells, and arms must not be set side by side.
    left_out : int
        The others.
    """

    scored: int
    shared: int
    left_out: int


def coverage(scores: Sequence[Score]) -> Coverage:
    """Return how many cells arms are set side by side by."""
    columns = Columns(scores)
    scored = {score.cell for score in scores if score.oks is not None}
    shared = int(columns.shared.sum())
    return Coverage(scored=len(scored), shared=shared, left_out=len(scored) - shared)


def levels(scores: Sequence[Score], arms: Sequence[str], *, seed: int = 0) -> list[Level]:
    """Return every arm's mean of every measure over the cells that arms share.

    Arms without a scored image are left out.
    """
    columns = Columns(scores)
    found = [
        level(columns, arm, name, measure, seed=seed) for arm in arms for name, measure in MEASURES.items()
    ]
    return [row for row in found if row is not None]


def level(columns: Columns, arm: str, name: str, measure: Measure, *, seed: int = 0) -> Level | None:
    """Return an arm's mean of one measure over the cells compared; None if no image has it."""
    values = columns.values(arm, measure)
    known = np.isfinite(values) & columns.compared
    if not known.any():
        return None
    poses = columns.poses[known]
    mean = cluster_interval(values[known], poses, seed=seed, bounds=(0.0, measure.greatest))
    return Level(
        arm=arm,
        measure=name,
        images=int(known.sum()),
        poses=len(np.unique(poses)),
        mean=mean.estimate,
        low=mean.low,
        high=mean.high,
    )


def effects(scores: Sequence[Score], arms: Sequence[str], baseline: str, *, seed: int = 0) -> list[EffectRow]:
    """Return every arm's effect on every measure.

    p is corrected by Holm in two families: OKS, which is asked about first, over the arms; and all other
    measures over measures and arms.
    """
    columns = Columns(scores)
    rows = [
        row
        for arm in arms
        if arm != baseline
        for name, measure in MEASURES.items()
        if (row := effect(columns, arm, baseline, name, measure, seed=seed)) is not None
    ]
    first = [row for row in rows if row.measure == HEADLINE]
    others = [row for row in rows if row.measure != HEADLINE]
    corrected = _corrected(first) | _corrected(others)
    return [msgspec.structs.replace(row, p_holm=corrected[row.arm, row.measure]) for row in rows]


def _corrected(family: Sequence[EffectRow]) -> dict[tuple[str, str], float]:
    found = holm({str(place): row.p for place, row in enumerate(family)})
    return {(row.arm, row.measure): found[str(place)] for place, row in enumerate(family)}


def effect(
    columns: Columns, arm: str, baseline: str, name: str, measure: Measure, *, seed: int = 0
) -> EffectRow | None:
    """Return what difference an arm makes to one measure, not corrected; None without pairs."""
    values, beside = columns.values(arm, measure), columns.values(baseline, measure)
    both = np.isfinite(values) & np.isfinite(beside) & columns.paired(arm, baseline)
    if not both.any():
        return None
    poses = columns.poses[both]
    found = paired_effect(values[both], beside[both], poses, seed=seed, greatest=measure.greatest)
    return EffectRow(
        arm=arm,
        measure=name,
        pairs=found.pairs,
        poses=found.clusters,
        mean=found.mean.estimate,
        low=found.mean.low,
        high=found.mean.high,
        median=found.median,
        win_rate=1 - found.win_rate if measure.lower_is_better else found.win_rate,
        cohens_d_z=found.cohens_d_z,
        p=found.p,
        p_holm=found.p,
        detectable=smallest_detectable(values[both] - beside[both], poses),
    )


def strata(scores: Sequence[Score], arms: Sequence[str], baseline: str, *, seed: int = 0) -> list[StratumRow]:
    """Return OKS and its difference to the baseline by each of `KINDS`."""
    rows = []
    for kind, of in KINDS.items():
        for stratum in sorted({of(score) for score in scores}):
            within = Columns([score for score in scores if of(score) == stratum])
            rows += [
                row
                for arm in arms
                if (row := _stratum(within, kind, stratum, arm, baseline, seed)) is not None
            ]
    return rows


def _stratum(
    within: Columns, kind: str, stratum: str, arm: str, baseline: str, seed: int
) -> StratumRow | None:
    own = level(within, arm, HEADLINE, MEASURES[HEADLINE], seed=seed)
    if own is None:
        return None
    beside = (
        effect(within, arm, baseline, HEADLINE, MEASURES[HEADLINE], seed=seed) if arm != baseline else None
    )
    return StratumRow(
        kind=kind,
        stratum=stratum,
        arm=arm,
        shared=bool(within.shared.any()),
        images=own.images,
        poses=own.poses,
        oks=own.mean,
        effect=beside.mean if beside else float("nan"),
        low=beside.low if beside else float("nan"),
        high=beside.high if beside else float("nan"),
    )


def joints(scores: Sequence[Score], arms: Sequence[str]) -> list[JointRow]:
    """Return how each keypoint is placed, arm by arm, over the cells that arms share."""
    rows = []
    columns = Columns(scores)
    compared = {
        cell for cell, is_compared in zip(columns.cells, columns.compared, strict=True) if is_compared
    }
    for arm in arms:
        scored = [score for score in columns.of_arm(arm) if score.joint_errors and score.cell in compared]
        if scored:
            errors = _matrix([score.joint_errors for score in scored])
            rise = _matrix([score.joint_rise for score in scored])
            rows += [_joint(arm, name, errors[:, i], rise[:, i]) for i, name in enumerate(COCO_17.keypoints)]
    return rows


def _joint(arm: str, name: str, errors: FloatArray, rise: FloatArray) -> JointRow:
    counted, found = errors[~np.isnan(errors)], errors[np.isfinite(errors)]
    known = rise[np.isfinite(rise)]
    return JointRow(
        arm=arm,
        joint=name,
        counted=len(counted),
        right=float((counted <= WITHIN_TORSO).mean()) if counted.size else float("nan"),
        error_torso=float(found.mean()) if found.size else float("nan"),
        rise=float(known.mean()) if known.size else float("nan"),
    )


def _matrix(rows: Sequence[tuple[float | None, ...]]) -> FloatArray:
    return np.array([[np.nan if value is None else value for value in row] for row in rows], dtype=np.float64)


def missing(scores: Sequence[Score], arms: Sequence[str], baseline: str) -> list[Missing]:
    """Return how many images of each arm were scored."""
    columns = Columns(scores)
    rows = []
    for arm in arms:
        status = [score.status for score in columns.of_arm(arm)]
        counts = {name: status.count(name) for name in ("scored", "failed", "unmeasured", "pending")}
        both = columns.scored(arm) & columns.scored(baseline)
        mixed = int((both & ~columns.paired(arm, baseline)).sum())
        rows.append(Missing(arm=arm, **counts, mixed=mixed))
    return rows
