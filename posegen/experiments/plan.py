"""From validated parameters to the plan of an experiment: an ordinary run of all its arms' tasks."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from posegen.accuracy.registry import ESTIMATORS
from posegen.errors import ParameterError
from posegen.experiments import caveats
from posegen.experiments.design import Design, interleaved
from posegen.parameters import AccuracyParameters, Arm
from posegen.pipeline.plan import build_plan
from posegen.pipeline.run_plan import RunPlan
from posegen.pipeline.tables import html_table
from posegen.records import ImageTask
from posegen.settings import Settings


@dataclass(frozen=True, repr=False)
class ExperimentPlan(RunPlan):
    """What an experiment will make.

    Attributes
    ----------
    parameters : AccuracyParameters
    design : Design
        Which task belongs to which arm.
    """

    parameters: AccuracyParameters
    design: Design = field(kw_only=True)

    def _what(self, settings: Settings) -> dict[str, Any]:
        del settings
        return {
            "arms": [arm.name for arm in self.design.arms],
            "compared_with": self.design.baseline,
            "poses": len({task.pose_id for task in self.tasks}),
            "pairs_of_each_arm": self.design.cells,
            "images": len(self.tasks),
            "size": f"{self.parameters.width}x{self.parameters.height}",
            "backend": ", ".join(self.backends),
            "accuracy": f"measured by {self.parameters.estimator}",
        }

    def facts(self) -> dict[str, Any]:
        """Return what the plan comes to, as one flat mapping."""
        facts = super().facts()
        return {**facts, "lacks": [*facts["lacks"], *ESTIMATORS[self.parameters.estimator].missing()]}

    def _repr_html_(self) -> str:
        return super()._repr_html_() + html_table([_row(arm, self.design) for arm in self.design.arms])


def plan_experiment(parameters: AccuracyParameters) -> ExperimentPlan:
    """Return the plan of an experiment. Writes and spends nothing.

    Raises
    ------
    InputError
        A pose, category or search that selects nothing; two arms that are the same images; no other pose to
        shuffle with.
    """
    makers = [arm for arm in parameters.arm_list if arm.makes_images]
    plans = [build_plan(parameters.batch_of(arm)) for arm in makers]
    _refuse_equal_arms(makers, [plan.tasks for plan in plans])
    tasks = interleaved([plan.tasks for plan in plans])
    design = Design(parameters.arm_list, parameters.baseline_name, tasks, parameters.seed)
    if any(not arm.makes_images for arm in design.arms) and -1 in design.partners:
        raise ParameterError("arms", "'shuffled' needs two poses or more in every view")
    noted = dict.fromkeys(note for plan in plans for note in plan.notes)
    return ExperimentPlan(parameters, tasks, (*_notes(design), *noted), design=design)


def _refuse_equal_arms(arms: list[Arm], tasks: list[tuple[ImageTask, ...]]) -> None:
    for (one, first), (other, second) in itertools.combinations(zip(arms, tasks, strict=True), 2):
        if {task.task_id for task in first} & {task.task_id for task in second}:
            raise ParameterError(
                "arms",
                f"{one.name!r} and {other.name!r} are the same images; leave one out, or give it another "
                "recipe, or seed_offset: 1 for a replicate with other seeds",
            )


def _notes(design: Design) -> Iterator[str]:
    yield from caveats.of_few_poses(len({task.pose_id for task in design.tasks}))
    first = {arm.name: design.task(arm, 0) for arm in design.makers}
    drawn = [name for name, task in first.items() if task.backend == "figure"]
    circular = [name for name in drawn if first[name].conditioning != "control"]
    yield from caveats.statements(list(first), drawn, circular)


def _row(arm: Arm, design: Design) -> dict[str, Any]:
    """Return an arm as a row of the plan's table."""
    if not arm.makes_images:
        source = design.source(arm).name
        what = f"images of {source!r} against another pose's target in the same view: chance"
    elif arm.conditioning == "direct":
        what = "the target itself, drawn by the embedded renderer: what the estimator reads at best"
    else:
        what = {
            "none": "the prompt alone",
            "prompt": "the pose described in words",
            "control": "the pose described in words, and a control map",
        }[arm.conditioning]
    settings = {
        **arm.own,
        **arm.backend_options,
        **({"seed_offset": arm.seed_offset} if arm.seed_offset else {}),
    }
    return {
        "arm": arm.name + (" (baseline)" if arm.name == design.baseline else ""),
        "what": what,
        "differs_in": ", ".join(f"{name} {value}" for name, value in settings.items()) or None,
        "images": design.cells if arm.makes_images else 0,
    }
