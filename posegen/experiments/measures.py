"""The measures that arms are compared by, and the scores as arrays."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from posegen.experiments.scores import Score

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]


@dataclass(frozen=True)
class Measure:
    """One figure of an image.

    Attributes
    ----------
    title : str
        What tables call it.
    of : callable
        Returns it for a score; None where it cannot be told.
    lower_is_better : bool
    found_only : bool
        It exists only where somebody was found, so that an arm that loses people does not pay for it: read it
        beside the detection rate.
    digits : int
        That a table shows.
    greatest : float
        That it can be; none is less than 0.
    """

    title: str
    of: Callable[[Score], float | None]
    lower_is_better: bool = False
    found_only: bool = False
    digits: int = 3
    greatest: float = 1.0


def _field(name: str, *, found_only: bool = False) -> Callable[[Score], float | None]:
    def read(score: Score) -> float | None:
        value = getattr(score, name)
        return None if value is None or (found_only and not score.detected) else float(value)

    return read


def _miscounted(score: Score) -> float | None:
    return None if score.people is None else float(abs(score.people - 1))


HEADLINE = "oks"

MEASURES: dict[str, Measure] = {
    "oks": Measure("OKS", _field("oks")),
    "ar": Measure("AR", _field("ar")),
    "pck_10": Measure("PCK@0.1 torso", _field("pck_10")),
    "pck_20": Measure("PCK@0.2 torso", _field("pck_20")),
    "mean_error": Measure("error by body height", _field("mean_error"), True, True, 4, np.inf),
    "angle_error_deg": Measure("joint angles off (°)", _field("angle_error_deg"), True, True, 1, 180.0),
    "swapped": Measure("left-right swaps", _field("swapped"), True, True),
    "people_error": Measure("people too many or few", _miscounted, True, greatest=np.inf),
    "detected": Measure("somebody found", _field("detected")),
    "nearest_is_right": Measure("nearest pose is right", _field("nearest_is_right")),
    "oks_found": Measure("OKS of those found", _field("oks", found_only=True), False, True),
}
"""By name; OKS, AR and PCK count an image in which nobody was found as 0."""

TRUE_OKS = Measure("true OKS", _field("true_oks"))
"""Of what was drawn: known for the embedded renderer alone."""


class Columns:
    """Scores as arrays, one row a cell.

    Parameters
    ----------
    scores : sequence of Score
        Of any cells and arms; a cell that an arm lacks counts as missing.
    """

    def __init__(self, scores: Sequence[Score]) -> None:
        self._by_arm: dict[str, dict[int, Score]] = {}
        for score in scores:
            self._by_arm.setdefault(score.arm, {})[score.cell] = score
        self.cells = sorted({score.cell for score in scores})
        first = {score.cell: score for score in reversed(scores)}
        self.poses: NDArray[np.str_] = np.array([first[cell].pose for cell in self.cells], dtype=np.str_)

    @property
    def arms(self) -> list[str]:
        """Names of the arms."""
        return list(self._by_arm)

    def of_arm(self, arm: str) -> list[Score]:
        """Return the scores of an arm."""
        return list(self._by_arm.get(arm, {}).values())

    def values(self, arm: str, measure: Measure) -> FloatArray:
        """Return a measure of an arm, cell by cell; NaN where it cannot be told."""
        scores = self._by_arm.get(arm, {})
        found = [measure.of(scores[cell]) if cell in scores else None for cell in self.cells]
        return np.array([np.nan if value is None else value for value in found], dtype=np.float64)

    def estimators(self, arm: str) -> NDArray[np.str_]:
        """Return what measured an arm, cell by cell; empty where that is not known."""
        scores = self._by_arm.get(arm, {})
        found = [(scores[cell].estimator or "") if cell in scores else "" for cell in self.cells]
        return np.array(found, dtype=np.str_)

    def scored(self, arm: str) -> BoolArray:
        """Return in which cells an arm has a score."""
        return np.isfinite(self.values(arm, MEASURES[HEADLINE]))

    def paired(self, arm: str, other: str) -> BoolArray:
        """Return in which cells two arms have scores of the same estimator: these are pairs."""
        both = self.scored(arm) & self.scored(other)
        return np.asarray(both & (self.estimators(arm) == self.estimators(other)))

    @cached_property
    def shared(self) -> BoolArray:
        """In which cells one estimator has scored every arm that has a score anywhere."""
        arms = [arm for arm in self.arms if self.scored(arm).any()]
        found = np.full(len(self.cells), bool(arms))
        for arm in arms:
            found &= self.paired(arms[0], arm)
        return found

    @cached_property
    def compared(self) -> BoolArray:
        """The cells by which arms are set side by side: those that all share; if there is none, all cells.

        An arm whose hard poses failed would look better than it is beside one that has them.
        """
        return self.shared if self.shared.any() else np.ones(len(self.cells), dtype=np.bool_)
