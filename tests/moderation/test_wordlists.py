from pathlib import Path

import pytest

from posegen.errors import ParameterError
from posegen.moderation import open_prompt_screen


@pytest.fixture
def file(tmp_path):
    def write(text, name="terms.yaml"):
        path = tmp_path / name
        path.write_text(text, encoding="utf-8")
        return path

    return write


def category(path, text):
    found = open_prompt_screen(path).find(text)
    return found.category if found else None


def test_a_users_terms_are_refused_and_allowed(file):
    path = file("hate: [frobnicator, 'purple banner~']\nallow: [nude mannequin]\n")
    assert category(path, "a fr0bnicator") == "hate"
    assert category(path, "purple bannering") == "hate"
    assert category(path, "a nude mannequin") is None
    assert category(path, "a nude woman") == "sexual"
    assert open_prompt_screen().find("a frobnicator") is None


def test_the_same_as_lines(file):
    path = file("# ours\nhate: frobnicator\n\nallow: nude mannequin\n", "terms.txt")
    assert category(path, "frobnicators") == "hate"
    assert category(path, "a nude mannequin") is None


@pytest.mark.parametrize(
    ("text", "name", "problem"),
    [
        ("violense: [x]", "t.yaml", "did you mean 'violence'"),
        ("hate: x", "t.yaml", "hate must be a list"),
        ("hate: [1]", "t.yaml", "hate must be a list"),
        ("- hate", "t.yaml", "lists by category"),
        ("", "t.yaml", "lists by category"),
        ("hate: [", "t.yaml", "while parsing"),
        ("hate: ['?']", "t.yaml", "not a word"),
        ("hate: ['']", "t.yaml", "no word"),
        ("hate: ['<person>']", "t.yaml", "<person> cannot be used"),
        ("frobnicator", "t.txt", "line 1: 'frobnicator' is not `category: term`"),
        ("hat: frobnicator", "t.txt", "did you mean 'hate'"),
    ],
)
def test_a_wrong_file_is_named_with_what_is_wrong(file, text, name, problem):
    path = file(text, name)
    with pytest.raises(ParameterError) as refused:
        open_prompt_screen(path)
    assert refused.value.parameter == "POSEGEN_MODERATION_TERMS"
    assert str(path) in str(refused.value)
    assert problem in str(refused.value)


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(ParameterError, match=r"gone\.yaml"):
        open_prompt_screen(Path(tmp_path, "gone.yaml"))


def test_a_file_that_is_no_text_is_refused(tmp_path):
    path = tmp_path / "t.yaml"
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ParameterError, match=r"t\.yaml"):
        open_prompt_screen(path)
