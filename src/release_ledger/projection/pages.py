"""The events of a stream, a page at a time: so many, and not much more than so many bytes of them."""

from __future__ import annotations

from typing import Any, Final, NamedTuple

from sqlalchemy import bindparam, select

from ..store import Statement
from ..store.schema import EVENTS
from .alone import Seat

_PAGE: Final = Statement(
    select(EVENTS.c.version, EVENTS.c.topic, EVENTS.c.state)
    .where(EVENTS.c.stream == bindparam("stream"), EVENTS.c.version > bindparam("after"))
    .order_by(EVENTS.c.version)
    .limit(bindparam("limit"))
)


class Page(NamedTuple):
    """Events as version, topic and state; how many bytes of states; whether there may be more."""

    events: list[Any]
    size: int
    is_full: bool


def page_after(seat: Seat, stream: str, after: int, events: int, size: int) -> Page:
    """The next events of a stream, the last of them the one that makes it `size` bytes.

    PostgreSQL's driver has read all of them by then; so that is no more than `events` times the longest event.
    """
    sql, binds, own = _PAGE.compiled(seat.dialect)
    place = {"stream": stream, "after": after, "limit": events}
    binary = {"binary": True} if seat.database.is_postgresql else {}
    seat.cursor.execute(sql, [{**own, **place}[bind] for bind in binds], **binary)
    found, read = [], 0
    for row in seat.cursor:
        found.append(row)
        read += len(row[2])
        if read >= size:
            break
    return Page(found, read, len(found) == events or read >= size)
