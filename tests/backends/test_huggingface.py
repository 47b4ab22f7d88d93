"""Hugging Face's providers, against a Hub and a router that speak their protocol."""

from typing import Any

import msgspec
import pytest

from posegen.backends import get_backend
from posegen.backends.hf_mapping import Serving, choose, parse_mapping
from posegen.backends.hf_providers import PROVIDERS
from posegen.backends.huggingface import is_flux
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
from tests.servers.hf_server import MAPPING, HubServer

NAME = "huggingface"
FLUX = "black-forest-labs/FLUX.1-dev"
FAL = Serving("fal-ai", "x", "live")
SENT = {"width": 256, "height": 256, "seed": 5, "num_inference_steps": 20}


def by(provider: str, **values: Any) -> Any:
    options = {"provider": provider, **values.pop("backend_options", {})}
    return task(NAME, backend_options=options, **values)


def failure(settings: Settings, kind: type[BackendError], wanted: Any = None) -> Any:
    with pytest.raises(kind) as caught:
        make(NAME, wanted or task(NAME), Bench(settings))
    return caught.value


def test_the_first_live_provider_that_posegen_speaks_with_makes_the_image(
    hub: HubServer, settings: Settings
) -> None:
    wanted = task(NAME)
    made = make(NAME, wanted, Bench(settings))
    (sent,) = hub.asked("generate")
    assert sent.path == "/fal-ai/fal-ai/flux/dev"
    assert (made.provider, made.model, made.conditioning) == (
        "fal-ai",
        "black-forest-labs/FLUX.1-dev",
        "prompt",
    )
    assert made.pixels.shape == (SIZE, SIZE, 3)
    assert hub.asked("hub")[0].query == {"expand[]": ["inferenceProviderMapping"]}
    assert all("authorization" not in seen.headers for seen in hub.asked("file"))


@pytest.mark.parametrize(
    ("provider", "path", "body"),
    [
        (
            "hf-inference", "/hf-inference/models/black-forest-labs/FLUX.1-dev",
            {"inputs": "P", "parameters": SENT},
        ),
        (
            "fal-ai", "/fal-ai/fal-ai/flux/dev",
            {
                "prompt": "P", "seed": 5, "num_inference_steps": 20,
                "image_size": {"width": 256, "height": 256},
            },
        ),
        (
            "replicate", "/replicate/v1/models/black-forest-labs/flux-dev/predictions",
            {"input": {"prompt": "P", **SENT}},
        ),
        (
            "wavespeed", "/wavespeed/api/v3/wavespeed-ai/flux-dev",
            {"prompt": "P", **SENT, "size": "256*256"},
        ),
    ],
)  # fmt: skip
def test_each_provider_is_asked_in_its_own_form(
    hub: HubServer, settings: Settings, provider: str, path: str, body: dict[str, Any]
) -> None:
    wanted = msgspec.structs.replace(by(provider, num_inference_steps=20), prompt="P", seed=5)
    made = make(NAME, wanted, Bench(settings))
    (sent,) = hub.asked("generate")
    assert (sent.path, sent.json) == (path, body)
    assert sent.headers["authorization"] == f"Bearer {hub.key}"
    assert (made.provider, tuple(made.pixels[0, 0])) == (provider, (5, 0, 0))
    if provider == "replicate":
        assert sent.headers["prefer"] == "wait"
    status = MAPPING[provider]["status"]
    doubt = f"{provider} serves this model with status {status!r}, not live"
    assert (doubt in made.notes) is (status != "live")


def test_who_serves_a_model_is_asked_once(hub: HubServer, settings: Settings) -> None:
    for _ in range(2):
        make(NAME, task(NAME), Bench(settings))
    assert (hub.count("hub"), hub.count("generate")) == (1, 2)


def test_a_provider_and_its_id_make_the_look_up_needless(hub: HubServer, settings: Settings) -> None:
    wanted = by(
        "replicate",
        backend_options={"provider_id": "owner/name:0a1b", "bill_to": "my-org", "extra": {"guidance": 2}},
    )
    make(NAME, wanted, Bench(settings))
    (sent,) = hub.asked("generate")
    assert (sent.path, sent.json["version"]) == ("/replicate/v1/predictions", "0a1b")
    assert sent.json["input"]["guidance"] == 2
    assert sent.headers["x-hf-bill-to"] == "my-org"
    assert hub.count("hub") == 0


