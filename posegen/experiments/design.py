"""Which task of a run belongs to which arm and which cell: rebuilt from the journal alone.

A cell is a pose, a view, an avatar, a prompt and a repeat. Every arm that makes images has one task in
each cell, with the same seed. The plan lists cell by cell, arm by arm, so that the place of a task says both,
and a run that is cut off has whole cells.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import msgspec
import numpy as np

from posegen.errors import ParameterError
from posegen.journal import RunState
from posegen.parameters import Arm, read_arm
from posegen.records import ImageTask


@dataclass(frozen=True, eq=False)
class Design:
    """The arms of an experiment and its tasks.

    Attributes
    ----------
    arms : tuple of Arm
        In the order given.
    baseline : str
        Name of the arm that the others are compared with.
    tasks : tuple of ImageTask
        The run's, in the plan's order.
    seed : int
        Of the experiment: decides which other pose an image is scored against as chance.
    """

    arms: tuple[Arm, ...]
    baseline: str
    tasks: tuple[ImageTask, ...]
    seed: int

    @cached_property
    def makers(self) -> tuple[Arm, ...]:
        """The arms that make images."""
        return tuple(arm for arm in self.arms if arm.makes_images)

    @property
    def cells(self) -> int:
        """How many tasks each arm has."""
        return len(self.tasks) // len(self.makers)

    def arm(self, name: str) -> Arm:
        """Return an arm by its name."""
        return next(arm for arm in self.arms if arm.name == name)

    def task(self, arm: Arm, cell: int) -> ImageTask:
        """Return the task whose image stands for an arm in a cell; for `shuffled` that of another arm."""
        place = self.makers.index(arm if arm.makes_images else self.source(arm))
        return self.tasks[cell * len(self.makers) + place]

    def source(self, arm: Arm) -> Arm:
        """Return the arm whose images `shuffled` scores: the one named, else that with the best control."""
        if arm.of is not None:
            return self.arm(arm.of)
        controlled = [maker for maker in self.makers if maker.conditioning in ("control", "direct")]
        asked = [maker for maker in controlled if maker.conditioning == "control"]
        return max(asked or controlled or self.makers, key=_strength)

    @cached_property
    def repeats(self) -> tuple[int, ...]:
        """By cell, which image of its pose, view, avatar and prompt it is, from 0."""
        seen: Counter[Any] = Counter()
        repeats = []
        for cell in range(self.cells):
            place = (self._first(cell).pose_id, _surroundings(self._first(cell)))
            repeats.append(seen[place])
            seen[place] += 1
        return tuple(repeats)

    @cached_property
    def partners(self) -> tuple[int, ...]:
        """By cell, that of another pose in the same view, avatar, prompt and repeat; -1 if there is none."""
        groups: dict[Any, list[int]] = {}
        for cell in range(self.cells):
            groups.setdefault((_surroundings(self._first(cell)), self.repeats[cell]), []).append(cell)
        partners = [-1] * self.cells
        rng = np.random.default_rng(self.seed)
        for members in groups.values():
            order = rng.permutation(members).tolist()
            if len(order) > 1:
                for place, cell in enumerate(order):
                    partners[cell] = order[place - 1]
        return tuple(partners)

    def _first(self, cell: int) -> ImageTask:
        return self.tasks[cell * len(self.makers)]

    @classmethod
    def of_run(cls, state: RunState) -> Design:
        """Return the design of a run, by what its journal says was asked for.

        Raises
        ------
        ParameterError
            The run is not an experiment.
        """
        spec = state.spec or {}
        if "arms" not in spec or not state.tasks:
            raise ParameterError(
                "run", f"{state.run_id} is no experiment: it has no arms; `posegen show` tells what it is"
            )
        arms = tuple(read_arm(entry) for entry in spec["arms"])
        design = cls(arms, spec.get("baseline") or arms[0].name, state.tasks, int(spec.get("seed", 0)))
        design.check()
        return design

    def check(self) -> None:
        """Make sure that every cell is what its place says.

        Raises
        ------
        ParameterError
            The tasks are not cell by cell.
        """
        step = len(self.makers)
        cells = [self.tasks[first : first + step] for first in range(0, len(self.tasks), step)]
        if any(len(tasks) != step or not _one_cell(tasks) for tasks in cells):
            raise ParameterError("run", "its tasks are not those of its arms: this is no experiment")


def interleaved(by_arm: Sequence[Sequence[ImageTask]]) -> tuple[ImageTask, ...]:
    """Return the arms' tasks cell by cell, numbered anew.

    Raises
    ------
    ValueError
        An arm has more tasks than another.
    """
    tasks = [task for cell in zip(*by_arm, strict=True) for task in cell]
    return tuple(msgspec.structs.replace(task, index=index) for index, task in enumerate(tasks))


def _surroundings(task: ImageTask) -> tuple[Any, ...]:
    return task.view, task.avatar, task.user_prompt


def _one_cell(tasks: Sequence[ImageTask]) -> bool:
    return len({(task.pose_id, task.width, task.height, _surroundings(task)) for task in tasks}) == 1


def _strength(arm: Arm) -> float:
    """Return how much control an arm has beside others of its kind: more scale, less noise."""
    noise = float(arm.backend_options.get("joint_noise_deg", 0.0))
    scale = 1.0 if arm.scale is None else arm.scale
    return scale - noise
