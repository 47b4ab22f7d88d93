"""How one task of a run comes to its image: adopted, fetched or made, and when to ask a person instead."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from posegen.backends import Backend
from posegen.errors import ImageFailedError, OutcomeUnknownError, ResultGoneError
from posegen.journal import TaskSubmitted
from posegen.pipeline.steps import Pools, adopt_image, fetch_image, make_image
from posegen.records import ImageRecord, ImageTask
from posegen.storage import Storage

UnknownPolicy = Literal["retry", "ask", "fail"]
"""What to do with a task that was sent to a provider and whose outcome cannot be found out."""

How = Literal["made", "adopted", "fetched"]

MOST_SENT = 3
"""How often an image is sent in one attempt where lost answers are to be retried."""


@dataclass(frozen=True)
class Earlier:
    """What earlier attempts left of one task.

    Attributes
    ----------
    may_be_stored : bool
        An attempt was cut off: the image may be stored without being journalled.
    submissions : sequence of TaskSubmitted
        Requests sent for the task, the newest last.
    policy : {"retry", "ask", "fail"} or None
        None: ask where images are paid for, retry where they are free.
    """

    may_be_stored: bool = False
    submissions: Sequence[TaskSubmitted] = ()
    policy: UnknownPolicy | None = None


async def obtain_image(
    run_id: str, task: ImageTask, backend: Backend, storage: Storage, pools: Pools, earlier: Earlier
) -> tuple[ImageRecord, How]:
    """Return the task's image: what is stored is adopted, what is kept is fetched, the rest is made.

    Raises
    ------
    OutcomeUnknownError
        A request was sent and its outcome cannot be found out; a person has to say what to do.
    InappropriatePromptError
        The image would have to be made, and its prompt is refused.
    BackendError, StorageError
        As `steps.make_image`.
    """
    if earlier.may_be_stored:
        adopted = await adopt_image(run_id, task, storage, pools)
        if adopted is not None:
            return adopted, "adopted"
    policy = earlier.policy or ("ask" if backend.paid else "retry")
    if earlier.submissions:
        request_id = earlier.submissions[-1].request_id
        reason = "it may have been bought, and there is no request id to ask for it"
        if request_id and backend.keeps_results:
            try:
                return await fetch_image(run_id, task, backend, storage, pools, request_id), "fetched"
            except ResultGoneError as exc:
                reason = f"the provider no longer has request {request_id}: {exc}"
        _decide(policy, reason, request_id)
    pools.moderation.check_prompt(task)  # not before: what was bought or stored is not thrown away
    for _ in range(MOST_SENT - 1):
        try:
            return await make_image(run_id, task, backend, storage, pools), "made"
        except OutcomeUnknownError as exc:
            _decide(policy, str(exc), exc.request_id or "")
    return await make_image(run_id, task, backend, storage, pools), "made"


def _decide(policy: UnknownPolicy, reason: str, request_id: str) -> None:
    """Return if the image shall be made again."""
    if policy == "ask":
        raise OutcomeUnknownError(reason, request_id or None)
    if policy == "fail":
        raise ImageFailedError(f"given up by a person's word: {reason}", code="OUTCOME_UNKNOWN")