def test_the_mapping_is_read_as_an_object_and_as_a_list() -> None:
    as_list = [{"provider": name, **entry} for name, entry in MAPPING.items()]
    assert list(parse_mapping({"inferenceProviderMapping": as_list})) == list(
        parse_mapping({"inferenceProviderMapping": MAPPING})
    )
    assert list(parse_mapping({})) == []
    odd = {"a": {"providerId": "../x", "status": "live", "task": "text-to-image"}, "b": "c"}
    assert list(parse_mapping({"inferenceProviderMapping": odd})) == []
    for other in (3, 1.5, True, "text", [None]):
        assert list(parse_mapping({"inferenceProviderMapping": other})) == []


@pytest.mark.parametrize(
    ("servings", "wanted", "said"),
    [
        ([], None, "no provider serves m"),
        (
            [Serving("together", "x", "live")],
            None,
            r"served by together \(live\); posegen speaks with hf-inf",
        ),
        ([FAL], "replicate", r"replicate does not serve m .*: fal-ai \(live\)"),
        ([Serving("fal-ai", "x", "live", "text-to-video")], None, "no provider serves m for text-to-image"),
    ],
)
def test_who_cannot_be_chosen_is_told_with_who_serves_it(
    servings: list[Serving], wanted: str | None, said: str
) -> None:
    with pytest.raises(BackendUnavailableError, match=said) as caught:
        choose("m", servings, wanted)
    assert caught.value.code == "NOT_SERVED"


def test_live_comes_before_staging_and_error() -> None:
    three = [
        Serving("replicate", "x", "error"),
        Serving("wavespeed", "x", "staging"),
        Serving("fal-ai", "x", "live"),
    ]
    assert choose("m", three, None).provider == "fal-ai"
    assert choose("m", three[:2], None).provider == "wavespeed"


@pytest.mark.parametrize("model", ["no/such", "../../admin", "a b"])
def test_a_model_that_is_not_there_stops_the_run(hub: HubServer, settings: Settings, model: str) -> None:
    assert failure(settings, BackendUnavailableError, task(NAME, model=model)).code == "NOT_SERVED"
    assert hub.charges.total() == 0


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"provider": "falai"}, "did you mean 'fal-ai'"),
        ({"provider_id": "../x"}, "no model's id"),
        ({"bill_to": "a\r\nb"}, "control character|bill_to"),
        ({"extra": {"inputs": "unscreened"}}, "inputs cannot be set here"),
        ({"providr": "x"}, "backend_options.provider"),
    ],
)
def test_options_are_checked_with_the_parameters(options: dict[str, Any], said: str) -> None:
    with pytest.raises(ParameterError, match=said):
        task(NAME, backend_options=options)


@pytest.mark.parametrize(
    ("reply", "kind", "code"),
    [
        (Reply(400, {"error": "x is not supported by fal-ai"}), BackendUnavailableError, "NOT_SERVED"),
        (Reply(400, {"error": "width must be a multiple of 8"}), ImageFailedError, "REQUEST_REFUSED"),
        (Reply(401, {"error": "Invalid credentials"}), BackendUnavailableError, "KEY_REFUSED"),
        (Reply(402, {"error": "monthly credits exceeded"}), BackendUnavailableError, "ACCOUNT_EMPTY"),
        (Reply(403, {"error": "insufficient permissions"}), BackendUnavailableError, "KEY_REFUSED"),
        (Reply(410, {"error": "no longer served"}), BackendUnavailableError, "NOT_SERVED"),
        (Reply(422, {"error": "seed too large"}), ImageFailedError, "REQUEST_REFUSED"),
        (
            Reply(422, {"detail": [{"loc": ["body"], "msg": "no", "type": "content_policy_violation"}]}),
            ImageFailedError, "INAPPROPRIATE_PROMPT",
        ),
    ],
)  # fmt: skip
def test_every_refusal_has_its_meaning_and_is_not_repeated(
    hub: HubServer, settings: Settings, reply: Reply, kind: type[BackendError], code: str
) -> None:
    hub.always["generate"] = Fault(reply)
    assert failure(settings, kind).code == code
    assert (hub.count("generate"), hub.charges.total()) == (1, 0)


