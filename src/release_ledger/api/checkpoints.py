"""The newest checkpoint, for whoever keeps it away from here: `docs/proof.md` says what it proves."""

from __future__ import annotations

from flask import Response
from werkzeug.exceptions import NotFound

from ..proof import newest_note
from .access import ledger, requires
from .blueprint import LedgerBlueprint

blueprint = LedgerBlueprint("checkpoints", __name__, description="The state of the ledger, signed")


@blueprint.on("GET", "/api/checkpoint", "getCheckpoint")
@requires("read")
@blueprint.answers(200, content_type="text/plain")
def get_checkpoint() -> Response:
    """The newest checkpoint, a C2SP signed note; `release-ledger audit checkpoint` makes one."""
    note = newest_note(ledger().store)
    if note is None:
        raise NotFound()
    return Response(note, content_type="text/plain; charset=utf-8")
