import pytest

from posegen.errors import EstimatorError, ImagesFailedError, ParameterError, RunNotFoundError
from posegen.experiments.experiment import Experiment, open_experiment
from posegen.experiments.results import read_results
from posegen.journal import MeasureFailed, RunState, TaskFailed
from posegen.settings import Settings
from posegen.storage import LocalStorage


@pytest.fixture
def experiment(state, tmp_path):
    return Experiment(state, tmp_path / "runs" / "e", LocalStorage(tmp_path))


def test_it_says_first_what_goes_with_every_figure(experiment):
    lines = repr(experiment).splitlines()
    assert lines[0] == "e: 5 arms, 5 poses, 25 scores"
    assert lines[1].startswith("Synthetic: ")
    page = experiment._repr_html_()
    assert "<strong>Synthetic: " in page
    assert "Note: 5 poses: with fewer than 30" in page


def test_every_view_of_it_shows_something(experiment):
    tables = (
        experiment.levels(), experiment.effects(), experiment.other_effects(), experiment.strata(),
        experiment.strata("category"), experiment.joints(), experiment.attenuation(),
        experiment.environment(), experiment.claims(), experiment.published(),
    )  # fmt: skip
    assert all(len(table.rows) >= 2 for table in tables)
    figures = (
        experiment.levels_figure(), experiment.forest(), experiment.dose_figure(), experiment.joints_figure(),
        experiment.strata_figure(),
    )  # fmt: skip
    assert all(figure._repr_mimebundle_()[0]["image/png"] for figure in figures)
    assert experiment.failures(1).image.size[0] > 100


def test_it_keeps_its_results_beside_the_run(experiment, tmp_path):
    assert all(path.is_file() for path in experiment.save())
    assert [found["run_id"] for found in read_results(tmp_path)] == ["e"]


def unmade(plan, tmp_path, **parts):
    state = RunState(run_id="e", spec=plan.spec, spec_hash="x", tasks=plan.tasks)
    for name, value in parts.items():
        setattr(state, name, value)
    return Experiment(state, tmp_path, LocalStorage(tmp_path))


def test_without_a_measured_image_it_says_why(plan, tmp_path):
    ids = [task.task_id for task in plan.tasks]
    with pytest.raises(ParameterError, match="no image has been made and measured yet"):
        _ = unmade(plan, tmp_path).scores
    failures = {task_id: TaskFailed(task_id=task_id, code="X", message="x") for task_id in ids}
    with pytest.raises(ImagesFailedError, match="20 of 20 images failed"):
        _ = unmade(plan, tmp_path, failures=failures).results
    gave_up = {ids[0]: MeasureFailed(task_id=ids[0], code="X", message="the model gave up")}
    with pytest.raises(EstimatorError, match="no image could be measured: the model gave up"):
        _ = unmade(plan, tmp_path, measure_failures=gave_up).results


def test_a_run_that_is_not_there(tmp_path):
    with pytest.raises(RunNotFoundError):
        open_experiment("nothing", Settings(root=tmp_path))
