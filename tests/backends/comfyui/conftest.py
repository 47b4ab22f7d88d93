from __future__ import annotations

import asyncio
import functools
from collections.abc import Iterator
from pathlib import Path

import pytest

from posegen.http import Client
from posegen.pipeline import engine
from posegen.settings import Settings
from tests.servers.comfyui_server import ComfyuiServer, comfyui_server


@pytest.fixture
def server() -> Iterator[ComfyuiServer]:
    with comfyui_server() as started:
        yield started


@pytest.fixture
def settings(tmp_path: Path, server: ComfyuiServer) -> Settings:
    return Settings(
        root=tmp_path, cpu_threads=2, estimator="off", comfyui_url=server.url, generation_timeout_s=30.0
    )


@pytest.fixture(autouse=True)
def _nobody_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    real = asyncio.sleep

    async def shortly(seconds: float) -> None:
        await real(min(seconds, 0.005))  # enough for the server's turn

    monkeypatch.setattr(engine, "Client", functools.partial(Client, sleep=shortly))
