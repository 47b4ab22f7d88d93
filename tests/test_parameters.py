from typing import Any

import pytest

from posegen.errors import ParameterError
from posegen.parameters import (
    DEFAULT_POSES,
    BatchParameters,
    RecoveryParameters,
    batch_parameters,
    check,
    defaults,
    read_avatar,
    read_duration,
    read_view,
)
from posegen.records import Avatar, View

OWN_CELL = 'poses: list = None  # ids\nprompt: str = "x"\nseed: int = 0\nwidth: int = 512'


def problem(**values: Any) -> str:
    with pytest.raises(ParameterError) as caught:
        check(BatchParameters, values)
    return str(caught.value)


def test_the_defaults_are_a_small_run_of_sample_poses() -> None:
    parameters = check(BatchParameters, {})
    assert parameters.selected_poses == DEFAULT_POSES
    assert parameters.backend == "figure"
    assert not parameters.text_alone
    assert set(defaults(BatchParameters)) == set(BatchParameters.model_fields)


@pytest.mark.parametrize("given", [{"categories": ["yoga"]}, {"search": "sitting"}, {"prompts": ["a man"]}])
def test_another_selection_replaces_the_sample_poses(given: dict[str, Any]) -> None:
    assert check(BatchParameters, given).selected_poses == ()


@pytest.mark.parametrize("given", ["a, b", ["a", "b"]])
def test_names_may_be_a_list_or_divided_by_commas(given: object) -> None:
    assert check(BatchParameters, {"poses": given}).selected_poses == ("a", "b")


def test_prompts_without_poses_are_images_from_text_alone() -> None:
    parameters = check(BatchParameters, {"prompts": ["a man", "a woman"]})
    assert parameters.text_alone
    assert parameters.prompt_list == ["a man", "a woman"]
    assert not check(BatchParameters, {"prompts": ["a man"], "poses": ["a"]}).text_alone


def test_an_unknown_name_is_refused_with_the_nearest_right_one() -> None:
    assert "unknown parameter 'sead'; did you mean 'seed'?" in problem(sead=3)


def test_every_problem_is_named_at_once() -> None:
    text = problem(sead=3, width=1000, backend="figur")
    assert len(text.splitlines()) == 3


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"seed": "seven"}, ["seed", "'seven'", "integer"]),
        ({"seed": True}, ["seed", "True"]),
        ({"seed": 1.5}, ["seed", "1.5"]),
        ({"seed": -1}, ["seed", "-1", "greater than or equal to 0"]),
        ({"prompt": 3}, ["prompt", "3", "string"]),
        ({"width": 1000}, ["width", "1000", "multiple of 16 from 256 to 2048", "nearest is 992"]),
        ({"height": 4096}, ["height", "4096", "2048"]),
        ({"backend": "figur"}, ["backend", "'figur'", "did you mean 'figure'"]),
        ({"exports": ["tiktak"]}, ["export format", "'tiktak'", "did you mean 'tiktok'"]),
        ({"conditioning": "pose"}, ["conditioning", "'pose'", "'auto', 'control', 'prompt' or 'none'"]),
        ({"conditioning": "control", "prompts": ["a man"]}, ["'control'", "needs poses"]),
        ({"poses": []}, ["nothing is selected", "'all'", "prompts"]),
        ({"prompts": ["a", " "]}, ["prompts", "empty"]),
        ({"views": []}, ["views", "empty"]),
        ({"views": ["left"]}, ["view 'left'", "35m"]),
        ({"avatar": {"hair": "red"}}, ["avatar attribute 'hair'", "hair_color"]),
        ({"avatar": {"gender": "femal"}}, ["gender", "'femal'", "female"]),
        ({"avatar": {"top_color": "bleu"}}, ["top_color", "'bleu'", "blue"]),
        ({"backend_options": {"noise": 3}}, ["backend_options.noise", "joint_noise_deg"]),
        ({"backend_options": {"joint_noise_deg": -3}}, ["backend_options.joint_noise_deg", "-3"]),
        ({"run_id": "../x"}, ["run_id", "'../x'", "letters, digits"]),
        ({"run_id": "a."}, ["run_id", "'a.'", "at both ends"]),
        ({"prompt": "caf\udce9"}, ["prompt", "not valid text"]),
        ({"avatar": {"extra": "a\ud800"}}, ["avatar", "not valid text"]),
        ({"project": "a\x1b[31m"}, ["project", "control character"]),
        ({"avatar": "female"}, ["avatar: 'female' is not allowed"]),
        ({"avatar": []}, ["avatar", "empty list"]),
        ({"categories": []}, ["nothing is selected"]),
        ({"search": ""}, ["nothing is selected"]),
        ({"avatar": {"gender": "30"}}, ["unknown value '30'. Allowed: female"]),
        ({"user": ""}, ["user", "''"]),
        ({"concurrency": 0}, ["concurrency", "0"]),
    ],
)
def test_a_wrong_value_is_named_with_what_is_allowed(values: dict[str, Any], words: list[str]) -> None:
    text = problem(**values)
    for word in words:
        assert word in text


