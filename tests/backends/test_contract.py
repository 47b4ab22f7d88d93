"""What every registered backend keeps to. A remote one is asked at its server on this machine.

A backend that can make pictures here has an entry in `ABLE`; what cannot is held to the rest.
"""

import dataclasses
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from pydantic import BaseModel

from posegen.backends import BACKENDS, Backend, get_backend
from posegen.doctor import checks
from posegen.errors import BackendError, ParameterError, UnknownNameError
from posegen.records import Conditioning
from posegen.settings import Settings
from tests.backends.conftest import SIZE, Bench, make, task
from tests.servers.base import Fault, LocalServer, error


@dataclass(frozen=True)
class Able:
    """How a backend is made able to work here.

    Attributes
    ----------
    server : str
        The fixture of its server; empty for one that works in this process.
    buying, asking : str
        Routes of the server: where images are bought, and where results are asked for; empty where nothing is
        paid for.
    options : dict
        Backend options under which it gives request ids, if it can.
    """

    server: str = ""
    buying: str = ""
    asking: str = ""
    options: dict[str, Any] = dataclasses.field(default_factory=dict)


ABLE = {
    "figure": Able(),
    "comfyui": Able("comfyui"),
    "fal": Able("fal", "submit", "status"),
    "huggingface": Able("hub", "generate", "prediction", {"provider": "replicate"}),
}
PAID = sorted(name for name, able in ABLE.items() if able.buying)

EVERY = pytest.mark.parametrize("name", sorted(BACKENDS))


@pytest.fixture
def server(request: pytest.FixtureRequest) -> Callable[[str], LocalServer]:
    return lambda name: request.getfixturevalue(ABLE[name].server)


@EVERY
def test_it_says_what_it_is(name: str) -> None:
    backend: Backend = get_backend(name)
    assert backend.name == name
    assert backend.conditionings
    assert set(backend.conditionings) <= {"none", "prompt", "control"}
    assert len(set(backend.conditionings)) == len(backend.conditionings)
    assert issubclass(backend.options_type, BaseModel)
    assert isinstance(backend.negative_prompt_note, str)
    assert 0 < backend.typical_s(512, 512) < backend.typical_s(1024, 1024)
    assert backend.stick_scale(backend.default_model, {}) in ("none", "xinsir")
    assert backend.paid in (True, False)
    assert get_backend(name) is not backend


@EVERY
def test_its_options_are_checked_and_have_defaults(name: str) -> None:
    options = get_backend(name).options_type
    options.model_validate({})
    assert options.model_config.get("extra") == "forbid"
    with pytest.raises(ParameterError, match="backend_options"):
        task(name, backend_options={"no_such_option_": 1}, conditioning="auto")


@EVERY
def test_what_it_lacks_is_said_in_sentences_without_secrets(name: str, settings: Settings) -> None:
    bare = get_backend(name).missing(Settings(root=settings.root))
    assert all(len(sentence) > 20 and sentence[0] != " " for sentence in bare)
    full = " ".join(get_backend(name).missing(settings))
    for key in (settings.fal_key, settings.hf_token):
        assert key is not None
        assert key.get_secret_value() not in full
    if name in ABLE:
        assert full == ""


def test_a_wrong_name_lists_the_right_ones() -> None:
    with pytest.raises(UnknownNameError) as caught:
        get_backend("flux")
    assert all(name in str(caught.value) for name in BACKENDS)


def test_the_doctor_tells_what_each_lacks(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    for name in ("FAL_KEY", "HF_TOKEN", "HUGGINGFACE_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("STORAGE_LOCAL_PATH", str(tmp_path))
    found = {check.what: check for check in checks()}
    assert all(f"backend {name}" in found for name in BACKENDS)
    assert "FAL_KEY" in found["backend fal"].found
    assert found["backend figure"].good


@pytest.mark.parametrize("name", sorted(ABLE))
@pytest.mark.parametrize("conditioning", ["control", "prompt", "none"])
def test_an_image_has_the_size_and_the_conditioning_it_says(
    name: str, conditioning: Conditioning, settings: Settings
) -> None:
    if conditioning not in get_backend(name).conditionings:
        with pytest.raises(ParameterError, match=conditioning):
            task(name, conditioning=conditioning)
        return
    able = ABLE[name]
    wanted = task(name, conditioning=conditioning, backend_options=able.options, width=SIZE, height=320)
    made = make(name, wanted, Bench(settings))
    assert (made.pixels.shape, made.pixels.dtype) == ((320, SIZE, 3), np.uint8)
    assert made.conditioning == conditioning
    assert made.provider
    assert made.synthetic is (name == "figure")


@pytest.mark.parametrize("name", PAID)
def test_a_paid_image_is_journalled_before_it_is_bought_and_its_id_before_it_is_asked_for(
    name: str, settings: Settings, server: Callable[[str], LocalServer]
) -> None:
    able, provider = ABLE[name], server(name)
    backend = get_backend(name)
    bench = Bench(settings, seen=lambda: provider.count(able.buying) + provider.count(able.asking))
    if hasattr(provider, "polls"):
        provider.polls = 1
    made = make(name, task(name, backend_options=able.options), bench)
    assert backend.paid
    assert bench.events[0] == ("buys", 0)
    if backend.keeps_results:
        assert bench.events[1] == (made.request_id, 1)
        assert provider.count(able.asking) >= 1
        again = task(name, backend_options=able.options)
        fetched = make(name, again, Bench(settings), fetch=made.request_id)
        assert (fetched.pixels == made.pixels).all()
    assert provider.charges.total() == 1


@pytest.mark.parametrize("name", PAID)
@pytest.mark.parametrize("status", [400, 401, 402, 403, 404, 410, 422, 429, 500, 503])
def test_whatever_goes_wrong_is_a_backend_error_without_the_key(
    name: str, status: int, settings: Settings, server: Callable[[str], LocalServer]
) -> None:
    able, provider = ABLE[name], server(name)
    for route in (able.buying, able.asking, "file"):
        if hasattr(provider, "polls"):
            provider.polls = 1
        provider.always = {route: error(status, {"error": f"you sent {provider.key}"})}
        with pytest.raises(BackendError) as caught:
            make(name, task(name, backend_options=able.options), Bench(settings))
        assert caught.value.backend == name
        shown = "".join(traceback.format_exception(caught.value)) + repr(caught.value)
        assert provider.key not in shown


@pytest.mark.parametrize("name", PAID)
def test_a_purchase_without_an_answer_is_made_once(
    name: str, settings: Settings, server: Callable[[str], LocalServer]
) -> None:
    able, provider = ABLE[name], server(name)
    provider.always[able.buying] = Fault(drop=True, charged=True)
    with pytest.raises(BackendError) as caught:
        make(name, task(name, backend_options=able.options), Bench(settings))
    assert caught.value.code == "OUTCOME_UNKNOWN"
    assert provider.charges.total() == 1