def test_a_provider_that_no_longer_serves_is_looked_up_anew(hub: HubServer, settings: Settings) -> None:
    hub.script("generate", error(410, {"error": "gone"}))
    assert "another model helps" in str(failure(settings, BackendUnavailableError))
    hub.models["black-forest-labs/FLUX.1-dev"] = {"replicate": MAPPING["replicate"]}
    assert make(NAME, task(NAME), Bench(settings)).provider == "replicate"


def test_a_loading_model_is_waited_for(hub: HubServer, settings: Settings) -> None:
    loading = error(503, {"error": "Model is currently loading", "estimated_time": 20.0})
    hub.script("generate", loading, error(429, RateLimit='"api";r=0;t=55'))
    bench = Bench(settings)
    make(NAME, task(NAME), bench)
    assert bench.clock.now - 1000 >= 75
    assert [name for name, _ in bench.events] == ["buys", "withdrawn", "buys", "withdrawn", "buys"]


def test_the_intent_comes_before_the_request_and_the_id_before_the_first_question(
    hub: HubServer, settings: Settings
) -> None:
    hub.polls = 2
    bench = Bench(settings, seen=lambda: hub.count("generate") + hub.count("prediction"))
    made = make(NAME, by("replicate"), bench)
    (known,) = hub.predictions
    assert bench.events == [("buys", 0), (f"replicate:{known}", 1)]
    assert made.request_id == f"replicate:{known}"
    assert hub.asked("prediction")[0].path == f"/replicate/v1/predictions/{known}"


@pytest.mark.parametrize("provider", ["replicate", "wavespeed"])
def test_what_a_provider_keeps_is_fetched_by_its_id(
    hub: HubServer, settings: Settings, provider: str
) -> None:
    made = make(NAME, by(provider), Bench(settings))
    fetched = make(NAME, by(provider), Bench(settings), fetch=made.request_id)
    assert (fetched.pixels == made.pixels).all()
    assert hub.charges.total() == 1
    hub.gone = True
    with pytest.raises(ResultGoneError):
        make(NAME, by(provider), Bench(settings), fetch=made.request_id)


@pytest.mark.parametrize("request_id", ["", "fal-ai:x", "replicate:", "hf-inference:1", "what"])
def test_what_has_no_id_cannot_be_fetched(hub: HubServer, settings: Settings, request_id: str) -> None:
    with pytest.raises(ResultGoneError):
        make(NAME, task(NAME), Bench(settings), fetch=request_id)
    assert hub.seen == []


def test_an_output_may_be_a_text_or_a_list(hub: HubServer, settings: Settings) -> None:
    hub.as_list = False
    assert make(NAME, by("replicate"), Bench(settings)).pixels.shape == (SIZE, SIZE, 3)


@pytest.mark.parametrize("provider", ["replicate", "wavespeed"])
def test_a_prediction_without_an_end_is_unknown_and_can_be_asked_for(
    hub: HubServer, settings: Settings, provider: str
) -> None:
    hub.polls = 10**9
    error = failure(settings, OutcomeUnknownError, by(provider))
    assert error.request_id.startswith(f"{provider}:")


@pytest.mark.parametrize("provider", ["replicate", "wavespeed"])
@pytest.mark.parametrize(
    ("failed", "odd", "kind", "code"),
    [
        ("out of memory", "", ImageFailedError, "GENERATION_FAILED"),
        ("NSFW content detected", "", ImageWithheldError, "IMAGE_WITHHELD"),
        ("", "pondering", ImageFailedError, "UNKNOWN_STATUS"),
    ],
)
def test_a_prediction_that_fails_says_why(
    hub: HubServer,
    settings: Settings,
    provider: str,
    failed: str,
    odd: str,
    kind: type[BackendError],
    code: str,
) -> None:
    hub.failure, hub.odd_status = failed, odd
    assert failure(settings, kind, by(provider)).code == code


def test_a_flagged_image_is_withheld(hub: HubServer, settings: Settings) -> None:
    hub.nsfw = True
    assert failure(settings, ImageWithheldError).by == "fal-ai"
    assert failure(settings, ImageWithheldError, by("wavespeed")).by == "wavespeed"
    assert hub.count("file") == 0


@pytest.mark.parametrize(
    "body",
    [b"no json", [], {}, {"images": []}, {"images": [{"url": 5}]}, {"status": "succeeded"}, {"data": 5}],
)
@pytest.mark.parametrize("provider", ["fal-ai", "replicate", "wavespeed"])
def test_an_answer_of_no_known_form_fails_the_image(
    hub: HubServer, settings: Settings, provider: str, body: Any
) -> None:
    hub.always["generate"] = Fault(Reply(200, body))
    assert failure(settings, ImageFailedError, by(provider)).code in ("BAD_RESULT", "UNKNOWN_STATUS")


