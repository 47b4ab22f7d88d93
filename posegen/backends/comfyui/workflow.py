"""Loads a workflow exported from ComfyUI with "Export (API)", shipped here or a user's own."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources
from pathlib import Path
from typing import Any

from posegen.backends.comfyui.graph import Graph, in_words, is_link
from posegen.backends.comfyui.slots import check_slots, find_slots
from posegen.errors import UnknownNameError
from posegen.settings import project_folder

DEFAULT_WORKFLOW = "flux_controlnet_pose"

MAX_BYTES = 4 * 1024 * 1024
"""Longest file that is taken for a workflow; big ones have some 100 KB."""

MODEL_INPUTS = ("ckpt_name", "unet_name", "model_name")
"""Inputs that name what makes the picture."""


@dataclass(frozen=True)
class Workflow:
    """A workflow with its slots.

    Attributes
    ----------
    name : str
        Of a shipped one, or the absolute path of a file.
    graph : dict
    slots : dict of str to str
        Node ids.
    sha256 : str
        Of the content; white space and the order of keys have no part in it.
    """

    name: str
    graph: Graph
    slots: dict[str, str]
    sha256: str

    @property
    def model(self) -> str | None:
        """What makes the pictures: the file at posegen:checkpoint, or the only model there is."""
        at = self.slots.get("checkpoint")
        nodes = [self.graph[at]] if at is not None else list(self.graph.values())
        found = [
            str(node["inputs"][name])
            for node in nodes
            for name in MODEL_INPUTS
            if isinstance(node["inputs"].get(name), str)
        ]
        return found[0] if len(found) == 1 else None


@lru_cache(maxsize=1)
def shipped() -> dict[str, str]:
    """Return the text of each workflow that comes with posegen, by name."""
    folder = resources.files(__package__) / "workflows"
    files = [file for file in folder.iterdir() if file.name.endswith(".json")]
    return {
        file.name.removesuffix(".json"): file.read_text("utf-8")
        for file in sorted(files, key=lambda one: one.name)
    }


def load_workflow(name: str) -> Workflow:
    """Return a workflow by the name of a shipped one, or by the path of a JSON file.

    A relative path counts from the current folder or else from the project's.

    Raises
    ------
    ValueError
        There is none, or it is not one that can be used; says what is wrong with it and where.
    """
    if name in shipped():
        return parse_workflow(name, shipped()[name])
    path = _path_of(name)
    try:
        if path.stat().st_size > MAX_BYTES:
            raise ValueError(f"{name!r} has more than {MAX_BYTES:,} bytes: it is no workflow")
        text = path.read_text("utf-8")
    except OSError as exc:
        raise ValueError(f"{name!r} cannot be read: {exc.strerror or exc}") from exc
    except UnicodeDecodeError as exc:
        raise ValueError(f"{name!r} is not JSON: {exc}") from exc
    return parse_workflow(str(path), text)


def _path_of(name: str) -> Path:
    given = Path(name).expanduser()
    for path in (Path.cwd() / given, project_folder() / given):
        if path.is_file():
            return path
    if given.suffix.lower() == ".json" or len(given.parts) > 1:
        raise ValueError(f"there is no file {name!r}")
    raise ValueError(f"{UnknownNameError('workflow', name, shipped())} Or give the path of a JSON file.")


@lru_cache(maxsize=8)  # each image of a run comes by
def parse_workflow(name: str, text: str) -> Workflow:
    """Return the workflow in `text`.

    Raises
    ------
    ValueError
        As `load_workflow`.
    """
    try:
        content = json.loads(text)
    except (ValueError, RecursionError) as exc:
        raise ValueError(f"{name!r} is not JSON: {exc}") from exc
    try:
        graph = _checked(content)
        slots = find_slots(graph)
        check_slots(graph, slots)
    except ValueError as exc:
        raise ValueError(f"workflow {name!r}: {exc}") from exc
    canonical = json.dumps(content, sort_keys=True, separators=(",", ":"))
    return Workflow(name, graph, slots, hashlib.sha256(canonical.encode()).hexdigest())


def _checked(content: Any) -> Graph:
    """Return the content as a graph whose nodes and links are in order."""
    if isinstance(content, dict) and isinstance(content.get("nodes"), list):
        raise ValueError(
            "it is saved in the form of ComfyUI's editor; export it there with Workflow > Export (API)"
        )
    if not isinstance(content, dict) or not content:
        raise ValueError("it is no workflow in API form, which is a JSON object of nodes by id")
    for node_id, node in content.items():
        if not isinstance(node, dict) or not isinstance(node.get("class_type"), str):
            raise ValueError(f"node {node_id} has no class_type: it is no workflow in API form")
        if not isinstance(node.get("inputs"), dict):
            raise ValueError(f"node {node_id} ({node['class_type']}) has no inputs")
    for node_id, node in content.items():
        for name, value in node["inputs"].items():
            if is_link(value) and str(value[0]) not in content:
                raise ValueError(
                    f"{in_words(content, node_id)}: input {name!r} leads to node {value[0]}, "
                    "which is not there"
                )
    return content
