"""What a backend is: the protocol every one of them follows."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from posegen.errors import ResultGoneError
from posegen.http import Client
from posegen.records import Conditioning, ImageTask, StickScale
from posegen.settings import Settings

T = TypeVar("T")


class InProcess:
    """What a backend is that works in this process: free, and it keeps no results to ask for."""

    paid = False
    keeps_results = False

    def stick_scale(self, model: str | None, options: Mapping[str, object]) -> StickScale:
        """Return "none": the maps are drawn as OpenPose draws them."""
        del model, options
        return "none"

    async def fetch(self, request: ImageRequest, request_id: str, workshop: Workshop) -> GeneratedImage:
        """Raise: nothing is kept."""
        del workshop
        message = f"there is nothing to fetch for request {request_id!r}"
        raise ResultGoneError(message, backend=request.task.backend, code="RESULT_GONE")


class NoOptions(BaseModel):
    """The options of a backend that has none, and the base of those that others have."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    def for_task(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """Return the options as a task keeps them: as `given`, and whatever else decides the picture."""
        return dict(given)

    def conditionings(self, offered: tuple[Conditioning, ...]) -> tuple[Conditioning, ...]:
        """Return which of the backend's conditionings these options leave possible, best first."""
        return offered


@dataclass(frozen=True)
class ImageRequest:
    """One image to make, with what the pose has been turned into.

    Attributes
    ----------
    task : ImageTask
    keypoints : float array, shape (18, 3), or None
        OPENPOSE_18: x, y in pixels and visibility; None unless the conditioning is "control".
    control_map : uint8 array, shape (height, width, 3), or None
        The OpenPose picture of the keypoints.
    """

    task: ImageTask
    keypoints: NDArray[np.float64] | None = None
    control_map: NDArray[np.uint8] | None = None


@dataclass(frozen=True)
class GeneratedImage:
    """What a backend made.

    Attributes
    ----------
    pixels : uint8 array, shape (height, width, 3)
        sRGB.
    conditioning : {"none", "prompt", "control"}
        What the image really had.
    synthetic : bool
        Drawn by the embedded renderer, not by a generative model.
    notes : tuple of str
        Sentences for the user: a fallback taken, a parameter without effect.
    """

    pixels: NDArray[np.uint8]
    conditioning: Conditioning
    model: str | None = None
    provider: str | None = None
    request_id: str | None = None
    cost_usd: float | None = None
    synthetic: bool = False
    notes: tuple[str, ...] = ()


class Workshop(Protocol):
    """What the engine offers a backend while it works on one image."""

    @property
    def settings(self) -> Settings:
        """Keys, addresses and limits."""

    @property
    def http(self) -> Client:
        """The client for all requests."""

    def on_cpu(self, work: Callable[[], T]) -> Awaitable[T]:
        """Run `work` on the pool for computing, one thread per core."""

    def on_io(self, work: Callable[[], T]) -> Awaitable[T]:
        """Run `work` on the pool for blocking input and output."""

    def buy(self, send: Callable[[], Awaitable[T]], /) -> Awaitable[T]:
        """Send a request that costs money, journalled first: what becomes of it, it is not repeated unasked.

        An error that `send` raises means that nothing was bought, unless it is an OutcomeUnknownError.
        """

    def submitted(self, request_id: str) -> Awaitable[None]:
        """Journal a provider's request id; returns once it is durable, so call it before waiting."""

    def progressed(self, share: float) -> None:
        """Say how far the image is, from 0 to 1."""

    def served(self) -> None:
        """Say that the server has done its part: another image may take this one's place there."""


class Backend(Protocol):
    """Makes images.

    Attributes
    ----------
    name : str
        As in the registry.
    version : str or None
        Goes into the task's id when the backend's code decides the picture (the embedded renderer).
    default_model : str or None
    conditionings : tuple
        What it can do, best first.
    options_type : type
        Pydantic model of its own options.
    negative_prompt_note : str
        Why a negative prompt has no effect, or empty when it has.
    paid : bool
        Each image costs money: it is asked for through `Workshop.buy`, and one of unknown outcome is not made
        again without a person's word.
    keeps_results : bool
        Gives request ids (through `Workshop.submitted`) and can be asked for a result by id.
    """

    name: str
    version: str | None
    default_model: str | None
    conditionings: tuple[Conditioning, ...]
    options_type: type[BaseModel]
    negative_prompt_note: str
    paid: bool
    keeps_results: bool

    def missing(self, settings: Settings) -> list[str]:
        """Return what the backend lacks to work here, one sentence each; empty when usable."""

    def stick_scale(self, model: str | None, options: Mapping[str, object]) -> StickScale:
        """Return how wide the sticks of a control map shall be for a model."""

    def typical_s(self, width: int, height: int) -> float:
        """Return the usual seconds for one image of this size on one worker, for estimates."""

    async def generate(self, request: ImageRequest, workshop: Workshop) -> GeneratedImage:
        """Make one image.

        Raises
        ------
        BackendUnavailableError
            No image of the run could be made now: the run stops early and can be resumed.
        OutcomeUnknownError
            The request may have been taken and charged.
        BackendError
            This image failed; with a stable `code` and a sentence for the user.
        """

    async def fetch(self, request: ImageRequest, request_id: str, workshop: Workshop) -> GeneratedImage:
        """Return the result of an earlier request; only called where `keeps_results`.

        Raises
        ------
        ResultGoneError
            The provider no longer has it.
        BackendError
            It failed there, or the provider cannot be asked.
        """


def options_of(backend: Backend, given: Mapping[str, Any]) -> NoOptions:
    """Return a backend's options, validated.

    Raises
    ------
    pydantic.ValidationError
        They are not allowed.
    """
    options = backend.options_type.model_validate(dict(given))
    return options if isinstance(options, NoOptions) else NoOptions()
