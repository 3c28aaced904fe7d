"""`release-ledger audit checkpoint`: the state of the ledger, signed."""

from __future__ import annotations

import click

from ..proof import NotSound, make_checkpoint, signing_key
from ..settings import SIGNING_KEY_FILE, Settings
from .opening import open_ledger
from .output import say


@click.command()
def checkpoint() -> None:
    """Sign the state of the ledger, and print the checkpoint.

    It vouches for every event there is: keep it where the operators of the ledger cannot reach it, and `audit verify
    --against` it later. Where nothing was recorded since the newest checkpoint, that one is printed again. Without
    RELEASE_LEDGER_SIGNING_KEY_FILE it is not signed.
    """
    settings = Settings.from_environment()
    key = signing_key(settings.signing_key_file) if settings.signing_key_file else None
    with open_ledger(settings) as ledger:
        try:
            made = make_checkpoint(ledger.store, key)
        except NotSound as error:
            raise click.ClickException(f"Nothing is signed: {error}; `audit verify` says more.") from None
    if made is None:
        raise click.ClickException("Nothing is recorded yet, so there is nothing to sign.")
    click.echo(made.checkpoint.note, nl=False)
    if not made.checkpoint.signatures:
        say(f"The checkpoint is not signed: {SIGNING_KEY_FILE} names no key.")
