"""What a run costs its user: held before it starts, settled when nothing is left to make."""

from __future__ import annotations

from dataclasses import dataclass

from posegen.credits import ACCOUNTS_FILE, Accounts, Hold, open_accounts, price
from posegen.errors import InsufficientCreditsError
from posegen.failpoints import reach
from posegen.journal import CreditsHeld, RunState, SegmentWriter
from posegen.settings import Settings


def accounts_of(settings: Settings) -> Accounts:
    """Return everybody's accounts.

    Raises
    ------
    StorageError
        The file cannot be made or used.
    """
    return open_accounts(settings.root / ACCOUNTS_FILE, starting_grant=settings.starting_grant)


def check_credits(settings: Settings, user: str, images: int, run_id: str | None = None) -> None:
    """Refuse what the user cannot pay, before anything starts.

    Raises
    ------
    InsufficientCreditsError
        Names what is needed and what there is.
    UserLimitError
        The user has asked for too many images within an hour; says when so many are free.
    """
    needed = price(images)
    accounts = accounts_of(settings)
    available = accounts.balance(user)
    if needed > available:
        raise InsufficientCreditsError(user, needed=needed, available=available)
    if settings.user_images_per_hour is not None:
        accounts.check_asked(user, run_id, images, settings.user_images_per_hour)


def needed_for(settings: Settings, state: RunState) -> int:
    """Return the credits that going on with a run would take: none if they are on hold already."""
    held = accounts_of(settings).holds(state.run_id)
    return 0 if held and held[-1].is_open else price(len(state.pending))


@dataclass(frozen=True)
class Payment:
    """The hold that an attempt works on.

    Attributes
    ----------
    attempt : int
        Fences off what an older owner might still want to write.
    per_image : int
        Credits.
    """

    accounts: Accounts
    run_id: str
    attempt: int
    per_image: int

    def settle(self, state: RunState) -> None:
        """Give back what failed images cost and charge those made; once, whatever crashes and comes again."""
        held = self.accounts.holds(self.run_id)
        if not held or not held[-1].is_open:
            return
        refunded_before = self._refunded_under(held[:-1])
        for task_id in state.failures:
            if task_id not in refunded_before:
                self.accounts.refund(self.run_id, task_id, self.per_image, attempt=self.attempt)
        reach("credits_refunded")
        charge = _made_under(held[-1], state) * self.per_image
        self.accounts.settle(self.run_id, attempt=self.attempt, charged=charge)
        reach("credits_settled")

    def _refunded_under(self, earlier: list[Hold]) -> set[str]:
        ids = {hold.hold_id for hold in earlier}
        if not ids:
            return set()
        entries = self.accounts.run_history(self.run_id)
        return {e.task_id for e in entries if e.kind == "refund" and e.hold_id in ids and e.task_id}


def _made_under(hold: Hold, state: RunState) -> int:
    """Return how many images were made since a hold was taken: earlier holds have paid for the others."""
    first = next((event.attempt for event in state.holds if event.key == hold.key), None)
    if first is None:  # cut off before it was journalled, so nothing was made of it
        return 0
    return sum(event.attempt >= first for event in state.stored.values())


def pay_for(settings: Settings, state: RunState, writer: SegmentWriter, user: str, images: int) -> Payment:
    """Hold credits for the images still to make, unless they are on hold already; journal it.

    Parameters
    ----------
    state : RunState
        As the journal stood when the attempt began.
    writer : SegmentWriter
    user : str
    images : int
        Those still to make.

    Raises
    ------
    InsufficientCreditsError, UserLimitError
        Nothing is held.
    StaleAttemptError
        A newer attempt has the run.
    """
    accounts, attempt = accounts_of(settings), writer.number
    accounts.claim(writer.run_id, attempt)
    held = accounts.holds(writer.run_id)
    if held and held[-1].is_open:
        hold = held[-1]
    elif held and not images:  # settled, and cut off before that was journalled
        return Payment(accounts, writer.run_id, attempt, 0)
    else:
        key = f"hold:{writer.run_id}" + (f":{attempt}" if held else "")
        hold = accounts.hold(
            user, price(images), writer.run_id, attempt=attempt, key=key,
            images=images, per_hour=settings.user_images_per_hour,
        )  # fmt: skip
        reach("credits_held")
    event = next((event for event in state.holds if event.key == hold.key), None)
    if event is None:
        event = CreditsHeld(user=user, amount=hold.amount, key=hold.key, images=images)
        writer.append(event).result()
        reach("credits_held_journalled")
    return Payment(accounts, writer.run_id, attempt, event.amount // event.images if event.images else 0)