@pytest.mark.parametrize(
    ("given", "view"),
    [
        (0, View()),
        (35, View(35)),
        (-90.5, View(-90.5)),
        ("90m", View(90, mirrored=True)),
        (270, View(-90)),
        (-180, View(180)),
        ({"yaw": 45, "mirrored": True}, View(45, mirrored=True)),
    ],
)
def test_views_are_read_in_every_form(given: object, view: View) -> None:
    assert read_view(given) == view


@pytest.mark.parametrize("given", [None, True, "m", {"yaw": "x"}, {"yaw": 0, "flip": True}, [0], 400])
def test_what_is_no_view_is_refused(given: object) -> None:
    with pytest.raises(ValueError, match="view"):
        read_view(given)


def test_views_and_avatars_are_taken_once_each() -> None:
    parameters = check(
        BatchParameters, {"views": [0, 360, "0"], "avatar": [{"gender": "male"}, {"gender": "male"}]}
    )
    assert parameters.view_list == [View()]
    assert parameters.avatar_list == [Avatar(gender="male")]


def test_an_avatar_takes_named_and_hexadecimal_colours_and_free_text() -> None:
    avatar = read_avatar({"top_color": "#12ab3f", "shoes_color": "navy", "extra": "freckles", "age": None})
    assert avatar == Avatar(top_color="#12ab3f", shoes_color="navy", extra="freckles")
    with pytest.raises(ValueError, match="extra: 3 is not text"):
        read_avatar({"extra": 3})


def notebook(*cells: str) -> dict[str, Any]:
    namespace: dict[str, Any] = {"In": ["", *cells], "unrelated": 3, "posegen": object()}
    for cell in cells:
        exec(cell, namespace)
    return namespace


def test_a_notebook_gives_its_parameters() -> None:
    parameters = batch_parameters(notebook(OWN_CELL, "# Parameters\nseed = 7\n"))
    assert (parameters.seed, parameters.width, parameters.prompt) == (7, 512, "x")


def test_a_misspelt_name_that_papermill_injected_is_refused() -> None:
    with pytest.raises(ParameterError, match="unknown parameter 'sead'; did you mean 'seed'"):
        batch_parameters(notebook(OWN_CELL, "# Parameters\nsead = 7\n"))


def test_defaults_in_the_cell_select_the_sample_poses() -> None:
    cell = 'poses: list = None\ncategories: list = []\nsearch: str = ""\nprompts: list = []'
    assert batch_parameters(notebook(cell)).selected_poses == DEFAULT_POSES


def test_a_misspelt_name_in_the_notebooks_own_cell_is_refused() -> None:
    with pytest.raises(ParameterError, match="'sead'"):
        batch_parameters(notebook(OWN_CELL + "\nsead: int = 4"))


def test_variables_of_other_cells_are_not_parameters() -> None:
    namespace = notebook(
        OWN_CELL, "my_own = 3", "import math\nprompt_words = [1]", "for i in range(2): pass", "x = y = 1"
    )
    assert batch_parameters(namespace).seed == 0


def test_a_mended_cell_counts_and_not_the_one_before() -> None:
    mended = notebook(OWN_CELL + "\nsead: int = 4", "# Parameters\nsead = 7\n", OWN_CELL)
    assert batch_parameters(mended).seed == 0


@pytest.mark.parametrize("name", ["stall_after_minutes", "fail_after_hours", "clean_after_days"])
@pytest.mark.parametrize("value", [float("inf"), 1e300, 1e9, float("nan"), 0.0])
def test_a_time_that_cannot_be_reckoned_with_is_refused(name: str, value: float) -> None:
    with pytest.raises(ParameterError, match=name):
        check(RecoveryParameters, {name: value})


@pytest.mark.parametrize("text", ["0m", "30", "-5m", "36501d", f"{10**400}s", "1e9d"])
def test_a_period_that_nobody_can_wait_for_is_refused(text: str) -> None:
    with pytest.raises(ParameterError, match="is not a time such as"):
        read_duration(text)


def test_a_period_of_a_hundred_years_is_the_longest() -> None:
    assert read_duration("36500d") == 36500 * 86400
