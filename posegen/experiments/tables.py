"""Results as tables for people: rounded, in words where there is no number, with how to read them."""

from __future__ import annotations

import html
import math
from collections.abc import Mapping, Sequence
from typing import Any

from posegen.experiments import context
from posegen.experiments.analysis import KINDS, EffectRow, Missing
from posegen.experiments.measures import HEADLINE, MEASURES
from posegen.experiments.results import Results
from posegen.pipeline.tables import html_table

Row = dict[str, Any]

_ARROWS = {False: "↑", True: "↓"}
NO_INTERVAL = "none: fewer than 3 poses"


class Table:
    """Rows that show themselves as HTML in a notebook and as text elsewhere.

    Attributes
    ----------
    rows : list of dict
        What the cells show.
    title, note : str
        A line above and one below.
    """

    def __init__(self, rows: Sequence[Mapping[str, Any]], *, title: str = "", note: str = "") -> None:
        self.rows: list[Row] = [dict(row) for row in rows]
        self.title, self.note = title, note

    def _repr_html_(self) -> str:
        title = f"<p><strong>{html.escape(self.title)}</strong></p>" if self.title else ""
        note = f"<p><em>{html.escape(self.note)}</em></p>" if self.note else ""
        return title + (html_table(self.rows) or "<p>nothing to show</p>") + note

    def __repr__(self) -> str:
        """Return the table as text, columns aligned."""
        if not self.rows:
            return "nothing to show"
        names = list(self.rows[0])
        cells = [[name.replace("_", " ") for name in names]]
        cells += [["" if row[name] is None else str(row[name]) for name in names] for row in self.rows]
        widths = [max(len(line[i]) for line in cells) for i in range(len(names))]
        return "\n".join(
            "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
            for line in cells
        )


def number(value: float | None, digits: int = 3, *, signed: bool = False) -> str:
    """Return a number as text; a dash where there is none."""
    if value is None or math.isnan(value):
        return "–"
    rounded = round(value, digits) + 0.0
    return f"{rounded:+.{digits}f}" if signed else f"{rounded:.{digits}f}"


def probability(value: float) -> str:
    """Return a p value as text."""
    return "–" if math.isnan(value) else f"{value:.4f}" if value >= 0.0001 else "< 0.0001"


def interval(low: float, high: float, digits: int = 3) -> str:
    """Return an interval as text, in words where there is none."""
    if math.isnan(low):
        return NO_INTERVAL
    return f"[{number(low, digits, signed=True)}, {number(high, digits, signed=True)}]"


def levels(results: Results) -> Table:
    """Return how each arm does by itself: an arm a row, a measure a column."""
    found = {(row.arm, row.measure): row for row in results.levels}
    kinds = {arm["name"]: _kind(arm) for arm in results.arms}
    own = {row.arm: row for row in results.missing}
    some_lack = results.coverage.left_out > 0 or any(_lacks(row) for row in own.values())
    rows = []
    for arm, kind in kinds.items():
        first = found.get((arm, HEADLINE))
        row: Row = {"arm": arm, "what": kind, "images": own[arm].scored}
        if some_lack:
            row |= {"failed": own[arm].failed, "not measured": own[arm].unmeasured}
            row["compared"] = first.images if first else 0
        for name, measure in MEASURES.items():
            level = found.get((arm, name))
            row[measure.title] = number(level.mean if level else None, measure.digits)
        rows.append(row)
    note = (
        "OKS, AR and PCK count an image in which nobody was found as 0; errors, swaps and the last column "
        "are of those found."
    )
    return Table(rows, note=f"{note} {_compared(results)}".strip())


def _lacks(row: Missing) -> int:
    return row.failed + row.unmeasured


def _compared(results: Results) -> str:
    """Say which cells arms are set side by side by; nothing if it is all of them."""
    coverage = results.coverage
    if not coverage.left_out:
        return ""
    if not coverage.shared:
        return "No cell was scored in every arm: these are each arm's own images, not to be set side by side."
    return f"Over the {coverage.shared} cells scored in every arm; {coverage.left_out} others are left out."


def _kind(arm: Mapping[str, Any]) -> str:
    words = [arm["conditioning"]]
    words += ["synthetic"] if arm["synthetic"] else []
    words += ["circular"] if arm["circular"] else []
    return ", ".join(words)


def effects(results: Results) -> Table:
    """Return what difference each arm makes to OKS."""
    rows = [
        {"arm": row.arm, "OKS beside the baseline": number(row.mean, signed=True), **_evidence(row)}
        for row in results.effects
        if row.measure == HEADLINE
    ]
    note = (
        f"Mean paired difference to {results.baseline!r}. The 95 % interval draws poses, not images. Wins: "
        "share of pairs in which the arm is better. d_z: mean over standard deviation of the differences. "
        "p: sign flips by pose; Holm: corrected for all arms. Detectable: a true difference so large would "
        "be found in 4 of 5 such experiments."
    )
    return Table(rows, note=note)


