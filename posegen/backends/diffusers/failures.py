"""What goes wrong with models on this machine, as sentences for the user, with no secret in them."""

from __future__ import annotations

from collections.abc import Iterator

from posegen.errors import BackendUnavailableError, ImageFailedError

NAME = "diffusers"

LESS_MEMORY = "a smaller size or batch_size needs less, and so does offload 'model' or, slower, 'sequential'"

LOADING: dict[str, tuple[str, str]] = {
    "GatedRepoError": (
        "MODEL_GATED",
        "is gated: accept its licence on its page at huggingface.co, then set HF_TOKEN for that account",
    ),
    "RepositoryNotFoundError": (
        "MODEL_NOT_FOUND",
        "was not found: no folder here, and no repository that can be read (a private one needs HF_TOKEN)",
    ),
    "HFValidationError": (
        "MODEL_NOT_FOUND",
        "was not found: it is no folder here and no name of a repository (owner/name)",
    ),
    "RevisionNotFoundError": ("MODEL_NOT_FOUND", "has no such revision"),
    "LocalEntryNotFoundError": (
        "MODEL_NOT_FOUND",
        "is not complete on this machine, and the hub is not reached or may not be asked",
    ),
    "OfflineModeIsEnabled": ("MODEL_NOT_FOUND", "is not on this machine, and HF_HUB_OFFLINE forbids asking"),
    "EntryNotFoundError": (
        "MODEL_NOT_FOUND",
        "lacks a file that was asked for: it is in another format, or has no such variant",
    ),
    "HfHubHTTPError": ("MODEL_NOT_LOADED", "could not be downloaded: the hub refused"),
    "ConnectionError": ("MODEL_NOT_LOADED", "could not be downloaded: the hub is not reached"),
    "ConnectError": ("MODEL_NOT_LOADED", "could not be downloaded: the hub is not reached"),
}
"""By the name of an error's class (or of one it derives from): code, and what is said of the model."""


def unavailable(message: str, code: str) -> BackendUnavailableError:
    """Return an error that ends the run: no image could be made now."""
    return BackendUnavailableError(message, backend=NAME, code=code)


def failed(message: str, code: str) -> ImageFailedError:
    """Return an error that ends one image."""
    return ImageFailedError(message, backend=NAME, code=code)


def not_loaded(what: str, error: Exception) -> BackendUnavailableError:
    """Return why a model or a ControlNet could not be loaded.

    Parameters
    ----------
    what : str
        Such as "model 'owner/name'".
    error : Exception
        As the libraries raised it. They wrap the cause, so the whole chain is looked at, the innermost first.
    """
    if out_of_memory(error):
        return unavailable(f"{what} does not fit into the memory; {LESS_MEMORY}", "OUT_OF_MEMORY")
    for cause in reversed(list(chain(error))):
        for name in (cls.__name__ for cls in type(cause).__mro__):
            if name in LOADING:
                code, said = LOADING[name]
                return unavailable(f"{what} {said}", code)
    return unavailable(f"{what} could not be loaded: {first_line(error)}", "MODEL_NOT_LOADED")


def out_of_memory(error: BaseException) -> bool:
    """Return whether the memory of the GPU or of the machine ran out."""
    for cause in chain(error):
        names = {cls.__name__ for cls in type(cause).__mro__}
        if names & {"OutOfMemoryError", "MemoryError"}:
            return True
        # On the CPU and on Apple's GPUs it is a RuntimeError like any other.
        words = str(cause)
        if "RuntimeError" in names and ("not enough memory" in words or "out of memory" in words):
            return True
    return False


def too_little_memory(width: int, height: int, device: str) -> ImageFailedError:
    """Return the error of an image that does not fit into the memory."""
    return failed(
        f"an image of {width}x{height} does not fit into the memory of {device}; {LESS_MEMORY}",
        "OUT_OF_MEMORY",
    )


def chain(error: BaseException) -> Iterator[BaseException]:
    """Yield an error and what it was raised from, each once."""
    seen: set[int] = set()
    current: BaseException | None = error
    while current is not None and id(current) not in seen:
        seen.add(id(current))
        yield current
        current = current.__cause__ or current.__context__


def first_line(error: BaseException) -> str:
    """Return an error's class and the first line of what it says, cut to a sentence's length."""
    lines = str(error).strip().splitlines() or [""]
    return f"{type(error).__name__}: {lines[0]:.200}"
