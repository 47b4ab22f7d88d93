"""The slots of a workflow: which nodes, marked by their titles, take what from an image task.

A node is marked by a title that holds `posegen:` and the slots it has, such as `KSampler posegen:seed,steps`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from posegen.backends.comfyui.graph import Graph, in_words, is_link, title_of
from posegen.errors import UnknownNameError

TITLE = re.compile(r"posegen:\s*([\w-]+(?:\s*,\s*[\w-]+)*)", re.IGNORECASE)

TEXTS = ("text", "text_g", "text_l", "clip_l", "clip_g", "t5xxl", "llama", "prompt", "string", "value")


@dataclass(frozen=True)
class Slot:
    """What a slot takes.

    Attributes
    ----------
    inputs : dict of str to tuple of str
        By value, the names of the node's inputs that are set to it, as far as the node has them.
    required : bool
        No workflow works without it.
    whole : bool
        The node must take every one of the values.
    """

    inputs: dict[str, tuple[str, ...]]
    required: bool = False
    whole: bool = False


SLOTS: dict[str, Slot] = {
    "prompt": Slot({"prompt": TEXTS}, required=True),
    "negative_prompt": Slot({"negative_prompt": TEXTS}),
    "seed": Slot({"seed": ("seed", "noise_seed", "value")}, required=True),
    "size": Slot({"width": ("width",), "height": ("height",)}, whole=True),
    "width": Slot({"width": ("width", "value")}),
    "height": Slot({"height": ("height", "value")}),
    "control_image": Slot({"control_image": ("image",)}),
    "controlnet": Slot({"strength": ("strength",), "end_percent": ("end_percent",)}),
    "controlnet_model": Slot({"controlnet_model": ("control_net_name",)}),
    "steps": Slot({"steps": ("steps", "value")}),
    "guidance": Slot({"guidance": ("guidance", "cfg", "value")}),
    "checkpoint": Slot({"checkpoint": ("ckpt_name", "unet_name", "model_name")}),
    "vae": Slot({"vae": ("vae_name",)}),
    "text_encoders": Slot(
        {
            "text_encoder_1": ("clip_name", "clip_name1"),
            "text_encoder_2": ("clip_name2",),
            "text_encoder_3": ("clip_name3",),
            "text_encoder_4": ("clip_name4",),
        }
    ),
    "output": Slot({}, required=True),
}
"""Every slot there is."""


def find_slots(graph: Graph) -> dict[str, str]:
    """Return the id of the node that each slot of a workflow is at.

    Raises
    ------
    ValueError
        A slot nobody knows, one that stands twice, or one whose node cannot take its value.
    """
    found: dict[str, str] = {}
    for node_id in graph:
        for name in slots_in(title_of(graph, node_id)):
            if name not in SLOTS:
                raise ValueError(f"{in_words(graph, node_id)}: {UnknownNameError('slot', name, SLOTS)}")
            if name in found and found[name] != node_id:
                raise ValueError(
                    f"slot posegen:{name} stands twice, at {in_words(graph, found[name])} and at "
                    f"{in_words(graph, node_id)}; to feed several nodes, link them to one"
                )
            found[name] = node_id
            _check_node(graph, node_id, name)
    return found


def check_slots(graph: Graph, slots: Mapping[str, str]) -> None:
    """Refuse a workflow that lacks a slot.

    Raises
    ------
    ValueError
        Says which, and which ones there are.
    """
    missing = [f"posegen:{name}" for name, slot in SLOTS.items() if slot.required and name not in slots]
    if "size" not in slots and not {"width", "height"} <= slots.keys():
        missing.append("posegen:size")
    if missing:
        there = ", ".join(sorted(slots)) or "none"
        raise ValueError(
            f"no node is marked as {', '.join(missing)} by its title (slots found: {there}; "
            "docs/comfyui.md says how)"
        )
    output = slots["output"]
    for node_id, node in graph.items():
        if any(is_link(value) and str(value[0]) == output for value in node["inputs"].values()):
            raise ValueError(
                f"{in_words(graph, output)} hands on to {in_words(graph, node_id)}; posegen:output must be "
                "the node that saves the picture (Save Image)"
            )


def slots_in(title: str) -> Iterator[str]:
    """Yield the slots that a title names."""
    for match in TITLE.finditer(title):
        yield from (name.strip().lower().replace("-", "_") for name in match[1].split(","))


def _check_node(graph: Graph, node_id: str, name: str) -> None:
    """Refuse a node that cannot take what its slot stands for."""
    inputs, slot = graph[node_id]["inputs"], SLOTS[name]
    there = {value: [one for one in names if one in inputs] for value, names in slot.inputs.items()}
    linked = [one for names in there.values() for one in names if is_link(inputs[one])]
    if linked:
        raise ValueError(
            f"{in_words(graph, node_id)}: slot posegen:{name} sets {linked[0]!r}, which is a link to another "
            "node and not a value; mark that node in place of this one"
        )
    lacking = [names for value, names in slot.inputs.items() if not there[value]]
    if lacking and (slot.whole or not any(there.values())):
        wanted = " or ".join(repr(one) for one in lacking[0])
        raise ValueError(
            f"{in_words(graph, node_id)}: slot posegen:{name} needs an input {wanted}, and the node has "
            f"{', '.join(repr(one) for one in inputs) or 'none'}"
        )