@pytest.mark.parametrize(
    "fault",
    [
        Fault(Reply(200, {"error": "busy"})),
        Fault(content_type="text/html"),
        Fault(Reply(200, b"\xff\xd8\xff" + bytes(9), content_type="image/jpeg")),
    ],
)
def test_an_answer_that_is_no_picture_fails_the_image(
    hub: HubServer, settings: Settings, fault: Fault
) -> None:
    hub.always["generate"] = fault
    assert failure(settings, ImageFailedError, by("hf-inference")).code == "BAD_RESULT"


def test_a_negative_prompt_goes_to_models_that_heed_it(hub: HubServer, settings: Settings) -> None:
    model = "stabilityai/stable-diffusion-xl-base-1.0"
    hub.models[model] = {"hf-inference": {"status": "live", "providerId": model, "task": "text-to-image"}}
    make(NAME, task(NAME, model=model, negative_prompt="blurry"), Bench(settings))
    make(NAME, by("hf-inference", negative_prompt="blurry"), Bench(settings))
    first, second = (sent.json["parameters"] for sent in hub.asked("generate"))
    assert first["negative_prompt"] == "blurry"
    assert "negative_prompt" not in second
    assert is_flux("black-forest-labs/FLUX.1-dev")
    assert get_backend(NAME).negative_prompt_note in plan(NAME, negative_prompt="blurry").notes


def test_what_only_a_controlnet_takes_is_noted(hub: HubServer, settings: Settings) -> None:
    made = make(NAME, task(NAME, control_guidance_end=0.5), Bench(settings))
    assert made.notes == ("without effect, since no ControlNet is used: control_guidance_end",)


def test_control_is_refused_in_the_plan() -> None:
    with pytest.raises(ParameterError, match="control"):
        task(NAME, conditioning="control")


def test_a_missing_token_is_said_before_anything(tmp_path: Any) -> None:
    assert "HF_TOKEN" in get_backend(NAME).missing(Settings(root=tmp_path))[0]


@pytest.mark.usefixtures("quick")
class TestRuns:
    """Whole runs at the server."""

    @pytest.mark.parametrize("provider", sorted(PROVIDERS))
    def test_a_run_makes_its_images(self, hub: HubServer, settings: Settings, provider: str) -> None:
        made = plan(NAME, backend_options={"provider": provider}, concurrency=3)
        summary = start(made, settings).wait(quiet)
        assert (summary.state.made, summary.exit_code, hub.charges.total()) == (2, 0, 2)
        assert {record.conditioning for record in summary.records.values()} == {"prompt"}
        assert hub.count("hub") == 1

    @pytest.mark.parametrize("status", [401, 402, 410])
    def test_what_every_image_would_meet_stops_the_run(
        self, hub: HubServer, settings: Settings, status: int
    ) -> None:
        hub.always["generate"] = error(status, {"error": "no"})
        made = plan(NAME)
        with pytest.raises(RunInterruptedError):
            start(made, settings).wait(quiet)
        assert (hub.count("generate"), hub.charges.total()) == (1, 0)
        hub.always.clear()
        assert start(made, settings).wait(quiet).exit_code == 0

    def test_a_lost_answer_waits_for_a_persons_word(self, hub: HubServer, settings: Settings) -> None:
        hub.script("generate", Fault(drop=True, charged=True))
        made = plan(NAME, backend_options={"provider": "hf-inference"})
        summary = start(made, settings).wait(quiet)
        assert (summary.state.status, summary.state.made, hub.charges.total()) == ("waiting", 1, 2)
        assert start(made, settings).wait(quiet).state.status == "waiting"
        assert hub.charges.total() == 2

    def test_no_artefact_holds_the_token(self, hub: HubServer, settings: Settings) -> None:
        hub.script("generate", error(500, {"error": f"bad token {hub.key}"}), error(422, {"error": hub.key}))
        start(plan(NAME), settings).wait(quiet)
        files = [path for path in settings.root.rglob("*") if path.is_file()]
        assert files
        assert [path for path in files if hub.key.encode() in path.read_bytes()] == []
