"""One typed schema per notebook; the command line, the notebooks, the widgets and the docs read it."""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal, TypeVar

import msgspec
from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    field_validator,
    model_validator,
)

from posegen.backends import get_backend
from posegen.errors import ParameterError, UnknownNameError, nearest_names
from posegen.exports.formats import EXPORT_FORMATS
from posegen.records import AVATAR_CHOICES, COLOR_NAMES, Avatar, View

M = TypeVar("M", bound=BaseModel)

SIZE_STEP = 16
MIN_SIZE = 256
MAX_SIZE = 2048
RUN_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,79}")

DEFAULT_POSES = ("standing_relaxed", "walking_stride", "hands_on_hips_confident")
"""What is made when nothing is selected: a small free run."""


def _listed(value: object) -> object:
    """Read one value, or words divided by commas, as a list."""
    if isinstance(value, str):
        return [part.strip() for part in value.split(",") if part.strip()]
    return [value] if isinstance(value, int | float | Mapping) and not isinstance(value, bool) else value


Names = Annotated[list[str], BeforeValidator(_listed)]


class StrictModel(BaseModel):
    """Base of all parameter schemas: unknown names and wrong types are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, use_attribute_docstrings=True)


class BatchParameters(StrictModel):
    """Parameters of `02_batch_generation.ipynb`.

    Poses come from `poses`, `categories` and `search` together, in that order and each once. With none of
    these, `prompts` alone asks for images from text.
    """

    poses: Annotated[list[str] | None, BeforeValidator(_listed)] = None
    """pose ids, or "all"; None takes three sample poses when nothing else selects"""
    categories: Names = []
    """pose categories, every pose of each"""
    search: str = ""
    """words to search the pose library for"""
    pose_library: str = ""
    """path of a pose library of your own, used beside the built-in one"""
    views: Annotated[list[Any], BeforeValidator(_listed)] = [0]
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
    conditioning: Literal["auto", "control", "prompt", "none"] = "auto"
    """how the pose is asked for; auto takes the best the backend can do"""
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
    concurrency: int = Field(default=4, ge=1, le=64)
    """images in flight at once"""
    exports: Names = []
    """export formats to make beside each image"""
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
                f"{value!r} is not allowed: 1 to 80 letters, digits, '_', '-' or '.', a letter or digit first"
            )
        return value

    @field_validator("exports")
    @classmethod
    def _known_formats(cls, value: list[str]) -> list[str]:
        for name in value:
            if name not in EXPORT_FORMATS:
                raise ValueError(str(UnknownNameError("export format", name, EXPORT_FORMATS)))
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

    @model_validator(mode="after")
    def _consistent(self) -> BatchParameters:
        backend = get_backend(self.backend)
        check(backend.options_type, self.backend_options, within="backend_options")
        if self.conditioning not in ("auto", *backend.conditionings):
            raise ValueError(
                f"conditioning: {self.conditioning!r} is not possible with backend {self.backend!r}, "
                f"which has {', '.join(backend.conditionings)}"
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
        if any(not text.strip() for text in self.prompts):
            raise ValueError("prompts: an entry is empty")
        return self

    @property
    def text_alone(self) -> bool:
        """Whether the images come from text, with no pose."""
        return not (self.poses or self.categories or self.search.strip()) and bool(self.prompts)

    @property
    def selects_nothing(self) -> bool:
        """Whether a selection was given and is empty."""
        return self.poses == [] and not (self.categories or self.search.strip() or self.prompts)

    @property
    def selected_poses(self) -> tuple[str, ...]:
        """Pose ids asked for by name, with the sample poses when nothing else selects."""
        if self.poses is not None:
            return tuple(self.poses)
        return () if (self.categories or self.search.strip() or self.prompts) else DEFAULT_POSES

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


class RecoveryParameters(StrictModel):
    """Parameters of `04_recovery.ipynb`."""

    stall_after_minutes: float = Field(default=30, gt=0)
    """a run whose owner is on another machine is taken over when its journal has not grown for so long"""
    fail_after_hours: float = Field(default=2, gt=0)
    """a run that cannot be gone on with is closed and refunded when nothing has happened for so long"""
    clean_after_days: float = Field(default=7, gt=0)
    """temporary and cached files of a finished run are removed when it is so old"""
    unknown: Literal["retry", "ask", "fail"] | None = None
    """what to do with images of unknown outcome; None asks where images are paid for, retries where free"""
    delete_images_of: Names = []
    """finished runs, by name, whose images are deleted for good"""
    dry_run: bool = False
    """only say what would be done"""
    concurrency: int = Field(default=4, ge=1, le=64)
    """images in flight at once in a run that is gone on with"""


SCHEMAS: dict[str, type[StrictModel]] = {
    "02_batch_generation": BatchParameters,
    "04_recovery": RecoveryParameters,
}
"""The schema of each notebook, by the notebook's file name without its ending."""


