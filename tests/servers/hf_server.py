"""Hugging Face's Hub and router on this machine, by the official client.

As a script it serves until its standard input ends: `python -m tests.servers.hf_server PORT SECONDS`.
"""

from __future__ import annotations

import sys
import threading
import time
import uuid
from typing import Any

from tests.servers.base import LocalServer, Reply, Seen, picture

MAPPING = {
    "together": {"status": "live", "providerId": "black-forest-labs/FLUX.1-dev", "task": "text-to-image"},
    "hf-inference": {
        "status": "error",
        "providerId": "black-forest-labs/FLUX.1-dev",
        "task": "text-to-image",
    },
    "fal-ai": {"status": "live", "providerId": "fal-ai/flux/dev", "task": "text-to-image"},
    "replicate": {"status": "live", "providerId": "black-forest-labs/flux-dev", "task": "text-to-image"},
    "wavespeed": {"status": "staging", "providerId": "wavespeed-ai/flux-dev", "task": "text-to-image"},
}
"""Who serves FLUX.1-dev, as the Hub says it."""


class HubServer(LocalServer):
    """The Hub's mapping, the router to four providers, and their files.

    Attributes
    ----------
    models : dict of str to mapping
        By model, its mapping; as an object or as a list.
    takes_s : float
        How long an image takes, its drawing included.
    polls : int
        How often replicate and wavespeed say that they are at it.
    """

    key = "hf_canary5ecretT0ken"

    def __init__(self, port: int = 0) -> None:
        self.models: dict[str, Any] = {"black-forest-labs/FLUX.1-dev": MAPPING}
        self.takes_s = 0.0
        self.polls = 0
        self.nsfw = self.gone = False
        self.odd_status = ""
        self.as_list = True
        self.failure = ""
        self.predictions: dict[str, Any] = {}
        super().__init__(port)

    def route(self, method: str, path: str) -> str:
        if path.startswith("/api/models/"):
            return "hub"
        if path.startswith("/files/"):
            return "file"
        return "generate" if method == "POST" else "prediction"

    def answer(self, seen: Seen) -> Reply:
        if seen.route == "file":
            _, _, width, height, seed = seen.path.split("/")
            return Reply(200, picture(int(width), int(height), int(seed)), content_type="image/png")
        given = seen.headers.get("authorization")
        if given != f"Bearer {self.key}" and not (given is None and seen.route == "hub"):
            return Reply(401, {"error": "Invalid credentials in Authorization header"})
        if seen.route == "hub":
            return self._hub(seen)
        provider, _, path = seen.path[1:].partition("/")
        if seen.route == "prediction":
            return self._prediction(provider, path)
        began = time.monotonic()
        self.charge(seen)
        reply: Reply = getattr(self, f"_{provider.replace('-', '_')}")(seen)
        time.sleep(max(0.0, began + self.takes_s - time.monotonic()))
        return reply

    def _hub(self, seen: Seen) -> Reply:
        model = seen.path.removeprefix("/api/models/")
        if model not in self.models:
            return Reply(404, {"error": "Repository not found"}, {"X-Error-Code": "RepoNotFound"})
        found = {"id": model, "pipeline_tag": "text-to-image", "tags": [], "inferenceProviderMapping": {}}
        return Reply(200, {**found, "inferenceProviderMapping": self.models[model]})

    def file_url(self, body: dict[str, Any]) -> str:
        size = body.get("image_size", body)
        return f"{self.url}/files/{size.get('width', 512)}/{size.get('height', 512)}/{body.get('seed', 1)}"

    def _hf_inference(self, seen: Seen) -> Reply:
        asked = seen.json["parameters"]
        data = picture(asked.get("width", 512), asked.get("height", 512), asked.get("seed", 1))
        return Reply(200, data, content_type="image/png")

    def _fal_ai(self, seen: Seen) -> Reply:
        flags = {"has_nsfw_concepts": [self.nsfw], "seed": seen.json.get("seed", 1)}
        return Reply(200, {"images": [{"url": self.file_url(seen.json)}], **flags})

    def _replicate(self, seen: Seen) -> Reply:
        return Reply(201, self._state(self._new(seen.json["input"]), "replicate"))

    def _wavespeed(self, seen: Seen) -> Reply:
        return Reply(200, {"code": 200, "data": self._state(self._new(seen.json), "wavespeed")})

    def _new(self, asked: dict[str, Any]) -> str:
        known = uuid.uuid4().hex[:24]
        with self.lock:
            self.predictions[known] = {"asked": asked, "polls": 0}
        return known

    def _prediction(self, provider: str, path: str) -> Reply:
        known = next((part for part in path.split("/") if part in self.predictions), "")
        if not known or self.gone:
            return Reply(404, {"detail": "Not found"})
        with self.lock:
            self.predictions[known]["polls"] += 1
        state = self._state(known, provider)
        return Reply(200, state if provider == "replicate" else {"code": 200, "data": state})

    def _state(self, known: str, provider: str) -> dict[str, Any]:
        order = self.predictions[known]
        replicate = provider == "replicate"
        url = f"https://api.example/{known}"
        state = {"id": known, "urls": {"get": url}, "model": "m", "output": None, "outputs": []}
        if self.odd_status:
            return {**state, "status": self.odd_status}
        if order["polls"] < self.polls:
            return {**state, "status": "processing"}
        if self.failure:
            return {**state, "status": "failed", "error": self.failure}
        picture_url = self.file_url(order["asked"])
        output = [picture_url] if self.as_list else picture_url
        done = {"status": "succeeded" if replicate else "completed", "has_nsfw_contents": [self.nsfw]}
        return {**state, **done, "output": output, "outputs": [picture_url]}


if __name__ == "__main__":
    server = HubServer(int(sys.argv[1]))
    server.takes_s = float(sys.argv[2])
    print(server.url, flush=True)  # noqa: T201  (for whoever started it)
    threading.Thread(target=sys.stdin.read, daemon=False).start()
