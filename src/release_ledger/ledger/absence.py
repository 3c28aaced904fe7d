"""What is not found: it is believed not to be there only where another witness says so, too.

A row that somebody deleted, or changed the key of, must lead neither to an event nor to a refusal. Each of these raises
`NotLive` where the witness contradicts, and the stream is folded. See `docs/decisions/0016-absence-has-a-witness.md`.
"""

from __future__ import annotations

from ..projection import FoldedSource
from ..store import Head, Params, Row, Source
from .asking import NotLive, picked, require
from .view_selects import ATTEMPTS, ATTEMPTS_PAGE, KNOWN, NEARBY, NEIGHBOURS, NUMBERED


def require_seen(source: Source, head: Head, row: Row, prefix: str, name: str, found: int | None) -> None:
    """The row of a version that was found (None: none was) has the number that `known_versions` has of it."""
    if _has_all(source, head):
        return
    require(source, head, "known_versions")
    if picked(row, prefix)["number"] != found:
        raise NotLive(head.stream, name)


def require_no_such_id(source: Source, head: Head, deployments: int, deployment_id: str) -> None:
    """The deployments around one of such an id are all there, as they were written, and none has the id.

    Ids are in the order of time, and that is mostly the order of numbers: those of one moment, or of servers whose
    clocks differ, are near one another all the same.
    """
    if _has_all(source, head):
        return
    rows = source.read(NEIGHBOURS, {"of_stream": head.stream, "deployment_id": deployment_id})
    centre = rows[0]["centre"] if rows else 0
    first, last = max(1, centre - NEARBY + 1), min(deployments, centre + NEARBY)
    numbers = [picked(row, "deployment")["number"] for row in rows]
    if [number for number in numbers if number <= deployments] != list(range(first, last + 1)):
        raise NotLive(head.stream, "deployments")


def require_newest_row(source: Source, head: Head, deployments: int) -> None:
    """The newest deployment of all has its row: a table that was emptied has not."""
    if _has_all(source, head) or not deployments:
        return
    rows = source.read(NUMBERED, {"of_stream": head.stream, "number": deployments})
    if not [picked(row, "deployment") for row in rows]:
        raise NotLive(head.stream, "deployments")


def require_known(source: Source, head: Head, page: Params, found: list[int], *, last: int) -> None:
    """A page of a version's deployments up to the last, newest first, has the numbers that `known_versions` has."""
    if _has_all(source, head):
        return
    require(source, head, "known_versions")
    place = {"of_stream": head.stream, "last": last, **page}
    if [picked(row, "known")["number"] for row in source.read(KNOWN, place)] != found:
        raise NotLive(head.stream, "deployments")


def require_attempts(source: Source, head: Head, version: str, *, after: int, last: int) -> None:
    """All deployments of a version that `known_versions` has between these numbers have their rows."""
    if _has_all(source, head):
        return
    require(source, head, "known_versions")
    more = True
    while more:
        rows = source.read(ATTEMPTS, {"of_stream": head.stream, "version": version, "after": after, "last": last})
        for row in rows:
            after = picked(row, "known")["number"]
            if picked(row, "deployment")["number"] != after:
                raise NotLive(head.stream, "deployments")
        more = len(rows) == ATTEMPTS_PAGE


def _has_all(source: Source, head: Head) -> bool:
    """Whether no row can have been lost: they were folded just now, or there are none."""
    return isinstance(source, FoldedSource) or not head.version
