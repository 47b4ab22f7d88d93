"""Library files are checked with clear words, found by id, category and search."""

from __future__ import annotations

import json
import pickle

import pytest

from posegen.errors import PoseDataError, UnknownNameError
from posegen.poses.library import CATEGORIES, Pose, PoseLibrary, category_of_file, library_text
from posegen.poses.pose import read_pose

ENTRY = {
    "id": "my_pose",
    "name": "My pose",
    "description": "trunk upright, arms down, legs straight",
    "tags": ["mine"],
    "difficulty": "easy",
    "angles": {"left_elbow.flexion": 30},
}


def entry(**changes):
    return {**ENTRY, **changes}


def write(path, *entries, category="standing", **more):
    path.write_text(json.dumps({"category": category, "poses": list(entries), **more}), encoding="utf-8")
    return path


def pose(pose_id, name="", description="", tags=(), category="standing"):
    return Pose(pose_id, name or pose_id, category, description, tuple(tags))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"angles": {"left_elbow.flexion": 170}}, ["left_elbow.flexion", "170", "152"]),
        ({"angles": {"left_elbow.flexon": 10}}, ["left_elbow.flexon", "did you mean", "left_elbow.flexion"]),
        ({"angles": {"left_elbow.flexion": "much"}}, ["left_elbow.flexion", "'much'", "number"]),
        ({"angles": {"left_elbow.flexion": True}}, ["left_elbow.flexion", "True"]),
        ({"angles": {"left_elbow.flexion": float("nan")}}, ["left_elbow.flexion", "nan"]),
        ({"angles": {"both_elbow.flexion": 5, "left_elbow.flexion": 10}}, ["left_elbow.flexion", "twice"]),
        ({"angles": [1]}, ["angles", "must map"]),
        ({"hands": ["fits", "fist"]}, ["hands", "'fits'", "did you mean 'fist'"]),
        ({"hands": "fist"}, ["hands", "left and right"]),
        ({"support": "flor"}, ["support", "'flor'", "floor, air, seat"]),
        ({"support": "air", "lift_m": -0.1}, ["lift_m", "-0.1", "from 0 to 1.5"]),
        ({"lift_m": 0.1}, ["lift_m", "no meaning", "'air'"]),
        ({"support": "seat", "seat_height_m": 9}, ["seat_height_m", "9", "0.2 to 1.2"]),
        ({"dificulty": "easy"}, ["'dificulty'", "did you mean 'difficulty'"]),
        ({"zzz": 1}, ["'zzz'", "Allowed", "angles"]),
        ({"difficulty": "tough"}, ["difficulty", "'tough'", "easy, medium, hard"]),
        ({"id": "My Pose"}, ["id", "lower case"]),
        ({"tags": []}, ["tags", "at least one"]),
        ({"tags": [3]}, ["tags", "3"]),
        ({"name": " "}, ["name", "not empty"]),
        ({"description": None}, ["description", "None"]),
        ({"provenance": "a photo"}, ["provenance", "'a photo'", "must map"]),
        ({"provenance": {"box": [1, 2]}}, ["provenance.box", "[1, 2]", "text, number or boolean"]),
    ],
)
def test_bad_entries_are_named_with_file_pose_field_value_and_what_is_allowed(tmp_path, changes, words):
    path = write(tmp_path / "mine.json", entry(**changes))
    with pytest.raises(PoseDataError) as caught:
        PoseLibrary.load(path)
    for word in [str(path), str({**ENTRY, **changes}["id"]), *words]:
        assert word in str(caught.value)
    assert caught.value.file == str(path)


def test_every_builtin_pose_is_its_own_entry():
    for each in PoseLibrary.builtin():
        assert read_pose(json.loads(json.dumps(each.entry())), each.category) == each


def test_provenance_is_kept_and_decides_nothing():
    plain, from_photo = (
        read_pose(entry(**more), "standing") for more in ({}, {"provenance": {"picture": "a.jpg"}})
    )
    assert from_photo.provenance == {"picture": "a.jpg"}
    assert from_photo.entry()["provenance"] == {"picture": "a.jpg"}
    assert "provenance" not in plain.entry()
    assert from_photo.content_hash() == plain.content_hash()
    assert pickle.loads(pickle.dumps(from_photo)) == from_photo


