"""The events of a stream, a page at a time: so many, and not much more than so many bytes of them."""

from __future__ import annotations

from typing import Any, Final, NamedTuple

from sqlalchemy import bindparam, func, select

from ..store import Statement
from ..store.schema import EVENTS
from .alone import Seat

_C: Final = EVENTS.c
_NEXT = (
    select(_C.version, _C.topic, _C.state, func.length(_C.state).label("size"))
    .where(_C.stream == bindparam("stream"), _C.version > bindparam("after"))
    .order_by(_C.version)
    .limit(bindparam("events"))
    .subquery("next")
)
_BEFORE = func.sum(_NEXT.c.size).over(order_by=_NEXT.c.version, rows=(None, 0)) - _NEXT.c.size
_MEASURED = select(_NEXT, _BEFORE.label("before")).subquery("measured")
_PAGE = Statement(
    select(_MEASURED.c.version, _MEASURED.c.topic, _MEASURED.c.state)
    .where(_MEASURED.c.before < bindparam("bytes"))
    .order_by(_MEASURED.c.version)
)


class Page(NamedTuple):
    """Events as version, topic and state; how many bytes of states; whether there may be more."""

    events: list[Any]
    size: int
    is_full: bool


def page_after(seat: Seat, stream: str, after: int, events: int, size: int) -> Page:
    """The next events of a stream, the last of them the one that makes it `size` bytes."""
    place = {"stream": stream, "after": after, "events": events, "bytes": size}
    sql, binds, own = _PAGE.compiled(seat.dialect)
    binary = {"binary": True} if seat.database.is_postgresql else {}
    seat.cursor.execute(sql, [{**own, **place}[bind] for bind in binds], **binary)
    found = list(seat.cursor.fetchall())
    read = sum(len(state) for _, _, state in found)
    return Page(found, read, len(found) == events or read >= size)
