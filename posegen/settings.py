"""Settings from the environment. Nothing else in posegen reads `os.environ`."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
    field_validator,
)

from posegen.errors import ParameterError

StorageMode = Literal["local"]

CREDITS_PER_IMAGE = 30
"""Price of one image."""

CREDITS_BACKGROUND = 10
"""What a changed background adds to it."""

STARTING_GRANT = 100_000
"""Credits of a new user: 3,333 images."""

IMAGE_SCREENING_THRESHOLD = 0.72
"""No clothed figure of the embedded renderer scores so much: docs/moderation.md."""

STALL_AFTER_S = 30 * 60.0
"""How long another machine's owner may be silent."""

MAX_TRIES = 5
"""How often one request is sent at most, where it may be repeated."""

RETRY_TOTAL_S = 300.0
"""How long one request is tried again at most."""

REQUEST_TIMEOUT_S = 180.0
"""How long a server may be silent; one that answers with the image itself is silent while it works."""

GENERATION_TIMEOUT_S = 900.0
"""How long one image may take at a provider with a queue, waiting included."""

LOG_MAX_MB = 100
"""Some 400,000 lines, of all processes of a workspace together."""

RATE_LIMITS = {"fal": 600.0, "huggingface": 600.0}
"""Images a minute asked of each provider, by all processes of this workspace together."""


def read_list(value: object) -> object:
    """Return "a, b" as ["a", "b"]; anything else as it is."""
    if not isinstance(value, str):
        return value
    return [entry.strip() for entry in value.split(",") if entry.strip()]


def read_rates(value: object) -> object:
    """Return "fal=60, huggingface=120" as a mapping laid over the defaults; anything else as it is.

    Raises
    ------
    ValueError
        An entry is not of that form.
    """
    if not isinstance(value, str):
        return value
    rates: dict[str, object] = dict(RATE_LIMITS)
    for entry in value.split(","):
        name, sign, rate = entry.partition("=")
        if not sign or not name.strip():
            raise ValueError(f"{entry.strip()!r} is not of the form provider=images a minute, such as fal=60")
        rates[name.strip()] = rate.strip()
    return rates


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
    hf_token, fal_key : SecretStr or None
        `HF_TOKEN` (or `HUGGINGFACE_API_KEY`) and `FAL_KEY`.
    comfyui_url : str or None
        `COMFYUI_URL`: a running ComfyUI server.
    hf_hub_url, hf_router_url, fal_queue_url : str
        `HF_ENDPOINT`, `POSEGEN_HF_ROUTER_URL`, `POSEGEN_FAL_QUEUE_URL`: for a proxy in front of a provider.
    max_tries : int
        `POSEGEN_MAX_TRIES`: how often one request is sent at most, where it may be repeated.
    retry_total_s : float
        `POSEGEN_RETRY_TOTAL_S`: how long it is tried again at most.
    request_timeout_s : float
        `POSEGEN_REQUEST_TIMEOUT_S`: how long a server may be silent; a whole answer may take twice as long.
    generation_timeout_s : float
        `POSEGEN_GENERATION_TIMEOUT_S`: how long one image may take at a provider with a queue.
    rate_limits : dict of str to float
        `POSEGEN_RATE_LIMITS`: images a minute for each provider, such as `fal=60,huggingface=120`.
    allowed_hosts : tuple of str
        `POSEGEN_ALLOWED_HOSTS`: hosts (or host:port) that pictures may be loaded from though their addresses
        are private.
    user_images_per_hour : int or None
        `POSEGEN_USER_IMAGES_PER_HOUR`: how many images a user may ask for within an hour.
    moderation : {"on", "off"}
        `POSEGEN_MODERATION`: whether prompts are screened.
    moderation_terms : Path or None
        `POSEGEN_MODERATION_TERMS`: file of further terms, refused or allowed.
    export_formats : Path or None
        `POSEGEN_EXPORT_FORMATS`: file of further export formats.
    image_screening : {"off", "nudenet"}
        `POSEGEN_IMAGE_SCREENING`: what looks at finished images.
    image_screening_threshold : float
        `POSEGEN_IMAGE_SCREENING_THRESHOLD`: least confidence that an image is withheld for.
    estimator : str
        `POSEGEN_ESTIMATOR`: what measures pose accuracy where a batch leaves it open: "auto" (mediapipe if it
        is installed), "off" or "mediapipe".
    log_level : {"debug", "info", "warning", "error"}
        `POSEGEN_LOG_LEVEL`: what the log file below the root gets; "debug" adds every timing.
    log_max_mb : int
        `POSEGEN_LOG_MAX_MB`: megabytes of log files at most; 0 writes none.
    log_prompts : {"off", "on"}
        `POSEGEN_LOG_PROMPTS`: whether logs may show prompts; else a length and a hash stand in their place.
    otel_endpoint : str or None
        `OTEL_EXPORTER_OTLP_ENDPOINT`: an OpenTelemetry collector that timings and metrics go
        to; any other address than one of HTTP is left to other programs.
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
    hf_token: SecretStr | None = None
    fal_key: SecretStr | None = None
    comfyui_url: str | None = None
    hf_hub_url: str = "https://huggingface.co"
    hf_router_url: str = "https://router.huggingface.co"
    fal_queue_url: str = "https://queue.fal.run"
    max_tries: int = Field(default=MAX_TRIES, ge=1, le=100)
    retry_total_s: float = Field(default=RETRY_TOTAL_S, gt=0)
    request_timeout_s: float = Field(default=REQUEST_TIMEOUT_S, gt=0)
    generation_timeout_s: float = Field(default=GENERATION_TIMEOUT_S, gt=0)
    rate_limits: Annotated[dict[str, Annotated[float, Field(gt=0)]], BeforeValidator(read_rates)] = (
        RATE_LIMITS
    )
    allowed_hosts: Annotated[tuple[str, ...], BeforeValidator(read_list)] = ()
    user_images_per_hour: int | None = Field(default=None, ge=1)
    moderation: Literal["on", "off"] = "on"
    moderation_terms: Path | None = None
    export_formats: Path | None = None
    image_screening: Literal["off", "nudenet"] = "off"
    image_screening_threshold: float = Field(default=IMAGE_SCREENING_THRESHOLD, gt=0, le=1)
    estimator: Literal["auto", "off", "mediapipe"] = "auto"
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    log_max_mb: int = Field(default=LOG_MAX_MB, ge=0, le=1_000_000)
    log_prompts: Literal["off", "on"] = "off"
    otel_endpoint: str | None = None
    kernel_parent_pid: int | None = None

    @field_validator("comfyui_url", "hf_hub_url", "hf_router_url", "fal_queue_url")
    @classmethod
    def _address(cls, value: str | None) -> str | None:
        if value is not None and not value.startswith(("http://", "https://")):
            raise ValueError("it must start with http:// or https://")
        return value.rstrip("/") if value is not None else None

    @field_validator("otel_endpoint")
    @classmethod
    def _collector(cls, value: str | None) -> str | None:
        # It may be there for other programs, and speak gRPC: nothing of ours fails for that.
        return value.rstrip("/") if value is not None and value.startswith(("http://", "https://")) else None


