"""What is not found: it is believed not to be there only where another witness says so, too.

A row that somebody deleted, or changed the key of, must lead neither to an event nor to a refusal. Each of these raises
`NotLive` where the witness contradicts, and the stream is folded. See `docs/decisions/0016-absence-has-a-witness.md`.
"""

from __future__ import annotations

from ..projection import FoldedSource
from ..store import Head, Row, Source
from .asking import NotLive, picked, require
from .view_selects import NEIGHBOURS, NEWEST_NUMBER, NEWEST_OF


def require_seen(source: Source, head: Head, row: Row, prefix: str, name: str, found: int | None) -> None:
    """The row of a version that was found (None: none was) has the number that `known_versions` has of it."""
    if _has_all(source, head):
        return
    require(source, head, "known_versions")
    if picked(row, prefix)["number"] != found:
        raise NotLive(head.stream, name)


def require_no_such_id(source: Source, head: Head, deployments: int, deployment_id: str) -> None:
    """Ids are in the order of time, mostly that of numbers: those around one that is not there are neighbours."""
    if _has_all(source, head):
        return
    place = {"of_stream": head.stream, "deployment_id": deployment_id}
    around = source.read(NEIGHBOURS, place)[0]
    before = around["before"] or 0
    after = around["after"] or deployments + 1
    if (around["newest"] or 0) != deployments or after - before != 1:
        raise NotLive(head.stream, "deployments")


def require_newest_row(source: Source, head: Head, deployments: int) -> None:
    """The newest deployment of all has a row: a table that was emptied has not."""
    if _has_all(source, head) or not deployments:
        return
    if source.read(NEWEST_NUMBER, {"of_stream": head.stream})[0]["newest"] != deployments:
        raise NotLive(head.stream, "deployments")


def require_newest_of(source: Source, head: Head, version: str) -> None:
    """The newest deployment of a version that was deployed here has its row."""
    if _has_all(source, head):
        return
    require(source, head, "known_versions")
    row = source.read(NEWEST_OF, {"stream": head.stream, "version": version})[0]
    if picked(row, "known_deployed")["number"] != picked(row, "deployment")["number"]:
        raise NotLive(head.stream, "deployments")


def _has_all(source: Source, head: Head) -> bool:
    """Whether no row can have been lost: they were folded just now, or there are none."""
    return isinstance(source, FoldedSource) or not head.version
