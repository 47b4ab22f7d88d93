"""A local server with a script of faults, which counts what it is asked and what it charges for."""

from __future__ import annotations

import functools
import json
import socket
import struct
import threading
from collections import Counter, defaultdict, deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self
from urllib.parse import parse_qs, urlsplit

import numpy as np

from posegen.images import encode_png


@dataclass(frozen=True)
class Reply:
    """An answer."""

    status: int = 200
    body: bytes | dict[str, Any] | list[Any] = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    content_type: str = ""


@dataclass(frozen=True)
class Fault:
    """What goes wrong with one request.

    Attributes
    ----------
    reply : Reply or None
        Answered in place of the right thing.
    charged : bool
        The request is done (and charged for) before it goes wrong.
    drop : bool
        The connection is reset without an answer.
    cut : bool
        The connection ends in the middle of the right answer's body.
    content_type : str
        In place of the right one.
    gate : Event or None
        Waited for before anything is answered.
    """

    reply: Reply | None = None
    charged: bool = False
    drop: bool = False
    cut: bool = False
    content_type: str = ""
    gate: threading.Event | None = None


def error(status: int, body: Any = b"", charged: bool = False, **headers: str) -> Fault:
    """Return the fault of an error answer; `Retry_After="1"` is the header Retry-After."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Fault(Reply(status, body, named), charged)


@dataclass(frozen=True)
class Seen:
    """A request as it came."""

    route: str
    method: str
    path: str
    query: dict[str, list[str]]
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@functools.lru_cache(maxsize=64)
def picture(width: int, height: int, seed: int) -> bytes:
    """Return a one-colour PNG; the colour is the seed's."""
    colour = np.array([seed % 256, seed // 256 % 256, seed // 65536 % 256], np.uint8)
    return encode_png(np.broadcast_to(colour, (height, width, 3)).copy())


class LocalServer:
    """Serves on a free port of 127.0.0.1 until closed; subclasses give `route` and `answer`."""

    key = "key-canary-5ecret"
    """What its clients have to know."""

    def __init__(self, port: int = 0) -> None:
        self.seen: list[Seen] = []
        self.charges: Counter[str] = Counter()
        self.faults: dict[str, deque[Fault]] = defaultdict(deque)
        self.always: dict[str, Fault] = {}
        self.lock = threading.RLock()
        handler = type("Handler", (_Handler,), {"owner": self})
        self._http = _Server(("127.0.0.1", port), handler)
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self._http.server_address[1]}"

    @property
    def url(self) -> str:
        return f"http://{self.host}"

    def close(self) -> None:
        self._http.shutdown()
        self._http.server_close()
        self._thread.join(10)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def script(self, route: str, *faults: Fault | None) -> None:
        """Let the next requests of a route go wrong in turn; None lets one through."""
        self.faults[route].extend(fault or Fault() for fault in faults)

    def count(self, route: str) -> int:
        """Return how often a route was asked."""
        with self.lock:
            return sum(seen.route == route for seen in self.seen)

    def asked(self, route: str) -> list[Seen]:
        with self.lock:
            return [seen for seen in self.seen if seen.route == route]

    def next_fault(self, route: str) -> Fault:
        with self.lock:
            waiting = self.faults[route]
            return waiting.popleft() if waiting else self.always.get(route, Fault())

    def charge(self, seen: Seen) -> None:
        """Charge for an image; what it is charged by is its prompt and seed."""
        with self.lock:
            self.charges[self.order_of(seen)] += 1

    def order_of(self, seen: Seen) -> str:
        return json.dumps(_first_of(seen.json, "seed"))

    def route(self, method: str, path: str) -> str:
        raise NotImplementedError

    def answer(self, seen: Seen) -> Reply:
        raise NotImplementedError


def _first_of(body: Any, name: str) -> Any:
    """Return the first value of a name, however deep it lies."""
    if isinstance(body, dict):
        if name in body:
            return body[name]
        found = [_first_of(value, name) for value in body.values()]
        return next((value for value in found if value is not None), None)
    return None


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def handle_error(self, *_: Any) -> None:
        """A client that went away is no fault of the server."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    owner: LocalServer

    def log_message(self, *_: Any) -> None:
        """Keep quiet."""

    def do_GET(self) -> None:
        self._serve()

    do_POST = do_PUT = do_GET  # noqa: N815  (the base class calls them so)

    def _serve(self) -> None:
        owner, parts = self.owner, urlsplit(self.path)
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        route = owner.route(self.command, parts.path)
        headers = {name.lower(): value for name, value in self.headers.items()}
        seen = Seen(route, self.command, parts.path, parse_qs(parts.query), headers, body)
        with owner.lock:
            owner.seen.append(seen)
        fault = owner.next_fault(route)
        if fault.gate is not None:
            fault.gate.wait(60)
        reply = fault.reply
        if reply is None or fault.charged:
            right = owner.answer(seen)
            reply = reply or right
        self._send(reply, fault)

    def _send(self, reply: Reply, fault: Fault) -> None:
        if fault.drop:
            self._reset()
            return
        plain = isinstance(reply.body, bytes)
        data = reply.body if isinstance(reply.body, bytes) else json.dumps(reply.body).encode()
        kind = fault.content_type or reply.content_type or ("text/plain" if plain else "application/json")
        self.send_response(reply.status)
        for name, value in {"Content-Type": kind, **reply.headers, "Content-Length": str(len(data))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(data[: len(data) // 2] if fault.cut else data)
        if fault.cut:
            self._reset()

    def _reset(self) -> None:
        """End the connection as a crash does."""
        self.wfile.flush()
        self.close_connection = True
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.connection.close()
