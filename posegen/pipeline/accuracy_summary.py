"""What a run's journal says of pose accuracy and of tries that were rejected, as values for tables."""

from __future__ import annotations

from typing import Any

import numpy as np

from posegen.accuracy.oks import average_recall
from posegen.credits import price
from posegen.journal import RunState


def accuracy_facts(state: RunState) -> dict[str, Any]:
    """Return a run's figures of accuracy; empty where nothing was measured or tried again.

    An image in which nobody was found counts as OKS 0.
    """
    return {**_measured_facts(state), **_rejected_facts(state)}


def _measured_facts(state: RunState) -> dict[str, Any]:
    measured = [state.measurements[task_id] for task_id in state.records if task_id in state.measurements]
    failed = {"not_measured": len(state.measure_failures)} if state.measure_failures else {}
    if not measured:
        return failed
    oks = np.array([one.oks for one in measured])
    return {
        "measured": len(measured),
        **failed,
        "estimator": ", ".join(sorted({f"{one.estimator} {one.estimator_version}" for one in measured})),
        "mean_oks": round(float(oks.mean()), 3),
        "average_recall": round(average_recall(oks), 3),
        "mean_pck_10": round(float(np.mean([one.pck_10 for one in measured])), 3),
        "detected": round(float(np.mean([one.detected for one in measured])), 3),
        "swapped": sum(one.swapped for one in measured),
        "people_count_error": round(float(np.mean([abs(one.people - 1) for one in measured])), 3),
        "measure_ms": round(float(np.mean([one.duration_ms for one in measured])), 1),
    }


def _rejected_facts(state: RunState) -> dict[str, Any]:
    """Return what the tries that did not become images cost: their user pays for none of them."""
    bar = (state.spec or {}).get("min_oks")
    if bar is None:
        return {}
    rejected = [event.record for event in state.rejected_for_good]
    spent = [record.cost_usd for record in rejected if record.cost_usd is not None]
    below = sum(
        task_id in state.measurements and state.measurements[task_id].oks < bar for task_id in state.records
    )
    unknown = sum(task_id not in state.measurements for task_id in state.records)
    return {
        "min_oks": bar,
        "below_min_oks": below,
        **({"taken_without_figures": unknown} if unknown else {}),
        "rejected": len(rejected),
        "rejected_seconds": round(sum(record.duration_ms for record in rejected) / 1000, 2),
        "rejected_usd": round(sum(spent), 4) if spent else None,
        "rejected_credits_not_charged": price(len(rejected)),
    }


def accuracy_columns(state: RunState) -> tuple[str, ...]:
    """Return the names of `accuracy_row` that a table for people shows."""
    shown = ("oks", "pck_10") if state.measurements else ()
    return (*shown, "tries") if (state.spec or {}).get("min_oks") is not None else shown


def accuracy_row(state: RunState, task_id: str) -> dict[str, Any]:
    """Return one image's figures of accuracy; None where they are not known."""
    found, failure = state.measurements.get(task_id), state.measure_failures.get(task_id)
    return {
        "oks": round(found.oks, 3) if found else None,
        "pck_10": round(found.pck_10, 3) if found else None,
        "people": found.people if found else None,
        "tries": _tries(state, task_id),
        "measure_failure": f"{failure.code}: {failure.message}" if failure else None,
    }


def _tries(state: RunState, task_id: str) -> int:
    rejected, image = state.rejected.get(task_id, []), state.records.get(task_id)
    among = any(image is not None and event.record.candidate == image.candidate for event in rejected)
    return len(rejected) + (image is not None and not among)
