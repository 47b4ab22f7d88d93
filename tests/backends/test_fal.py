"""fal through its queue, against a server that speaks its protocol."""

import base64
import hashlib
from typing import Any

import httpx
import pytest

from posegen.backends import get_backend
from posegen.backends.fal_queue import addresses, may_retry, parse_status, parse_submission
from posegen.backends.fal_request import UNION_PRO, UNION_PRO_2, build_request
from posegen.errors import (
    BackendError,
    BackendUnavailableError,
    ImageFailedError,
    ImageWithheldError,
    OutcomeUnknownError,
    ParameterError,
    ResultGoneError,
    RunInterruptedError,
)
from posegen.pipeline.run import start
from posegen.settings import Settings
from tests.backends.conftest import SIZE, Bench, make, plan, quiet, task
from tests.servers.base import Fault, Reply, error
from tests.servers.fal_server import FalServer

POLICY = {
    "loc": ["body", "prompt"], "msg": "The content was flagged by a content checker.",
    "type": "content_policy_violation", "input": "x", "categories": ["sexual"],
}  # fmt: skip


def failure(fal: FalServer, settings: Settings, kind: type[BackendError], **values: Any) -> Any:
    with pytest.raises(kind) as caught:
        make("fal", task("fal", **values), Bench(settings))
    return caught.value


def test_the_control_map_of_the_plan_goes_along_with_the_models_own_scales(
    fal: FalServer, settings: Settings
) -> None:
    planned = task("fal")
    made = make("fal", planned, Bench(settings))
    body = fal.asked("submit")[0].json
    (control,) = body["controlnets"]
    kind, _, data = control["control_image_url"].partition(";base64,")
    assert kind == "data:image/png"
    assert hashlib.sha256(base64.b64decode(data)).hexdigest() == planned.control_map_sha256
    assert (control["path"], control["conditioning_scale"], control["end_percentage"]) == (
        UNION_PRO_2,
        0.9,
        0.65,
    )
    assert body["image_size"] == {"width": SIZE, "height": SIZE}
    assert (body["seed"], body["num_images"], body["enable_safety_checker"]) == (planned.seed, 1, True)
    assert not {"controlnet_unions", "negative_prompt", "num_inference_steps"} & set(body)
    assert (made.conditioning, made.provider) == ("control", "fal")
    assert made.model == f"fal-ai/flux-general + {UNION_PRO_2}"
    assert tuple(made.pixels[0, 0]) == tuple(planned.seed >> shift & 255 for shift in (0, 8, 16))


def test_parameters_and_options_reach_the_endpoint() -> None:
    wanted = task(
        "fal", num_inference_steps=20, guidance_scale=4.0, controlnet_conditioning_scale=0.5,
        control_guidance_end=0.8, negative_prompt="blurry",
        backend_options={
            "controlnet": "union", "use_real_cfg": True, "enable_safety_checker": False,
            "extra": {"scheduler": "dpmpp_2m"},
        },
    )  # fmt: skip
    body = build_request(wanted, b"png")
    (union,) = body["controlnet_unions"]
    (control,) = union["controls"]
    assert (union["path"], control["control_mode"]) == (UNION_PRO, "pose")
    assert (control["conditioning_scale"], control["end_percentage"]) == (0.5, 0.8)
    assert (body["num_inference_steps"], body["guidance_scale"], body["scheduler"]) == (20, 4.0, "dpmpp_2m")
    assert (body["use_real_cfg"], body["negative_prompt"]) == (True, "blurry")
    assert body["enable_safety_checker"] is False


@pytest.mark.parametrize("conditioning", ["prompt", "none"])
def test_without_control_no_controlnet_is_asked_for(
    fal: FalServer, settings: Settings, conditioning: str
) -> None:
    wanted = task("fal", conditioning=conditioning, controlnet_conditioning_scale=0.5)
    made = make("fal", wanted, Bench(settings))
    assert "controlnets" not in fal.asked("submit")[0].json
    assert (made.conditioning, made.model) == (conditioning, "fal-ai/flux-general")
    assert made.notes == ("without effect, since no ControlNet is used: controlnet_conditioning_scale",)


