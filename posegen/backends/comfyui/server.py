"""A ComfyUI server: the requests it takes, and what its answers mean.

References
----------
Comfy-Org/ComfyUI, `server.py` (routes), `execution.py` (validation, queue and history).
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import httpx

from posegen.backends.base import Workshop
from posegen.backends.comfyui.graph import Graph, in_words
from posegen.backends.comfyui.refusals import NAME, refusal, unheard
from posegen.backends.comfyui.socket import Watch
from posegen.errors import BackendError, ImageFailedError, OutcomeUnknownError, ResultGoneError
from posegen.http import Call, PollDeadlineError, Rules, poll

T = TypeVar("T")

FOLDER = "posegen"
"""Folder below the server's inputs where control maps go."""

FIRST_LOOK_S = 0.25
LONGEST_LOOK_S = 4.0
LOOK_GROWTH = 1.3

TURN_UP_S = 3.0
"""How long a prompt whose answer got lost is looked for on the server."""

CANCEL_S = 1.5
"""How long taking back a prompt may take; a stopped run does not wait longer for it."""

SENT_AGAIN = frozenset({429, 503})
"""Statuses with which a prompt was not taken; a gateway's 502 or 504 does not say so."""


@dataclass(frozen=True)
class Saved:
    """A picture that lies on the server."""

    filename: str
    subfolder: str
    kind: str


async def unpaid(send: Callable[[], Awaitable[T]], /) -> T:
    """Send: it costs nothing."""
    return await send()


