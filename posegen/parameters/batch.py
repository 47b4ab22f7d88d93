"""The schema of `02_batch_generation.ipynb`."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, field_validator, model_validator

from posegen.backends import get_backend, options_of
from posegen.errors import UnknownNameError
from posegen.exports.formats import load_formats
from posegen.parameters.checking import check
from posegen.parameters.pictures import PictureParameters
from posegen.parameters.reading import Names
from posegen.settings import load_settings

DEFAULT_POSES = ("standing_relaxed", "walking_stride", "hands_on_hips_confident")
"""What is made when nothing is selected: a small free run."""


class BatchParameters(PictureParameters):
    """Parameters of `02_batch_generation.ipynb`.

    With no poses, categories and search, `prompts` alone asks for images from text.
    """

    conditioning: Literal["auto", "control", "prompt", "none"] = "auto"
    """how the pose is asked for; auto takes the best the backend can do"""
    exports: Names = []
    """export formats to make beside each image"""
    min_oks: float | None = Field(default=None, gt=0, le=1)
    """least pose accuracy (OKS) of an image: one below it is tried again with the next seed"""
    max_candidates: int = Field(default=4, ge=1, le=64)
    """images made at most for each one that min_oks asks for; the best is kept"""
    keep_rejected: bool = False
    """keep the images that min_oks rejects, beside those that are accepted"""

    @field_validator("exports")
    @classmethod
    def _known_formats(cls, value: list[str]) -> list[str]:
        formats = load_formats(load_settings().export_formats) if value else {}
        for name in value:
            if name not in formats:
                raise ValueError(str(UnknownNameError("export format", name, formats)))
        return value

    @model_validator(mode="after")
    def _consistent(self) -> BatchParameters:
        backend = get_backend(self.backend)
        check(backend.options_type, self.backend_options, within="backend_options")
        possible = options_of(backend, self.backend_options).conditionings(backend.conditionings)
        wanted = "none" if self.text_alone and self.conditioning == "auto" else self.conditioning
        if wanted not in ("auto", *possible):
            these = "" if possible == backend.conditionings else " and these backend_options"
            raise ValueError(
                f"conditioning: {wanted!r} is not possible with backend {self.backend!r}{these}, "
                f"which has {', '.join(possible)}"
            )
        if self.text_alone and self.conditioning in ("control", "prompt"):
            raise ValueError(
                f"conditioning: {self.conditioning!r} needs poses; from text alone it is 'none' (or 'auto')"
            )
        if self.selects_nothing:
            raise ValueError(
                "nothing is selected: give poses (ids or 'all'), categories or search words, "
                "or prompts for images from text alone"
            )
        self._check_gate()
        return self

    def _check_gate(self) -> None:
        if self.min_oks is None:
            given = self.model_fields_set & {"max_candidates", "keep_rejected"}
            asked = [name for name in sorted(given) if getattr(self, name) != _default(name)]
            if asked:
                raise ValueError(
                    f"{asked[0]}: needs min_oks; with 1.0 all candidates are made and the best is kept"
                )
        elif self.estimator == "off" or self.text_alone:
            lacking = "an estimator, and it is 'off'" if self.estimator == "off" else "poses"
            raise ValueError(f"min_oks: {self.min_oks:g} needs {lacking}")

    @property
    def text_alone(self) -> bool:
        """Whether the images come from text, with no pose."""
        return not (self.poses or self.categories or self.search.strip()) and bool(self.prompts)

    @property
    def selects_nothing(self) -> bool:
        """Whether a selection was given and is empty."""
        given = self.model_fields_set & {"poses", "categories", "search", "prompts"}
        asked = any(getattr(self, name) is not None for name in given)
        return asked and not (self.poses or self.categories or self.search.strip() or self.prompts)

    @property
    def selected_poses(self) -> tuple[str, ...]:
        """Pose ids asked for by name, with the sample poses when nothing else selects."""
        if self.poses is not None:
            return tuple(self.poses)
        return () if (self.categories or self.search.strip() or self.prompts) else DEFAULT_POSES


def _default(name: str) -> Any:
    return BatchParameters.model_fields[name].default
