"""Which estimator measures a run's images."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from posegen.accuracy.process import EstimatorPool, shared_pool
from posegen.accuracy.registry import DEFAULT_ESTIMATOR, ESTIMATORS, EstimatorSpec, choose_estimator
from posegen.errors import ParameterError
from posegen.settings import Settings


def estimator_of(spec: Mapping[str, Any], settings: Settings) -> EstimatorSpec | None:
    """Return what measures a run of this spec; None if nothing does.

    Raises
    ------
    UnknownNameError, ParameterError
        It is asked for by name and cannot be used here, or a gate needs one and there is none.
    """
    name, options = spec.get("estimator", "auto"), spec.get("estimator_options", {})
    chosen = choose_estimator(settings.estimator if name == "auto" else name, options)
    if chosen is None and spec.get("min_oks") is not None:
        why = ESTIMATORS[DEFAULT_ESTIMATOR].missing() or ["POSEGEN_ESTIMATOR is 'off'"]
        raise ParameterError("min_oks", f"{spec['min_oks']} needs an estimator; {why[0]}")
    return chosen


def estimators_for(spec: Mapping[str, Any], settings: Settings) -> EstimatorPool | None:
    """Return what measures a run of this spec; opened, where images depend on it.

    Raises
    ------
    UnknownNameError, ParameterError
        As `estimator_of`.
    EstimatorError
        A gate needs it, and it cannot be opened.
    """
    chosen = estimator_of(spec, settings)
    if chosen is None:
        return None
    pool = shared_pool(chosen, settings.cpu_threads)
    if spec.get("min_oks") is not None:
        pool.open()
    return pool
