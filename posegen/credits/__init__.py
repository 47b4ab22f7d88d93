"""Credits: what images cost, and accounts that nothing is taken from twice, whatever crashes."""

from posegen.credits.accounts import ACCOUNTS_FILE, Accounts, open_accounts
from posegen.credits.entries import Entry, EntryKind, Hold
from posegen.credits.prices import Prices, price
from posegen.settings import CREDITS_BACKGROUND, CREDITS_PER_IMAGE, STARTING_GRANT

__all__ = [
    "ACCOUNTS_FILE",
    "CREDITS_BACKGROUND",
    "CREDITS_PER_IMAGE",
    "STARTING_GRANT",
    "Accounts",
    "Entry",
    "EntryKind",
    "Hold",
    "Prices",
    "open_accounts",
    "price",
]