class Server:
    """One ComfyUI server, for one image.

    Parameters
    ----------
    workshop : Workshop
    graph : dict
        Of the workflow, for the names of nodes in messages.
    """

    def __init__(self, workshop: Workshop, graph: Graph) -> None:
        self._http = workshop.http
        self.url = workshop.settings.comfyui_url or ""
        shown = httpx.URL(self.url).copy_with(userinfo=b"")  # a password may stand there
        self.name = f"ComfyUI at {str(shown).rstrip('/')}"
        self._rules = Rules(NAME, self.name)
        self._prompt_rules = Rules(
            NAME,
            self.name,
            may_retry=lambda answer: answer.status_code in SENT_AGAIN,
            own_error=lambda answer, said: (
                unheard(self.name, answer, said) or refusal(self.name, graph, answer)
            ),
        )

    async def upload(self, png: bytes) -> str:
        """Store a control map among the server's inputs; return the name it has there.

        It is named by its content and not overwritten: the server keeps equal files once, and renames others.
        """
        name = f"{hashlib.sha256(png).hexdigest()[:32]}.png"
        call = Call(
            "POST",
            f"{self.url}/upload/image",
            files={"image": (name, png, "image/png")},
            form={"type": "input", "subfolder": FOLDER},
        )
        stored = await self._json(call)
        if not stored.get("name"):
            raise self._no_comfyui()
        folder = str(stored.get("subfolder") or "")
        return f"{folder}/{stored['name']}" if folder else str(stored["name"])

    async def submit(self, graph: Graph, prompt_id: str) -> dict[str, Any]:
        """Put a prompt into the queue; return the server's answer.

        Raises
        ------
        OutcomeUnknownError
            No answer came back and the server does not know the prompt.
        ImageFailedError, BackendUnavailableError
            It refuses the prompt.
        """
        body = {"prompt": graph, "prompt_id": prompt_id, "client_id": prompt_id}
        call = Call("POST", f"{self.url}/prompt", json=body)
        try:
            answer = await self._http.purchase(call, self._prompt_rules, unpaid)
        except OutcomeUnknownError as exc:
            if not await self._turns_up(prompt_id):
                raise OutcomeUnknownError(str(exc), prompt_id, backend=NAME) from exc
            return {"prompt_id": prompt_id}
        return self._read(answer)

    async def _turns_up(self, prompt_id: str) -> bool:
        async def ask() -> bool | None:
            return await self.history(prompt_id) is not None or bool(await self._place(prompt_id)) or None

        try:
            return await poll(
                ask, deadline_s=TURN_UP_S, first_s=0.1, sleep=self._http.sleep, clock=self._http.clock
            )
        except PollDeadlineError:
            return False

    async def history(self, prompt_id: str) -> dict[str, Any] | None:
        """Return what became of a prompt; None while it is not done, or if the server does not know it."""
        found = await self._json(Call("GET", f"{self.url}/history/{prompt_id}"))
        entry = found.get(prompt_id)
        return entry if isinstance(entry, dict) else None

    async def _place(self, prompt_id: str) -> str:
        """Return "running", "pending", or an empty string if the prompt is not in the queue."""
        queue = await self._json(Call("GET", f"{self.url}/queue"))
        for place in ("running", "pending"):
            entries = queue.get(f"queue_{place}")
            if isinstance(entries, list) and any(
                isinstance(entry, list) and len(entry) > 1 and entry[1] == prompt_id for entry in entries
            ):
                return place
        return ""

    async def outcome(self, prompt_id: str, watch: Watch) -> dict[str, Any]:
        """Wait until a prompt is done and return its entry in the history.

        The websocket says when to look; only the history counts.

        Raises
        ------
        ResultGoneError
            The server does not know the prompt: it was started anew, or its history was cleared.
        """
        wait_s = FIRST_LOOK_S
        while True:
            entry = await self.history(prompt_id)
            if entry is None and not await self._place(prompt_id):
                entry = await self.history(prompt_id)  # it may have got done between the two questions
                if entry is None:
                    raise ResultGoneError(
                        f"{self.name} does not know prompt {prompt_id} (any more)",
                        backend=NAME,
                        code="RESULT_GONE",
                    )
            if entry is not None:
                return entry
            news = await watch.news(LONGEST_LOOK_S if watch.listening else wait_s, self._http.sleep)
            wait_s = FIRST_LOOK_S if news else min(wait_s * LOOK_GROWTH, LONGEST_LOOK_S)

    async def cancel(self, prompt_id: str) -> None:
        """Take a prompt back, as well as that can be done quickly; only that prompt."""
        with contextlib.suppress(BackendError, TimeoutError):
            async with asyncio.timeout(CANCEL_S):
                if await self._place(prompt_id) == "pending":
                    await self._post("queue", {"delete": [prompt_id]})
                if await self._place(prompt_id) == "running":  # perhaps it has just begun
                    # A server from before 2025-08 interrupts whatever runs: it is this one.
                    await self._post("interrupt", {"prompt_id": prompt_id})

    async def view(self, saved: Saved) -> tuple[bytes, str]:
        """Return a picture's bytes and the content type that the server claims.

        Raises
        ------
        ResultGoneError
            The file is no longer there.
        """

        def gone(answer: httpx.Response, said: str) -> BackendError | None:
            if answer.status_code != 404:
                return None
            message = f"{self.name} no longer has {saved.filename!r} ({said})"
            return ResultGoneError(message, backend=NAME, code="RESULT_GONE")

        query = {"filename": saved.filename, "subfolder": saved.subfolder, "type": saved.kind}
        call = Call("GET", f"{self.url}/view", query=query)
        answer = await self._http.send(call, Rules(NAME, self.name, own_error=gone))
        return answer.content, answer.headers.get("content-type", "")

    async def _post(self, route: str, body: dict[str, Any]) -> None:
        await self._http.send(Call("POST", f"{self.url}/{route}", json=body), self._rules)

    async def _json(self, call: Call) -> dict[str, Any]:
        return self._read(await self._http.send(call, self._rules))

    def _read(self, answer: httpx.Response) -> dict[str, Any]:
        try:
            body = answer.json()
        except (ValueError, RecursionError):
            raise self._no_comfyui() from None
        if not isinstance(body, dict):
            raise self._no_comfyui()
        return body

    def _no_comfyui(self) -> BackendError:
        message = f"{self.name} does not answer as ComfyUI does; check COMFYUI_URL"
        return self._rules.unavailable(message, "NOT_COMFYUI")


def saved_by(entry: dict[str, Any], graph: Graph, output: str) -> tuple[Saved, int]:
    """Return the picture that a node saved, by a prompt's entry in the history, and how many it saved.

    Raises
    ------
    ImageFailedError
        It saved none.
    """
    outputs = entry.get("outputs")
    found = outputs.get(output) if isinstance(outputs, dict) else None
    images = found.get("images") if isinstance(found, dict) else None
    listed = images if isinstance(images, list) else []
    pictures = [image for image in listed if isinstance(image, dict) and image.get("filename")]
    if not pictures:
        message = f"{in_words(graph, output)} saved no picture"
        raise ImageFailedError(message, backend=NAME, code="BAD_RESULT")
    first = pictures[0]
    saved = Saved(
        str(first["filename"]), str(first.get("subfolder") or ""), str(first.get("type") or "output")
    )
    return saved, len(pictures)
