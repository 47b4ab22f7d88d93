"""What every notebook that makes pictures asks: which poses, which words, which size, and what makes them."""

from __future__ import annotations

import re
from typing import Annotated, Any, Self

from pydantic import BeforeValidator, Field, field_validator, model_validator

from posegen.accuracy.registry import ESTIMATORS
from posegen.backends import get_backend
from posegen.errors import UnknownNameError
from posegen.parameters.checking import StrictModel, check
from posegen.parameters.reading import Names, listed, read_avatar, read_view
from posegen.records import Avatar, View

SIZE_STEP = 16
MIN_SIZE = 256
MAX_SIZE = 2048
RUN_ID = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9_.-]{0,78}[A-Za-z0-9])?")

DEFAULT_CONCURRENCY = 3
"""Images at the backend at once; hosted providers give new accounts 2 or 3 places."""


class PictureParameters(StrictModel):
    """What the parameters of a batch and of an experiment have in common.

    Poses come from `poses`, `categories` and `search` together, in that order and each once.
    """

    poses: Annotated[list[str] | None, BeforeValidator(listed)] = None
    """pose ids, or "all"; None takes sample poses when nothing else selects"""
    categories: Names = []
    """pose categories, every pose of each"""
    search: str = ""
    """words to search the pose library for"""
    pose_library: str = ""
    """path of a pose library of your own, used beside the built-in one"""
    views: Annotated[list[Any], BeforeValidator(listed)] = [0]
    """yaw in degrees, or "90m" for mirrored, or a mapping with yaw and mirrored"""
    images_per_pose: int = Field(default=1, ge=1, le=1000)
    """images of each pose and view, or of each prompt, with different seeds"""
    prompt: str = "studio photo of a person"
    """words for every image"""
    prompts: Annotated[list[str], BeforeValidator(lambda v: [v] if isinstance(v, str) else v)] = []
    """several prompts, each for every pose; without poses, images from text alone"""
    negative_prompt: str | None = None
    """what to keep out; None takes the default one"""
    avatar: dict[str, Any] | list[dict[str, Any]] = {}
    """who is in the picture, such as gender or hair_color; a list makes every pose for each"""
    seed: int = Field(default=0, ge=0, lt=2**63)
    """decides every image's own seed"""
    width: int = 1024
    """pixels, a multiple of 16 from 256 to 2048"""
    height: int = 1024
    """pixels, a multiple of 16 from 256 to 2048"""
    backend: str = "figure"
    """what makes the images"""
    model: str | None = None
    """the backend's model; None takes its default"""
    num_inference_steps: int | None = Field(default=None, ge=1, le=500)
    """sampling steps; None takes the backend's default"""
    guidance_scale: float | None = Field(default=None, ge=0, le=50)
    """classifier-free guidance; None takes the backend's default"""
    controlnet_conditioning_scale: float | None = Field(default=None, ge=0, le=2)
    """how strongly the control map acts; None takes the backend's default"""
    control_guidance_end: float | None = Field(default=None, ge=0, le=1)
    """share of the steps after which the control map is let go; None takes the backend's default"""
    backend_options: dict[str, Any] = {}
    """the backend's own options"""
    concurrency: int = Field(default=DEFAULT_CONCURRENCY, ge=1, le=64)
    """images at the backend at once"""
    estimator: str = "auto"
    """what measures pose accuracy: auto (mediapipe if it is installed), off, or an estimator's name"""
    estimator_options: dict[str, Any] = {}
    """the estimator's own options"""
    user: str = Field(default="local", min_length=1, max_length=80, pattern=r"^[\w.@+-]+$")
    """whose credits and statistics the run counts for"""
    project: str = Field(default="posegen", min_length=1, max_length=80)
    """a name to group runs by"""
    run_id: str | None = None
    """None makes one from the time; a known one resumes that run"""

    @field_validator("width", "height")
    @classmethod
    def _allowed_size(cls, value: int) -> int:
        if value % SIZE_STEP or not MIN_SIZE <= value <= MAX_SIZE:
            nearest = min(max(round(value / SIZE_STEP) * SIZE_STEP, MIN_SIZE), MAX_SIZE)
            raise ValueError(
                f"{value} is not allowed: a multiple of {SIZE_STEP} from {MIN_SIZE} to {MAX_SIZE}; "
                f"the nearest is {nearest}"
            )
        return value

    @field_validator("run_id")
    @classmethod
    def _allowed_run_id(cls, value: str | None) -> str | None:
        if value is not None and not RUN_ID.fullmatch(value):
            raise ValueError(
                f"{value!r} is not allowed: 1 to 80 letters, digits, '_', '-' or '.', "
                "with a letter or digit at both ends"
            )
        return value

    @field_validator("views")
    @classmethod
    def _readable_views(cls, value: list[Any]) -> list[Any]:
        if not value:
            raise ValueError("is empty: give at least one yaw in degrees, such as 0")
        for entry in value:
            read_view(entry)
        return value

    @field_validator("avatar")
    @classmethod
    def _known_avatar(
        cls, value: dict[str, Any] | list[dict[str, Any]]
    ) -> dict[str, Any] | list[dict[str, Any]]:
        if value == []:
            raise ValueError("is an empty list: give attributes such as {gender: female}, or none")
        for entry in value if isinstance(value, list) else [value]:
            read_avatar(entry)
        return value

    @field_validator("backend")
    @classmethod
    def _known_backend(cls, value: str) -> str:
        try:
            get_backend(value)
        except UnknownNameError as exc:
            raise ValueError(str(exc)) from exc
        return value

    @field_validator("estimator")
    @classmethod
    def _known_estimator(cls, value: str) -> str:
        if value not in ("auto", "off", *ESTIMATORS):
            raise ValueError(str(UnknownNameError("estimator", value, ["auto", "off", *ESTIMATORS])))
        return value

    @model_validator(mode="after")
    def _estimator_takes_its_options(self) -> Self:
        if self.estimator in ESTIMATORS:
            check(ESTIMATORS[self.estimator].options_type, self.estimator_options, within="estimator_options")
        elif self.estimator_options:
            raise ValueError(
                f"estimator_options: they need an estimator by name ({', '.join(ESTIMATORS)}), "
                f"not {self.estimator!r}"
            )
        return self

    @model_validator(mode="after")
    def _words(self) -> Self:
        if any(not text.strip() for text in self.prompts):
            raise ValueError("prompts: an entry is empty")
        return self

    @property
    def view_list(self) -> list[View]:
        """The views, each once."""
        return list(dict.fromkeys(read_view(entry) for entry in self.views))

    @property
    def avatar_list(self) -> list[Avatar]:
        """The avatars, each once."""
        entries = self.avatar if isinstance(self.avatar, list) else [self.avatar]
        return list(dict.fromkeys(read_avatar(entry) for entry in entries)) or [Avatar()]

    @property
    def prompt_list(self) -> list[str]:
        """The users' words, one image task each."""
        return list(self.prompts) or [self.prompt]
