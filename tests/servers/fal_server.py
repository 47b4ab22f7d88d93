"""fal's queue on this machine, by its documentation and its official client.

As a script it serves until its standard input ends: `python -m tests.servers.fal_server PORT SECONDS`.
"""

from __future__ import annotations

import sys
import threading
import time
import uuid
from dataclasses import dataclass, field
from typing import Any

from tests.servers.base import LocalServer, Reply, Seen, picture


@dataclass
class Order:
    """One request in the queue."""

    seen: Seen
    began: float
    polls: int = 0
    cancelled: bool = False
    result: dict[str, Any] = field(default_factory=dict)


class FalServer(LocalServer):
    """The queue, its results and the CDN that holds their pictures.

    Attributes
    ----------
    polls_queued, polls_working : int
        How often a request says so before it is completed; `never` lets it wait for ever.
    takes_s : float
        How long a request takes at least.
    nsfw : bool
        Results are flagged.
    gone : bool
        Results are no longer kept.
    failing : Reply or None
        What the model answers in place of a result; `error_in_status` tells the status as well.
    odd_status : str
        A status that nobody knows.
    picture_url : str
        In place of the right one.
    """

    def __init__(self, port: int = 0) -> None:
        self.orders: dict[str, Order] = {}
        self.polls_queued = self.polls_working = 0
        self.takes_s = 0.0
        self.never = self.nsfw = self.gone = False
        self.cannot_cancel = ""
        self.failing: Reply | None = None
        self.error_in_status: dict[str, str] = {}
        self.odd_status = ""
        self.picture_url = ""
        self.result_headers: dict[str, str] = {}
        self.picture_size: tuple[int, int] | None = None
        super().__init__(port)

    def route(self, method: str, path: str) -> str:
        if path.startswith("/files/"):
            return "file"
        if method == "POST":
            return "submit"
        return {"status": "status", "cancel": "cancel"}.get(path.rpartition("/")[2], "result")

    def answer(self, seen: Seen) -> Reply:
        if seen.route == "file":
            return self._file(seen)
        if seen.headers.get("authorization") != f"Key {self.key}":
            return Reply(401, {"detail": "Cannot access application. Authentication is required."})
        with self.lock:
            return self._submit(seen) if seen.route == "submit" else self._about(seen)

    def _submit(self, seen: Seen) -> Reply:
        self.charge(seen)
        request_id = str(uuid.uuid4())
        self.orders[request_id] = Order(seen, time.monotonic())
        app = "/".join(seen.path.split("/")[1:3])
        base = f"{self.url}/{app}/requests/{request_id}"
        return Reply(
            200,
            {
                "status": "IN_QUEUE",
                "request_id": request_id,
                "response_url": base,
                "status_url": f"{base}/status",
                "cancel_url": f"{base}/cancel",
                "queue_position": 0,
            },
            {"x-fal-request-id": request_id},
        )

    def _about(self, seen: Seen) -> Reply:
        request_id = seen.path.split("/")[4]
        order = self.orders.get(request_id)
        if order is None or self.gone:
            return Reply(404, {"detail": f"Request {request_id} not found"})
        if seen.route == "status":
            return self._status(order, request_id)
        return self._cancel(order) if seen.route == "cancel" else self._result(order, request_id)

    def _status(self, order: Order, request_id: str) -> Reply:
        order.polls += 1
        known = {"request_id": request_id}
        if self.odd_status:
            return Reply(200, {"status": self.odd_status, **known})
        if order.polls <= self.polls_queued or self.never:
            return Reply(202, {"status": "IN_QUEUE", "queue_position": 3, **known})
        if order.polls <= self.polls_queued + self.polls_working or not self._done(order):
            logs = [{"message": " 50%|█████     | 14/28", "level": "STDERR", "source": "USER"}]
            return Reply(202, {"status": "IN_PROGRESS", "logs": logs, **known})
        ended = {"logs": [], "metrics": {"inference_time": 1.5}, **self.error_in_status}
        return Reply(200, {"status": "COMPLETED", **known, **ended})

    def _done(self, order: Order) -> bool:
        return time.monotonic() - order.began >= self.takes_s

    def _cancel(self, order: Order) -> Reply:
        if self.cannot_cancel == "completed":
            return Reply(400, {"status": "ALREADY_COMPLETED"})
        if self.cannot_cancel:
            return Reply(404, {"status": "NOT_FOUND"})
        order.cancelled = True
        return Reply(202, {"status": "CANCELLATION_REQUESTED"})

    def _result(self, order: Order, request_id: str) -> Reply:
        if self.failing is not None:
            return self.failing
        asked = order.seen.json
        size = asked.get("image_size") or {"width": 1024, "height": 768}
        width, height = self.picture_size or (size["width"], size["height"])
        seed = asked.get("seed", 7)
        url = self.picture_url or f"{self.url}/files/{width}x{height}-{seed}.png"
        return Reply(
            200,
            {
                "images": [{"url": url, "width": width, "height": height, "content_type": "image/png"}],
                "timings": {"inference": 1.5},
                "seed": seed,
                "has_nsfw_concepts": [self.nsfw],
                "prompt": asked["prompt"],
            },
            {"x-fal-request-id": request_id, **self.result_headers},
        )

    def _file(self, seen: Seen) -> Reply:
        size, _, seed = seen.path.rpartition("/")[2].removesuffix(".png").partition("-")
        width, _, height = size.partition("x")
        return Reply(200, picture(int(width), int(height), int(seed)), content_type="image/png")


if __name__ == "__main__":
    server = FalServer(int(sys.argv[1]))
    server.takes_s = float(sys.argv[2])
    print(server.url, flush=True)  # noqa: T201  (for whoever started it)
    threading.Thread(target=sys.stdin.read, daemon=False).start()
