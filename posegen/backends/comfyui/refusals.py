"""What ComfyUI says when it does not take a prompt, or when a node fails: in words, with the node's name."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx

from posegen.backends.comfyui.graph import Graph, in_words
from posegen.errors import (
    BackendError,
    BackendUnavailableError,
    ImageFailedError,
    OutcomeUnknownError,
    ResultGoneError,
)

NAME = "comfyui"

OF_ONE_IMAGE = frozenset(
    {
        "value_smaller_than_min",
        "value_bigger_than_max",
        "invalid_input_type",
        "custom_validation_failed",
        "exception_during_validation",
        "exception_during_inner_validation",
    }
)
"""Errors that hang on an image's own values. With any other (a missing model file, an unknown node, a link
that does not fit) every image of the run would be refused alike."""

UNHEARD = (500, 502, 504)
"""Statuses that do not say whether the prompt was taken."""

LONGEST_MESSAGE = 600


def unheard(server: str, answer: httpx.Response, said: str) -> BackendError | None:
    """Return an error for an answer that leaves open whether the prompt was taken."""
    if answer.status_code not in UNHEARD:
        return None
    return OutcomeUnknownError(f"{server} answered {answer.status_code}: {said}", backend=NAME)


def refusal(server: str, graph: Graph, answer: httpx.Response) -> BackendError | None:
    """Return the error that a refused prompt means, or None if the answer is no such refusal."""
    if answer.status_code != 400:
        return None
    try:
        body = answer.json()
    except (ValueError, RecursionError):
        return None
    if not isinstance(body, dict) or not ("error" in body or body.get("node_errors")):
        return None
    return refused(server, graph, body)


def refused(server: str, graph: Graph, body: dict[str, Any]) -> BackendError:
    """Return the error of a prompt that is refused, wholly or in part."""
    by_node = dict(_node_errors(graph, body.get("node_errors")))
    found = [error for errors in by_node.values() for error in errors]
    said = "; ".join(f"{where}: {', '.join(one for _, one in errors)}" for where, errors in by_node.items())
    if not found:
        found = [_in_words(body.get("error"))]
        said = found[0][1]
    if len(said) > LONGEST_MESSAGE:
        said = said[: LONGEST_MESSAGE - 1] + "…"
    message = f"{server} refuses the workflow: {said}"
    if all(kind in OF_ONE_IMAGE for kind, _ in found):
        return ImageFailedError(message, backend=NAME, code="WORKFLOW_REFUSED")
    return BackendUnavailableError(message, backend=NAME, code="WORKFLOW_REFUSED")


def concerned(body: dict[str, Any], output: str) -> bool:
    """Return whether node errors in the answer to a prompt that was taken keep the output from being made."""
    errors = body.get("node_errors")
    if not isinstance(errors, dict):
        return False
    for entry in errors.values():
        outputs = entry.get("dependent_outputs") if isinstance(entry, dict) else None
        if not isinstance(outputs, list) or output in map(str, outputs):
            return True
    return False


def _node_errors(graph: Graph, errors: Any) -> Iterator[tuple[str, list[tuple[str, str]]]]:
    """Yield each node with its errors: their types and sentences."""
    for node_id, entry in errors.items() if isinstance(errors, dict) else ():
        found = entry.get("errors") if isinstance(entry, dict) else None
        if isinstance(found, list) and found:
            yield in_words(graph, str(node_id)), [_in_words(error) for error in found]


def _in_words(error: Any) -> tuple[str, str]:
    """Return the type and the words of one {"type", "message", "details"}."""
    if not isinstance(error, dict):
        return "", str(error or "no reason given")
    parts = [str(error.get(name) or "").strip() for name in ("message", "details")]
    return str(error.get("type") or ""), ": ".join(part for part in parts if part) or "no reason given"


def failure(entry: dict[str, Any], graph: Graph, server: str) -> BackendError | None:
    """Return what went wrong with a prompt by its entry in the history, or None if it is done.

    Returns
    -------
    BackendError or None
        ImageFailedError with code NODE_FAILED, or ResultGoneError if somebody interrupted it.
    """
    status = entry.get("status")
    if not isinstance(status, dict) or status.get("status_str") != "error":
        return None
    told = status.get("messages")
    messages = [
        one for one in (told if isinstance(told, list) else ()) if isinstance(one, list) and len(one) == 2
    ]
    by_event = {str(event): data for event, data in messages if isinstance(data, dict)}
    if "execution_error" in by_event:
        data = by_event["execution_error"]
        said = " ".join(str(data.get("exception_message") or data.get("exception_type") or "").split())
        where = _failed_node(data, graph)
        message = f"{where} failed on {server}: {said or 'no reason given'}"[:LONGEST_MESSAGE]
        return ImageFailedError(message, backend=NAME, code="NODE_FAILED")
    if "execution_interrupted" in by_event:
        where = _failed_node(by_event["execution_interrupted"], graph)
        message = f"interrupted on {server} at {where}"
        return ResultGoneError(message, backend=NAME, code="INTERRUPTED_THERE")
    return ImageFailedError(f"{server} says that it failed, and not why", backend=NAME, code="NODE_FAILED")


def _failed_node(data: dict[str, Any], graph: Graph) -> str:
    node_id = str(data.get("node_id") or "")
    if node_id in graph:
        return in_words(graph, node_id)
    kind = data.get("node_type")
    return f"node {node_id or '?'}{f' ({kind})' if kind else ''}"