@pytest.mark.parametrize("model", ["flux", "../x", "fal-ai/flux/../../x", "fal-ai/flux?a"])
def test_a_model_that_is_no_endpoint_stops_the_run(fal: FalServer, settings: Settings, model: str) -> None:
    assert (
        failure(fal, settings, BackendUnavailableError, model=model, conditioning="prompt").code
        == "NOT_SERVED"
    )
    assert fal.seen == []


def test_another_endpoint_takes_no_controlnet(fal: FalServer, settings: Settings) -> None:
    assert "takes no ControlNet" in str(
        failure(fal, settings, BackendUnavailableError, model="fal-ai/flux/dev")
    )
    made = make("fal", task("fal", model="fal-ai/flux/dev", conditioning="prompt"), Bench(settings))
    assert made.model == "fal-ai/flux/dev"
    assert fal.asked("status")[0].path.startswith("/fal-ai/flux/requests/")


def test_options_are_checked_with_the_parameters() -> None:
    with pytest.raises(ParameterError, match="controlnet"):
        task("fal", backend_options={"controlnet": "canny"})
    with pytest.raises(ParameterError, match="prompt, seed cannot be set here"):
        task("fal", backend_options={"extra": {"prompt": "unscreened", "seed": 1, "scheduler": "x"}})
    with pytest.raises(ParameterError, match=r"did you mean 'backend_options\.output_format'"):
        task("fal", backend_options={"output_fromat": "png"})


def test_it_waits_for_its_turn_and_shows_how_far_it_is(fal: FalServer, settings: Settings) -> None:
    fal.polls_queued, fal.polls_working = 2, 2
    bench = Bench(settings)
    make("fal", task("fal"), bench)
    assert bench.shares == [0.0, 0.0, 0.5, 0.5, 0.0]
    assert fal.count("status") == 5


def test_the_intent_comes_before_the_request_and_the_id_before_the_first_question(
    fal: FalServer, settings: Settings
) -> None:
    bench = Bench(settings, seen=lambda: len(fal.seen))
    make("fal", task("fal"), bench)
    (request_id,) = fal.orders
    assert bench.events == [("buys", 0), (request_id, 1)]


def test_a_refused_submission_is_tried_again(fal: FalServer, settings: Settings) -> None:
    fal.script("submit", error(429, Retry_After="3"), error(503, b"<html>nginx</html>"), error(409))
    make("fal", task("fal"), Bench(settings))
    assert (fal.count("submit"), fal.charges.total()) == (4, 1)


@pytest.mark.parametrize(
    ("status", "headers", "again"),
    [
        (408, {}, True), (409, {}, True), (429, {}, True), (502, {}, True), (503, {}, True), (504, {}, True),
        (500, {}, False), (422, {}, False), (400, {}, False),
        (504, {"X-Fal-Request-Timeout-Type": "user"}, False), (503, {"x-fal-request-id": "r"}, False),
        (503, {"X-Fal-Error-Type": "runner_scheduling_failure"}, False),
        (429, {"X-Fal-Retryable": "false"}, False), (429, {"X-Fal-Retryable": "true"}, True),
    ],
)  # fmt: skip
def test_what_is_asked_again_is_what_the_official_client_asks_again(
    status: int, headers: dict[str, str], again: bool
) -> None:
    assert may_retry(httpx.Response(status, headers=headers)) is again


