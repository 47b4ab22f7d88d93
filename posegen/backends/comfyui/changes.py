"""Changes to a workflow: slots filled, its ControlNet bypassed, single inputs set. Each returns a new one."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence

from posegen.backends.comfyui.graph import Graph, in_words, is_link, title_of
from posegen.backends.comfyui.slots import SLOTS, slots_in
from posegen.errors import UnknownNameError

BYPASSED = {"positive": 0, "conditioning": 0, "negative": 1}
"""Inputs that a ControlNet node hands on, by the output where they come out again."""


def fill(
    graph: Graph, slots: Mapping[str, str], values: Mapping[str, object]
) -> tuple[Graph, tuple[str, ...]]:
    """Return a workflow with its slots set, and which values no slot takes.

    Parameters
    ----------
    values : mapping of str to value
        By the names in `SLOTS`; None leaves what the workflow has.
    """
    filled = copy.deepcopy(graph)
    taken: set[str] = set()
    for name, node_id in slots.items():
        inputs = filled[node_id]["inputs"]
        for value, names in SLOTS[name].inputs.items():
            for one in names:
                if one in inputs and values.get(value) is not None:
                    inputs[one] = values[value]
                    taken.add(value)
        if name == "size" and "batch_size" in inputs and not is_link(inputs["batch_size"]):
            inputs["batch_size"] = 1  # one seed and one request per image
    left = tuple(value for value, given in values.items() if given is not None and value not in taken)
    return filled, left


def bypass_control(graph: Graph, slots: Mapping[str, str]) -> tuple[Graph, dict[str, str]]:
    """Return a workflow without its ControlNet, and the slots that are left.

    The node at posegen:controlnet is bypassed as ComfyUI does it: who reads its outputs reads what went into
    it. Whatever the output then no longer needs is left out, the control image and its ControlNet with it.

    Raises
    ------
    ValueError
        There is no such node, or the control image has another way to the output.
    """
    node_id = slots.get("controlnet")
    if node_id is None:
        raise ValueError("no node is marked as posegen:controlnet, which could be bypassed")
    inputs = graph[node_id]["inputs"]
    through = {
        output: inputs[name] for name, output in BYPASSED.items() if name in inputs and is_link(inputs[name])
    }
    bypassed = copy.deepcopy(graph)
    for node in bypassed.values():
        for name, value in node["inputs"].items():
            if is_link(value) and str(value[0]) == node_id:
                if value[1] not in through:
                    raise ValueError(
                        f"{in_words(graph, node_id)} cannot be bypassed: it takes no conditioning"
                    )
                node["inputs"][name] = through[value[1]]
    needed = _needed_for(bypassed, slots["output"])
    left = {name: node_id for name, node_id in slots.items() if node_id in needed}
    if "control_image" in left:
        raise ValueError(
            f"{in_words(graph, slots['control_image'])} leads to the output even where "
            f"{in_words(graph, node_id)} is bypassed"
        )
    return {node_id: node for node_id, node in bypassed.items() if node_id in needed}, left


def _needed_for(graph: Graph, output: str) -> set[str]:
    """Return the ids of the nodes that the output depends on, and its own."""
    needed: set[str] = set()
    todo = [output]
    while todo:
        node_id = todo.pop()
        if node_id in graph and node_id not in needed:
            needed.add(node_id)
            todo += [str(value[0]) for value in graph[node_id]["inputs"].values() if is_link(value)]
    return needed


def override(graph: Graph, changes: Mapping[str, Mapping[str, object]]) -> Graph:
    """Return a workflow with single inputs changed.

    Parameters
    ----------
    changes : mapping
        By a node's id, title or slot ("posegen:seed"), the inputs to set.

    Raises
    ------
    ValueError
        There is no such node or input, or the input is a link.
    """
    changed = copy.deepcopy(graph)
    for named, inputs in changes.items():
        node_id = _node_called(graph, named)
        there = changed[node_id]["inputs"]
        for name, value in inputs.items():
            if name not in there:
                raise ValueError(f"{in_words(graph, node_id)}: {UnknownNameError('input', name, there)}")
            if is_link(there[name]):
                raise ValueError(f"{in_words(graph, node_id)}: input {name!r} is a link, not a value")
            there[name] = value
    return changed


def _node_called(graph: Graph, named: str) -> str:
    if named in graph:
        return named
    titles = {node_id: title_of(graph, node_id) for node_id in graph}
    slot = named.lower().removeprefix("posegen:")
    found: Sequence[str] = [node_id for node_id, title in titles.items() if title == named]
    found = found or [node_id for node_id, title in titles.items() if slot in slots_in(title)]
    if len(found) == 1:
        return found[0]
    if found:
        raise ValueError(f"{len(found)} nodes are called {named!r} ({', '.join(found)}); name one by its id")
    raise ValueError(str(UnknownNameError("node", named, [*graph, *filter(None, titles.values())])))
