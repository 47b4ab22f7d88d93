"""What people call an image task: the beginning of its id, and a file name that explains itself."""

from __future__ import annotations

import re
from collections.abc import Sequence

from posegen.errors import InputError, UnknownNameError
from posegen.records import ImageTask

_ID_DIGITS = 8
"""Of a task's id in a file name; its place in the plan tells it from the others already."""

_MOST_OF_A_POSE = 80
"""Characters of a pose's id in a file name."""


def find_task(tasks: Sequence[ImageTask], beginning: str) -> ImageTask:
    """Return the one task whose id starts so.

    Raises
    ------
    UnknownNameError
        None does; names the nearest ids.
    InputError
        Several do; names them.
    """
    found = [task for task in tasks if task.task_id.startswith(beginning)]
    if not found or not beginning:
        raise UnknownNameError("task", beginning, [task.task_id for task in tasks])
    if len(found) > 1:
        shown = ", ".join(task.task_id[: len(beginning) + 6] for task in found[:4])
        raise InputError(f"{len(found)} tasks start with {beginning!r}: {shown}{' ...' * (len(found) > 4)}")
    return found[0]


def file_stem(task: ImageTask, planned: int) -> str:
    """Return a name for a task's file: it sorts as the plan does and says what is on the picture.

    Parameters
    ----------
    task : ImageTask
    planned : int
        Images in the plan, whose width the place is padded to.

    Returns
    -------
    str
        Of letters, digits, `.`, `_` and `-`, such as `012_warrior_two_yaw45_seed7_3fa2b1c0`.
    """
    place = f"{task.index:0{len(str(max(planned - 1, 0)))}d}"
    who = "text" if task.pose_id is None else f"{task.pose_id[:_MOST_OF_A_POSE]}_{_view(task)}"
    name = f"{place}_{who}_seed{task.seed}_{task.task_id[:_ID_DIGITS]}"
    return re.sub(r"[^A-Za-z0-9._-]", "-", name)


def _view(task: ImageTask) -> str:
    return f"yaw{task.view.yaw:g}" + ("m" if task.view.mirrored else "")
