"""The SELECTs of events by what they are about: the versions of a deployment, the events of some deployments."""

from __future__ import annotations

from typing import Any, Final

from sqlalchemy import BindParameter, ColumnElement, bindparam, func, select

from ..projections.deployment_events import DeploymentEvents
from ..projections.deployments import Deployments
from ..store import Statement
from ..store.schema import EVENTS, PEOPLE
from .asking import here, labelled

EVENTS_SHOWN: Final = 200
AT_ONCE: Final = 50
V, D = DeploymentEvents.table, Deployments.table
_LATER = V.alias("later")
_OF_IT = (*here(V, "of_stream"), V.c.number == bindparam("number"), V.c.version <= bindparam("upto"))

VERSIONS = Statement(select(*labelled(V, "event")).where(*_OF_IT).order_by(V.c.version.desc()).limit(EVENTS_SHOWN))
TOTAL = Statement(select(func.count().label("total")).select_from(V).where(*_OF_IT))


def _some(name: str) -> list[BindParameter[Any]]:
    return [bindparam(f"{name}_{place}") for place in range(AT_ONCE)]


STORED = Statement(
    select(EVENTS.c.version, EVENTS.c.topic, EVENTS.c.state).where(
        EVENTS.c.stream == bindparam("stream"), EVENTS.c.version.in_(_some("version"))
    )
)
PEOPLE_OF = Statement(select(PEOPLE).where(PEOPLE.c.person_id.in_(_some("person"))))
# All that happened to some deployments up to a version.
EVENTS_OF = Statement(
    select(*labelled(V, "event"), EVENTS.c.topic, EVENTS.c.state)
    .select_from(V.join(EVENTS, (EVENTS.c.stream == V.c.stream) & (EVENTS.c.version == V.c.version)))
    .where(*here(V, "of_stream"), V.c.number.in_(_some("number")), V.c.version <= bindparam("upto"))
    .order_by(V.c.number, V.c.version)
)

# Some deployments by their numbers, newest first.
SOME = Statement(
    select(*labelled(D, "deployment"), PEOPLE.c.email.label("actor_email"))
    .select_from(D.outerjoin(PEOPLE, PEOPLE.c.person_id == D.c.person_id))
    .where(*here(D, "of_stream"), D.c.number.in_(_some("number")))
    .order_by(D.c.number.desc())
)


def _status_of(number: ColumnElement[int], column: str) -> ColumnElement[Any]:
    """Of the newest event, up to a version, that says what a deployment's status is: this column."""
    said = select(_LATER.c[column]).where(
        *here(_LATER, "of_stream"),
        _LATER.c.number == number,
        _LATER.c.version <= bindparam("upto"),
        _LATER.c.status.is_not(None),
    )
    return said.order_by(_LATER.c.version.desc()).limit(1).scalar_subquery()


_OF_STATUS = (
    select(*labelled(V, "event"))
    .where(*here(V, "of_stream"), V.c.status == bindparam("status"), V.c.number <= bindparam("last"))
    .where(V.c.version == _status_of(V.c.number, "version"))
    .order_by(V.c.number.desc())
)
_OF_VERSION = (
    select(*labelled(D, "deployment"))
    .where(*here(D, "of_stream"), D.c.release_candidate_version == bindparam("release_candidate_version"))
    .where(D.c.number <= bindparam("last"))
    .order_by(D.c.number.desc())
)
_OF_BOTH = _OF_VERSION.where(_status_of(D.c.number, "status") == bindparam("status"))
# The deployments that had a status, are of a version, or both; newest first.
NUMBERS_BY: Final = {
    (of_status, of_version): Statement(numbers.limit(bindparam("one_more")).offset(bindparam("skipped")))
    for of_status, of_version, numbers in (
        (True, False, _OF_STATUS),
        (False, True, _OF_VERSION),
        (True, True, _OF_BOTH),
    )
}


def some(name: str, values: list[Any]) -> dict[str, Any]:
    """The binds of at most so many values."""
    asked = values + values[-1:] * (AT_ONCE - len(values))
    return {f"{name}_{place}": value for place, value in enumerate(asked)}
