"""The official clients are content with the servers that posegen is tested at."""

import asyncio
import contextlib
import io
import urllib.request
from collections.abc import Iterator
from typing import Any

import fal_client
import huggingface_hub
import pytest
from fal_client import client as fal_module
from huggingface_hub import constants
from huggingface_hub.inference import _providers as providers
from huggingface_hub.inference._providers import _common as lookup
from PIL import Image

from tests.servers.base import error
from tests.servers.fal_server import FalServer
from tests.servers.hf_server import HubServer

FLUX = "black-forest-labs/FLUX.1-dev"
GENERAL = "fal-ai/flux-general"


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[HubServer]:
    """Return the Hub and the router, where the official client looks for them."""
    with HubServer() as server:
        template = f"{server.url}/{{provider}}"
        monkeypatch.setattr(constants, "ENDPOINT", server.url)
        monkeypatch.setattr(constants, "INFERENCE_PROXY_TEMPLATE", template)
        helper = providers.PROVIDERS["hf-inference"]["text-to-image"]
        monkeypatch.setattr(helper, "base_url", template.format(provider="hf-inference"))
        lookup._fetch_inference_provider_mapping.cache_clear()
        yield server
        lookup._fetch_inference_provider_mapping.cache_clear()
        huggingface_hub.close_session()


@pytest.fixture
def fal(monkeypatch: pytest.MonkeyPatch) -> Iterator[FalServer]:
    with FalServer() as server:
        monkeypatch.setattr(fal_module, "QUEUE_URL_FORMAT", f"{server.url}/")
        yield server


@contextlib.contextmanager
def fal_sync(fal: FalServer) -> Iterator[fal_client.SyncClient]:
    """Give the official client, which does not close its connections by itself."""
    client = fal_client.SyncClient(key=fal.key)
    try:
        yield client
    finally:
        client._client.close()


@pytest.mark.parametrize("provider", ["hf-inference", "fal-ai", "replicate"])
def test_the_hub_and_router_satisfy_the_inference_client(hub: HubServer, provider: Any) -> None:
    client = huggingface_hub.InferenceClient(provider=provider, api_key=hub.key)
    image = client.text_to_image("a person", model=FLUX, width=64, height=96, seed=5)
    assert (image.size, image.convert("RGB").getpixel((0, 0))) == ((64, 96), (5, 0, 0))
    assert hub.charges.total() == 1


def test_the_router_refuses_the_inference_client_a_wrong_token(hub: HubServer) -> None:
    client = huggingface_hub.InferenceClient(provider="fal-ai", api_key="hf_wrong")
    with pytest.raises(Exception, match="401"):
        client.text_to_image("a person", model=FLUX)


def test_the_queue_satisfies_the_fal_client(fal: FalServer) -> None:
    fal.polls_queued, fal.polls_working = 1, 1
    asked = {"prompt": "a person", "image_size": {"width": 64, "height": 96}, "seed": 5}
    with fal_sync(fal) as client:
        handle = client.submit(GENERAL, asked)
        kinds = [type(status) for status in handle.iter_events(with_logs=True, interval=0.001)]
        assert kinds == [fal_client.Queued, fal_client.InProgress, fal_client.Completed]
        result = handle.get()
        assert (result["seed"], result["has_nsfw_concepts"]) == (5, [False])
        assert client.result(GENERAL, handle.request_id) == result
    with urllib.request.urlopen(result["images"][0]["url"]) as answer:
        assert Image.open(io.BytesIO(answer.read())).size == (64, 96)


def test_the_queue_satisfies_the_fal_client_in_an_event_loop(fal: FalServer) -> None:
    async def story() -> tuple[Any, str]:
        client = fal_client.AsyncClient(key=fal.key)
        handle = await client.submit(GENERAL, {"prompt": "a person"})
        await client.cancel(GENERAL, handle.request_id)
        result = await handle.get(interval=0.001)
        await handle.client.aclose()
        return result, handle.request_id

    result, request_id = asyncio.run(story())
    assert result["images"][0]["url"].startswith(fal.url)
    assert fal.orders[request_id].cancelled


def test_the_fal_client_reads_the_queues_errors(fal: FalServer) -> None:
    fal.script(
        "submit",
        error(422, {"detail": [{"loc": ["body"], "msg": "no", "type": "x"}]}),
        error(504, {"detail": "late", "error_type": "request_timeout"}, X_Fal_Error_Type="x"),
    )
    with fal_sync(fal) as client:
        found = []
        for _ in range(2):
            with pytest.raises(fal_client.FalClientHTTPError) as caught:
                client.submit(GENERAL, {"prompt": "a person"})
            found.append((caught.value.status_code, caught.value.error_type))
    assert found == [(422, None), (504, "request_timeout")]
