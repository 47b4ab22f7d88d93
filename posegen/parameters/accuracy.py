"""The schema of `03_pose_accuracy.ipynb`."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BeforeValidator, field_validator, model_validator

from posegen.accuracy.registry import DEFAULT_ESTIMATOR
from posegen.backends.figure import NO_EFFECT
from posegen.errors import ParameterError
from posegen.parameters.arms import NOISE, SCALE, Arm, read_arm
from posegen.parameters.batch import BatchParameters
from posegen.parameters.checking import check
from posegen.parameters.pictures import PictureParameters
from posegen.parameters.reading import listed
from posegen.poses.library import PoseLibrary

RENDERER = "figure"

DEFAULT_ARMS: list[str] = ["none", "prompt", "control~12", "control~6", "control~3", "shuffled", "direct"]
"""A known truth to recover, free and offline: the less joint noise, the better the pose is met."""

SHARED = (
    "pose_library", "views", "images_per_pose", "prompt", "prompts", "negative_prompt", "avatar", "width",
    "height", "backend", "model", "num_inference_steps", "guidance_scale", "controlnet_conditioning_scale",
    "control_guidance_end", "backend_options", "concurrency", "user", "project",
)  # fmt: skip
"""Parameters that an arm's batch has from the experiment, unless the arm says otherwise."""


class AccuracyParameters(PictureParameters):
    """Parameters of `03_pose_accuracy.ipynb`.

    Every arm makes the same poses, in the same views, from the same prompts and seeds.
    """

    arms: Annotated[list[Any], BeforeValidator(listed)] = list(DEFAULT_ARMS)
    """ways of asking for a pose: none, prompt, control@0.6, control~12, shuffled, direct, or mappings"""
    baseline: str = ""
    """the arm that the others are compared with; empty takes the first"""
    width: int = 384
    """pixels, a multiple of 16 from 256 to 2048"""
    height: int = 384
    """pixels, a multiple of 16 from 256 to 2048"""
    estimator: str = DEFAULT_ESTIMATOR
    """what finds the poses in the pictures"""
    project: str = "pose-accuracy"
    """a name to group runs by"""

    @field_validator("estimator")
    @classmethod
    def _named_estimator(cls, value: str) -> str:
        if value in ("auto", "off"):
            raise ValueError(
                f"{value!r}: an experiment needs an estimator by name, such as {DEFAULT_ESTIMATOR!r}"
            )
        return value

    @field_validator("arms")
    @classmethod
    def _readable_arms(cls, value: list[Any]) -> list[Any]:
        names = [read_arm(entry).name for entry in value]
        again = sorted({name for name in names if names.count(name) > 1})
        if again:
            raise ValueError(f"{again[0]!r} is there twice: give one of them another name")
        if len(names) < 2:
            raise ValueError(f"{names} has nothing to compare: give two arms or more")
        return value

    @model_validator(mode="after")
    def _arms_fit_together(self) -> AccuracyParameters:
        names = [arm.name for arm in self.arm_list]
        if self.baseline and self.baseline not in names:
            raise ValueError(f"baseline: {self.baseline!r} is not an arm; allowed: {', '.join(names)}")
        if not (self.selected_poses or self.categories or self.search.strip()):
            raise ValueError("nothing is selected: give poses (ids or 'all'), categories or search words")
        makers = [arm for arm in self.arm_list if arm.makes_images]
        if not makers:
            raise ValueError("arms: 'shuffled' scores the images of another arm, and there is none")
        for arm in self.arm_list:
            _check_arm(arm, makers, self.backend)
            if arm.makes_images:
                self.batch_of(arm)
        return self

    @property
    def arm_list(self) -> tuple[Arm, ...]:
        """The arms, in the order given."""
        return tuple(read_arm(entry) for entry in self.arms)

    @property
    def baseline_name(self) -> str:
        """Name of the arm that the others are compared with."""
        return self.baseline or self.arm_list[0].name

    @property
    def selected_poses(self) -> tuple[str, ...]:
        """Pose ids asked for by name; half of the library when nothing else selects."""
        if self.poses is not None:
            return tuple(self.poses)
        return () if (self.categories or self.search.strip()) else sample_poses()

    def batch_of(self, arm: Arm) -> BatchParameters:
        """Return the batch that makes an arm's images.

        Raises
        ------
        ParameterError
            The arm asks for what its backend cannot do; names the arm.
        """
        values = {name: getattr(self, name) for name in SHARED} | arm.own
        values |= {"poses": list(self.selected_poses), "categories": self.categories, "search": self.search}
        values |= {"seed": self.seed + arm.seed_offset, "conditioning": arm.conditioning}
        other = values["backend"] != self.backend
        values["backend_options"] = {**({} if other else self.backend_options), **arm.backend_options}
        if arm.conditioning == "direct":
            values |= dict.fromkeys(("model", *NO_EFFECT))
            values |= {"backend": RENDERER, "backend_options": {}, "conditioning": "control"}
        try:
            return check(BatchParameters, values)
        except ParameterError as exc:
            raise ParameterError(f"arms.{arm.name}", str(exc)) from exc


def sample_poses() -> tuple[str, ...]:
    """Return half of the library's poses, some of every category."""
    library = list(PoseLibrary.builtin())
    alone = [pose for pose in library if len(PoseLibrary.builtin().category(pose.category)) == 1]
    return tuple(pose.id for place, pose in enumerate(library) if place % 2 == 0 or pose in alone)


def _check_arm(arm: Arm, makers: list[Arm], backend: str) -> None:
    if arm.of is not None and arm.conditioning != "shuffled":
        raise ValueError(f"arms.{arm.name}: 'of' belongs to shuffled, not to {arm.conditioning}")
    if arm.of is not None and arm.of not in [maker.name for maker in makers]:
        allowed = ", ".join(maker.name for maker in makers)
        raise ValueError(f"arms.{arm.name}: of: {arm.of!r} is not an arm with images; allowed: {allowed}")
    if arm.conditioning in ("shuffled", "direct") and (arm.own or arm.backend_options):
        said = ", ".join([*arm.own, *arm.backend_options])
        raise ValueError(f"arms.{arm.name}: {arm.conditioning} takes no parameters of its own, not {said}")
    without = [name for name in NO_EFFECT if name in arm.own]
    if (arm.backend or backend) == RENDERER and without:
        dose = f"; its dose is {NOISE}, as in control~12" if SCALE in without else ""
        raise ValueError(f"arms.{arm.name}: {without[0]} has no effect on the embedded renderer{dose}")
