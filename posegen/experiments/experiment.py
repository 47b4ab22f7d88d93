"""An experiment as a notebook sees it: a view of its run's journal, with tables, figures and pictures."""

from __future__ import annotations

import html
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from posegen.errors import EstimatorError, ImagesFailedError, ParameterError
from posegen.experiments import results, tables
from posegen.experiments.design import Design
from posegen.experiments.scores import Score, score_run
from posegen.experiments.tables import Table
from posegen.journal import RunState, read_run
from posegen.pipeline.run import run_folder
from posegen.pipeline.summary import Picture
from posegen.settings import Settings, load_settings
from posegen.storage import Storage, open_storage

if TYPE_CHECKING:
    from posegen.experiments.figures import Drawing


class Experiment:
    """What an experiment came to so far.

    Parameters
    ----------
    state : RunState
        The fold of its run's journal.
    folder : Path
        The run's folder.
    storage : Storage
        Where its pictures are.
    """

    def __init__(self, state: RunState, folder: Path, storage: Storage) -> None:
        self.state, self.folder = state, folder
        self.design = Design.of_run(state)
        self._storage = storage

    @cached_property
    def scores(self) -> Sequence[Score]:
        """One score an arm and cell.

        Raises
        ------
        ImagesFailedError
            No image could be made.
        EstimatorError
            None could be measured.
        ParameterError
            None has been made and measured yet.
        """
        state = self.state
        if not state.measurements and state.failures and not state.pending:
            raise ImagesFailedError(state.run_id, state.failed, len(state.tasks))
        if not state.measurements and state.measure_failures:
            first = next(iter(state.measure_failures.values()))
            raise EstimatorError(f"run {state.run_id}: no image could be measured: {first.message}")
        if not state.measurements:
            raise ParameterError("run", f"{state.run_id}: no image has been made and measured yet")
        return score_run(state, self.design)

    @cached_property
    def results(self) -> results.Results:
        """All results as plain values."""
        return results.analyse(self.state, self.design, self.scores)

    def levels(self) -> Table:
        """Return how each arm does by itself."""
        return tables.levels(self.results)

    def effects(self) -> Table:
        """Return what difference each arm makes to OKS, with how sure that is."""
        return tables.effects(self.results)

    def other_effects(self) -> Table:
        """Return the same for every other measure."""
        return tables.other_effects(self.results)

    def strata(self, *kinds: str) -> Table:
        """Return mean OKS by `posture`, `side`, `view`, `category`, `prompt`, `pose`; or by the first two."""
        return tables.strata(self.results, *(kinds or ("posture", "side")))

    def joints(self) -> Table:
        """Return how well each joint is placed."""
        return tables.joints(self.results)

    def attenuation(self) -> Table:
        """Return true beside measured effects, where what was drawn is known."""
        return tables.attenuation(self.results)

    def environment(self) -> Table:
        """Return what measured, when and on what."""
        return tables.environment(self.results)

    def claims(self) -> Table:
        """Return what the reference system says of itself."""
        return tables.claims()

    def published(self) -> Table:
        """Return pose AP as published, for context."""
        return tables.published()

    def levels_figure(self) -> Drawing:
        """Draw the OKS of every image, and each arm's mean."""
        from posegen.experiments import figures

        return figures.levels(self.results, self.scores)

    def forest(self, measure: str = "oks") -> Drawing:
        """Draw what difference each arm makes."""
        from posegen.experiments import figures

        return figures.forest(self.results, measure)

    def dose_figure(self) -> Drawing | None:
        """Draw OKS by dose; None without two doses of one kind."""
        from posegen.experiments import figures

        return figures.dose(self.results)

    def joints_figure(self) -> Drawing:
        """Draw how well each joint is placed."""
        from posegen.experiments import figures

        return figures.joints(self.results)

    def strata_figure(self, kind: str = "category") -> Drawing:
        """Draw mean OKS by `posture`, `side`, `view`, `category`, `prompt` or `pose`."""
        from posegen.experiments import figures

        return figures.strata(self.results, kind)

    def failures(self, of_each: int = 4) -> Picture:
        """Return the worst images of each arm, with the skeletons asked for and found."""
        from posegen.experiments.pictures import failures

        return failures(self.state, self.design, self.scores, self._storage, of_each=of_each)

    def save(self) -> tuple[Path, ...]:
        """Write the results as JSON and Parquet into the run's folder, below `experiment/`; return the paths.

        Raises
        ------
        StorageError
            The folder cannot be written.
        """
        return results.save(self.folder, self.results, self.scores)

    def __repr__(self) -> str:
        """Return what must be known before a figure is read."""
        return "\n".join([self._headline(), *self.results.statements, *self.results.warnings])

    def _headline(self) -> str:
        scored = sum(score.status == "scored" for score in self.scores)
        poses = len({score.pose for score in self.scores})
        return f"{self.state.run_id}: {len(self.design.arms)} arms, {poses} poses, {scored} scores"

    def _repr_html_(self) -> str:
        strong = "".join(f"<p><strong>{html.escape(line)}</strong></p>" for line in self.results.statements)
        lines = "".join(f"<p>Note: {html.escape(line)}.</p>" for line in self.results.warnings)
        return f"<p>{html.escape(self._headline())}</p>{strong}{lines}"


def open_experiment(run_id: str, settings: Settings | None = None) -> Experiment:
    """Return an experiment by its run id, however far it is: by its journal alone.

    Raises
    ------
    RunNotFoundError
        Names the nearest runs.
    ParameterError
        The run is not an experiment.
    """
    settings = settings or load_settings()
    state = read_run(settings.root, run_id)
    storage = open_storage(settings.storage_mode, settings.root)
    return Experiment(state, run_folder(settings.root, run_id), storage)
