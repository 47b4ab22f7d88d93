"""From validated parameters to a plan: the list of image tasks, each with an id derived from its content."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from posegen.accuracy.registry import DEFAULT_ESTIMATOR, ESTIMATORS
from posegen.backends import Backend, NoOptions, get_backend, options_of
from posegen.controlnet.prompt import DEFAULT_NEGATIVE_PROMPT, EnhancedPrompt, compose_prompt, description
from posegen.errors import ParameterError
from posegen.moderation import refusals
from posegen.parameters import BatchParameters, PictureParameters
from posegen.pipeline.control import control_map_sha256
from posegen.pipeline.estimators import estimator_of
from posegen.pipeline.run_plan import RunPlan, content_hash
from posegen.poses.library import Pose, PoseLibrary
from posegen.records import Avatar, Conditioning, ImageTask, View
from posegen.settings import Settings, load_settings
from posegen.telemetry import logger

MAX_IMAGES = 20_000
"""Images of one run: more are better several runs."""

log = logger("worker")

NOT_THE_PICTURE = ("task_id", "index", "pose_id", "user_prompt")
"""Fields of a task that do not decide its picture, and so not its id."""


@dataclass(frozen=True, repr=False)
class Plan(RunPlan):
    """What a batch will make; see `RunPlan`."""

    parameters: BatchParameters

    def _what(self, settings: Settings) -> dict[str, Any]:
        conditioning = Counter(task.conditioning for task in self.tasks)
        return {
            "images": len(self.tasks),
            "poses": len({task.pose_id for task in self.tasks if task.pose_id}),
            "size": f"{self.parameters.width}x{self.parameters.height}",
            "backend": self.parameters.backend,
            "conditioning": ", ".join(f"{name} {count}" for name, count in conditioning.items()),
            "exports": list(dict.fromkeys(self.parameters.exports)),
            "accuracy": self._measured_by(settings),
        }

    def _measured_by(self, settings: Settings) -> str:
        if self.parameters.text_alone:
            return "not measured: there are no poses"
        chosen = estimator_of(self.spec, settings)
        if chosen is not None:
            return f"measured by {chosen.name}"
        lacking = ESTIMATORS[DEFAULT_ESTIMATOR].missing()
        return "not measured" + (f": {lacking[0]}" if lacking else "")


def open_library(parameters: PictureParameters) -> PoseLibrary:
    """Return the built-in library with the user's own beside it, if there is one."""
    library = PoseLibrary.builtin()
    return library.with_file(Path(parameters.pose_library)) if parameters.pose_library else library


def select_poses(parameters: BatchParameters, library: PoseLibrary) -> list[Pose]:
    """Return the poses asked for: by id, then by category, then by search, each once.

    Raises
    ------
    UnknownNameError
        A pose or category nobody knows.
    ParameterError
        The search matches nothing.
    """
    wanted: list[Pose] = []
    for pose_id in parameters.selected_poses:
        wanted.extend(library if pose_id == "all" else [library.get(pose_id)])
    for category in parameters.categories:
        wanted.extend(library.category(category))
    if parameters.search.strip():
        found = library.search(parameters.search)
        if not found:
            raise ParameterError(
                "search", f"no pose matches {parameters.search!r}; `posegen poses` lists what there is"
            )
        wanted.extend(found)
    return list({pose.id: pose for pose in wanted}.values())


def build_plan(
    parameters: BatchParameters,
    library: PoseLibrary | None = None,
    *,
    on_task: Callable[[], None] | None = None,
) -> Plan:
    """Return the plan of a batch. Reads the pose library; writes and spends nothing.

    Parameters
    ----------
    parameters : BatchParameters
    library : PoseLibrary, optional
        By default the built-in one with the user's.
    on_task : callable, optional
        Called after each task, for a progress display.

    Raises
    ------
    InputError
        A pose, category or search that selects nothing.
    """
    library = library or open_library(parameters)
    backend = get_backend(parameters.backend)
    options = options_of(backend, parameters.backend_options)
    poses: Sequence[Pose | None] = [None] if parameters.text_alone else select_poses(parameters, library)
    count = _check_size(parameters, len(poses))
    log.debug("planning %d images", count)
    tasks: dict[str, ImageTask] = {}
    prompts: list[EnhancedPrompt] = []
    for pose, view, avatar, words, repeat in _combinations(parameters, poses):
        task, prompt = _task(parameters, backend, options, pose, view, avatar, words, repeat, len(tasks))
        tasks.setdefault(task.task_id, task)
        prompts.append(prompt)
        if on_task is not None:
            on_task()
    refused = refusals(tasks.values(), load_settings())
    gate = _gate_notes(parameters, backend, len(tasks))
    notes = (*refused, *_notes(parameters, backend), *gate, *_prompt_notes(prompts))
    return Plan(parameters, tuple(tasks.values()), notes)


