"""What every line of a context carries: run, attempt, task; and the prompts that none may."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from structlog.contextvars import bound_contextvars

_prompts: ContextVar[tuple[str, ...]] = ContextVar("posegen_prompts", default=())


@contextmanager
def bound(*, prompts: Iterable[str | None] = (), **fields: str | int) -> Iterator[None]:
    """Bind fields to every log line of the block, also of threads and tasks that copy its context.

    Parameters
    ----------
    prompts : iterable of str or None
        What the work is about in a user's words: masked wherever it turns up in a line, be it in the message
        of a provider's error.
    **fields
        Such as `run`, `attempt`, `task`.
    """
    # The longest first: an enhanced prompt holds the user's own.
    words = tuple(sorted({text for text in prompts if text}, key=len, reverse=True))
    token = _prompts.set(words or _prompts.get())
    try:
        with bound_contextvars(**fields):
            yield
    finally:
        _prompts.reset(token)


def prompts_at_hand() -> tuple[str, ...]:
    """Return the prompts that the context's work is about, the longest first."""
    return _prompts.get()