def read_view(value: Any) -> View:
    """Return the view that `value` describes: 35, "35", "-90m" or {"yaw": 90, "mirrored": true}.

    Raises
    ------
    ValueError
        Names the value and the forms allowed.
    """
    forms = "a yaw in degrees such as 35, '35m' for mirrored, or {yaw: 35, mirrored: true}"
    yaw: object = value
    mirrored: object = False
    if isinstance(value, Mapping):
        unknown = set(value) - {"yaw", "mirrored"}
        if unknown:
            raise ValueError(f"view {dict(value)!r}: unknown {sorted(map(str, unknown))}; allowed: {forms}")
        yaw, mirrored = value.get("yaw", 0), value.get("mirrored", False)
    elif isinstance(value, str):
        mirrored = value.endswith("m")
        try:
            yaw = float(value.removesuffix("m"))
        except ValueError as exc:
            raise ValueError(f"view {value!r} is not {forms}") from exc
    if isinstance(yaw, bool) or not isinstance(yaw, int | float) or not isinstance(mirrored, bool):
        raise ValueError(f"view {value!r} is not {forms}")
    if not -360 <= yaw <= 360:
        raise ValueError(f"view {value!r}: yaw must be from -360 to 360 degrees")
    turned = -((180 - float(yaw)) % 360 - 180)
    return View(yaw=turned + 0.0, mirrored=mirrored)


def read_avatar(attributes: Mapping[str, Any]) -> Avatar:
    """Return the avatar of `attributes`.

    Raises
    ------
    ValueError
        An attribute or a value is not known; names what is allowed.
    """
    fields = msgspec.structs.fields(Avatar)
    names = [field.name for field in fields]
    for name, value in attributes.items():
        if name not in names:
            raise ValueError(str(UnknownNameError("avatar attribute", name, names)))
        if value is None or name == "extra":
            continue
        if name.endswith("_color") and name not in AVATAR_CHOICES:
            if value not in COLOR_NAMES and not re.fullmatch(r"#[0-9a-fA-F]{6}", str(value)):
                problem = UnknownNameError("colour", value, [*COLOR_NAMES, "#rrggbb"])
                raise ValueError(f"{name}: {problem}")
        elif value not in AVATAR_CHOICES[name]:
            raise ValueError(f"{name}: {UnknownNameError('value', value, AVATAR_CHOICES[name])}")
    if not isinstance(attributes.get("extra", ""), str | None):
        raise ValueError(f"extra: {attributes['extra']!r} is not text")
    return Avatar(**attributes)


def check(schema: type[M], values: Mapping[str, Any], *, within: str = "") -> M:
    """Return `values` as validated parameters.

    Raises
    ------
    ParameterError
        One sentence for each wrong value and unknown name; for a name, the nearest right one.
    """
    try:
        return schema.model_validate(dict(values))
    except ValidationError as exc:
        problems = [_sentence(schema, error, within) for error in exc.errors()]
        first = str(exc.errors()[0]["loc"][0]) if exc.errors()[0]["loc"] else ""
        error = ParameterError("", "\n".join(problems))
        error.parameter = first
        raise error from None


