"""What is configured here and what is missing. Never shows a key's value."""

from __future__ import annotations

import platform
import shutil
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

from posegen import __version__
from posegen.accuracy.registry import DEFAULT_ESTIMATOR, ESTIMATORS
from posegen.backends import BACKENDS, get_backend
from posegen.errors import PosegenError
from posegen.moderation import images, open_prompt_screen
from posegen.poses.library import PoseLibrary
from posegen.settings import Settings, load_settings
from posegen.storage import check_writable

LOW_DISK_GB = 1.0


@dataclass(frozen=True)
class Check:
    """One thing looked at.

    Attributes
    ----------
    needed : bool
        Nothing works without it.
    """

    what: str
    good: bool
    found: str
    needed: bool = True

    def row(self) -> dict[str, Any]:
        """Return the check as a row of a table."""
        row = asdict(self)
        del row["needed"]
        row["good"] = "yes" if self.good else "no" if self.needed else "not set up"
        return row


def checks() -> list[Check]:
    """Return every check, in the order to mend them.

    Raises
    ------
    ParameterError
        An environment variable has a value that is not allowed.
    """
    settings = load_settings()
    return [
        _versions(),
        *_storage(settings),
        _library(),
        _kernel(),
        *_moderation(settings),
        _estimator(settings),
        *_backends(settings),
    ]


def _versions() -> Check:
    return Check("posegen", True, f"{__version__} on Python {platform.python_version()}")


def _storage(settings: Settings) -> Iterator[Check]:
    try:
        check_writable(settings.root)
        yield Check("storage", True, f"{settings.storage_mode}: {settings.root} can be written")
        free_gb = shutil.disk_usage(settings.root).free / 1e9
        yield Check("disk", free_gb >= LOW_DISK_GB, f"{free_gb:.1f} GB free")
    except PosegenError as exc:
        yield Check("storage", False, str(exc))


def _library() -> Check:
    try:
        library = PoseLibrary.builtin()
    except PosegenError as exc:
        return Check("pose library", False, str(exc))
    return Check("pose library", True, f"{len(library)} poses in {len(library.categories())} categories")


def _kernel() -> Check:
    from jupyter_client.kernelspec import KernelSpecManager

    names = sorted(KernelSpecManager().find_kernel_specs())
    return Check("Jupyter kernel", "python3" in names, ", ".join(names) or "none: install ipykernel")


def _moderation(settings: Settings) -> Iterator[Check]:
    try:
        screen = open_prompt_screen(settings.moderation_terms)
        found = f"{screen.size} terms" if settings.moderation == "on" else "off: POSEGEN_MODERATION"
        yield Check("prompt screening", settings.moderation == "on", found, needed=False)
    except PosegenError as exc:
        yield Check("prompt screening", False, str(exc))
    wanted = settings.image_screening != "off"
    lacking = images.missing()
    usable = (
        f"{images.DETECTOR}, from {settings.image_screening_threshold:g}" if wanted else "off, can be used"
    )
    yield Check("image screening", not lacking, "; ".join(lacking) or usable, needed=wanted)


def _estimator(settings: Settings) -> Check:
    wanted = settings.estimator not in ("auto", "off")
    lacking = ESTIMATORS[DEFAULT_ESTIMATOR].missing()
    usable = "off: POSEGEN_ESTIMATOR" if settings.estimator == "off" else f"{DEFAULT_ESTIMATOR}, usable"
    good = not lacking and settings.estimator != "off"
    return Check("pose accuracy", good, "; ".join(lacking) or usable, needed=wanted)


def _backends(settings: Settings) -> Iterator[Check]:
    for name in BACKENDS:
        missing = get_backend(name).missing(settings)
        yield Check(f"backend {name}", not missing, "; ".join(missing) or "usable", needed=name == "figure")