@pytest.mark.parametrize(
    ("reply", "kind", "code"),
    [
        (Reply(401, {"detail": "Authentication is required"}), BackendUnavailableError, "KEY_REFUSED"),
        (Reply(402, {"detail": "Payment required"}), BackendUnavailableError, "ACCOUNT_EMPTY"),
        (
            Reply(403, {"detail": "User is locked. Reason: Exhausted balance. Top up your balance"}),
            BackendUnavailableError, "ACCOUNT_EMPTY",
        ),
        (Reply(403, {"detail": "not yours"}), BackendUnavailableError, "KEY_REFUSED"),
        (Reply(401, {"detail": "x", "error_type": "unauthorized"}), BackendUnavailableError, "KEY_REFUSED"),
        (Reply(402, {}, {"X-Fal-Error-Type": "no_funds"}), BackendUnavailableError, "ACCOUNT_EMPTY"),
        (Reply(404, {"detail": "Application not found"}), BackendUnavailableError, "NOT_SERVED"),
        (Reply(422, {"detail": [POLICY]}), ImageFailedError, "INAPPROPRIATE_PROMPT"),
        (Reply(422, [POLICY]), ImageFailedError, "INAPPROPRIATE_PROMPT"),
        (
            Reply(422, {"detail": [{"loc": ["body", "seed"], "msg": "not an integer", "type": "int"}]}),
            ImageFailedError, "REQUEST_REFUSED",
        ),
        (
            Reply(504, {"detail": "Request timed out", "error_type": "request_timeout"},
                  {"X-Fal-Request-Timeout-Type": "user"}),
            ImageFailedError, "REQUEST_TIMEOUT",
        ),
        (
            Reply(503, {"detail": "no runner"}, {"X-Fal-Error-Type": "runner_scheduling_failure"}),
            ImageFailedError, "RUNNER_SCHEDULING_FAILURE",
        ),
    ],
)  # fmt: skip
def test_every_refusal_has_its_meaning_and_is_not_repeated(
    fal: FalServer, settings: Settings, reply: Reply, kind: type[BackendError], code: str
) -> None:
    fal.always["submit"] = Fault(reply)
    assert failure(fal, settings, kind).code == code
    assert (fal.count("submit"), fal.charges.total()) == (1, 0)


@pytest.mark.parametrize(
    ("failing", "in_status", "kind", "code"),
    [
        (Reply(422, {"detail": [POLICY]}), {}, ImageFailedError, "INAPPROPRIATE_PROMPT"),
        (
            Reply(422, {"detail": [{**POLICY, "loc": ["output", "images", 0]}]}), {},
            ImageWithheldError, "IMAGE_WITHHELD",
        ),
        (Reply(500, {"detail": [{"msg": "broke", "type": "x"}]}), {}, ImageFailedError, "HTTP_500"),
        (
            Reply(503, {"detail": "gone", "error_type": "runner_disconnected"}),
            {"error": "gone", "error_type": "runner_disconnected"}, ImageFailedError, "RUNNER_DISCONNECTED",
        ),
        (None, {"error": "it broke"}, ImageFailedError, "GENERATION_FAILED"),
        (Reply(404), {"error": "late", "error_type": "startup_timeout"}, ImageFailedError, "STARTUP_TIMEOUT"),
        (Reply(404), {}, ResultGoneError, "RESULT_GONE"),
        (Reply(200, {"images": []}), {}, ImageFailedError, "BAD_RESULT"),
        (Reply(200, b"no json"), {}, ImageFailedError, "BAD_RESULT"),
    ],
)  # fmt: skip
def test_a_request_that_ends_without_an_image_says_why(
    fal: FalServer, settings: Settings, failing: Reply | None, in_status: dict[str, str],
    kind: type[BackendError], code: str,
) -> None:  # fmt: skip
    fal.failing, fal.error_in_status = failing, in_status
    error = failure(fal, settings, kind)
    assert (type(error), error.code) == (kind, code)


def test_a_status_that_nobody_knows_is_an_error(fal: FalServer, settings: Settings) -> None:
    fal.odd_status = "PONDERING"
    error = failure(fal, settings, ImageFailedError)
    assert error.code == "UNKNOWN_STATUS"
    assert "PONDERING" in str(error)
    with pytest.raises(ImageFailedError):
        parse_status({"status": ["IN_QUEUE"]})
    with pytest.raises(ImageFailedError) as caught:
        parse_status({"status": "x" * 1_000_000})
    assert len(str(caught.value)) < 200


def test_a_queue_without_an_end_is_cancelled_at_the_deadline(fal: FalServer, settings: Settings) -> None:
    fal.never = True
    assert failure(fal, settings, ImageFailedError).code == "GENERATION_TIMED_OUT"
    assert [order.cancelled for order in fal.orders.values()] == [True]


def test_what_was_completed_in_the_last_moment_is_kept(fal: FalServer, settings: Settings) -> None:
    fal.never, fal.cannot_cancel = True, "completed"
    assert make("fal", task("fal"), Bench(settings)).pixels.shape == (SIZE, SIZE, 3)


