"""The SELECTs of events and deployments by their versions and numbers, and of what had a status at a version."""

from __future__ import annotations

from typing import Any, Final

from sqlalchemy import BindParameter, ColumnElement, bindparam, literal_column, select

from ..projections.deployments import Deployments
from ..store import Statement
from ..store.schema import EVENTS, PEOPLE
from .asking import here, labelled, unindexed

EVENTS_SHOWN: Final = 200
AT_ONCE: Final = 50
D = Deployments.table


def _some(name: str, most: int = AT_ONCE) -> list[BindParameter[Any]]:
    return [bindparam(f"{name}_{place}") for place in range(most)]


STORED = Statement(
    select(EVENTS.c.version, EVENTS.c.topic, EVENTS.c.state)
    .where(EVENTS.c.stream == bindparam("stream"), EVENTS.c.version.in_(_some("version", EVENTS_SHOWN)))
    .order_by(EVENTS.c.version)
)
PEOPLE_OF = Statement(select(PEOPLE).where(PEOPLE.c.person_id.in_(_some("person"))))

# Some deployments by their numbers, newest first.
SOME = Statement(
    select(*labelled(D, "deployment"), PEOPLE.c.email.label("actor_email"))
    .select_from(D.outerjoin(PEOPLE, PEOPLE.c.person_id == D.c.person_id))
    .where(*here(D, "of_stream"), D.c.number.in_(_some("number")))
    .order_by(D.c.number.desc())
)

_DEPLOYMENTS = select(*labelled(D, "deployment")).where(*here(D, "of_stream"), D.c.number <= bindparam("last"))
_OF_VERSION = D.c.release_candidate_version == bindparam("release_candidate_version")
# Those that have a status since a version or earlier.
_SINCE_THEN = D.c.status_version <= bindparam("upto")
# Written out: of a parameter, the database does not know that the index of the corrected serves.
_YES: ColumnElement[int] = literal_column("1")


def _corrected(of_version: bool) -> Statement:
    conditions = (D.c.corrected == _YES, D.c.status_version > bindparam("after"), D.c.number >= bindparam("lowest"))
    found = _DEPLOYMENTS.where(*conditions, *([_OF_VERSION] if of_version else []))
    return Statement(found.order_by(D.c.status_version).limit(bindparam("most")))


# Those that had finished, and were corrected after a version, in the order in which they were (of a version, perhaps).
CORRECTED: Final = {of_version: _corrected(of_version) for of_version in (False, True)}


def _numbers_by(of_status: bool, of_version: bool) -> Statement:
    found = _DEPLOYMENTS.where(_OF_VERSION) if of_version else _DEPLOYMENTS
    status = unindexed(D.c.status) if of_version else D.c.status
    having = found.where(status == bindparam("status"), _SINCE_THEN) if of_status else found
    by_number = having.order_by(D.c.number.desc())
    return Statement(by_number.limit(bindparam("one_more")).offset(bindparam("skipped")))


# The deployments that have a status since then, are of a version, or both; newest first.
NUMBERS_BY: Final = {
    (of_status, of_version): _numbers_by(of_status, of_version)
    for of_status, of_version in ((True, False), (False, True), (True, True))
}


def some(name: str, values: list[Any], most: int = AT_ONCE) -> dict[str, Any]:
    """The binds of at most so many values; of none, those that match nothing."""
    asked = values + (values[-1:] or [None]) * (most - len(values))
    return {f"{name}_{place}": value for place, value in enumerate(asked)}
