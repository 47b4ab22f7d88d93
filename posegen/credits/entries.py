"""Lines of the ledger, what follows from them for a hold, and what a line may say."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Annotated, Literal

from pydantic import StringConstraints, TypeAdapter, ValidationError

from posegen.errors import ParameterError
from posegen.storage.keys import is_safe_name

EntryKind = Literal["opening", "grant", "hold", "refund", "settlement"]

MAX_AMOUNT = 10**12
"""Credits in one entry; nine million of them fit into SQLite's integers."""

MAX_KEY_LENGTH = 500

# The same engine and the same pattern as the parameter `user`: what a batch accepts has an account.
_USER = TypeAdapter(Annotated[str, StringConstraints(min_length=1, max_length=80, pattern=r"^[\w.@+-]+$")])


@dataclass(frozen=True)
class Entry:
    """One line of the ledger; it is never changed or removed.

    Attributes
    ----------
    entry_id : int
        Counts up over all users; the order in which things happened.
    user : str
    kind : str
        `opening` (the starting grant), `grant`, `hold`, `refund` (of one image) or `settlement` (closes a
        hold).
    amount : int
        What it adds to the balance: below zero for a hold; for a settlement what was held and not used.
    key : str
        Its idempotency key, unique within its kind.
    run_id : str or None
    attempt : int or None
        The attempt that wrote it.
    task_id : str or None
        The image that a refund is for.
    hold_id : int or None
        Of a refund or settlement: the hold's `entry_id`.
    charged : int or None
        Of a settlement: what the hold's images cost in the end.
    at : str
        UTC, ISO 8601.
    note : str
    """

    entry_id: int
    user: str
    kind: EntryKind
    amount: int
    key: str
    run_id: str | None
    attempt: int | None
    task_id: str | None
    hold_id: int | None
    charged: int | None
    at: str
    note: str


COLUMNS = ", ".join(field.name for field in fields(Entry))
"""In the order that `Entry` takes them."""


@dataclass(frozen=True)
class Hold:
    """Credits set aside for a run, and what became of them.

    Attributes
    ----------
    hold_id : int
    user, run_id, key : str
    amount : int
        Credits held.
    refunded : int
        Given back for images that failed.
    charged : int or None
        What the images cost; None while the hold is open.
    returned : int
        Given back by the settlement. `amount` is `refunded + charged + returned` from then on.
    """

    hold_id: int
    user: str
    run_id: str
    key: str
    amount: int
    refunded: int
    charged: int | None
    returned: int

    @property
    def is_open(self) -> bool:
        """Whether it has not been settled."""
        return self.charged is None

    @property
    def remaining(self) -> int:
        """Credits that are still set aside; 0 once it is settled."""
        return self.amount - self.refunded if self.is_open else 0


def check_user(user: str) -> str:
    """Return `user`, or raise a ParameterError that says what a user may be called."""
    try:
        return _USER.validate_python(user, strict=True)
    except ValidationError:
        raise ParameterError(
            "user", f"{user!r} is not allowed: 1 to 80 letters, digits, '_', '.', '@', '+' and '-'"
        ) from None


def check_amount(amount: int, least: int = 0) -> int:
    """Return `amount`, or raise a ParameterError: a whole number from `least` to `MAX_AMOUNT`."""
    if type(amount) is not int or not least <= amount <= MAX_AMOUNT:
        raise ParameterError("amount", f"{amount!r} is not a whole number from {least} to {MAX_AMOUNT:,}")
    return amount


def check_attempt(attempt: int) -> int:
    """Return `attempt`, or raise a ParameterError: attempts are counted from 1."""
    if type(attempt) is not int or attempt < 1:
        raise ParameterError("attempt", f"{attempt!r} is not a whole number from 1")
    return attempt


def check_name(what: str, name: str) -> str:
    """Return a run's or task's id, or raise a ParameterError."""
    if not is_safe_name(name):
        raise ParameterError(what, f"{name!r} is not an id: letters, digits, '_', '-' and '.', at most 200")
    return name


def check_key(key: str, prefix: str = "") -> str:
    """Return an idempotency key, or raise a ParameterError: printable, and it starts with `prefix`."""
    if not 0 < len(key) <= MAX_KEY_LENGTH or not key.isprintable() or not key.startswith(prefix):
        begin = f" that start with {prefix!r}" if prefix else ""
        raise ParameterError("key", f"{key!r:.600} is not 1 to {MAX_KEY_LENGTH} printable characters{begin}")
    return key
