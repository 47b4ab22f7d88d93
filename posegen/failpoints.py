"""Named places between "task planned" and "run finished", where tests cut a process off.

In the product nothing is armed and `reach` does nothing.
"""

from __future__ import annotations

from collections.abc import Callable

FAILPOINTS: tuple[str, ...] = (
    "attempt_started",
    "run_planned",
    "credits_held",
    "credits_held_journalled",
    "task_taken",
    "task_submitted",
    "image_generated",
    "image_stored",
    "thumbnail_stored",
    "candidate_rejected",
    "image_journalled",
    "task_failed_journalled",
    "export_stored",
    "export_journalled",
    "exports_made",
    "credits_refunded",
    "credits_settled",
    "attempt_finished",
)
"""In the order in which a run comes by."""

_action: Callable[[str], None] | None = None


def arm(action: Callable[[str], None] | None) -> None:
    """Call `action` with a failpoint's name each time one is reached; None disarms. For tests."""
    global _action  # noqa: PLW0603  (one process, one harness)
    _action = action


def reach(name: str) -> None:
    """Come by a failpoint."""
    if _action is not None:
        _action(name)
