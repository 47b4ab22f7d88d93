"""A server that speaks ComfyUI's protocol, keeps count, and misbehaves as it is told.

Routes and messages as in Comfy-Org/ComfyUI `server.py` and `execution.py`: one prompt at a time, queue and
history in memory, a websocket for each client id. A picture is one colour, the seed's.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import io
import json
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from email import message_from_bytes
from typing import Any
from urllib.parse import parse_qs, urlsplit

from PIL import Image

WEBSOCKET_GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
STEPS = 4


@dataclass
class Script:
    """What the server does wrong.

    Attributes
    ----------
    refuse : dict, optional
        Body of a 400 in answer to a prompt.
    statuses : list of int
        Answers to the next prompts, which are not taken.
    node_errors : dict
        Goes with the answer to a prompt that is taken.
    fails_at : str, optional
        Id of a node that fails.
    hold : bool
        Prompts run until `release`.
    websocket : {"serve", "refuse", "die", "dumb"}
        "die" closes it after the first step, "dumb" opens it and sends nothing.
    lose_answer : {"", "taken", "not taken"}
        The connection is closed instead of answering a prompt.
    picture : {"png", "truncated", "html", "missing", "small"}
        "small" is half as wide as it should be.
    rename : bool
        Uploaded files get another name.
    own_ids : bool
        The client's prompt ids are ignored, as before 2025-08.
    own_id : str
        What they are then.
    busy : int
        So many requests to look are answered with 503.
    """

    refuse: dict[str, Any] | None = None
    statuses: list[int] = field(default_factory=list)
    node_errors: dict[str, Any] = field(default_factory=dict)
    fails_at: str | None = None
    hold: bool = False
    websocket: str = "serve"
    lose_answer: str = ""
    picture: str = "png"
    rename: bool = False
    own_ids: bool = False
    own_id: str = "own-{}"
    busy: int = 0


class ComfyuiServer:
    """The server, in a thread of its own.

    Attributes
    ----------
    sent : list of dict
        Bodies of the prompts that were taken.
    made : Counter
        By seed, how often a picture was made.
    uploads : dict of str to bytes
    looks : int
        Requests for the history or the queue.
    """

    def __init__(self) -> None:
        self.script = Script()
        self.sent: list[dict[str, Any]] = []
        self.made: Counter[int] = Counter()
        self.uploads: dict[str, bytes] = {}
        self.pending: list[dict[str, Any]] = []
        self.running: dict[str, Any] | None = None
        self.history: dict[str, Any] = {}
        self.looks = 0
        self.interrupted: list[str] = []
        self.websockets = 0
        self.port = 0
        self._sockets: dict[str, asyncio.StreamWriter] = {}
        self._loop = asyncio.new_event_loop()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run, name="comfyui-server", daemon=True)
        self._thread.start()
        assert self._ready.wait(10)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def release(self) -> None:
        """Let what is held go on."""
        self.script.hold = False
        self._loop.call_soon_threadsafe(self._go_on.set)

    def restart(self) -> None:
        """Forget queue and history, as a restart does."""
        self.pending.clear()
        self.history.clear()
        self.script.hold = False
        self._interrupt()
        self.running = None

    def interrupt(self) -> None:
        """Press the button in the editor."""
        self._loop.call_soon_threadsafe(self._interrupt)

    def close(self) -> None:
        self._loop.call_soon_threadsafe(self._over.set)
        self._thread.join(10)

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_until_complete(self._serve())
        self._loop.close()

    async def _serve(self) -> None:
        self._over, self._go_on, self._news = asyncio.Event(), asyncio.Event(), asyncio.Event()
        self._stop_current = asyncio.Event()
        server = await asyncio.start_server(self._connection, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        worker = asyncio.create_task(self._work())
        self._ready.set()
        await self._over.wait()
        server.close()
        others = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in {worker, *others}:
            task.cancel()
        await asyncio.gather(worker, *others, return_exceptions=True)

    async def _connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode()
                method, target, _ = head.split(" ", 2)
                headers = {
                    name.strip().lower(): value.strip()
                    for name, _, value in (line.partition(":") for line in head.splitlines()[1:])
                }
                body = await reader.readexactly(int(headers.get("content-length", 0)))
                url = urlsplit(target)
                query = {name: values[0] for name, values in parse_qs(url.query).items()}
                if url.path == "/ws":
                    await self._websocket(reader, writer, headers, query)
                    break
                answer = self._answer(method, url.path, query, headers, body)
                if answer is None:
                    break
                status, kind, data = answer
                writer.write(
                    f"HTTP/1.1 {status} Said\r\ncontent-type: {kind}\r\n"
                    f"content-length: {len(data)}\r\n\r\n".encode()
                    + data
                )
                await writer.drain()
        writer.close()

    def _answer(
        self, method: str, path: str, query: dict[str, str], headers: dict[str, str], body: bytes
    ) -> tuple[int, str, bytes] | None:
        if (method, path) == ("POST", "/upload/image"):
            return as_json(self._upload(headers, body))
        if (method, path) == ("POST", "/prompt"):
            return self._prompt(json.loads(body))
        if (method, path) == ("POST", "/queue"):
            gone = json.loads(body).get("delete", [])
            self.pending = [one for one in self.pending if one["prompt_id"] not in gone]
            return 200, "text/plain", b""
        if (method, path) == ("POST", "/interrupt"):
            wanted = json.loads(body or b"{}").get("prompt_id")
            if self.running is not None and wanted in (None, self.running["prompt_id"]):
                self._interrupt()
            return 200, "text/plain", b""
        return self._view(query) if path == "/view" else self._look(path)

    def _look(self, path: str) -> tuple[int, str, bytes]:
        if path != "/queue" and not path.startswith("/history/"):
            return 404, "text/plain", b"404: Not Found"
        self.looks += 1
        if self.script.busy > 0:
            self.script.busy -= 1
            return 503, "text/plain", b"busy"
        if path == "/queue":
            running = [] if self.running is None else [self.running]
            entries = {"queue_running": running, "queue_pending": self.pending}
            return as_json({name: [as_entry(one) for one in found] for name, found in entries.items()})
        prompt_id = path.rpartition("/")[2]
        return as_json({prompt_id: self.history[prompt_id]} if prompt_id in self.history else {})

    def _upload(self, headers: dict[str, str], body: bytes) -> dict[str, Any]:
        message = message_from_bytes(
            b"content-type: " + headers["content-type"].encode() + b"\r\n\r\n" + body
        )
        parts = {part.get_param("name", header="content-disposition"): part for part in message.get_payload()}
        image = parts["image"]
        name = str(image.get_filename())
        data = image.get_payload(decode=True)
        subfolder = parts["subfolder"].get_payload(decode=True).decode() if "subfolder" in parts else ""
        if self.script.rename:
            name = name.replace(".png", " (1).png")
        self.uploads[f"{subfolder}/{name}"] = data
        return {"name": name, "subfolder": subfolder, "type": "input"}

    def _prompt(self, body: dict[str, Any]) -> tuple[int, str, bytes] | None:
        script = self.script
        if script.statuses:
            return script.statuses.pop(0), "text/plain", b"not now"
        if script.refuse is not None:
            return as_json(script.refuse, 400)
        lost, script.lose_answer = script.lose_answer, ""
        if lost == "not taken":
            return None
        if script.own_ids:
            body = {**body, "prompt_id": script.own_id.format(len(self.sent))}
        self.sent.append(body)
        self.pending.append(body)
        self._news.set()
        answer = {"prompt_id": body["prompt_id"], "number": 0, "node_errors": script.node_errors}
        return None if lost else as_json(answer)

    def _view(self, query: dict[str, str]) -> tuple[int, str, bytes]:
        if self.script.picture == "missing":
            return 404, "text/plain", b""
        if self.script.picture == "html":
            return 200, "text/html", b"<html>log in</html>"
        size, seed = query["filename"].removesuffix(".png").split("_")
        width, height = map(int, size.split("x"))
        data = picture(width, height, int(seed))
        return 200, "image/png", data[: len(data) // 2] if self.script.picture == "truncated" else data

    async def _work(self) -> None:
        while True:
            while not self.pending:
                self._news.clear()
                await self._news.wait()
            body = self.running = self.pending.pop(0)
            await self._execute(body)
            self.running = None
            await self._tell(body, "executing", {"node": None, "prompt_id": body["prompt_id"]})

    async def _execute(self, body: dict[str, Any]) -> None:
        """Run one prompt as ComfyUI does, and enter it in the history."""
        prompt_id, graph = body["prompt_id"], body["prompt"]
        messages: list[Any] = []
        self._stop_current.clear()

        async def say(event: str, data: dict[str, Any]) -> None:
            messages.append([event, {**data, "prompt_id": prompt_id}])
            await self._tell(body, *messages[-1])

        await say("execution_start", {})
        for step in range(1, STEPS + 1):
            await self._tell(
                body, "progress", {"value": step, "max": STEPS, "prompt_id": prompt_id, "node": "1"}
            )
            if self.script.websocket == "die" and step == 1:
                self._close(body)
            await asyncio.sleep(0)
        if self.script.hold:
            self._go_on.clear()
            stops = [asyncio.ensure_future(one.wait()) for one in (self._go_on, self._stop_current)]
            await asyncio.wait(stops, return_when=asyncio.FIRST_COMPLETED)
            for stop in stops:
                stop.cancel()
        outputs: dict[str, Any] = {}
        failing = self.script.fails_at
        if self._stop_current.is_set():
            await say("execution_interrupted", {"node_id": "1", "node_type": graph["1"]["class_type"]})
        elif failing is not None:
            error = {"exception_message": "CUDA out of\nmemory", "exception_type": "OutOfMemoryError"}
            await say("execution_error", {"node_id": failing, "node_type": "Some", **error})
        else:
            outputs = self._pictures(graph)
            await say("execution_success", {})
        if self.running is not body:
            return  # forgotten by a restart
        status = "success" if outputs else "error"
        self.history[prompt_id] = {
            "prompt": as_entry(body),
            "outputs": outputs,
            "status": {"status_str": status, "completed": bool(outputs), "messages": messages},
        }

    def _pictures(self, graph: dict[str, Any]) -> dict[str, Any]:
        seed = value_of(graph, ("seed", "noise_seed"))
        width, height = value_of(graph, ("width",)), value_of(graph, ("height",))
        if self.script.picture == "small":
            width //= 2
        self.made[seed] += 1
        saving = [node_id for node_id, node in graph.items() if node["class_type"] == "SaveImage"]
        image = {"filename": f"{width}x{height}_{seed}.png", "subfolder": "posegen", "type": "output"}
        return {node_id: {"images": [image]} for node_id in saving}

    def _interrupt(self) -> None:
        if self.running is not None:
            self.interrupted.append(self.running["prompt_id"])
        self._loop.call_soon_threadsafe(self._stop_current.set)

    async def _websocket(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        headers: dict[str, str],
        query: dict[str, str],
    ) -> None:
        if self.script.websocket == "refuse":
            writer.write(b"HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\n\r\n")
            await writer.drain()
            return
        key = hashlib.sha1(f"{headers['sec-websocket-key']}{WEBSOCKET_GUID}".encode()).digest()
        writer.write(
            b"HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: Upgrade\r\n"
            b"sec-websocket-accept: " + base64.b64encode(key) + b"\r\n\r\n"
        )
        self.websockets += 1
        self._sockets[query["clientId"]] = writer
        writer.write(frame(1, b"no JSON") + frame(2, b"\0\0\0\1preview"))
        await reader.read(1024)  # the client says nothing but good-bye
        writer.write(frame(8, b""))
        await writer.drain()

    async def _tell(self, body: dict[str, Any], event: str, data: dict[str, Any]) -> None:
        writer = self._sockets.get(body.get("client_id", ""))
        if writer is not None and self.script.websocket != "dumb" and not writer.is_closing():
            writer.write(frame(1, json.dumps({"type": event, "data": data}).encode()))

    def _close(self, body: dict[str, Any]) -> None:
        writer = self._sockets.pop(body.get("client_id", ""), None)
        if writer is not None:
            writer.transport.abort()


def as_json(body: Any, status: int = 200) -> tuple[int, str, bytes]:
    return status, "application/json; charset=utf-8", json.dumps(body).encode()


def as_entry(body: dict[str, Any]) -> list[Any]:
    """Return a prompt as it stands in queue and history."""
    return [0, body["prompt_id"], body["prompt"], {"client_id": body.get("client_id")}, []]


def value_of(graph: dict[str, Any], names: tuple[str, ...]) -> int:
    return int(
        next(node["inputs"][name] for node in graph.values() for name in names if name in node["inputs"])
    )


def colour(seed: int) -> tuple[int, int, int]:
    return seed % 256, seed // 256 % 256, seed // 65536 % 256


def picture(width: int, height: int, seed: int) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (width, height), colour(seed)).save(buffer, "PNG")
    return buffer.getvalue()


def frame(kind: int, payload: bytes) -> bytes:
    """Return an unmasked websocket frame (RFC 6455, 5.2)."""
    length = len(payload)
    size = bytes([length]) if length < 126 else b"\x7e" + length.to_bytes(2, "big")
    return bytes([0x80 | kind]) + size + payload


@contextmanager
def comfyui_server() -> Iterator[ComfyuiServer]:
    server = ComfyuiServer()
    try:
        yield server
    finally:
        server.release()
        server.close()
