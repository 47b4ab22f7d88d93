"""Figures of an experiment, in colours that colour-blind readers tell apart (Okabe & Ito 2008)."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.text import Text

from posegen.experiments.analysis import EffectRow, StratumRow
from posegen.experiments.measures import HEADLINE, MEASURES, Columns
from posegen.experiments.results import Results
from posegen.experiments.scores import Score
from posegen.storage.atomic import write_atomically

INK, FAINT, MEASURED, TRUE, CHANCE, CEILING = "#23262a", "#8a9199", "#0072b2", "#d55e00", "#999999", "#009e73"
DPI = 160
WIDTH_IN = 7.4

DOSES = {
    "joint_noise_deg": "joint noise, degrees (less is better)",
    "controlnet_conditioning_scale": "control scale",
    "dose": "dose",
}


class Drawing:
    """A figure that shows itself in a notebook and can be kept as PNG, SVG or PDF.

    Attributes
    ----------
    figure : matplotlib Figure
    """

    def __init__(self, figure: Figure) -> None:
        self.figure = figure

    def _bytes(self, kind: str) -> bytes:
        buffer = io.BytesIO()
        metadata = {"Date": None} if kind == "svg" else {"CreationDate": None} if kind == "pdf" else {}
        with rc_context({"text.parse_math": False}):  # an arm may be called anything: names are no formulas
            for text in self.figure.findobj(Text):
                text.set_parse_math(False)
            self.figure.savefig(buffer, format=kind, dpi=DPI, bbox_inches="tight", metadata=metadata)
        return buffer.getvalue()

    def _repr_mimebundle_(self, **_: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        png = self._bytes("png")
        width = int.from_bytes(png[16:20], "big") * 96 // DPI
        return {"image/png": png, "text/plain": repr(self)}, {"image/png": {"width": width}}

    def __repr__(self) -> str:
        """Return the figure's title."""
        return f"<figure: {self.figure.axes[0].get_title(loc='left')}>"

    def save(self, path: Path) -> Path:
        """Write the figure; its ending decides the format."""
        write_atomically(path, self._bytes(path.suffix.removeprefix(".") or "png"))
        return path


def _axes(height_in: float, title: str, *, marked: Results) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(WIDTH_IN, height_in), layout="constrained")
    axes = figure.add_subplot()
    axes.set_title(
        title + (" (synthetic pictures)" if marked.synthetic else ""), loc="left", color=INK, size=11
    )
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    axes.tick_params(colors=INK, labelsize=9)
    return figure, axes


def _color(results: Results, arm: str) -> str:
    kind = next(entry["conditioning"] for entry in results.arms if entry["name"] == arm)
    return {"shuffled": CHANCE, "direct": CEILING}.get(kind, MEASURED)


def levels(results: Results, scores: Sequence[Score]) -> Drawing:
    """Draw the OKS of every image, and each arm's mean with its interval."""
    columns = Columns(scores)
    rows = [row for row in results.levels if row.measure == HEADLINE]
    figure, axes = _axes(0.9 + 0.42 * len(rows), "OKS of every image", marked=results)
    rng = np.random.default_rng(0)
    for place, row in enumerate(rows):
        values = columns.values(row.arm, MEASURES[HEADLINE])
        known, color = np.isfinite(values), _color(results, row.arm)
        values, compared = values[known], columns.compared[known]
        lift = rng.uniform(-0.22, 0.22, len(values))
        axes.scatter(values[compared], (place + lift)[compared], s=9, color=color, alpha=0.35, linewidths=0)
        rest = ~compared
        axes.scatter(values[rest], (place + lift)[rest], s=9, facecolors="none", edgecolors=color, alpha=0.35)
        _whisker(axes, place, row.mean, row.low, row.high, INK)
        axes.annotate(f"{row.mean:.2f}", (1.03, place), color=INK, size=9, va="center", annotation_clip=False)
    hollow = "" if columns.compared.all() else "; hollow: not in every arm, left out of the mean"
    axes.set(
        xlim=(-0.02, 1.02),
        ylim=(len(rows) - 0.5, -0.5),
        xlabel=f"OKS (each dot an image{hollow}; bar: mean, 95 %)",
    )
    axes.set_yticks(range(len(rows)), [row.arm for row in rows])
    axes.grid(axis="x", color="#e6e8ea", zorder=0)
    axes.set_axisbelow(True)
    return Drawing(figure)


def forest(results: Results, measure: str = HEADLINE) -> Drawing:
    """Draw what difference each arm makes, with its interval."""
    rows: list[EffectRow] = [row for row in results.effects if row.measure == measure]
    named = MEASURES[measure]
    better = "lower" if named.lower_is_better else "higher"
    title = f"{named.title}: difference to {results.baseline!r}"
    figure, axes = _axes(1.0 + 0.4 * len(rows), title, marked=results)
    axes.axvline(0, color=FAINT, linewidth=1)
    for place, row in enumerate(rows):
        _whisker(axes, place, row.mean, row.low, row.high, _color(results, row.arm))
        label = f"{row.mean:+.{named.digits}f}"
        axes.annotate(
            label, (1.01, place), xycoords=("axes fraction", "data"), color=INK, size=9, va="center"
        )
    axes.set(
        ylim=(len(rows) - 0.5, -0.5),
        xlabel=f"mean paired difference, 95 % interval by pose ({better} is better)",
    )
    axes.set_yticks(range(len(rows)), [row.arm for row in rows])
    axes.grid(axis="x", color="#e6e8ea")
    axes.set_axisbelow(True)
    return Drawing(figure)


