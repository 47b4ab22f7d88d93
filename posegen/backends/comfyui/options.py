"""The options of the comfyui backend, which carry its workflow."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import Field, PrivateAttr, StrictBool, StrictFloat, StrictInt, StrictStr, model_validator

from posegen.backends.base import NoOptions
from posegen.backends.comfyui.changes import bypass_control, fill, override
from posegen.backends.comfyui.graph import Graph
from posegen.backends.comfyui.workflow import DEFAULT_WORKFLOW, Workflow, load_workflow
from posegen.records import Conditioning, StickScale

XINSIR_NAMES = ("xinsir", "controlnet-openpose-sdxl-1.0")
"""Parts of the names under which xinsir's ControlNets, which want thicker sticks, lie about."""


class ComfyuiOptions(NoOptions):
    """Options of the comfyui backend."""

    workflow: str = DEFAULT_WORKFLOW
    """name of a shipped workflow, or path of a JSON file made with "Export (API)"; see docs/comfyui.md"""
    workflow_sha256: str | None = None
    """hash that the workflow's content must have; a plan puts it in by itself"""
    controlnet_model: str | None = None
    """ControlNet file, for the node at posegen:controlnet_model"""
    vae: str | None = None
    """VAE file, for the node at posegen:vae"""
    text_encoders: list[str] = Field(default=[], max_length=4)
    """text encoder files, for the node at posegen:text_encoders, in its order"""
    inputs: dict[str, dict[str, StrictStr | StrictBool | StrictInt | StrictFloat]] = {}
    """any other inputs, by a node's id, title or slot, such as {"posegen:seed": {"sampler_name": "euler"}}"""
    stick_scale: Literal["auto", "none", "xinsir"] = "auto"
    """how wide the control map's sticks are; auto takes xinsir's width where the ControlNet's name says so"""

    _workflow: Workflow = PrivateAttr()

    @model_validator(mode="after")
    def _usable(self) -> ComfyuiOptions:
        found = load_workflow(self.workflow)
        if self.workflow_sha256 not in (None, found.sha256):
            raise ValueError(
                f"workflow {self.workflow!r} is no longer what it was when this was planned (its hash is "
                f"{found.sha256[:12]}, not {str(self.workflow_sha256)[:12]}): put that one back, or plan anew"
            )
        graph, left = fill(override(found.graph, self.inputs), found.slots, self._files())
        if left:
            name = "text_encoders" if left[0].startswith("text_encoder") else left[0]
            raise ValueError(f"{name}: workflow {self.workflow!r} has no place for it (posegen:{name})")
        self._workflow = Workflow(found.name, graph, found.slots, found.sha256)
        return self

    def _files(self) -> dict[str, object]:
        encoders = {f"text_encoder_{place}": name for place, name in enumerate(self.text_encoders, 1)}
        return {"controlnet_model": self.controlnet_model, "vae": self.vae, **encoders}

    @property
    def loaded(self) -> Workflow:
        """The workflow, with the files and inputs that the options name."""
        return self._workflow

    def for_task(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """Return the options with the workflow's whole path, and the hash of its content."""
        return {**given, "workflow": self.loaded.name, "workflow_sha256": self.loaded.sha256}

    def conditionings(self, offered: tuple[Conditioning, ...]) -> tuple[Conditioning, ...]:
        """Return what the workflow can do."""
        if "control_image" not in self.loaded.slots:
            return tuple(one for one in offered if one != "control")
        try:
            bypass_control(self.loaded.graph, self.loaded.slots)
        except ValueError:
            return tuple(one for one in offered if one == "control")
        return offered

    def for_conditioning(self, conditioning: Conditioning) -> tuple[Graph, dict[str, str]]:
        """Return the workflow's graph and slots, without its ControlNet unless there is a control map.

        Raises
        ------
        ValueError
            The workflow cannot do that.
        """
        graph, slots = self.loaded.graph, self.loaded.slots
        if conditioning == "control":
            if "control_image" not in slots:
                raise ValueError(
                    f"workflow {self.workflow!r} has no node for the map (posegen:control_image)"
                )
            return graph, slots
        return bypass_control(graph, slots) if "control_image" in slots else (graph, slots)

    @property
    def sticks(self) -> StickScale:
        """How wide the sticks of a control map shall be."""
        if self.stick_scale != "auto":
            return self.stick_scale
        at = self.loaded.slots.get("controlnet_model")
        name = str(self.loaded.graph[at]["inputs"].get("control_net_name", "")) if at else ""
        return "xinsir" if any(part in name.lower() for part in XINSIR_NAMES) else "none"
