"""`posegen add-pose` as it is typed."""

import json

import numpy as np
import pytest

from posegen.cli import main
from posegen.picture_poses import take
from posegen.poses.library import PoseLibrary
from tests.picture_poses.people import Fake, encoded, person


@pytest.fixture
def posegen(capsys, monkeypatch, tmp_path):
    """Return a function that runs a command: exit code, stdout, stderr."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("STORAGE_LOCAL_PATH", str(tmp_path / "out"))
    people = [person("waving_hello"), person("waving_hello", shift_px=-90)]
    people[1].keypoints[:, :2] *= 0.9
    monkeypatch.setattr(take, "_open_installed", lambda: Fake(*people))
    (tmp_path / "photo.png").write_bytes(encoded(np.full((384, 384, 3), 200, np.uint8)))

    def run(*arguments):
        try:
            main(arguments)
            code = 0
        except SystemExit as exc:
            code = int(exc.code or 0)
        return (code, *capsys.readouterr())

    return run


ADD = ["add-pose", "photo.png", "--library", "mine.json", "--id", "my_wave"]


def test_a_pose_is_added_and_the_next_command_takes_it(posegen, tmp_path):
    code, out, _ = posegen(*ADD, "--category", "gestures", "--person", "1", "--preview", "look.png")
    assert code == 0
    assert "found     2 people, of whom number 1 at x " in out
    assert (tmp_path / "look.png").read_bytes().startswith(b"\x89PNG")
    assert PoseLibrary.load(tmp_path / "mine.json").get("my_wave").category == "gestures"
    command = out.splitlines()[-1]
    options = command[command.index("-p ") :].replace("'", "").split(" -p ")
    pairs = [option.removeprefix("-p ").strip().split(" ", 1) for option in options]
    arguments = [part for name, value in pairs for part in ("-p", name, value)]
    code, out, error = posegen("run", "batch_generation", *arguments, "--dry-run", "--json")
    assert code == 0, error
    assert json.loads(out)["images"] == 1


def test_a_second_one_goes_into_the_files_category(posegen, tmp_path):
    assert posegen(*ADD, "--category", "gestures")[0] == 0
    code, out, _ = posegen(
        *ADD[:-1], "second", "--name", "Two", "--description", "waving, trunk upright", "--json"
    )
    facts = json.loads(out)
    assert code == 0
    assert (facts["category"], facts["person"], facts["library"]) == ("gestures", 2, "mine.json")
    assert facts["fit_error_deg"] < 10
    added = PoseLibrary.load(tmp_path / "mine.json").get("second")
    assert (added.name, added.description) == ("Two", "waving, trunk upright")


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (["--person", "3"], "person is 3; 2 people are in it"),
        (["--person", "0"], "0 is not in the range"),
        (["--category", "wavin"], "category"),
        (["--id", "waving_hello"], "built-in library has this id"),
    ],
)
def test_bad_values_are_one_sentence_and_exit_code_2(posegen, tmp_path, more, words):
    code, _, error = posegen(*ADD, *more)
    assert code == 2
    assert words in error
    assert "Traceback" not in error
    assert not (tmp_path / "mine.json").exists()


def test_ids_are_not_replaced_unasked(posegen):
    assert posegen(*ADD)[0] == 0
    code, _, error = posegen(*ADD)
    assert (code, "has this id already" in error) == (2, True)
    assert posegen(*ADD, "--replace")[0] == 0


def test_no_picture_is_exit_code_2(posegen, tmp_path):
    (tmp_path / "photo.png").write_text("a text")
    code, _, error = posegen(*ADD)
    assert code == 2
    assert "photo.png: not a PNG, JPEG or WebP picture" in error
    (tmp_path / "photo.png").unlink()
    assert "there is no such file" in posegen(*ADD)[2]
