"""The arms of an experiment, as people write them: `prompt`, `control@0.6`, `control~12`, or a mapping."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Literal

from pydantic import Field, field_validator

from posegen.parameters.checking import StrictModel, check

ArmConditioning = Literal["none", "prompt", "control", "shuffled", "direct"]

FORMS = (
    "none, prompt, control, shuffled or direct; control@0.6 for a control scale, control~12 for the embedded "
    "renderer's joint noise in degrees; or a mapping with name, conditioning and what else differs"
)

_SHORT = re.compile(
    r"(?P<conditioning>none|prompt|control|shuffled|direct)"
    r"(?:@(?P<scale>\d+(?:\.\d+)?|\.\d+))?(?:~(?P<noise>\d+(?:\.\d+)?|\.\d+))?"
)

NOISE = "joint_noise_deg"
"""The embedded renderer's option that is a dose."""

SCALE = "controlnet_conditioning_scale"
"""The sampling parameter that is one."""


class Arm(StrictModel):
    """One way of asking for a pose, compared with others over the same poses, views, prompts and seeds."""

    name: str = Field(min_length=1, max_length=40)
    """what tables and figures call it"""
    conditioning: ArmConditioning
    """how the pose is asked for; `shuffled` scores another arm's images against another pose, `direct` is the
    target drawn by the embedded renderer"""
    of: str | None = None
    """for `shuffled`: the arm whose images are scored; None takes the one with the strongest control"""
    dose: float | None = None
    """its place on the dose curve; None takes the control scale, or the joint noise"""
    seed_offset: int = Field(default=0, ge=0, lt=2**31)
    """makes other images of the same recipe: a replicate"""
    backend: str | None = None
    """another backend than the experiment's"""
    model: str | None = None
    """another model"""
    num_inference_steps: int | None = Field(default=None, ge=1, le=500)
    """sampling steps"""
    guidance_scale: float | None = Field(default=None, ge=0, le=50)
    """classifier-free guidance"""
    controlnet_conditioning_scale: float | None = Field(default=None, ge=0, le=2)
    """how strongly the control map acts; 0 is the off arm of a control experiment"""
    control_guidance_end: float | None = Field(default=None, ge=0, le=1)
    """share of the steps after which the control map is let go"""
    backend_options: dict[str, Any] = {}
    """backend options that differ from the experiment's"""

    @field_validator("name")
    @classmethod
    def _one_line(cls, value: str) -> str:
        if value != value.strip() or not value.isprintable():
            raise ValueError(f"{value!r} is not a name: one line, with no blanks round it")
        return value

    @property
    def makes_images(self) -> bool:
        """Whether it has images of its own."""
        return self.conditioning != "shuffled"

    @property
    def placed(self) -> tuple[str, float] | None:
        """What its dose is of, and how much; None if it has no place on a dose curve."""
        noise = self.backend_options.get(NOISE)
        if self.dose is not None:
            return (NOISE if noise is not None else SCALE if self.scale is not None else "dose"), self.dose
        if noise is not None:
            return NOISE, float(noise)
        return (SCALE, self.scale) if self.scale is not None else None

    @property
    def scale(self) -> float | None:
        """The control scale, if it is this arm's own."""
        return self.controlnet_conditioning_scale

    @property
    def own(self) -> dict[str, Any]:
        """Return the parameters that it sets for itself."""
        names = ("backend", "model", "num_inference_steps", "guidance_scale", SCALE, "control_guidance_end")
        return {name: getattr(self, name) for name in names if getattr(self, name) is not None}


def read_arm(value: Any) -> Arm:
    """Return the arm that `value` describes.

    Raises
    ------
    ValueError
        Names the value and the forms allowed.
    ParameterError
        A mapping with an unknown name or a wrong value.

    Examples
    --------
    >>> read_arm("control@0.6").controlnet_conditioning_scale
    0.6
    >>> read_arm("control~12").backend_options
    {'joint_noise_deg': 12.0}
    """
    if isinstance(value, Mapping):
        given = dict(value)
        given.setdefault("name", given.get("conditioning"))
        return check(Arm, given, within="arms")
    match = _SHORT.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        raise ValueError(f"{value!r} is not an arm; allowed: {FORMS}")
    if (match["scale"] or match["noise"]) and match["conditioning"] in ("shuffled", "direct"):
        raise ValueError(f"{value!r}: {match['conditioning']} has no dose; allowed: {FORMS}")
    if match["scale"] and match["conditioning"] != "control":
        raise ValueError(f"{value!r}: a control scale belongs to control, as in control@{match['scale']}")
    given = {"name": value, "conditioning": match["conditioning"]}
    if match["scale"]:
        given[SCALE] = float(match["scale"])
    if match["noise"]:
        given["backend_options"] = {NOISE: float(match["noise"])}
    return check(Arm, given, within=f"arms.{value}")
