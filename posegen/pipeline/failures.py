"""What a failed image is journalled with."""

from __future__ import annotations

from posegen.errors import BackendError, ImageWithheldError, PosegenError
from posegen.journal import ImageWithheld, TaskFailed


def failed_event(task_id: str, error: Exception, refunded: int) -> TaskFailed:
    """Return the event that a failed image is journalled with; a flagged one has an event of its own."""
    code, message = failure_of(error)
    if isinstance(error, ImageWithheldError):
        return ImageWithheld(
            task_id=task_id,
            code=code,
            message=message,
            refunded=refunded,
            by=error.by or error.backend,
            label=error.label,
            score=error.score,
        )
    return TaskFailed(task_id=task_id, code=code, message=message, refunded=refunded)


def failure_of(error: Exception) -> tuple[str, str]:
    """Return the code and the message that a failed image is journalled with."""
    if isinstance(error, BackendError):
        return error.code, str(error)
    if isinstance(error, PosegenError):
        return "INVALID_TASK", str(error)
    return "INTERNAL_ERROR", f"{type(error).__name__}: {error}"
