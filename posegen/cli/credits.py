"""Commands about accounts: balance, grant, history."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

import click

from posegen.cli.app import app, json_option
from posegen.cli.output import print_json, print_rows, say

if TYPE_CHECKING:
    from posegen.credits import Accounts


@app.group()
def credits() -> None:  # noqa: A001  (the command's name)
    """Accounts: balance, grants, history."""


@credits.command()
@click.argument("user")
@json_option
def balance(user: str, as_json: bool) -> None:
    """Print the credits that USER can spend."""
    amount = _accounts().balance(user)
    print_json({"user": user, "balance": amount}) if as_json else say(f"{user} has {amount} credits")


@credits.command()
@click.argument("user")
@click.argument("amount", type=click.IntRange(min=1))
@click.option("--key", help="A word that makes a repeated call do nothing more.")
@click.option("--note", default="", help="Kept with the entry.")
def grant(user: str, amount: int, key: str | None, note: str) -> None:
    """Give USER AMOUNT credits."""
    accounts = _accounts()
    accounts.grant(user, amount, key=key or f"grant:{secrets.token_hex(8)}", note=note)
    say(f"{user} has {accounts.balance(user)} credits")


@credits.command()
@click.argument("user")
@json_option
def history(user: str, as_json: bool) -> None:
    """List USER's entries; their amounts add up to the balance."""
    shown = ("at", "kind", "amount", "run_id", "task_id", "charged", "note")
    rows = [{name: getattr(entry, name) for name in shown} for entry in _accounts().history(user)]
    print_rows(rows, as_json, empty="no entries")


def _accounts() -> Accounts:
    from posegen.pipeline.paying import accounts_of
    from posegen.settings import load_settings

    return accounts_of(load_settings())