def _check_size(parameters: BatchParameters, poses: int) -> int:
    """Return how many images the parameters ask for.

    Raises
    ------
    ParameterError
        More than one run should hold.
    """
    views = 1 if parameters.text_alone else len(parameters.view_list)
    count = (
        poses * views * len(parameters.avatar_list) * len(parameters.prompt_list) * parameters.images_per_pose
    )
    if count > MAX_IMAGES:
        raise ParameterError(
            "",
            f"this asks for {count:,} images, and a run holds at most {MAX_IMAGES:,}: divide it into several",
        )
    return count


def _combinations(
    parameters: BatchParameters, poses: Sequence[Pose | None]
) -> Iterator[tuple[Pose | None, View, Avatar, str, int]]:
    views = [View()] if parameters.text_alone else parameters.view_list
    repeats = range(parameters.images_per_pose)
    return itertools.product(poses, views, parameters.avatar_list, parameters.prompt_list, repeats)


def _task(
    parameters: BatchParameters,
    backend: Backend,
    options: NoOptions,
    pose: Pose | None,
    view: View,
    avatar: Avatar,
    words: str,
    repeat: int,
    index: int,
) -> tuple[ImageTask, EnhancedPrompt]:
    conditioning = _conditioning(parameters, options.conditionings(backend.conditionings), pose)
    pose_words = description(pose, view) if pose is not None and conditioning != "none" else ""
    prompt = compose_prompt(words, pose_words, avatar)
    negative = parameters.negative_prompt
    fields: dict[str, Any] = {
        "backend": backend.name,
        "user_prompt": words,
        "prompt": prompt.text,
        "negative_prompt": DEFAULT_NEGATIVE_PROMPT if negative is None else negative,
        "avatar": avatar,
        "seed": image_seed(parameters.seed, pose, view, avatar, words, repeat),
        "width": parameters.width,
        "height": parameters.height,
        "conditioning": conditioning,
        "pose_id": pose.id if pose else None,
        "pose": pose.content() if pose else None,
        "view": view,
        "model": parameters.model or backend.default_model,
        "num_inference_steps": parameters.num_inference_steps,
        "guidance_scale": parameters.guidance_scale,
        "controlnet_conditioning_scale": parameters.controlnet_conditioning_scale,
        "control_guidance_end": parameters.control_guidance_end,
        "renderer_version": backend.version,
        "options": options.for_task(parameters.backend_options),
    }
    if pose is not None and conditioning == "control":
        scale = backend.stick_scale(fields["model"], parameters.backend_options)
        width, height = parameters.width, parameters.height
        fields |= {
            "stick_scale": scale,
            "control_map_sha256": control_map_sha256(pose, view, width, height, scale),
        }
    task = ImageTask(task_id="", index=index, **fields)
    return msgspec.structs.replace(task, task_id=task_id(task)), prompt


def task_id(task: ImageTask) -> str:
    """Return the id that belongs to a task: a hash of all that decides its picture."""
    fields = msgspec.structs.asdict(task)
    return content_hash({name: value for name, value in fields.items() if name not in NOT_THE_PICTURE})


def image_seed(run_seed: int, pose: Pose | None, view: View, avatar: Avatar, words: str, repeat: int) -> int:
    """Return one image's seed, from 0 to 2**32 - 1.

    Backend and conditioning have no part in it, so that arms of an experiment share their seeds.
    """
    pose_hash = pose.content_hash() if pose else None
    return int(content_hash([run_seed, pose_hash, view, avatar, words, repeat])[:8], 16)


def _conditioning(
    parameters: BatchParameters, possible: Sequence[Conditioning], pose: Pose | None
) -> Conditioning:
    if pose is None:
        return "none"
    return possible[0] if parameters.conditioning == "auto" else parameters.conditioning


def _notes(parameters: BatchParameters, backend: Backend) -> Iterator[str]:
    if parameters.text_alone:
        yield "images from text alone: pose accuracy does not apply"
    if backend.negative_prompt_note and parameters.negative_prompt:
        yield backend.negative_prompt_note


def _gate_notes(parameters: BatchParameters, backend: Backend, images: int) -> Iterator[str]:
    if parameters.min_oks is None:
        return
    most = images * parameters.max_candidates
    yield (
        f"quality gate: an image below OKS {parameters.min_oks:g} is made again, until there are "
        f"{parameters.max_candidates}; up to {most:,} are made, and {images:,} are charged"
    )
    if backend.paid:
        yield "the provider is paid for every one that is made"


def _prompt_notes(prompts: Sequence[EnhancedPrompt]) -> Iterator[str]:
    shortened = [prompt for prompt in prompts if prompt.dropped]
    if shortened:
        left_out = ", ".join(dict.fromkeys(part for prompt in shortened for part in prompt.dropped))
        yield f"{len(shortened)} prompts exceed {shortened[0].max_tokens} tokens; left out: {left_out:.300}"
    if any(not prompt.within_limit for prompt in prompts):
        yield "the words alone may exceed the model's limit: they are kept, but their end may go unread"
