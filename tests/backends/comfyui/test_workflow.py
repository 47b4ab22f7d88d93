"""Workflows: what is taken for one, their slots, and what is changed in them."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest

from posegen.backends.comfyui import ComfyuiOptions
from posegen.backends.comfyui.changes import bypass_control, fill, override
from posegen.backends.comfyui.workflow import load_workflow, parse_workflow, shipped
from posegen.errors import ParameterError
from posegen.parameters import BatchParameters, check
from posegen.pipeline.plan import build_plan

SMALL: dict[str, Any] = {
    "1": {
        "class_type": "LoadImage",
        "inputs": {"image": "x.png"},
        "_meta": {"title": "posegen:control_image"},
    },
    "2": {
        "class_type": "ImageScale",
        "inputs": {"image": ["1", 0], "width": 512, "height": 512},
        "_meta": {"title": "Scale posegen:size"},
    },
    "3": {"class_type": "CLIPTextEncode", "inputs": {"text": ""}, "_meta": {"title": "posegen:prompt"}},
    "4": {
        "class_type": "KSampler",
        "inputs": {"seed": 0, "steps": 9, "cfg": 1.0, "positive": ["3", 0], "latent_image": ["2", 0]},
        "_meta": {"title": "KSampler posegen:seed, steps"},
    },
    "5": {"class_type": "SaveImage", "inputs": {"images": ["4", 0]}, "_meta": {"title": "posegen:output"}},
}


def changed(**nodes: dict[str, Any] | None) -> str:
    """Return the small workflow with nodes (n1, n2 ...) merged in, or taken out."""
    graph = copy.deepcopy(SMALL)
    for name, parts in nodes.items():
        if parts is None:
            del graph[name[1:]]
        else:
            for part, value in parts.items():
                node = graph.setdefault(name[1:], {"class_type": "Some", "inputs": {}})
                node[part] = {"title": value} if part == "title" else value
                if part == "title":
                    node["_meta"] = node.pop("title")
    return json.dumps(graph)


def test_slots_are_found_by_title_several_at_one_node() -> None:
    workflow = parse_workflow("small", json.dumps(SMALL))
    assert workflow.slots == {
        "control_image": "1", "size": "2", "prompt": "3", "seed": "4", "steps": "4", "output": "5",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("{", "is not JSON"),
        ("[]", "no workflow in API form"),
        ("{}", "no workflow in API form"),
        (json.dumps({"nodes": [], "links": []}), r"Export \(API\)"),
        (json.dumps({"1": {"inputs": {}}}), "node 1 has no class_type"),
        (json.dumps({"1": {"class_type": "KSampler"}}), r"node 1 \(KSampler\) has no inputs"),
        (changed(n3={"title": "prompt"}), "no node is marked as posegen:prompt by its title"),
        (changed(n2={"title": "x"}), "no node is marked as posegen:size"),
        (changed(n5=None), "no node is marked as posegen:output"),
        (changed(n3={"title": "posegen:promt"}), "node 3 'posegen:promt' .*did you mean 'prompt'"),
        (
            changed(n6={"class_type": "CLIPTextEncode", "inputs": {"text": ""}, "title": "posegen:prompt"}),
            r"posegen:prompt stands twice, at node 3 .* and at node 6 'posegen:prompt' \(CLIPTextEncode\)",
        ),
        (changed(n3={"inputs": {"text": ["2", 0]}}), "'text', which is a link to another node"),
        (changed(n3={"inputs": {"words": ""}}), "needs an input 'text' or .*and the node has 'words'"),
        (changed(n2={"inputs": {"width": 8}}), "posegen:size needs an input 'height'"),
        (changed(n4={"inputs": {"seed": 0, "latent_image": ["7", 0]}}), "leads to node 7, which"),
        (changed(n6={"inputs": {"images": ["5", 0]}}), "posegen:output must be the node that saves"),
    ],
)  # fmt: skip
def test_what_is_wrong_with_a_workflow_is_said_with_the_nodes_name(text: str, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        parse_workflow("mine.json", text)


def test_width_and_height_may_stand_apart() -> None:
    text = changed(
        n2={"title": "x"},
        n6={"class_type": "PrimitiveInt", "inputs": {"value": 1}, "title": "posegen:width"},
        n7={"class_type": "PrimitiveInt", "inputs": {"value": 1}, "title": "posegen:height"},
    )
    workflow = parse_workflow("small", text)
    graph, _ = fill(workflow.graph, workflow.slots, {"width": 640, "height": 480})
    assert (graph["6"]["inputs"]["value"], graph["7"]["inputs"]["value"]) == (640, 480)
    assert graph["2"]["inputs"]["width"] == 512


def test_the_hash_is_the_contents_and_not_the_files() -> None:
    first = parse_workflow("small", json.dumps(SMALL))
    assert parse_workflow("x", json.dumps(dict(reversed(SMALL.items())), indent=4)).sha256 == first.sha256
    assert parse_workflow("small", changed(n5={"class_type": "PreviewImage"})).sha256 != first.sha256


@pytest.mark.parametrize("name", sorted(shipped()))
def test_shipped_workflows_take_every_parameter_and_keep_what_is_not_given(name: str) -> None:
    workflow = load_workflow(name)
    values = {
        "prompt": "a dancer", "seed": 7, "width": 768, "height": 1024, "control_image": "posegen/x.png",
        "strength": 0.5, "end_percent": 0.4, "steps": 12, "guidance": 2.5, "checkpoint": "mine.safetensors",
        "controlnet_model": "c.safetensors",
    }  # fmt: skip
    graph, left = fill(workflow.graph, workflow.slots, values)
    assert left == ()
    inputs = {slot: graph[node_id]["inputs"] for slot, node_id in workflow.slots.items()}
    assert inputs["prompt"]["text"] == "a dancer"
    assert (inputs["seed"]["seed"], inputs["steps"]["steps"]) == (7, 12)
    assert (inputs["size"]["width"], inputs["size"]["height"]) == (768, 1024)
    assert inputs["control_image"]["image"] == "posegen/x.png"
    assert (inputs["controlnet"]["strength"], inputs["controlnet"]["end_percent"]) == (0.5, 0.4)
    assert 2.5 in (inputs["guidance"].get("guidance"), inputs["guidance"].get("cfg"))
    assert "mine.safetensors" in inputs["checkpoint"].values()
    assert fill(workflow.graph, workflow.slots, dict.fromkeys(values))[0] == workflow.graph


@pytest.mark.parametrize("name", sorted(shipped()))
def test_without_a_pose_a_shipped_workflow_has_no_controlnet_left(name: str) -> None:
    workflow = load_workflow(name)
    graph, slots = bypass_control(workflow.graph, workflow.slots)
    classes = {node["class_type"] for node in graph.values()}
    assert not classes & {"ControlNetApplyAdvanced", "ControlNetLoader", "LoadImage"}
    assert not {"controlnet", "control_image", "controlnet_model"} & slots.keys()
    sampler = next(node["inputs"] for node in graph.values() if node["class_type"] == "KSampler")
    applied = workflow.graph[workflow.slots["controlnet"]]["inputs"]
    assert (sampler["positive"], sampler["negative"]) == (applied["positive"], applied["negative"])


def test_a_union_model_of_flux_is_not_told_a_type() -> None:
    """SetUnionControlNetType counts as SDXL does: what it calls openpose is canny to Union-Pro v1."""
    assert "SetUnionControlNetType" not in shipped()["flux_controlnet_pose"]


def test_a_batch_of_latents_is_one() -> None:
    workflow = load_workflow("sdxl_controlnet_pose")
    graph = override(workflow.graph, {"posegen:size": {"batch_size": 4}})
    filled, _ = fill(graph, workflow.slots, {"width": 64, "height": 64})
    assert filled[workflow.slots["size"]]["inputs"]["batch_size"] == 1


def test_single_inputs_are_set_by_id_title_or_slot() -> None:
    graph = load_workflow("flux_controlnet_pose").graph
    one = override(
        graph,
        {
            "posegen:checkpoint": {"weight_dtype": "fp8_e4m3fn"},
            "11": {"scheduler": "beta"},
            "KSampler posegen:seed,steps": {"sampler_name": "deis"},
        },
    )
    assert one["1"]["inputs"]["weight_dtype"] == "fp8_e4m3fn"
    assert (one["11"]["inputs"]["scheduler"], one["11"]["inputs"]["sampler_name"]) == ("beta", "deis")
    assert graph["11"]["inputs"]["scheduler"] == "simple"


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"workflow": "flux_controlnet_poes"}, "did you mean 'flux_controlnet_pose'"),
        ({"workflow": "nowhere.json"}, "there is no file 'nowhere.json'"),
        ({"workflow": "flux_controlnet_pose", "workflow_sha256": "0" * 64}, "no longer what it was"),
        ({"workflow": "sdxl_controlnet_pose", "vae": "x"}, r"vae: .*has no place for it \(posegen:vae\)"),
        ({"text_encoders": ["a", "b", "c"]}, "text_encoders: .*has no place for it"),
        ({"inputs": {"posegen:sed": {"seed": 1}}}, "unknown node 'posegen:sed'"),
        ({"inputs": {"11": {"sampler": "x"}}}, "unknown input 'sampler'; did you mean 'sampler_name'"),
        ({"inputs": {"11": {"model": "x"}}}, "input 'model' is a link"),
        ({"workflow_file": "x"}, "backend_options.workflow_file"),
    ],
)
def test_options_are_judged_before_anything_is_planned(options: dict[str, Any], says: str) -> None:
    with pytest.raises(ParameterError, match=says):
        check(BatchParameters, {"backend": "comfyui", "backend_options": options})


def test_a_file_is_found_and_its_hash_goes_into_the_task(tmp_path: Path) -> None:
    path = tmp_path / "mine.json"
    path.write_text(json.dumps(SMALL))

    def planned() -> Any:
        given = {
            "backend": "comfyui",
            "backend_options": {"workflow": str(path)},
            "poses": ["walking_stride"],
        }
        return build_plan(check(BatchParameters, given)).tasks[0]

    first = planned()
    assert first.options["workflow_sha256"] == load_workflow(str(path)).sha256
    assert planned().task_id == first.task_id
    path.write_text(changed(n4={"inputs": {**SMALL["4"]["inputs"], "steps": 10}}))
    assert planned().task_id != first.task_id


def test_a_relative_path_is_kept_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "mine.json").write_text(json.dumps(SMALL))
    monkeypatch.chdir(tmp_path)
    options = {"workflow": "mine.json"}
    assert ComfyuiOptions(**options).for_task(options)["workflow"] == str(tmp_path / "mine.json")


@pytest.mark.parametrize(
    ("text", "possible"),
    [
        (json.dumps(SMALL), ("control",)),  # nothing to bypass
        (changed(n1={"title": "x"}), ("prompt", "none")),
        (None, ("control", "prompt", "none")),
    ],
)
def test_what_is_possible_is_decided_by_the_workflow(
    tmp_path: Path, text: str | None, possible: tuple[str, ...]
) -> None:
    path = tmp_path / "mine.json"
    path.write_text(text or "")
    given = {"backend": "comfyui", "backend_options": {"workflow": str(path)} if text else {}}
    for conditioning in ("control", "prompt", "none"):
        if conditioning in possible:
            check(BatchParameters, {**given, "conditioning": conditioning})
        else:
            with pytest.raises(ParameterError, match=rf"'{conditioning}' is not possible .*backend_options"):
                check(BatchParameters, {**given, "conditioning": conditioning})
    planned = build_plan(check(BatchParameters, {**given, "poses": ["walking_stride"]})).tasks[0]
    assert planned.conditioning == possible[0]


def test_images_from_text_alone_need_a_workflow_that_can_do_without_a_map(tmp_path: Path) -> None:
    path = tmp_path / "mine.json"
    path.write_text(json.dumps(SMALL))
    given = {"backend": "comfyui", "backend_options": {"workflow": str(path)}, "prompts": ["a tree"]}
    with pytest.raises(ParameterError, match="'none' is not possible"):
        check(BatchParameters, given)


@pytest.mark.parametrize(
    ("options", "width"),
    [
        ({}, "none"),
        ({"workflow": "sdxl_controlnet_pose"}, "xinsir"),
        ({"workflow": "sdxl_controlnet_pose", "controlnet_model": "OpenPoseXL2.safetensors"}, "none"),
        ({"stick_scale": "xinsir"}, "xinsir"),
    ],
)
def test_sticks_are_as_wide_as_the_controlnet_wants_them(options: dict[str, Any], width: str) -> None:
    given = {"backend": "comfyui", "backend_options": options, "poses": ["walking_stride"]}
    assert build_plan(check(BatchParameters, given)).tasks[0].stick_scale == width
