"""The SELECTs of what ran where and when."""

from __future__ import annotations

from typing import Any, Final

from sqlalchemy import ColumnElement, Select, and_, bindparam, select, true
from sqlalchemy.sql.selectable import FromClause

from ..projection import own_columns
from ..projections.deployments import Deployments
from ..projections.environments import Environments
from ..projections.running_periods import NEWEST, RunningPeriods
from ..store import Statement
from ..store.schema import PEOPLE, STREAMS
from .asking import ACCESS_MARK, HEAD_COLUMNS, belongs, here, labelled

R, D, E = RunningPeriods.table, Deployments.table, Environments.table
_HEAD, _ACTOR, _NEWEST = STREAMS.alias("head"), PEOPLE.alias("actor"), R.alias("newest")
_HEAD_COLUMNS = (ACCESS_MARK, _HEAD.c.stream.label("head_stream"), *labelled(_HEAD, "head", *HEAD_COLUMNS))
_ANY_NUMBER: Final = 10**9
# What an environment runs, twice: where the two differ, a row was lost.
_STANDING = (
    *_HEAD_COLUMNS,
    *labelled(E, "environment", "state", "running_number"),
    *labelled(_NEWEST, "newest", "number", "deployment_number", "recorded_to"),
)
_OF_DEPLOYMENT = (D.c.status.label("deployment_status"), D.c.release_version, _ACTOR.c.email.label("actor_email"))


def _page() -> Select[Any]:
    """The head, the newest period, the number of the last that begins before a moment, and a page back from there.

    Numbers and reported times have the same order, so a page of a range of time is a range of numbers.
    """
    begun = select(R.c.number).where(*here(R, "stream"), R.c.reported_from < bindparam("before"))
    upto = begun.order_by(R.c.reported_from.desc(), R.c.number.desc()).limit(1).scalar_subquery()
    last = upto - bindparam("skipped")
    of = (
        select(*(R.c[name] for name in own_columns(R)))
        .where(*here(R, "stream"), R.c.number <= last, R.c.number > last - bindparam("rows"))
        .order_by(R.c.number.desc())
        .limit(bindparam("rows"))
        .subquery("of")
    )
    parts = (
        _HEAD.outerjoin(E, belongs(E, _HEAD))
        .outerjoin(_NEWEST, belongs(_NEWEST, _HEAD) & (_NEWEST.c.slot == NEWEST))
        .outerjoin(of, true())
        .outerjoin(D, belongs(D, _HEAD) & (D.c.number == of.c.deployment_number))
        .outerjoin(_ACTOR, _ACTOR.c.person_id == D.c.person_id)
    )
    columns = (*_STANDING, *labelled(of, "period"), upto.label("upto"), *_OF_DEPLOYMENT)
    return select(*columns).select_from(parts).where(_HEAD.c.stream == bindparam("stream")).order_by(of.c.number.desc())


def _between(table: FromClause) -> tuple[ColumnElement[bool], ...]:
    return table.c.stream >= bindparam("first"), table.c.stream < bindparam("beyond")


def _exposure() -> Select[Any]:
    """Each environment of a project, with the periods of a commit, newest first."""
    of_commit = select(R).where(R.c.commit == bindparam("commit"), *_between(R)).order_by(R.c.commit, R.c.stream)
    # The limit keeps it by itself: joined to the heads, it would be read by stream, at the cost of the whole history.
    of = of_commit.limit(_ANY_NUMBER).subquery("of")
    parts = (
        _HEAD.outerjoin(E, belongs(E, _HEAD))
        .outerjoin(_NEWEST, and_(belongs(_NEWEST, _HEAD), _NEWEST.c.slot == NEWEST, *_between(_NEWEST)))
        .outerjoin(of, belongs(of, _HEAD))
        .outerjoin(D, belongs(D, of) & (D.c.number == of.c.deployment_number))
        .outerjoin(_ACTOR, _ACTOR.c.person_id == D.c.person_id)
    )
    columns = (*_STANDING, *labelled(of, "period", *own_columns(R)), *_OF_DEPLOYMENT)
    return select(*columns).select_from(parts).where(*_between(_HEAD)).order_by(_HEAD.c.stream, of.c.number.desc())


RUNNING = Statement(_page())
EXPOSURE = Statement(_exposure())
