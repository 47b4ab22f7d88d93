"""Which images of a run are exported, and in which formats: names checked before anything is done."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from posegen.errors import UnknownNameError
from posegen.exports.formats import ExportFormat, load_formats
from posegen.journal import RunState
from posegen.pipeline.task_names import find_task
from posegen.records import ImageTask
from posegen.settings import Settings

DEFAULT_FORMATS = ("instagram_post", "tiktok")
"""What a run whose parameters name no formats is exported in."""

TEXT = "text"
"""Stands for a pose's id where an image has none."""

_LEAST_OF_AN_ID = 4
"""Digits at least of a task's id where a pose could be meant."""


@dataclass(frozen=True)
class Choice:
    """What is asked for.

    Attributes
    ----------
    tasks : tuple of ImageTask
        In the plan's order.
    formats : tuple of ExportFormat
        In the order of the file that they come from.
    planned : int
        Images in the run's plan.
    again : bool
        Make them whatever is there.
    narrowed : bool
        Formats were named; else they are the run's own or the default.
    """

    tasks: tuple[ImageTask, ...]
    formats: tuple[ExportFormat, ...]
    planned: int
    again: bool = False
    narrowed: bool = False


def choose(
    state: RunState,
    settings: Settings,
    *,
    poses: Iterable[str] = (),
    formats: Iterable[str] = (),
    task: str | None = None,
) -> Choice:
    """Return the images and formats that names stand for.

    Parameters
    ----------
    state : RunState
    settings : Settings
    poses : iterable of str
        Pose ids, `text` for images without a pose, and task ids or their beginnings; none: all images.
    formats : iterable of str
        None: those that the run's parameters name, else `DEFAULT_FORMATS`.
    task : str, optional
        The id of one image, or its beginning: it is exported again whatever is there.

    Raises
    ------
    UnknownNameError
        Names the nearest.
    InputError
        Several tasks start so, or the file of formats is wrong.
    """
    names, named = list(poses), list(formats)
    if task is not None:
        tasks: tuple[ImageTask, ...] = (find_task(state.tasks, task),)
    else:
        tasks = _tasks(state, names) if names else state.tasks
    wanted = named or list((state.spec or {}).get("exports", ())) or list(DEFAULT_FORMATS)
    known = load_formats(settings.export_formats)
    for name in wanted:
        if name not in known:
            raise UnknownNameError("export format", name, known)
    chosen = tuple(known[name] for name in known if name in wanted)
    return Choice(tasks, chosen, len(state.tasks), again=task is not None, narrowed=bool(named))


def _tasks(state: RunState, names: Iterable[str]) -> tuple[ImageTask, ...]:
    ids: set[str] = set()
    for name in names:
        of_pose = {task.task_id for task in state.tasks if (task.pose_id or TEXT) == name}
        if not of_pose and re.fullmatch(rf"[0-9a-f]{{{_LEAST_OF_AN_ID},32}}", name):
            of_pose = {find_task(state.tasks, name).task_id}
        if not of_pose:
            poses = {task.pose_id or TEXT for task in state.tasks}
            raise UnknownNameError(f"pose of run {state.run_id}:", name, poses)
        ids |= of_pose
    return tuple(task for task in state.tasks if task.task_id in ids)
