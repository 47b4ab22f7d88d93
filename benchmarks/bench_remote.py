"""What a provider's images cost in time: concurrency, and posegen's client beside the official one.

Run by hand: `python benchmarks/bench_remote.py`. The servers are processes of their own on this machine.

(a) 48 images of 1024x1024 through the whole pipeline, at a server that takes 1 s for each: with concurrency 3
at most 1.10 x the ideal 16 s, with 8 at most 1.15 x 6 s. (b) One request after another at a server that
answers at once: posegen's client, and huggingface_hub's AsyncInferenceClient.
"""

from __future__ import annotations

import asyncio
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pydantic import SecretStr

from posegen.backends.huggingface import rules_of
from posegen.http import Call, Client
from posegen.parameters import BatchParameters, check
from posegen.pipeline.plan import build_plan
from posegen.pipeline.run import start
from posegen.settings import Settings

ROOT = Path(__file__).resolve().parents[1]
TOKEN = "hf_canary5ecretT0ken"  # noqa: S105  (the local server's)
MODEL = "black-forest-labs/FLUX.1-dev"
IMAGES = 48
LIMITS = {3: 1.10, 8: 1.15}
REQUESTS = 60
ROUNDS = 6
WARM_UP = 5


@contextmanager
def served(takes_s: float) -> Iterator[str]:
    """Serve the Hub and its router in a process of their own; yield their address."""
    command = [sys.executable, "-m", "tests.servers.hf_server", "0", str(takes_s)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    server = subprocess.Popen(command, cwd=ROOT, text=True, **pipes)
    try:
        assert server.stdout is not None
        yield server.stdout.readline().strip()
    finally:
        server.terminate()
        server.wait()


def settings_for(url: str, root: str) -> Settings:
    return Settings(
        root=Path(root),
        cpu_threads=len(os.sched_getaffinity(0)),
        hf_token=SecretStr(TOKEN),
        hf_hub_url=url,
        hf_router_url=url,
        allowed_hosts=(url.removeprefix("http://"),),
        rate_limits={},
    )


def run_s(concurrency: int) -> tuple[float, float]:
    """Return the seconds of a run of 48 images, and those that its process was computing."""
    values = {
        "backend": "huggingface",
        "poses": ["all"],
        "width": 1024,
        "height": 1024,
        "concurrency": concurrency,
        "backend_options": {"provider": "hf-inference"},
    }
    plan = build_plan(check(BatchParameters, values))
    plan = type(plan)(plan.parameters, plan.tasks[:IMAGES], plan.notes)
    with served(1.0) as url, tempfile.TemporaryDirectory() as root:
        began, computed = time.perf_counter(), time.process_time()
        summary = start(plan, settings_for(url, root)).wait(lambda _: None)
        spent = time.perf_counter() - began, time.process_time() - computed
        assert summary.state.made == IMAGES
    return spent


async def ours_ms(url: str) -> list[float]:
    """Return the milliseconds of each request by posegen's client."""
    with tempfile.TemporaryDirectory() as root:
        client = Client(settings_for(url, root))
        rules, spent = rules_of("hf-inference"), []
        body = {"inputs": "a person", "parameters": {"width": 64, "height": 64, "seed": 5}}
        call = Call("POST", f"{url}/hf-inference/models/{MODEL}", json=body, key=SecretStr(TOKEN))

        async def bought(send):
            return await send()

        for _ in range(REQUESTS):
            began = time.perf_counter()
            answer = await client.purchase(call, rules, bought)
            assert answer.content
            spent.append((time.perf_counter() - began) * 1000)
        await client.aclose()
    return spent


async def theirs_ms(url: str) -> list[float]:
    """Return the milliseconds of each request by the official client, which decodes the picture too."""
    from huggingface_hub import AsyncInferenceClient, constants
    from huggingface_hub.inference import _providers

    constants.ENDPOINT = url
    helper = _providers.PROVIDERS["hf-inference"]["text-to-image"]
    helper.base_url = f"{url}/hf-inference"
    spent = []
    async with AsyncInferenceClient(provider="hf-inference", api_key=TOKEN) as client:
        for _ in range(REQUESTS):
            began = time.perf_counter()
            await client.text_to_image("a person", model=MODEL, width=64, height=64, seed=5)
            spent.append((time.perf_counter() - began) * 1000)
    return spent


def main() -> None:
    for concurrency, limit in LIMITS.items():
        ideal = IMAGES / concurrency
        spent, computed = run_s(concurrency)
        print(
            f"{IMAGES} images at 1 s each, concurrency {concurrency}: {spent:.2f} s, "
            f"{spent / ideal:.3f} x the ideal {ideal:.0f} s (at most {limit:.2f}); "
            f"{computed:.1f} s of computing"
        )
    with served(0.0) as url:
        measured: dict[str, list[float]] = {"posegen": [], "huggingface_hub": []}
        for _ in range(ROUNDS):  # in turn, so that what else the machine does falls on both
            measured["posegen"] += asyncio.run(ours_ms(url))[WARM_UP:]
            measured["huggingface_hub"] += asyncio.run(theirs_ms(url))[WARM_UP:]
    for name, spent_ms in measured.items():
        low, middle, high = (statistics.quantiles(spent_ms, n=20)[place] for place in (0, 9, 18))
        print(f"one request by {name}: {middle:.2f} ms (5-95 %: {low:.2f}-{high:.2f})")


if __name__ == "__main__":
    main()
