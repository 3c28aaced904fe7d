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
from ..store.schema import PEOPLE
from .asking import belongs, here, labelled
from .selects import HEAD, HEAD_LABELS

R, D, E = RunningPeriods.table, Deployments.table, Environments.table
_ACTOR, _NEWEST = PEOPLE.alias("actor"), R.alias("newest")
_ANY_NUMBER: Final = 10**9
# What an environment runs, twice: where the two differ, a row was lost.
_STANDING = (
    *HEAD_LABELS,
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
        HEAD.outerjoin(E, belongs(E, HEAD))
        .outerjoin(_NEWEST, belongs(_NEWEST, HEAD) & (_NEWEST.c.slot == NEWEST))
        .outerjoin(of, true())
        .outerjoin(D, belongs(D, HEAD) & (D.c.number == of.c.deployment_number))
        .outerjoin(_ACTOR, _ACTOR.c.person_id == D.c.person_id)
    )
    columns = (*_STANDING, *labelled(of, "period"), upto.label("upto"), *_OF_DEPLOYMENT)
    return select(*columns).select_from(parts).where(HEAD.c.stream == bindparam("stream")).order_by(of.c.number.desc())


def _between(table: FromClause) -> tuple[ColumnElement[bool], ...]:
    return table.c.stream >= bindparam("first"), table.c.stream < bindparam("beyond")


def _exposure() -> Select[Any]:
    """Each environment of a project, with the periods of a commit, newest first."""
    of_commit = select(R).where(R.c.commit == bindparam("commit"), *_between(R)).order_by(R.c.commit, R.c.stream)
    # The limit keeps it by itself: joined to the heads, it would be read by stream, at the cost of the whole history.
    of = of_commit.limit(_ANY_NUMBER).subquery("of")
    parts = (
        HEAD.outerjoin(E, belongs(E, HEAD))
        .outerjoin(_NEWEST, and_(belongs(_NEWEST, HEAD), _NEWEST.c.slot == NEWEST, *_between(_NEWEST)))
        .outerjoin(of, belongs(of, HEAD))
        .outerjoin(D, belongs(D, of) & (D.c.number == of.c.deployment_number))
        .outerjoin(_ACTOR, _ACTOR.c.person_id == D.c.person_id)
    )
    columns = (*_STANDING, *labelled(of, "period", *own_columns(R)), *_OF_DEPLOYMENT)
    return select(*columns).select_from(parts).where(*_between(HEAD)).order_by(HEAD.c.stream, of.c.number.desc())


RUNNING = Statement(_page())
EXPOSURE = Statement(_exposure())
