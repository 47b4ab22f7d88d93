"""The websocket of a ComfyUI server: how far an image is, and when it is time to look."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import httpx
from websockets.asyncio.client import connect
from websockets.exceptions import WebSocketException

from posegen.telemetry import logger

OPEN_TIMEOUT_S = 5.0
"""How long a websocket may take to open; without one, the server is asked again and again."""

CLOSE_TIMEOUT_S = 0.5

MAX_FRAME_BYTES = 32 * 1024 * 1024
"""Previews of pictures come as binary frames; nobody looks at them."""

NEWS = frozenset({"execution_success", "execution_error", "execution_interrupted"})
"""Messages after which a prompt is done, or all but done."""

log = logger("flux")


class Watch:
    """Listens for one prompt.

    Parameters
    ----------
    prompt_id : str
    progressed : callable
        Told shares from 0 to 1.
    """

    def __init__(self, prompt_id: str, progressed: Callable[[float], None]) -> None:
        self._prompt_id = prompt_id
        self._progressed = progressed
        self._news = asyncio.Event()
        self._settled = asyncio.Event()
        self.listening = False

    async def ready(self) -> None:
        """Wait until the websocket is open, or has turned out not to open."""
        await self._settled.wait()

    async def news(self, wait_s: float, sleep: Callable[[float], Awaitable[None]]) -> bool:
        """Wait for something to look at, `wait_s` at most; return whether there is."""
        told = asyncio.ensure_future(self._news.wait())
        waited = asyncio.ensure_future(sleep(wait_s))
        try:
            await asyncio.wait((told, waited), return_when=asyncio.FIRST_COMPLETED)
        finally:
            for one in (told, waited):
                one.cancel()
        there = self._news.is_set()
        self._news.clear()
        return there

    async def listen(self, url: str) -> None:
        """Listen until the server closes the connection; faults only end it."""
        try:
            async with connect(
                url,
                open_timeout=OPEN_TIMEOUT_S,
                close_timeout=CLOSE_TIMEOUT_S,
                max_size=MAX_FRAME_BYTES,
                ping_interval=None,  # a server that loads a model answers no ping for minutes
            ) as socket:
                self.listening = True
                self._settled.set()
                async for frame in socket:
                    if isinstance(frame, str):
                        self.take(frame)
        except (OSError, WebSocketException, ValueError) as exc:
            log.info("no news from the websocket (%s): asking instead", type(exc).__name__)
        finally:
            self.listening = False
            self._settled.set()
            self._news.set()

    def take(self, frame: str) -> None:
        """Take in one message."""
        try:
            message = json.loads(frame)
            kind, data = message["type"], message["data"]
        except (ValueError, KeyError, TypeError, RecursionError):
            return
        if not isinstance(data, dict) or data.get("prompt_id", self._prompt_id) != self._prompt_id:
            return
        if kind == "progress":
            self._share(data)
        elif kind in NEWS or (kind == "executing" and "node" in data and data["node"] is None):
            self._news.set()

    def _share(self, data: dict[str, Any]) -> None:
        value, most = data.get("value"), data.get("max")
        if isinstance(value, int | float) and isinstance(most, int | float) and most > 0:
            self._progressed(min(max(value / most, 0.0), 1.0))


@contextlib.asynccontextmanager
async def watching(
    server_url: str, prompt_id: str, progressed: Callable[[float], None]
) -> AsyncIterator[Watch]:
    """Listen for one prompt in the background while the block lasts.

    Each prompt has a websocket and a client id of its own, its prompt id: the server keeps one connection for
    each client id, and so whoever resumes a run hears of what an earlier process sent.
    """
    url = httpx.URL(server_url)
    scheme = "wss" if url.scheme == "https" else "ws"
    address = url.copy_with(
        scheme=scheme, path=f"{url.path.rstrip('/')}/ws", query=f"clientId={prompt_id}".encode()
    )
    watch = Watch(prompt_id, progressed)
    listener = asyncio.create_task(watch.listen(str(address)))
    try:
        yield watch
    finally:
        listener.cancel()
        await asyncio.gather(listener, return_exceptions=True)
