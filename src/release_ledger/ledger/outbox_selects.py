"""The SELECTs of the outbox: what is wanted, whose a run is, and what is unfinished, over all streams."""

from __future__ import annotations

from functools import cache
from typing import Final

from sqlalchemy import ColumnElement, and_, bindparam, func, select
from sqlalchemy.sql.selectable import FromClause

from ..projections.deployments import Deployments
from ..projections.environments import NOW, Environments
from ..projections.outbox import WANTED, Outbox
from ..projections.release_candidates import ReleaseCandidates
from ..store import Statement
from ..store.schema import EVENTS, STREAMS
from .asking import HEAD_COLUMNS, belongs, here, labelled

OF_A_KIND: Final = 20  # so many of the oldest wishes of each stream and kind: those that fail hide no others
W, D, E, C = Outbox.table, Deployments.table, Environments.table, ReleaseCandidates.table
_HEAD = STREAMS.alias("head")
_HEADS = (_HEAD.c.stream.label("head_stream"), *labelled(_HEAD, "head", *HEAD_COLUMNS))


def _rows(*conditions: ColumnElement[bool]) -> Statement:
    place = func.row_number().over(partition_by=(W.c.stream, W.c.kind), order_by=W.c.wanted_version)
    found = (
        select(*_HEADS, *labelled(W, "wish"), place.label("place"))
        .select_from(W.join(_HEAD, belongs(W, _HEAD)))
        .where(*conditions)
        .subquery("found")
    )
    ordered = (found.c.wish_wanted_at, found.c.head_stream, found.c.wish_wanted_version)
    return Statement(select(found).where(found.c.place <= OF_A_KIND).order_by(*ordered))


WANTED_WISHES = _rows(W.c.status == WANTED)
EXACTLY = _rows(W.c.stream == bindparam("of_stream"), W.c.kind == bindparam("kind"), W.c.number == bindparam("number"))
BY_SUBJECT = _rows(W.c.subject == bindparam("subject"))
BY_RUN = _rows(W.c.run_id == bindparam("run_id"))
ONE = Statement(
    select(*labelled(W, "wish")).where(
        *here(W, "of_stream"), W.c.kind == bindparam("kind"), W.c.number == bindparam("number")
    )
)
FOLDED = Statement(select(STREAMS.c.stream, STREAMS.c.folded))
_DEPLOYMENTS = select(
    *_HEADS, *labelled(D, "deployment"), *labelled(E, "environment"), *labelled(W, "wish")
).select_from(
    D.join(_HEAD, belongs(D, _HEAD))
    .join(E, belongs(E, _HEAD) & (E.c.slot == NOW))
    .outerjoin(W, and_(belongs(W, _HEAD), W.c.kind == "trigger", W.c.number == D.c.number))
)
UNFINISHED = Statement(_DEPLOYMENTS.where(D.c.finished == 0))
# Those whose run was not known when they were canceled, although it had been started.
CANCELED_WITHOUT_RUN = Statement(
    _DEPLOYMENTS.where(
        D.c.status == "canceled",
        D.c.ended_by == "rollback",
        D.c.deploy_end_at >= bindparam("since"),
        W.c.status == "done",
        W.c.run_id.is_(None),
    )
)
MOMENT = Statement(
    select(EVENTS.c.recorded_at).where(EVENTS.c.stream == bindparam("of_stream"), EVENTS.c.version == bindparam("at"))
)
BUILDING = Statement(
    select(*_HEADS, *labelled(C, "candidate"), *labelled(W, "wish"))
    .select_from(W.join(_HEAD, belongs(W, _HEAD)).join(C, and_(belongs(C, _HEAD), C.c.build_id == W.c.subject)))
    .where(W.c.kind == "build", W.c.status == "done", W.c.workflow.is_not(None), C.c.status == "pending")
)


@cache
def there(table: FromClause) -> Statement:
    return Statement(select(*labelled(table, "any")).limit(1))