def _sentence(schema: type[BaseModel], error: Any, within: str) -> str:
    """Return one sentence for one of pydantic's errors."""
    path = ".".join(str(part) for part in error["loc"] if not str(part).startswith("function-"))
    prefix = f"{within}." if within else ""
    if error["type"] == "extra_forbidden":
        names = list(schema.model_fields)
        nearest = nearest_names(path, names)
        hint = f"did you mean {nearest[0]!r}?" if nearest else f"Allowed: {', '.join(names) or 'none'}."
        return f"unknown parameter {prefix + path!r}; {hint}"
    message = str(error["msg"]).removeprefix("Value error, ")
    if error["type"] == "value_error":
        return f"{prefix}{path}: {message}" if path else message
    return f"{prefix}{path}: {error['input']!r} is not allowed: {message[0].lower() + message[1:]}"


def read_duration(text: str) -> float:
    """Return the seconds of a time such as 90s, 30m, 2h or 7d.

    Raises
    ------
    ParameterError
        Names the value and the forms allowed.

    Examples
    --------
    >>> read_duration("30m")
    1800.0
    """
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([smhd])", text.strip())
    if match is None or float(match[1]) == 0:
        raise ParameterError("time", f"{text!r} is not a time such as 90s, 30m, 2h or 7d")
    return float(match[1]) * {"s": 1, "m": 60, "h": 3600, "d": 86400}[match[2]]


def defaults(schema: type[BaseModel]) -> dict[str, Any]:
    """Return every parameter's default."""
    return {name: field.get_default(call_default_factory=True) for name, field in schema.model_fields.items()}


def from_notebook(schema: type[M], namespace: Mapping[str, Any]) -> M:
    """Return the validated parameters that a notebook's cells have set.

    papermill puts its parameters into a cell of their own and runs on the default when a name is misspelt, so
    the names set there and in the notebook's own parameters cell are read from the executed cells.

    Parameters
    ----------
    schema : type of model
    namespace : mapping
        The notebook's `globals()`.

    Raises
    ------
    ParameterError
        As from `check`.
    """
    values = {name: namespace[name] for name in schema.model_fields if name in namespace}
    for name in _assigned_names(schema, namespace.get("In", [])):
        values.setdefault(name, namespace.get(name))
    return check(schema, values)


def _assigned_names(schema: type[BaseModel], cells: Sequence[str]) -> list[str]:
    """Return the names set by the newest parameters cell and the newest cell that papermill injected."""
    newest: dict[str, list[str]] = {}
    for source in cells:
        names = _literal_assignments(source)
        if not names:
            continue
        if source.lstrip().startswith("# Parameters"):
            newest["injected"] = names
        elif len(set(names) & set(schema.model_fields)) * 2 > len(names) > 2:
            newest = {"own": names}  # run again by hand: what was injected before it no longer counts
    return [name for names in newest.values() for name in names if not name.startswith("PAPERMILL_")]


def _literal_assignments(source: str) -> list[str]:
    """Return the names that a cell sets, if it does nothing but set names to literals."""
    try:
        statements = ast.parse(source).body
    except SyntaxError:
        return []
    names = []
    for statement in statements:
        if isinstance(statement, ast.Assign) and len(statement.targets) == 1:
            target, value = statement.targets[0], statement.value
        elif isinstance(statement, ast.AnnAssign) and statement.value is not None:
            target, value = statement.target, statement.value
        else:
            return []
        try:
            ast.literal_eval(value)
        except ValueError:
            return []
        if not isinstance(target, ast.Name):
            return []
        names.append(target.id)
    return names


def batch_parameters(namespace: Mapping[str, Any]) -> BatchParameters:
    """Return the validated parameters of `02_batch_generation.ipynb` from its `globals()`.

    Raises
    ------
    ParameterError
        One sentence for each wrong value and unknown name.
    """
    return from_notebook(BatchParameters, namespace)


def recovery_parameters(namespace: Mapping[str, Any]) -> RecoveryParameters:
    """Return the validated parameters of `04_recovery.ipynb` from its `globals()`.

    Raises
    ------
    ParameterError
        One sentence for each wrong value and unknown name.
    """
    return from_notebook(RecoveryParameters, namespace)