def test_what_cannot_be_cancelled_is_unknown(fal: FalServer, settings: Settings) -> None:
    fal.never, fal.cannot_cancel = True, "not found"
    assert failure(fal, settings, OutcomeUnknownError).request_id in fal.orders


@pytest.mark.parametrize("route", ["status", "result", "file"])
def test_an_image_that_cannot_be_asked_for_now_is_not_lost(
    fal: FalServer, settings: Settings, route: str
) -> None:
    fal.always[route] = error(503)
    unknown = failure(fal, settings, OutcomeUnknownError)
    assert unknown.request_id in fal.orders
    fal.always.clear()
    assert (
        make("fal", task("fal"), Bench(settings), fetch=unknown.request_id).request_id == unknown.request_id
    )
    assert fal.charges.total() == 1


@pytest.mark.parametrize(
    "fault",
    [error(500, {"detail": "oops"}), error(503, x_fal_request_id="r"), error(502, X_Fal_Retryable="false")],
)
def test_a_passing_fault_of_the_queue_does_not_lose_what_is_bought(
    fal: FalServer, settings: Settings, fault: Fault
) -> None:
    fal.script("status", fault, fault)
    assert make("fal", task("fal"), Bench(settings)).request_id in fal.orders
    fal.always["status"] = fault
    assert failure(fal, settings, OutcomeUnknownError).request_id in fal.orders


@pytest.mark.parametrize("body", [b"not json", {}, {"request_id": "../../x"}, {"request_id": 5}, []])
def test_a_submission_without_a_usable_id_is_unknown(fal: FalServer, settings: Settings, body: Any) -> None:
    fal.script("submit", Fault(Reply(200, body), charged=True))
    assert failure(fal, settings, OutcomeUnknownError).request_id is None


def test_a_flagged_image_is_withheld_and_not_loaded(fal: FalServer, settings: Settings) -> None:
    fal.nsfw = True
    assert failure(fal, settings, ImageWithheldError).by == "fal"
    assert fal.count("file") == 0


@pytest.mark.parametrize(
    "fault",
    [
        Fault(Reply(200, b"<html>busy</html>", content_type="text/html")),
        Fault(content_type="image/gif"),
        Fault(Reply(200, b"\x89PNG\r\n\x1a\n" + bytes(40), content_type="image/png")),
    ],
)
def test_what_is_no_picture_fails_the_image(fal: FalServer, settings: Settings, fault: Fault) -> None:
    fal.always["file"] = fault
    assert failure(fal, settings, ImageFailedError).code == "BAD_RESULT"


def test_a_picture_cut_short_is_loaded_again(fal: FalServer, settings: Settings) -> None:
    fal.script("file", Fault(cut=True), error(503))
    assert make("fal", task("fal"), Bench(settings)).pixels.shape == (SIZE, SIZE, 3)
    assert fal.count("file") == 3


def test_a_picture_elsewhere_is_fetched_without_the_key_and_not_from_private_addresses(
    fal: FalServer, settings: Settings
) -> None:
    with FalServer() as other:
        fal.picture_url = f"{other.url}/files/8x8-1.png"
        assert failure(fal, settings, ImageFailedError).code == "URL_REFUSED"
        fal.picture_url = ""
        fal.script("file", error(302, Location=f"{other.url}/files/8x8-1.png"))
        assert failure(fal, settings, ImageFailedError).code == "URL_REFUSED"
        assert other.seen == []
    assert all("authorization" not in seen.headers for seen in fal.asked("file"))


def test_another_size_and_what_fal_bills_are_noted(fal: FalServer, settings: Settings) -> None:
    fal.picture_size, fal.result_headers = (64, 32), {"x-fal-billable-units": "1.05"}
    made = make("fal", task("fal"), Bench(settings))
    assert made.notes == (f"64x32 came back where {SIZE}x{SIZE} was asked for", "fal bills 1.05 units")
    assert made.cost_usd is None