def test_a_pose_is_added_to_a_files_text_and_the_others_are_left_as_written():
    first, second = (
        read_pose(entry(), "standing"),
        read_pose(entry(id="second", name="Zweite Pose ä"), "standing"),
    )
    text = library_text(library_text(None, first), second)
    assert [each["id"] for each in json.loads(text)["poses"]] == ["my_pose", "second"]
    assert "Zweite Pose ä" in text
    again = library_text(text, read_pose(entry(name="Other"), "standing"), replace=True)
    assert [each["name"] for each in json.loads(again)["poses"]] == ["Other", "Zweite Pose ä"]
    for wrong, words in (
        (first, "this id already"),
        (read_pose(entry(), "yoga"), "a file has one category"),
        (read_pose(entry(id="yoga_tree"), "standing"), "built-in library"),
        (pose("x"), "tags"),
    ):
        with pytest.raises(PoseDataError, match=words):
            library_text(text, wrong, file="mine.json")


def test_the_category_of_a_file(tmp_path):
    assert category_of_file(tmp_path / "none.json") is None
    assert category_of_file(write(tmp_path / "mine.json", category="yoga")) == "yoga"


def test_a_missing_key_is_named():
    without = {key: value for key, value in ENTRY.items() if key != "tags"}
    with pytest.raises(PoseDataError, match=r"my_pose.*tags.*missing"):
        read_pose(without, "standing")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{", "not JSON"),
        ("[]", "mapping"),
        ('{"category": "standing"}', 'list "poses"'),
        ('{"category": "standng", "poses": []}', "did you mean 'standing'"),
        ('{"poses": []}', "unknown category None"),
        ('{"category": "standing", "poses": [], "title": "x"}', "unknown key 'title'"),
        ('{"category": "standing", "poses": [3]}', "must be a mapping, found 3"),
        ('{"category": "standing", "category": "yoga", "poses": []}', "'category' stands twice"),
        ("[" * 100_000, "not JSON"),
    ],
)
def test_malformed_files_are_refused(tmp_path, text, words):
    path = tmp_path / "bad.json"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(PoseDataError, match=words):
        PoseLibrary.load(path)


def test_unreadable_files_are_refused(tmp_path):
    with pytest.raises(PoseDataError, match="cannot be read"):
        PoseLibrary.load(tmp_path / "absent.json")
    (tmp_path / "latin.json").write_bytes(b'{"category": "\xff"}')
    with pytest.raises(PoseDataError, match="cannot be read"):
        PoseLibrary.load(tmp_path / "latin.json")
    (tmp_path / "empty").mkdir()
    with pytest.raises(PoseDataError, match=r"no .*json"):
        PoseLibrary.load(tmp_path / "empty")


def test_a_users_file_or_folder_stands_beside_the_builtin_library(tmp_path):
    write(tmp_path / "a.json", entry())
    write(tmp_path / "b.json", entry(id="other"), category="yoga")
    builtin = len(PoseLibrary.builtin())
    assert len(PoseLibrary.load(tmp_path / "a.json")) == builtin + 1
    both = PoseLibrary.load(tmp_path)
    assert len(both) == builtin + 2
    assert both.get("other").category == "yoga"
    assert len(PoseLibrary.builtin()) == builtin


def test_an_id_that_is_taken_is_refused(tmp_path):
    taken = next(iter(PoseLibrary.builtin())).id
    with pytest.raises(PoseDataError, match=f"{taken}.*library already has this id"):
        PoseLibrary.load(write(tmp_path / "a.json", entry(id=taken)))
    with pytest.raises(PoseDataError, match="another of these poses"):
        PoseLibrary.load(write(tmp_path / "a.json", entry(), entry()))
    with pytest.raises(PoseDataError, match="used twice"):
        PoseLibrary([pose("a"), pose("a")])


