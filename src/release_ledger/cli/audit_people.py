"""`release-ledger audit forget`: a person who asks to be forgotten."""

from __future__ import annotations

import time

import click

from ..ledger import Ledger
from ..ledger.forgetting import UNDER_WAY_S
from .opening import caller, open_ledger
from .output import say, shown
from .values import EMAIL

_ASK = "Forget {}? Nobody can undo it: who did what is then known by the names of tokens alone."


@click.command()
@click.argument("email", type=EMAIL)
@click.option("--yes", is_flag=True, help="Do not ask whether it is meant.")
def forget(email: str, yes: bool) -> None:
    """Forget a person: their e-mail is nowhere any more, and answers say null.

    No event changes, and no digest: events never held it. That somebody was forgotten is an event itself, without the
    e-mail. Their tokens go on opening, as a machine's do; revoke those that should not (`token list` before). Tokens
    that an older release let be named after the e-mail are listed: a name is never forgotten.
    """
    with open_ledger() as ledger:
        for token_name in _named_after(ledger, email):
            say(f"Warning: the name of token {shown(token_name)} holds the e-mail, and stays in events and answers.")
        if not yes:
            click.confirm(_ASK.format(email), abort=True)
        ledger.forget_person(email, by=caller())
        click.echo(f"Waiting {UNDER_WAY_S:.0f} s for requests that were under way.")
        time.sleep(UNDER_WAY_S)
        ledger.forget_kept_answers(email)
    click.echo(f"{email} is forgotten. Backups that were made before still hold it.")


def _named_after(ledger: Ledger, email: str) -> list[str]:
    """The names of tokens, open or not, that hold the e-mail. New ones are refused such names."""
    names = [str(token["token_name"]) for token in ledger.tokens()]
    return [name for name in names if email.casefold() in name.casefold()]