def _whisker(axes: Axes, place: float, mean: float, low: float, high: float, color: str) -> None:
    if np.isfinite(low):
        axes.plot([low, high], [place, place], color=color, linewidth=2.2, solid_capstyle="butt")
    axes.plot([mean], [place], marker="o", color=color, markersize=6, markeredgecolor="white")


def dose(results: Results) -> Drawing | None:
    """Draw OKS by dose, measured and (where it is known) true; None without two doses of one kind."""
    kinds = [point.dose_of for point in results.dose_curve]
    most = max(dict.fromkeys(kinds), key=kinds.count, default="")
    points = [point for point in results.dose_curve if point.dose_of == most]
    if len(points) < 2:
        return None
    figure, axes = _axes(3.4, "Dose and OKS", marked=results)
    doses = [point.dose for point in points]
    low, high = [p.low for p in points], [p.high for p in points]
    axes.fill_between(doses, low, high, color=MEASURED, alpha=0.15)
    axes.plot(doses, [p.oks for p in points], color=MEASURED, marker="o", label="measured, 95 %")
    known = [point for point in points if point.true_oks is not None]
    if known:
        true = [point.true_oks or 0.0 for point in known]
        axes.plot(
            [p.dose for p in known], true, color=TRUE, marker="s", linestyle="--", label="true (drawn joints)"
        )
    for row in results.levels:
        kind = next(arm["conditioning"] for arm in results.arms if arm["name"] == row.arm)
        if row.measure == HEADLINE and kind in ("shuffled", "direct"):
            said = {"shuffled": "chance (shuffled)", "direct": "ceiling (direct)"}[kind]
            axes.axhline(row.mean, color=_color(results, row.arm), linestyle=":", label=said)
    axes.set(xlabel=DOSES.get(most, most), ylabel="OKS", ylim=(0, 1.02))
    if most == "joint_noise_deg":
        axes.invert_xaxis()
    axes.legend(frameon=False, fontsize=9, loc="best")
    axes.grid(color="#e6e8ea")
    return Drawing(figure)


def joints(results: Results) -> Drawing:
    """Draw by keypoint and arm the share placed right."""
    arms = list(dict.fromkeys(row.arm for row in results.joints))
    names = list(dict.fromkeys(row.joint for row in results.joints))
    share = {(row.arm, row.joint): row.right for row in results.joints}
    values = np.array([[share.get((arm, name), np.nan) for name in names] for arm in arms]).reshape(
        len(arms), -1
    )
    title = "Joints within 0.1 torso diameters"
    figure, axes = _axes(1.5 + 0.36 * len(arms), title, marked=results)
    axes.imshow(values, cmap="cividis", vmin=0, vmax=1, aspect="auto")
    for (row, column), value in np.ndenumerate(values):
        if np.isfinite(value):
            ink = "white" if value < 0.5 else "black"
            axes.text(column, row, f"{100 * value:.0f}", ha="center", va="center", color=ink, size=7.5)
    axes.set_xticks(range(len(names)), [name.replace("_", " ") for name in names], rotation=45, ha="right")
    axes.set_yticks(range(len(arms)), arms)
    axes.set_xlabel("per cent of images that show the joint")
    axes.tick_params(length=0)
    return Drawing(figure)


def strata(results: Results, kind: str = "category") -> Drawing:
    """Draw each arm's mean OKS by posture, side, view or category."""
    rows: list[StratumRow] = [row for row in results.strata if row.kind == kind]
    names = list(dict.fromkeys(row.stratum for row in rows))
    arms = [arm["name"] for arm in results.arms]
    values = {(row.arm, row.stratum): row.oks for row in rows}
    table = np.array([[values.get((arm, name), np.nan) for arm in arms] for name in names]).reshape(
        len(names), -1
    )
    figure, axes = _axes(1.0 + 0.26 * len(names), f"Mean OKS by {kind}", marked=results)
    axes.imshow(table, cmap="cividis", vmin=0, vmax=1, aspect="auto")
    for (row, column), value in np.ndenumerate(table):
        if np.isfinite(value):
            ink = "white" if value < 0.5 else "black"
            axes.text(column, row, f"{value:.2f}", ha="center", va="center", color=ink, size=7.5)
    poses = {row.stratum: row.poses for row in rows}
    axes.set_yticks(range(len(names)), [f"{name.replace('_', ' ')} ({poses[name]})" for name in names])
    axes.set_xticks(range(len(arms)), arms, rotation=30, ha="right")
    axes.set_xlabel("arm (in brackets: poses)")
    axes.tick_params(length=0)
    return Drawing(figure)
