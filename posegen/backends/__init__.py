"""The registry of backends: adding one is a file here and a line below."""

from __future__ import annotations

from collections.abc import Callable

from posegen.backends.base import (
    Backend,
    GeneratedImage,
    ImageRequest,
    InProcess,
    NoOptions,
    Workshop,
    options_of,
)
from posegen.backends.comfyui import ComfyuiBackend
from posegen.backends.diffusers import DiffusersBackend
from posegen.backends.fal import FalBackend
from posegen.backends.figure import FigureBackend
from posegen.backends.huggingface import HuggingFaceBackend
from posegen.errors import UnknownNameError

__all__ = [
    "BACKENDS", "Backend", "GeneratedImage", "ImageRequest", "InProcess", "NoOptions", "Workshop",
    "get_backend", "options_of",
]  # fmt: skip

BACKENDS: dict[str, Callable[[], Backend]] = {
    "comfyui": ComfyuiBackend,
    "diffusers": DiffusersBackend,
    "fal": FalBackend,
    "figure": FigureBackend,
    "huggingface": HuggingFaceBackend,
}


def get_backend(name: str) -> Backend:
    """Return a new backend by its name.

    Raises
    ------
    UnknownNameError
        Lists the right names.
    """
    if name not in BACKENDS:
        raise UnknownNameError("backend", name, BACKENDS)
    return BACKENDS[name]()
