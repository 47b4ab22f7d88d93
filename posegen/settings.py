"""Settings from the environment. Nothing else in posegen reads `os.environ`."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from posegen.errors import ParameterError

StorageMode = Literal["local"]

CREDITS_PER_IMAGE = 30
"""Price of one image."""

CREDITS_BACKGROUND = 10
"""What a changed background adds to it."""

STARTING_GRANT = 100_000
"""Credits of a new user: 3,333 images."""

STALL_AFTER_S = 30 * 60.0
"""How long another machine's owner may be silent."""


class Settings(BaseModel):
    """What the environment decides, validated.

    Attributes
    ----------
    storage_mode : {"local"}
        `STORAGE_MODE`.
    root : Path
        `STORAGE_LOCAL_PATH`: the folder that runs write to, by default `outputs` in the project's folder.
    cpu_threads : int
        `POSEGEN_CPU_THREADS`: threads for drawing and encoding; all usable cores by default.
    progress : {"auto", "bar", "lines"}
        `POSEGEN_PROGRESS`: how a notebook shows progress.
    credits_per_image, credits_background : int
        `POSEGEN_CREDITS_PER_IMAGE`, `POSEGEN_CREDITS_BACKGROUND`: the price of an image, and what a changed
        background adds to it.
    starting_grant : int
        `POSEGEN_STARTING_GRANT`: the credits of a new user.
    stall_after_s : float
        `POSEGEN_STALL_AFTER_S`: a run whose owner is on another machine may be taken over once its journal
        has not grown for so long.
    kernel_parent_pid : int or None
        `JPY_PARENT_PID`, which Jupyter sets for a kernel: the process that started it.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    storage_mode: StorageMode = "local"
    root: Path
    cpu_threads: int = Field(default=1, ge=1, le=256)
    progress: Literal["auto", "bar", "lines"] = "auto"
    credits_per_image: int = Field(default=CREDITS_PER_IMAGE, ge=0, le=1_000_000)
    credits_background: int = Field(default=CREDITS_BACKGROUND, ge=0, le=1_000_000)
    starting_grant: int = Field(default=STARTING_GRANT, ge=0, le=1_000_000_000)
    stall_after_s: float = Field(default=STALL_AFTER_S, gt=0)
    kernel_parent_pid: int | None = None


VARIABLES: dict[str, str] = {
    "storage_mode": "STORAGE_MODE",
    "root": "STORAGE_LOCAL_PATH",
    "cpu_threads": "POSEGEN_CPU_THREADS",
    "progress": "POSEGEN_PROGRESS",
    "credits_per_image": "POSEGEN_CREDITS_PER_IMAGE",
    "credits_background": "POSEGEN_CREDITS_BACKGROUND",
    "starting_grant": "POSEGEN_STARTING_GRANT",
    "stall_after_s": "POSEGEN_STALL_AFTER_S",
    "kernel_parent_pid": "JPY_PARENT_PID",
}
"""Environment variable of each setting."""


NOTEBOOK_OF_A_PROJECT = Path("notebooks", "02_batch_generation.ipynb")
"""What tells a project's folder from any other."""


def usable_cores() -> int:
    """Return how many cores this process may run on."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def project_folder(start: Path | None = None) -> Path:
    """Return the nearest folder at or above `start` that holds posegen's notebooks, or else `start`.

    JupyterLab runs a notebook in its own folder, the command line in any: both shall mean one `outputs`.
    """
    here = (start or Path.cwd()).absolute()
    for folder in (here, *here.parents):
        if (folder / NOTEBOOK_OF_A_PROJECT).is_file():
            return folder
    return here


def load_settings(env: Mapping[str, str] | None = None) -> Settings:
    """Return the settings that `env` (by default the process's environment) asks for.

    Raises
    ------
    ParameterError
        A variable has a value that is not allowed; names the variable, the value and what is allowed.
    """
    environment = os.environ if env is None else env
    found: dict[str, object] = {"cpu_threads": usable_cores(), "root": project_folder() / "outputs"}
    for field, variable in VARIABLES.items():
        value = environment.get(variable, "").strip()
        if value:
            found[field] = value
    try:
        settings = Settings.model_validate(found)
    except ValidationError as exc:
        first = exc.errors()[0]
        field = str(first["loc"][0])
        raise ParameterError(VARIABLES[field], f"{first['input']!r} is not allowed: {first['msg']}") from exc
    return settings.model_copy(update={"root": settings.root.expanduser().absolute()})
