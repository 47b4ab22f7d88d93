"""A workflow in API form: nodes by id, whose inputs are values or links to other nodes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

Graph = dict[str, dict[str, Any]]
"""Nodes by id, as ComfyUI takes them: {"class_type", "inputs", "_meta": {"title"}}."""


def is_link(value: object) -> bool:
    """Return whether an input's value is the output of another node."""
    return (
        isinstance(value, list)
        and len(value) == 2
        and isinstance(value[0], str | int)
        and isinstance(value[1], int)
    )


def title_of(graph: Mapping[str, Any], node_id: str) -> str:
    """Return a node's title, or an empty string."""
    meta = graph[node_id].get("_meta")
    return str(meta.get("title", "")) if isinstance(meta, dict) else ""


def in_words(graph: Mapping[str, Any], node_id: str) -> str:
    """Return how a node is called in messages: id, title and class."""
    if node_id not in graph:
        return f"node {node_id}"
    title = title_of(graph, node_id)
    return f"node {node_id}{f' {title!r}' if title else ''} ({graph[node_id]['class_type']})"