def test_both_sides_at_once():
    read = read_pose(entry(angles={"both_elbow.flexion": 20, "spine.twist": 5}), "standing")
    assert read.angles == {"left_elbow.flexion": 20, "right_elbow.flexion": 20, "spine.twist": 5}


def test_look_up_by_id_and_category():
    library = PoseLibrary([pose("warrior", category="yoga"), pose("idle")])
    assert library.get("idle").id == "idle"
    assert [p.id for p in library] == ["idle", "warrior"], "in the order of CATEGORIES"
    assert library.categories() == ["standing", "yoga"]
    assert [p.id for p in library.category("yoga")] == ["warrior"]
    assert library.category("dance") == []
    assert "idle" in library
    with pytest.raises(UnknownNameError, match="did you mean 'warrior'"):
        library.get("warior")
    with pytest.raises(UnknownNameError, match="did you mean 'yoga'"):
        library.category("yogas")


SEARCHED = PoseLibrary(
    [
        pose("sitting_tall", "Sitting tall", "trunk upright, hands on knees", ["chair"], "sitting_chair"),
        pose("chair_turn", "Turned on the chair", "sitting, trunk turned", ["office"], "sitting_chair"),
        pose(
            "desk", "At a desk", "leaning over the chair back, jumping eyes", ["office", "work"], "desk_work"
        ),
        pose("box_jump", "Box jump", "jumping high with both knees up", ["athletic"], "jumping"),
        pose("jump", "Leap for joy", "in the air", ["happy"], "jumping"),
    ]
)


@pytest.mark.parametrize(
    ("text", "ids"),
    [
        ("chair", ["chair_turn", "sitting_tall", "desk"]),
        ("jump", ["jump", "box_jump", "desk"]),
        ("jumps", ["jump", "box_jump"]),
        ("box jump", ["box_jump"]),
        ("Turned On The Chair", ["chair_turn"]),
        ("siting", ["sitting_tall", "chair_turn"]),
        ("offices", ["chair_turn", "desk"]),
        ("knee", ["box_jump", "sitting_tall"]),
        ("chair happy", []),
        ("xylophone", []),
    ],
)
def test_search_ranks_the_best_match_first(text, ids):
    assert [p.id for p in SEARCHED.search(text)][: len(ids) or None] == ids


def test_a_search_without_words_finds_everything():
    assert SEARCHED.search(" ?") == list(SEARCHED)
    assert len(SEARCHED.search("the")) <= len(SEARCHED)


def test_content_decides_the_picture_and_nothing_else():
    one = read_pose(entry(), "standing")
    renamed = read_pose(
        entry(id="other", name="Other", tags=["x"], angles={"left_elbow.flexion": 30.0}), "yoga"
    )
    padded = read_pose(entry(angles={"left_elbow.flexion": 30, "spine.twist": 0}), "standing")
    changed = read_pose(entry(angles={"left_elbow.flexion": 31}), "standing")
    assert one.content_hash() == renamed.content_hash() == padded.content_hash()
    assert one.content_hash() != changed.content_hash()
    assert one != renamed
    assert len({one, renamed, one}) == 2


@pytest.mark.parametrize(
    "changes",
    [{}, {"support": "air", "lift_m": 0.3}, {"support": "seat", "seat_height_m": 0.7}, {"support": "seat"}],
)
def test_a_pose_comes_back_from_its_content(changes):
    one = read_pose(entry(hands=["fist", "flat"], **changes), "standing")
    again = Pose.from_content(json.loads(json.dumps(one.content())))
    assert again.content() == one.content()
    assert again.content_hash() == one.content_hash()
    assert pickle.loads(pickle.dumps(one)) == one


def test_content_with_unknown_keys_is_refused():
    with pytest.raises(PoseDataError, match="'anglez'"):
        Pose.from_content({"anglez": {}})


def test_every_builtin_pose_is_in_a_known_category():
    library = PoseLibrary.builtin()
    assert set(library.categories()) <= set(CATEGORIES)
    assert library is PoseLibrary.builtin()
