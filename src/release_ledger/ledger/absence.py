"""What is not found: it is believed not to be there only where another witness says so, too.

A row that somebody deleted, or changed the key of, must lead neither to an event nor to a refusal. Each of these raises
`NotLive` where the witness contradicts, and the stream is folded. See `docs/decisions/0016-absence-has-a-witness.md`.
"""

from __future__ import annotations

from typing import Final

from ..deployment import UNFINISHED
from ..environment import Environment
from ..projection import FoldedSource
from ..store import Head, Params, Row, Source
from .asking import NotLive, picked, require
from .event_selects import AT_ONCE, SOME, some
from .view_selects import ATTEMPTS, KNOWN_PAGE, NEARBY, NEIGHBOURS

ATTEMPTS_PAGE: Final = 500


def require_seen(source: Source, head: Head, row: Row, prefix: str, name: str, found: int | None) -> None:
    """The row of a version that was found (None: none was) has the number that `known_versions` has of it."""
    if _has_all(source, head):
        return
    require(source, head, "known_versions")
    if picked(row, prefix)["number"] != found:
        raise NotLive(head.stream, name)


def require_no_such_id(source: Source, head: Head, deployments: int, deployment_id: str) -> None:
    """The deployments around where one of such an id would be are all there, as they were written.

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


def require_of_status(source: Source, head: Head, state: Environment, status: str) -> None:
    """What the state knows that a list of a status may have has its rows: the newest, what runs, the unfinished."""
    if _has_all(source, head):
        return
    known = {state.deployments} if state.deployments else set()
    known |= {state.running.number} if status == "success" and state.running else set()
    known |= {ref.number for ref in state.unfinished} if status in UNFINISHED else set()
    numbers = sorted(known)
    for first in range(0, len(numbers), AT_ONCE):
        asked = numbers[first : first + AT_ONCE]
        rows = source.read(SOME, {"of_stream": head.stream, **some("number", asked)})
        if sorted(picked(row, "deployment")["number"] for row in rows) != asked:
            raise NotLive(head.stream, "deployments")


def require_same_numbers(source: Source, head: Head, page: Params, found: list[int], *, last: int) -> None:
    """A page of a version's deployments up to the last, newest first, has the numbers that `known_versions` has."""
    if _has_all(source, head):
        return
    require(source, head, "known_versions")
    place = {"of_stream": head.stream, "last": last, **page}
    if [picked(row, "known")["number"] for row in source.read(KNOWN_PAGE, place)] != found:
        raise NotLive(head.stream, "deployments")


def require_attempts(source: Source, head: Head, version: str, *, after: int, last: int) -> None:
    """All deployments of a version that `known_versions` has between these numbers have their rows."""
    if _has_all(source, head):
        return
    require(source, head, "known_versions")
    more = True
    while more:
        place = {"of_stream": head.stream, "version": version, "rows": ATTEMPTS_PAGE}
        rows = source.read(ATTEMPTS, place | {"after": after, "last": last})
        for row in rows:
            after = picked(row, "known")["number"]
            if picked(row, "deployment")["number"] != after:
                raise NotLive(head.stream, "deployments")
        more = len(rows) == ATTEMPTS_PAGE


def _has_all(source: Source, head: Head) -> bool:
    """Whether no row can have been lost: they were folded just now, or there are none."""
    return isinstance(source, FoldedSource) or not head.version
