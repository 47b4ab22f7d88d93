import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from posegen.controlnet.prompt import DEFAULT_NEGATIVE_PROMPT
from posegen.errors import ParameterError, UnknownNameError
from posegen.parameters import BatchParameters, check
from posegen.pipeline.plan import NOT_THE_PICTURE, Plan, build_plan, content_hash, task_id
from posegen.poses.library import PoseLibrary
from posegen.records import ImageTask

TWO = ["standing_relaxed", "walking_stride"]


def plan(**values: Any) -> Plan:
    return build_plan(check(BatchParameters, {"width": 256, "height": 256, "poses": TWO, **values}))


def test_poses_views_avatars_prompts_and_repeats_multiply() -> None:
    made = plan(
        views=[0, "90m"], avatar=[{"gender": "male"}, {}], prompts=["in a park", "at sea"], images_per_pose=3
    )
    assert len(made.tasks) == 2 * 2 * 2 * 2 * 3
    assert [task.index for task in made.tasks] == list(range(48))
    assert len({task.task_id for task in made.tasks}) == 48
    assert made.cost_credits == 48 * 30


def test_a_pose_chosen_twice_is_made_once() -> None:
    assert len(plan(poses=[*TWO, *TWO], categories=["walking"], search="walking stride").tasks) >= 2
    ids = [task.pose_id for task in plan(poses=[*TWO, *TWO], categories=["walking"]).tasks]
    assert len(ids) == len(set(ids))
    assert ids[:2] == TWO


def test_all_is_the_whole_library() -> None:
    assert len(plan(poses="all").tasks) == len(PoseLibrary.builtin())


@pytest.mark.parametrize(
    ("values", "kind"), [({"poses": ["walking_strid"]}, "pose"), ({"categories": ["yogga"]}, "category")]
)
def test_an_unknown_pose_or_category_names_the_nearest(values: dict[str, Any], kind: str) -> None:
    with pytest.raises(UnknownNameError, match=f"unknown {kind}.*did you mean"):
        plan(**values)


def test_a_search_without_a_match_is_refused() -> None:
    with pytest.raises(ParameterError, match="no pose matches 'xylophone'"):
        plan(poses=None, search="xylophone")


def test_text_alone_has_no_pose_and_conditioning_none() -> None:
    made = build_plan(check(BatchParameters, {"prompts": ["a lighthouse"], "images_per_pose": 2}))
    assert [(task.pose_id, task.conditioning, task.control_map_sha256) for task in made.tasks] == [
        (None, "none", None)
    ] * 2
    assert made.tasks[0].prompt.startswith("a lighthouse")
    assert any("accuracy does not apply" in note for note in made.notes)


@pytest.mark.parametrize(
    ("conditioning", "described", "mapped"), [("control", 1, 1), ("prompt", 1, 0), ("none", 0, 0)]
)
def test_conditioning_decides_words_and_map(conditioning: str, described: int, mapped: int) -> None:
    task = plan(prompt="in a park", conditioning=conditioning).tasks[1]
    description = PoseLibrary.builtin().get(TWO[1]).description
    assert task.prompt.startswith("in a park")
    assert (description[:30].lower() in task.prompt.lower()) == bool(described)
    assert (task.control_map_sha256 is not None) == bool(mapped)


def test_a_task_id_hangs_on_what_decides_the_picture_and_on_nothing_else() -> None:
    task = plan().tasks[0]
    assert task_id(task) == task.task_id
    changed: dict[str, Any] = {
        "width": 512,
        "seed": 5,
        "prompt": "x",
        "candidate": 1,
        "renderer_version": "0",
    }
    for name, value in changed.items():
        assert task_id(msgspec.structs.replace(task, **{name: value})) != task.task_id
    for name in NOT_THE_PICTURE:
        assert task_id(msgspec.structs.replace(task, **{name: "other"})) == task.task_id


def test_a_pose_is_its_content_and_not_its_name(tmp_path: Path) -> None:
    pose = PoseLibrary.builtin().get("walking_stride")
    twin = {
        "id": "twin", "name": "Twin", "description": "trunk, arms and legs as in another pose",
        "tags": ["twin"], "difficulty": "easy", "angles": dict(pose.angles), "hands": list(pose.hands),
    }  # fmt: skip
    path = tmp_path / "mine.json"
    path.write_text(json.dumps({"category": "walking", "poses": [twin]}))
    library = PoseLibrary.builtin().with_file(path)
    assert library.get("twin").content_hash() == pose.content_hash()
    made = plan(poses=["walking_stride", "twin"], pose_library=str(path), conditioning="none")
    assert len(made.tasks) == 1


def test_seeds_hang_on_pose_view_and_run_but_not_on_backend_or_conditioning() -> None:
    seeds = [task.seed for task in plan(views=[0, 90], images_per_pose=2).tasks]
    assert len(set(seeds)) == 8
    assert all(0 <= seed < 2**32 for seed in seeds)
    assert seeds == [task.seed for task in plan(views=[0, 90], images_per_pose=2, conditioning="none").tasks]
    assert not set(seeds) & {task.seed for task in plan(views=[0, 90], images_per_pose=2, seed=1).tasks}


def test_the_same_parameters_give_the_same_plan() -> None:
    assert plan(seed=4).spec_hash == plan(seed=4, run_id="x", concurrency=9).spec_hash
    assert plan(seed=4).spec_hash != plan(seed=5).spec_hash


def test_the_negative_prompt_has_a_default_and_a_note_where_it_has_no_effect() -> None:
    assert plan().tasks[0].negative_prompt == DEFAULT_NEGATIVE_PROMPT
    assert plan(negative_prompt="").tasks[0].negative_prompt == ""
    assert any("no effect" in note for note in plan(negative_prompt="hats").notes)
    assert not plan().notes


def test_facts_say_what_it_comes_to_and_html_escapes_names() -> None:
    made = plan(run_id="abc")
    facts = made.facts()
    assert (facts["images"], facts["poses"], facts["credits"]) == (2, 2, 60)
    assert facts["goes_to"].endswith("runs/abc")
    assert "<table>" in made._repr_html_()
    assert "2 images" in repr(made)


def test_more_workers_take_less_time_up_to_the_number_of_images() -> None:
    made = plan(concurrency=8)
    assert made.estimated_s(1) == 2 * made.estimated_s(2) == 2 * made.estimated_s(16)
    assert Plan(made.parameters, ()).estimated_s(2) == 0


def test_a_content_hash_does_not_depend_on_the_order_of_keys() -> None:
    assert content_hash({"a": 1, "b": [1.5, None]}) == content_hash({"b": [1.5, None], "a": 1})
    assert content_hash(1) != content_hash("1")


def test_tasks_survive_json() -> None:
    for task in plan(views=["45m"], avatar={"top_color": "navy"}).tasks:
        again = msgspec.json.decode(msgspec.json.encode(task), type=ImageTask)
        assert again == task
        assert task_id(again) == task.task_id


def test_words_that_are_too_long_are_kept_and_what_was_left_out_is_named() -> None:
    words = "a quiet street in the evening " * 70
    made = plan(prompt=words, avatar={"gender": "female"})
    assert all(task.prompt.startswith(words) for task in made.tasks)
    assert any("left out: " in note and "gender" in note for note in made.notes)
    assert not plan(prompt="a street").notes
    assert any("their end may go unread" in note for note in plan(prompt=words * 3).notes)


def test_more_images_than_a_run_holds_are_refused_at_once() -> None:
    with pytest.raises(ParameterError, match=r"64,000 images, and a run holds at most 20,000"):
        plan(poses="all", images_per_pose=1000)
