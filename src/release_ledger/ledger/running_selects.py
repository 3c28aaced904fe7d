"""The SELECTs of what ran where and when."""

from __future__ import annotations

from typing import Any, Final

from sqlalchemy import ColumnElement, Select, and_, bindparam, func, select, true
from sqlalchemy.sql.selectable import FromClause

from ..projections.deployments import Deployments
from ..projections.environments import NOW, Environments
from ..projections.running_periods import NEWEST, RunningPeriods
from ..store import Statement
from ..store.schema import PEOPLE
from .asking import belongs, here, labelled, once, whole
from .selects import HEAD, HEAD_LABELS

R, D, E = RunningPeriods.table, Deployments.table, Environments.table
_ACTOR, _NEWEST, _NEXT = PEOPLE.alias("actor"), R.alias("newest"), R.alias("next")
_ANY_NUMBER: Final = 10**9
# What an environment runs, twice: where the two differ, a row was lost.
_STANDING = (*labelled(E, "environment"), *labelled(_NEWEST, "newest"))
_OF_DEPLOYMENT = (*labelled(D, "deployment"), _ACTOR.c.email.label("actor_email"))


def _page() -> Select[Any]:
    """The head, the newest period, the last that begins before a moment, the next one, and a page back from there.

    Numbers and reported times have the same order, so a page of a range of time is a range of numbers.
    """
    of_before = select(*whole(R)).where(*here(R, "stream"), R.c.reported_from < bindparam("before"))
    begun = of_before.order_by(R.c.reported_from.desc(), R.c.number.desc()).limit(1).subquery("begun")
    last = select(begun.c.number).scalar_subquery() - bindparam("skipped")
    of = (
        select(*whole(R))
        .where(*here(R, "stream"), R.c.number <= last, R.c.number > last - bindparam("rows"))
        .order_by(R.c.number.desc())
        .limit(bindparam("rows"))
        .subquery("of")
    )
    parts = (
        HEAD.outerjoin(E, belongs(E, HEAD) & (E.c.slot == NOW))
        .outerjoin(_NEWEST, belongs(_NEWEST, HEAD) & (_NEWEST.c.slot == NEWEST))
        .outerjoin(begun, true())
        .outerjoin(_NEXT, belongs(_NEXT, HEAD) & (_NEXT.c.number == func.coalesce(begun.c.number, 0) + 1))
        .outerjoin(of, true())
        .outerjoin(D, belongs(D, HEAD) & (D.c.number == of.c.deployment_number))
        .outerjoin(_ACTOR, _ACTOR.c.person_id == D.c.person_id)
    )
    standing = once((*_STANDING, *labelled(begun, "begun"), *labelled(_NEXT, "next")), of.c.number)
    columns = (*HEAD_LABELS, *standing, *labelled(of, "period"), *_OF_DEPLOYMENT)
    return select(*columns).select_from(parts).where(HEAD.c.stream == bindparam("stream")).order_by(of.c.number.desc())


def _between(table: FromClause) -> tuple[ColumnElement[bool], ...]:
    return table.c.stream >= bindparam("first"), table.c.stream < bindparam("beyond")


def _exposure() -> Select[Any]:
    """Each environment of a project, with the periods of a commit, newest first."""
    of_commit = select(R).where(R.c.commit == bindparam("commit"), *_between(R)).order_by(R.c.commit, R.c.stream)
    # The limit keeps it by itself: joined to the heads, it would be read by stream, at the cost of the whole history.
    of = of_commit.limit(_ANY_NUMBER).subquery("of")
    parts = (
        HEAD.outerjoin(E, belongs(E, HEAD) & (E.c.slot == NOW))
        .outerjoin(_NEWEST, and_(belongs(_NEWEST, HEAD), _NEWEST.c.slot == NEWEST, *_between(_NEWEST)))
        .outerjoin(of, belongs(of, HEAD))
        .outerjoin(D, belongs(D, of) & (D.c.number == of.c.deployment_number))
        .outerjoin(_ACTOR, _ACTOR.c.person_id == D.c.person_id)
    )
    standing = once(_STANDING, of.c.number, HEAD.c.stream)
    columns = (*HEAD_LABELS, *standing, *labelled(of, "period"), *_OF_DEPLOYMENT)
    return select(*columns).select_from(parts).where(*_between(HEAD)).order_by(HEAD.c.stream, of.c.number.desc())


RUNNING = Statement(_page())
EXPOSURE = Statement(_exposure())