def test_the_key_goes_to_the_queue_alone() -> None:
    queue = "https://queue.fal.run"
    built = addresses(queue, "fal-ai/flux-general", "r1")
    for url in (
        "https://evil.example/requests/r1", "http://queue.fal.run/x", "https://queue.fal.run.evil.example/x",
        "https://queue.fal.run@evil.example/x", "https://queue.fal.run:444/x", "https://[", 5, None,
    ):  # fmt: skip
        body = {"request_id": "r1", "status_url": url, "response_url": url, "cancel_url": url}
        assert parse_submission(body, queue, "fal-ai/flux-general") == built
    theirs = f"{queue}/fal-ai/flux-general/requests/r1/other"
    found = parse_submission({"request_id": "r1", "status_url": theirs}, queue, "fal-ai/flux-general")
    assert found is not None
    assert (found.status_url, found.cancel_url) == (theirs, built.cancel_url)


@pytest.mark.parametrize("request_id", ["", "../x", "a/b"])
def test_what_is_no_request_id_cannot_be_fetched(fal: FalServer, settings: Settings, request_id: str) -> None:
    with pytest.raises(ResultGoneError):
        make("fal", task("fal"), Bench(settings), fetch=request_id)
    assert fal.seen == []


def test_a_missing_key_is_said_before_anything(tmp_path: Any) -> None:
    assert "FAL_KEY" in get_backend("fal").missing(Settings(root=tmp_path))[0]


@pytest.mark.usefixtures("quick")
class TestRuns:
    """Whole runs at the server."""

    def test_a_run_makes_its_images(self, fal: FalServer, settings: Settings) -> None:
        summary = start(plan("fal", concurrency=3), settings).wait(quiet)
        assert (summary.state.made, summary.exit_code, fal.charges.total()) == (2, 0, 2)
        records = summary.records.values()
        assert {record.request_id for record in records} == set(fal.orders)
        assert {record.conditioning for record in records} == {"control"}

    def test_an_image_that_fails_stops_no_other(self, fal: FalServer, settings: Settings) -> None:
        fal.script("submit", error(422, {"detail": [POLICY]}))
        summary = start(plan("fal"), settings).wait(quiet)
        assert (summary.state.made, summary.exit_code) == (1, 3)
        assert [failed.code for failed in summary.state.failures.values()] == ["INAPPROPRIATE_PROMPT"]

    @pytest.mark.parametrize("status", [401, 402])
    def test_a_refused_key_or_an_empty_account_stops_the_run_and_wastes_nothing(
        self, fal: FalServer, settings: Settings, status: int
    ) -> None:
        fal.script("submit", None)
        fal.always["submit"] = error(status, {"detail": "no"})
        poses = ["standing_relaxed", "walking_stride", "arms_raised_in_triumph", "yoga_tree"]
        made = plan("fal", poses=poses)
        with pytest.raises(RunInterruptedError, match="after 1 of 4 images") as caught:
            start(made, settings).wait(quiet)
        assert caught.value.exit_code == 5
        assert (fal.count("submit"), fal.charges.total()) == (2, 1)
        fal.always.clear()
        summary = start(made, settings).wait(quiet)
        assert (summary.state.made, summary.exit_code, fal.charges.total()) == (4, 0, 4)

    def test_a_flagged_image_is_journalled_as_withheld(self, fal: FalServer, settings: Settings) -> None:
        fal.nsfw = True
        summary = start(plan("fal"), settings).wait(quiet)
        assert {failed.code for failed in summary.state.failures.values()} == {"IMAGE_WITHHELD"}
        assert not list(settings.root.rglob("images/*.png"))

    def test_a_lost_answer_waits_for_a_persons_word(self, fal: FalServer, settings: Settings) -> None:
        fal.script("submit", Fault(drop=True, charged=True))
        made = plan("fal")
        summary = start(made, settings).wait(quiet)
        assert (summary.state.status, summary.state.made, summary.exit_code) == ("waiting", 1, 5)
        assert fal.charges.total() == 2
        assert start(made, settings).wait(quiet).state.status == "waiting"
        assert start(made, settings, unknown="fail").wait(quiet).state.failed == 1
        assert fal.charges.total() == 2

    def test_no_artefact_holds_the_key(self, fal: FalServer, settings: Settings) -> None:
        fal.script("submit", error(500, {"detail": f"bad key {fal.key}"}))
        start(plan("fal"), settings).wait(quiet)
        files = [path for path in settings.root.rglob("*") if path.is_file()]
        assert files
        assert [path for path in files if fal.key.encode() in path.read_bytes()] == []
