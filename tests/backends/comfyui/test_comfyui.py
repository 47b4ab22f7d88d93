"""Runs against a server that speaks ComfyUI's protocol, and all that can go wrong with it."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from posegen.backends.comfyui import ComfyuiBackend
from posegen.backends.comfyui import server as protocol
from posegen.backends.comfyui.refusals import failure, refusal
from posegen.backends.comfyui.socket import Watch
from posegen.backends.comfyui.workflow import shipped
from posegen.errors import BackendUnavailableError, ImageFailedError, RunInterruptedError
from posegen.images import control_map_png, decode
from posegen.journal import RunState, TaskSubmitted, read_segments
from posegen.parameters import BatchParameters, check
from posegen.pipeline.plan import Plan, build_plan
from posegen.pipeline.run import resume, start
from posegen.pipeline.steps import prepare
from posegen.settings import Settings
from tests.faults.harness import until
from tests.servers.comfyui_server import ComfyuiServer, colour

POSES = ["standing_relaxed", "walking_stride"]


def quiet(_: object) -> None:
    """Show nothing."""


def plan(**values: Any) -> Plan:
    given = {"backend": "comfyui", "width": 256, "height": 256, "poses": POSES, "run_id": "r", **values}
    return build_plan(check(BatchParameters, given))


def made(settings: Settings, plan: Plan) -> RunState:
    return start(plan, settings).wait(quiet).state


def stopped(settings: Settings, plan: Plan) -> str:
    """Run a plan that stops early; return why."""
    with pytest.raises(RunInterruptedError) as caught:
        start(plan, settings).wait(quiet)
    return str(caught.value)


def the_failure(settings: Settings, **values: Any) -> tuple[str, str]:
    """Run one image that fails; return its code and message."""
    state = made(settings, plan(poses=POSES[:1], **values))
    (failed,) = state.failures.values()
    return failed.code, failed.message


def requests_of(settings: Settings) -> list[str]:
    segments = read_segments(settings.root / "runs" / "r" / "journal")
    return [event.request_id for one in segments for event in one.events if isinstance(event, TaskSubmitted)]


def test_a_run_sends_the_control_map_and_keeps_what_comes_back(
    server: ComfyuiServer, settings: Settings
) -> None:
    planned = plan(num_inference_steps=9, guidance_scale=2.0, controlnet_conditioning_scale=0.4)
    state = made(settings, planned)
    assert (state.made, state.failed) == (2, 0)
    by_seed = {body["prompt"]["11"]["inputs"]["seed"]: body for body in server.sent}
    for task in planned.tasks:
        body, record = by_seed[task.seed], state.records[task.task_id]
        graph = body["prompt"]
        assert graph["4"]["inputs"]["text"] == task.prompt
        assert (graph["10"]["inputs"]["width"], graph["11"]["inputs"]["steps"]) == (256, 9)
        assert (graph["5"]["inputs"]["guidance"], graph["9"]["inputs"]["strength"]) == (2.0, 0.4)
        assert server.uploads[graph["7"]["inputs"]["image"]] == control_map_png(prepare(task).control_map)
        assert record.request_id == body["prompt_id"] in requests_of(settings)
        assert (record.provider, record.model) == ("comfyui", "flux1-dev.safetensors")
        assert (record.conditioning, record.notes, record.cost_usd) == ("control", (), None)
        pixels = decode((settings.root / record.key).read_bytes())
        assert (pixels == np.array(colour(task.seed), np.uint8)).all()
    assert server.made == {task.seed: 1 for task in planned.tasks}


def test_the_prompt_id_is_journalled_before_the_prompt_is_sent(
    server: ComfyuiServer, settings: Settings
) -> None:
    server.script.statuses = [400]
    the_failure(settings)
    assert len(requests_of(settings)) == 1
    assert server.sent == []


def test_a_map_is_uploaded_under_its_hash_and_the_servers_name_is_used(
    server: ComfyuiServer, settings: Settings
) -> None:
    server.script.rename = True
    made(settings, plan(poses=POSES[:1], images_per_pose=2))
    (name,) = server.uploads
    assert name == f"posegen/{hashlib.sha256(server.uploads[name]).hexdigest()[:32]} (1).png"
    assert {body["prompt"]["7"]["inputs"]["image"] for body in server.sent} == {name}


@pytest.mark.parametrize("conditioning", ["prompt", "none"])
def test_without_a_map_no_controlnet_is_asked_for(
    server: ComfyuiServer, settings: Settings, conditioning: str
) -> None:
    planned = plan(poses=POSES[:1], conditioning=conditioning, control_guidance_end=0.5)
    (record,) = made(settings, planned).records.values()
    assert record.conditioning == conditioning
    assert record.notes == ("without effect in this workflow: control_guidance_end",)
    assert server.uploads == {}
    assert "ControlNetApplyAdvanced" not in {node["class_type"] for node in server.sent[0]["prompt"].values()}


def test_the_model_is_the_one_asked_for(server: ComfyuiServer, settings: Settings) -> None:
    options = {"workflow": "sdxl_controlnet_pose", "controlnet_model": "other.safetensors"}
    planned = plan(poses=POSES[:1], model="mine.safetensors", backend_options=options, negative_prompt="fog")
    (record,) = made(settings, planned).records.values()
    graph = server.sent[0]["prompt"]
    assert record.model == graph["1"]["inputs"]["ckpt_name"] == "mine.safetensors"
    assert graph["5"]["inputs"]["control_net_name"] == "other.safetensors"
    assert graph["3"]["inputs"]["text"] == "fog"


def test_progress_comes_from_the_websocket(server: ComfyuiServer, settings: Settings) -> None:
    server.script.hold = True
    run = start(plan(poses=POSES[:1]), settings)
    until(lambda: run.progress.latest == "standing_relaxed 100%", "the last step is shown")
    server.release()
    assert run.wait(quiet).state.made == 1


def test_the_websockets_last_word_on_this_prompt_says_when_to_look() -> None:
    watch = Watch("a", quiet)
    watch.take('{"type": "executing", "data": {"node": "3", "prompt_id": "a"}}')
    watch.take('{"type": "executing", "data": {"node": null, "prompt_id": "other"}}')
    watch.take('{"type": "status", "data": 3}')
    watch.take("[]")
    assert not watch._news.is_set()
    watch.take('{"type": "execution_error", "data": {"prompt_id": "a"}}')
    assert watch._news.is_set()


def test_shares_are_bounded_and_other_prompts_steps_are_not_counted() -> None:
    shares: list[float] = []
    watch = Watch("a", shares.append)
    for data in ({"value": 1, "max": 4}, {"value": 9, "max": 4}, {"value": 1, "max": 0}, {"value": "x"}):
        watch.take(json.dumps({"type": "progress", "data": data}))
    watch.take('{"type": "progress", "data": {"value": 1, "max": 2, "prompt_id": "other"}}')
    assert shares == [0.25, 1.0]


@pytest.mark.parametrize("fault", ["refuse", "die", "dumb"])
def test_without_its_websocket_the_server_is_asked(
    server: ComfyuiServer, settings: Settings, fault: str
) -> None:
    server.script.websocket = fault
    assert made(settings, plan()).made == 2
    assert sum(server.made.values()) == 2
    assert server.websockets == (0 if fault == "refuse" else 2)


def test_looking_is_repeated_where_the_server_is_busy(server: ComfyuiServer, settings: Settings) -> None:
    server.script.busy = 3
    assert made(settings, plan(poses=POSES[:1])).made == 1


REFUSED = {
    "error": {"type": "prompt_outputs_failed_validation", "message": "Prompt outputs failed validation"},
    "node_errors": {
        "1": {
            "class_type": "UNETLoader",
            "dependent_outputs": ["13"],
            "errors": [
                {
                    "type": "value_not_in_list",
                    "message": "Value not in list",
                    "details": "unet_name: 'flux1-dev.safetensors' not in []",
                }
            ],
        }
    },
}


def refused_with(kind: str) -> dict[str, Any]:
    errors = [{"type": kind, "message": "Value 9 smaller than min of 16", "details": "width"}]
    return {"error": {}, "node_errors": {"10": {"dependent_outputs": ["13"], "errors": errors}}}


def test_a_missing_model_file_stops_the_run_at_once(server: ComfyuiServer, settings: Settings) -> None:
    server.script.refuse = REFUSED
    why = stopped(settings, plan(images_per_pose=4, concurrency=1))
    assert "node 1 'Load Diffusion Model posegen:checkpoint' (UNETLoader): Value not in list" in why
    assert "'flux1-dev.safetensors' not in []" in why
    assert len(requests_of(settings)) == 1
    server.script.refuse = None
    assert resume("r", settings).wait(quiet).state.made == 8


def test_a_node_nobody_knows_stops_the_run(server: ComfyuiServer, settings: Settings) -> None:
    error = {"type": "invalid_prompt", "message": "Cannot execute because node X does not exist."}
    server.script.refuse = {"error": {**error, "details": "Node ID '#9'"}, "node_errors": {}}
    assert "node X does not exist.: Node ID '#9'" in stopped(settings, plan())


def test_a_value_of_one_image_fails_that_image(server: ComfyuiServer, settings: Settings) -> None:
    server.script.refuse = refused_with("value_smaller_than_min")
    code, message = the_failure(settings)
    assert code == "WORKFLOW_REFUSED"
    assert "node 10 'EmptySD3LatentImage posegen:size' (EmptySD3LatentImage): Value 9 smaller" in message


def test_errors_beside_a_200_that_keep_the_picture_away_fail_the_image(
    server: ComfyuiServer, settings: Settings
) -> None:
    server.script.hold = True
    server.script.node_errors = refused_with("value_smaller_than_min")["node_errors"]
    code, message = the_failure(settings)
    assert code == "WORKFLOW_REFUSED"
    assert "posegen:size" in message
    assert server.interrupted == [server.sent[0]["prompt_id"]]


def test_errors_beside_a_200_that_concern_another_output_are_noted(
    server: ComfyuiServer, settings: Settings
) -> None:
    errors = refused_with("value_smaller_than_min")["node_errors"]
    errors["10"]["dependent_outputs"] = ["99"]
    server.script.node_errors = errors
    (record,) = made(settings, plan(poses=POSES[:1])).records.values()
    assert "a part beside the picture" in record.notes[0]


def test_a_node_that_fails_is_named(server: ComfyuiServer, settings: Settings) -> None:
    server.script.fails_at = "11"
    code, message = the_failure(settings)
    assert code == "NODE_FAILED"
    assert "node 11 'KSampler posegen:seed,steps' (KSampler) failed on ComfyUI at http" in message
    assert message.endswith("CUDA out of memory")


def test_a_node_of_an_expanded_graph_is_named_by_its_class(server: ComfyuiServer, settings: Settings) -> None:
    server.script.fails_at = "11.0.3"
    assert "node 11.0.3 (Some) failed" in the_failure(settings)[1]


def test_a_prompt_interrupted_in_the_editor_fails(server: ComfyuiServer, settings: Settings) -> None:
    server.script.hold = True
    run = start(plan(poses=POSES[:1]), settings)
    until(lambda: server.running, "it runs")
    server.interrupt()
    (failed,) = run.wait(quiet).state.failures.values()
    assert failed.code == "INTERRUPTED_THERE"


@pytest.mark.parametrize("websocket", ["serve", "refuse"])
def test_what_never_ends_is_given_up_and_taken_back(
    server: ComfyuiServer, settings: Settings, websocket: str
) -> None:
    server.script.hold, server.script.websocket = True, websocket
    soon = settings.model_copy(update={"generation_timeout_s": 0.3})
    state = made(soon, plan(concurrency=2))  # one runs, one waits
    assert {failed.code for failed in state.failures.values()} == {"GENERATION_TIMED_OUT"}
    until(lambda: server.interrupted and not server.pending and not server.running, "both are taken back")
    assert set(server.interrupted) <= {body["prompt_id"] for body in server.sent}


def test_a_stopped_run_takes_back_what_is_in_flight_and_goes_on_later(
    server: ComfyuiServer, settings: Settings
) -> None:
    server.script.hold = True
    run = start(plan(concurrency=2), settings)
    until(lambda: server.running and server.pending, "one runs and one waits")
    run._engine.stop("enough", drain_s=0)  # type: ignore[union-attr]
    with pytest.raises(RunInterruptedError):
        run.wait(quiet)
    until(lambda: not server.running and not server.pending, "both are taken back")
    assert sum(server.made.values()) == 0
    server.script.hold = False
    assert resume("r", settings).wait(quiet).state.made == 2
    assert set(server.made.values()) == {1}


@pytest.mark.parametrize(
    ("fault", "says"),
    [
        ("truncated", "no usable picture"),
        ("html", "'text/html', not a picture"),
    ],
)
def test_what_is_no_picture_is_refused(
    server: ComfyuiServer, settings: Settings, fault: str, says: str
) -> None:
    server.script.picture = fault
    code, message = the_failure(settings)
    assert code == "BAD_RESULT"
    assert says in message


DEEP = b"[" * 200_000


@pytest.mark.parametrize("odd", [None, 3, "text", [1], {"9": 3}, {"9": {"images": 3}}])
def test_a_history_of_any_shape_is_read(odd: Any) -> None:
    graph = {"9": {"class_type": "SaveImage", "inputs": {}}}
    with pytest.raises(ImageFailedError, match="saved no picture"):
        protocol.saved_by({"outputs": odd}, graph, "9")
    error = failure({"status": {"status_str": "error", "messages": odd}}, graph, "ComfyUI")
    assert "failed" in str(error)


def test_answers_nested_to_do_harm_are_no_answers() -> None:
    assert refusal("ComfyUI", {}, httpx.Response(400, content=DEEP)) is None
    Watch("p", lambda _: None).take(DEEP.decode())


def test_another_size_is_noted(server: ComfyuiServer, settings: Settings) -> None:
    server.script.picture = "small"
    (record,) = made(settings, plan(poses=POSES[:1])).records.values()
    assert record.notes == ("128x256 came back where 256x256 was asked for",)


@pytest.mark.parametrize("lost", ["taken", "not taken"])
def test_a_lost_answer_leads_to_one_picture(
    server: ComfyuiServer, settings: Settings, lost: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(protocol, "TURN_UP_S", 0.1)
    server.script.lose_answer = lost
    planned = plan(poses=POSES[:1])
    assert made(settings, planned).made == 1
    assert server.made == {planned.tasks[0].seed: 1}
    assert len(requests_of(settings)) == (1 if lost == "taken" else 2)


@pytest.mark.parametrize("status", [502, 504, 500])
def test_a_gateways_word_is_no_answer(
    server: ComfyuiServer, settings: Settings, status: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(protocol, "TURN_UP_S", 0.05)
    server.script.statuses = [status]
    assert made(settings, plan(poses=POSES[:1])).made == 1
    assert len(requests_of(settings)) == 2


def test_a_full_server_is_asked_again(server: ComfyuiServer, settings: Settings) -> None:
    server.script.statuses = [503, 429]
    assert made(settings, plan(poses=POSES[:1])).made == 1
    assert len(requests_of(settings)) == 1


def test_a_server_that_chooses_the_id_itself_is_followed(server: ComfyuiServer, settings: Settings) -> None:
    server.script.own_ids = True
    (record,) = made(settings, plan(poses=POSES[:1])).records.values()
    assert record.request_id == requests_of(settings)[-1] == "own-0"


def test_an_id_that_leads_elsewhere_is_not_asked_for(server: ComfyuiServer, settings: Settings) -> None:
    server.script.own_ids, server.script.own_id = True, "../queue?{}"
    (failure,) = made(settings, plan(poses=POSES[:1])).failures.values()
    assert (failure.code, "'../queue?0'" in failure.message) == ("BAD_RESULT", True)


def test_what_a_restarted_server_forgot_is_made_again(server: ComfyuiServer, settings: Settings) -> None:
    server.script.hold = True
    run = start(plan(poses=POSES[:1]), settings)
    until(lambda: server.running, "it runs")
    server.restart()
    assert run.wait(quiet).state.made == 1
    assert len(server.sent) == 2


def test_a_server_that_is_gone_stops_the_run_which_can_be_resumed(
    server: ComfyuiServer, settings: Settings
) -> None:
    nowhere = settings.model_copy(update={"comfyui_url": "http://user:sesame@127.0.0.1:9"})
    why = stopped(nowhere, plan())
    assert "ComfyUI at http://127.0.0.1:9 cannot be reached" in why
    assert "sesame" not in why
    assert resume("r", settings).wait(quiet).state.made == 2


def test_another_program_at_the_address_is_told_apart(server: ComfyuiServer, settings: Settings) -> None:
    elsewhere = settings.model_copy(update={"comfyui_url": f"{server.url}/elsewhere"})
    assert "answered 404" in stopped(elsewhere, plan())


def test_a_workflow_that_changed_since_the_plan_stops_the_run(
    server: ComfyuiServer, settings: Settings, tmp_path: Path
) -> None:
    path = tmp_path / "mine.json"
    path.write_text(shipped()["sdxl_controlnet_pose"])
    planned = plan(backend_options={"workflow": str(path)})
    path.write_text(shipped()["sdxl_controlnet_pose"].replace("karras", "normal"))
    assert "no longer what it was when this was planned" in stopped(settings, planned)
    assert server.sent == []
    path.write_text(shipped()["sdxl_controlnet_pose"])
    assert resume("r", settings).wait(quiet).state.made == 2


def test_without_an_address_nothing_is_begun(tmp_path: Path) -> None:
    settings = Settings(root=tmp_path)
    assert "COMFYUI_URL is not set" in ComfyuiBackend().missing(settings)[0]
    with pytest.raises(BackendUnavailableError, match="COMFYUI_URL"):
        start(plan(), settings)


def test_a_model_that_no_slot_takes_stops_the_run(
    server: ComfyuiServer, settings: Settings, tmp_path: Path
) -> None:
    path = tmp_path / "mine.json"
    path.write_text(shipped()["sdxl_controlnet_pose"].replace("posegen:checkpoint", ""))
    why = stopped(settings, plan(model="x.safetensors", backend_options={"workflow": str(path)}))
    assert "no node marked posegen:checkpoint to load model 'x.safetensors'" in why


def test_pictures_made_at_the_same_time_do_not_mix(server: ComfyuiServer, settings: Settings) -> None:
    planned = plan(images_per_pose=8, concurrency=8)
    state = made(settings, planned)
    for task in planned.tasks:
        pixels = decode((settings.root / state.records[task.task_id].key).read_bytes())
        assert (pixels == np.array(colour(task.seed), np.uint8)).all()
    assert set(server.made.values()) == {1}