def _evidence(row: EffectRow) -> Row:
    measure = MEASURES[row.measure]
    return {
        "95 % interval": interval(row.low, row.high, measure.digits),
        "median": number(row.median, measure.digits, signed=True),
        "wins": f"{row.win_rate:.0%}",
        "d_z": number(row.cohens_d_z, 2, signed=True),
        "p": probability(row.p),
        "p (Holm)": probability(row.p_holm),
        "detectable": number(row.detectable, measure.digits),
        "pairs": row.pairs,
        "poses": row.poses,
    }


def other_effects(results: Results) -> Table:
    """Return what difference each arm makes to all measures but OKS."""
    rows = [
        {
            "measure": f"{MEASURES[row.measure].title} {_ARROWS[MEASURES[row.measure].lower_is_better]}",
            "arm": row.arm,
            "difference": number(row.mean, MEASURES[row.measure].digits, signed=True),
            **_evidence(row),
        }
        for row in sorted(results.effects, key=lambda row: list(MEASURES).index(row.measure))
        if row.measure != HEADLINE
    ]
    return Table(rows, note=f"↑ more is better, ↓ less. Holm: over the table's {len(rows)} comparisons.")


def strata(results: Results, *kinds: str) -> Table:
    """Return OKS by kinds of poses and views: `posture`, `side`, `view`, `category`, `prompt`, `pose`.

    Raises
    ------
    ValueError
        No such kind.
    """
    unknown = [kind for kind in kinds if kind not in KINDS]
    if unknown:
        raise ValueError(f"{unknown[0]!r} is no kind of poses or views; allowed: {', '.join(KINDS)}")
    rows = []
    for kind, stratum in dict.fromkeys(
        (row.kind, row.stratum) for row in results.strata if row.kind in kinds
    ):
        within = [row for row in results.strata if (row.kind, row.stratum) == (kind, stratum)]
        line: Row = {"kind": kind, "of": stratum, "poses": max(row.poses for row in within)}
        by_arm = {row.arm: row for row in within}
        for arm in results.arms:
            row = by_arm.get(arm["name"])
            line[arm["name"]] = number(row.oks if row else None) + ("" if row is None or row.shared else "*")
        rows.append(line)
    note = "Mean OKS. The effects with their intervals are in results.json, under strata."
    if any(not row.shared for row in results.strata if row.kind in kinds):
        note += " *: no cell was scored in every arm; of each arm's own images, not to be set side by side."
    return Table(rows, note=f"{note} {_compared(results)}".strip())


def joints(results: Results) -> Table:
    """Return by keypoint and arm the share placed within 0.1 torso diameters."""
    rows: dict[str, Row] = {}
    for row in results.joints:
        line = rows.setdefault(row.joint, {"joint": row.joint.replace("_", " ")})
        line[row.arm] = number(row.right, 2)
    ceiling = next((arm["name"] for arm in results.arms if arm["conditioning"] == "direct"), None)
    for row in results.joints:
        if row.arm == ceiling:
            rows[row.joint]["bias_of_estimator"] = f"{row.rise:+.1%}"
    note = "Share of images in which the joint lies within 0.1 torso diameters of the target."
    if ceiling:
        note += (
            f" Bias: how much higher than drawn it is found in {ceiling!r}, by body height; not corrected."
        )
    return Table(list(rows.values()), note=f"{note} {_compared(results)}".strip())


def attenuation(results: Results) -> Table:
    """Return true beside measured effects, where what was drawn is known."""
    rows = [
        {
            "arm": row.arm,
            "true OKS": number(row.true_oks),
            "measured OKS": number(row.measured_oks),
            "true effect": number(row.true_effect, signed=True),
            "measured effect": number(row.measured_effect, signed=True),
            "measured / true": number(row.ratio, 2),
            "95 % interval": "–" if math.isnan(row.ratio) else f"[{row.ratio_low:.2f}, {row.ratio_high:.2f}]",
        }
        for row in results.attenuation
    ]
    found = results.agreement
    if found is None:
        return Table(rows, note="What was drawn is not known, or never differs.")
    order = "is right" if found.order_is_right else "is WRONG"
    note = (
        f"Over {found.images} images measured OKS is {found.intercept:.3f} + {found.slope:.3f} x true OKS "
        f"(slope [{found.slope_low:.3f}, {found.slope_high:.3f}], r {found.correlation:.3f}). The measured "
        f"order of the arms {order}: {' < '.join(found.measured_order)}."
    )
    return Table(rows, note=note)


def environment(results: Results) -> Table:
    """Return what measured, with which versions, when and on what."""
    shown = {name: value for name, value in results.environment.items() if value not in (None, [], {})}
    seconds = shown.pop("seconds_per_image", {})
    shown["estimators"] = [
        f"{found['name']} {found['version']}, weights {found['weights_sha256']} ({found['images']} images)"
        for found in shown.get("estimators", [])
    ]
    shown["seconds_per_image"] = [f"{arm} {value}" for arm, value in seconds.items()]
    return Table([{"what": name.replace("_", " "), "value": value} for name, value in shown.items()])


def claims() -> Table:
    """Return what the reference system says of itself."""
    return Table(
        context.CLAIMS, note="Shown beside the results; nothing here confirms or refutes them for FLUX."
    )


def published() -> Table:
    """Return pose AP as published."""
    return Table(context.PUBLISHED, note=context.PUBLISHED_NOTE)