VARIABLES: dict[str, str] = {
    "storage_mode": "STORAGE_MODE",
    "root": "STORAGE_LOCAL_PATH",
    "cpu_threads": "POSEGEN_CPU_THREADS",
    "progress": "POSEGEN_PROGRESS",
    "credits_per_image": "POSEGEN_CREDITS_PER_IMAGE",
    "credits_background": "POSEGEN_CREDITS_BACKGROUND",
    "starting_grant": "POSEGEN_STARTING_GRANT",
    "stall_after_s": "POSEGEN_STALL_AFTER_S",
    "hf_token": "HF_TOKEN",
    "fal_key": "FAL_KEY",
    "comfyui_url": "COMFYUI_URL",
    "hf_hub_url": "HF_ENDPOINT",
    "hf_router_url": "POSEGEN_HF_ROUTER_URL",
    "fal_queue_url": "POSEGEN_FAL_QUEUE_URL",
    "max_tries": "POSEGEN_MAX_TRIES",
    "retry_total_s": "POSEGEN_RETRY_TOTAL_S",
    "request_timeout_s": "POSEGEN_REQUEST_TIMEOUT_S",
    "generation_timeout_s": "POSEGEN_GENERATION_TIMEOUT_S",
    "rate_limits": "POSEGEN_RATE_LIMITS",
    "allowed_hosts": "POSEGEN_ALLOWED_HOSTS",
    "user_images_per_hour": "POSEGEN_USER_IMAGES_PER_HOUR",
    "moderation": "POSEGEN_MODERATION",
    "moderation_terms": "POSEGEN_MODERATION_TERMS",
    "export_formats": "POSEGEN_EXPORT_FORMATS",
    "image_screening": "POSEGEN_IMAGE_SCREENING",
    "image_screening_threshold": "POSEGEN_IMAGE_SCREENING_THRESHOLD",
    "estimator": "POSEGEN_ESTIMATOR",
    "log_level": "POSEGEN_LOG_LEVEL",
    "log_max_mb": "POSEGEN_LOG_MAX_MB",
    "log_prompts": "POSEGEN_LOG_PROMPTS",
    "otel_endpoint": "OTEL_EXPORTER_OTLP_ENDPOINT",
    "kernel_parent_pid": "JPY_PARENT_PID",
}
"""Environment variable of each setting."""

ALIASES: dict[str, str] = {"hf_token": "HUGGINGFACE_API_KEY"}
"""Another variable, read where the setting's own is not set."""

SECRETS = ("hf_token", "fal_key")
"""Settings whose value is never shown, not even in an error about it."""


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
        value = environment.get(variable, "").strip() or environment.get(ALIASES.get(field, ""), "").strip()
        if value:
            found[field] = value
    try:
        settings = Settings.model_validate(found)
    except ValidationError as exc:
        first = exc.errors()[0]
        field = str(first["loc"][0])
        message = str(first["msg"]).removeprefix("Value error, ")
        if field in SECRETS:
            raise ParameterError(VARIABLES[field], f"its value is not allowed: {message}") from None
        raise ParameterError(VARIABLES[field], f"{first['input']!r} is not allowed: {message}") from exc
    return settings.model_copy(update={"root": settings.root.expanduser().absolute()})
