"""The tries for one image: the task itself, then the same with the next seeds."""

from __future__ import annotations

import msgspec

from posegen.pipeline.plan import task_id
from posegen.records import ImageRecord, ImageTask

SEEDS = 2**32
"""Seeds lie below this."""


def candidate_task(task: ImageTask, number: int) -> ImageTask:
    """Return a task's try of this number: the task itself for 0, else with the seed that many further on."""
    if number == 0:
        return task
    tried = msgspec.structs.replace(task, candidate=number, seed=(task.seed + number) % SEEDS)
    return msgspec.structs.replace(tried, task_id=task_id(tried))


def made_task(task: ImageTask, record: ImageRecord) -> ImageTask:
    """Return the task that a record's image was really made by."""
    return candidate_task(task, record.candidate)
