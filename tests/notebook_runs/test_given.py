from pathlib import Path

import pytest

from posegen.errors import ParameterError, UnknownNameError
from posegen.notebook_runs.given import GivenParameters, find_notebook, notebooks_folder, parameters_folder
from posegen.parameters import BatchParameters


def test_later_ones_win(tmp_path: Path) -> None:
    first, second = tmp_path / "a.yaml", tmp_path / "b.yaml"
    first.write_text("seed: 1\nprompt: from a file\nuser: ann\n")
    second.write_text("seed: 2\n")
    given = GivenParameters([first, second], ["prompt: from text"], [("seed", "3")], [("user", "7")])
    assert given.merged() == {"seed": 3, "prompt": "from text", "user": "7"}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("7", 7), ("0.5", 0.5), ("True", True), ("None", None), ("yoga", "yoga"), ("[a, b]", ["a", "b"]),
        ("{gender: male}", {"gender": "male"}), ("[a", "[a"), ("", ""),
    ],
)  # fmt: skip
def test_values_are_read_as_papermill_reads_them_and_lists_too(text: str, value: object) -> None:
    assert GivenParameters(values=[("x", text)]).merged() == {"x": value}


def test_text_parameters_stay_text() -> None:
    given = GivenParameters(
        values=[("run_id", "20261123"), ("prompt", "2026"), ("seed", "7"), ("model", "None")]
    )
    assert given.merged(BatchParameters) == {"run_id": "20261123", "prompt": "2026", "seed": 7, "model": None}


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("poses: [a\nseed: 1", ["not YAML", "line"]),
        ("- a\n- b", ["holds list", "mapping of parameter names"]),
        ("just words", ["holds str"]),
        ("1: a", ["the name 1, which is not text", "mapping of parameter names"]),
        ("a: !!python/object:os.system x", ["not YAML"]),
    ],
)
def test_a_file_that_is_no_mapping_is_refused(tmp_path: Path, content: str, words: list[str]) -> None:
    path = tmp_path / "p.yaml"
    path.write_text(content)
    with pytest.raises(ParameterError) as caught:
        GivenParameters([path]).merged()
    assert all(word in str(caught.value) for word in [*words, "p.yaml"])


def test_a_file_that_is_missing_or_not_text_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ParameterError, match="there is no file"):
        GivenParameters([tmp_path / "none.yaml"]).merged()
    (tmp_path / "b.yaml").write_bytes(b"\xff\xfe\x00\x80")
    with pytest.raises(ParameterError, match="cannot be read as text"):
        GivenParameters([tmp_path / "b.yaml"]).merged()
    with pytest.raises(ParameterError, match="cannot be read"):
        GivenParameters([tmp_path]).merged()


def test_an_empty_file_gives_nothing(tmp_path: Path) -> None:
    (tmp_path / "e.yaml").write_text("# only a comment\n")
    assert GivenParameters([tmp_path / "e.yaml"]).merged() == {}


@pytest.mark.parametrize("name", ["batch_generation", "02_batch_generation", "02_batch_generation.ipynb"])
def test_a_notebook_goes_by_name_or_number(name: str) -> None:
    assert find_notebook(name) == notebooks_folder() / "02_batch_generation.ipynb"


def test_a_notebook_goes_by_path(tmp_path: Path) -> None:
    path = tmp_path / "own.ipynb"
    path.touch()
    assert find_notebook(str(path)) == path


def test_an_unknown_notebook_names_the_nearest() -> None:
    with pytest.raises(UnknownNameError, match="did you mean 'batch_generation'"):
        find_notebook("batch_generatoin")


def test_away_from_the_project_its_own_notebooks_are_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert (notebooks_folder() / "02_batch_generation.ipynb").is_file()
    assert (parameters_folder() / "demo.yaml").is_file()
