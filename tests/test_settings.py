from pathlib import Path

import pytest

from posegen.errors import ParameterError
from posegen.settings import VARIABLES, Settings, load_settings, usable_cores


def test_an_empty_environment_gives_local_outputs() -> None:
    settings = load_settings({})
    assert settings.storage_mode == "local"
    assert settings.root.name == "outputs"
    assert settings.cpu_threads == usable_cores()


def test_each_variable_is_read(tmp_path: Path) -> None:
    env = {"STORAGE_LOCAL_PATH": str(tmp_path), "POSEGEN_CPU_THREADS": "3", "POSEGEN_PROGRESS": "lines"}
    settings = load_settings(env)
    assert (settings.root, settings.cpu_threads, settings.progress) == (tmp_path, 3, "lines")


def test_prices_and_the_starting_grant_are_read() -> None:
    defaults = load_settings({})
    found = (defaults.credits_per_image, defaults.credits_background, defaults.starting_grant)
    assert found == (30, 10, 100_000)
    env = {
        "POSEGEN_CREDITS_PER_IMAGE": "25",
        "POSEGEN_CREDITS_BACKGROUND": "0",
        "POSEGEN_STARTING_GRANT": "500",
    }
    settings = load_settings(env)
    found = (settings.credits_per_image, settings.credits_background, settings.starting_grant)
    assert found == (25, 0, 500)


def test_what_is_logged_and_exported_is_read() -> None:
    defaults = load_settings({})
    assert (defaults.log_level, defaults.log_max_mb, defaults.log_prompts) == ("info", 100, "off")
    assert defaults.otel_endpoint is None
    env = {"POSEGEN_LOG_LEVEL": "debug", "POSEGEN_LOG_MAX_MB": "0", "POSEGEN_LOG_PROMPTS": "on"}
    settings = load_settings(env)
    assert (settings.log_level, settings.log_max_mb, settings.log_prompts) == ("debug", 0, "on")


@pytest.mark.parametrize(
    ("value", "taken"),
    [
        ("http://collector:4318/", "http://collector:4318"),
        ("collector:4317", None),
        ("grpc://collector", None),
    ],
)
def test_a_collector_for_other_programs_is_left_to_them(value: str, taken: str | None) -> None:
    assert load_settings({"OTEL_EXPORTER_OTLP_ENDPOINT": value}).otel_endpoint == taken


def test_every_setting_has_a_variable() -> None:
    assert set(VARIABLES) == set(Settings.model_fields)


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("STORAGE_MODE", "ftp"),
        ("POSEGEN_CPU_THREADS", "many"),
        ("POSEGEN_CPU_THREADS", "0"),
        ("POSEGEN_PROGRESS", "x"),
        ("POSEGEN_CREDITS_PER_IMAGE", "-1"),
        ("POSEGEN_CREDITS_BACKGROUND", "2.5"),
        ("POSEGEN_STARTING_GRANT", "much"),
        ("POSEGEN_LOG_LEVEL", "loud"),
        ("POSEGEN_LOG_MAX_MB", "-1"),
        ("POSEGEN_LOG_PROMPTS", "some"),
    ],
)
def test_a_wrong_value_names_variable_and_value(variable: str, value: str) -> None:
    with pytest.raises(ParameterError, match=variable) as caught:
        load_settings({variable: value})
    assert value in str(caught.value)


def test_runs_started_from_the_notebooks_folder_land_beside_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    notebooks = tmp_path / "notebooks"
    notebooks.mkdir()
    (notebooks / "02_batch_generation.ipynb").touch()
    monkeypatch.chdir(notebooks)
    assert load_settings({}).root == tmp_path / "outputs"
    monkeypatch.chdir(tmp_path)
    assert load_settings({}).root == tmp_path / "outputs"
