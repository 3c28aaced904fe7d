"""Idempotency keys: what a request was answered is kept with what it recorded, and answered again to its retries.

A key is of one token, method and path (contract, section 1), so all requests of a key are about one stream. It is read
in the statement that reads the stream's head and written in the append: a retry that runs beside its first try finds
the head moved, looks again, and finds the answer.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from sqlalchemy import bindparam, delete, func, select
from sqlalchemy.sql.selectable import FromClause

from ..errors import IdempotencyKeyReused
from ..store import Conflict, KeptAnswer, Row, Statement, Store
from ..store.schema import IDEMPOTENCY_KEYS
from ..store.transaction import insert_row
from ..versions import write_moment
from .answers import Answer
from .asking import labelled, picked

KEPT_FOR: Final = timedelta(days=31)
FORGET_ONE_IN: Final = 200
FORGOTTEN_AT_ONCE: Final = 1000

K = IDEMPOTENCY_KEYS
NO_KEY: Final = {"key_scope": None, "key": None}
KEY_COLUMNS = labelled(K, "kept", "request_digest", "status", "headers", "body")
_KEPT = Statement(select(*KEY_COLUMNS).where(K.c.scope == bindparam("key_scope"), K.c.key == bindparam("key")))
_WHOLE = Statement(select(K).where(K.c.scope == bindparam("key_scope"), K.c.key == bindparam("key")))
_OLDEST = (
    select(K.c.created_at)
    .where(K.c.created_at < bindparam("before"))
    .order_by(K.c.created_at)
    .limit(FORGOTTEN_AT_ONCE)
    .subquery("oldest")
)
_FORGET = Statement(delete(K).where(K.c.created_at <= select(func.max(_OLDEST.c.created_at)).scalar_subquery()))


@dataclass(frozen=True, kw_only=True)
class Reply:
    """An answer as it goes out: status, headers, body."""

    status: int
    headers: dict[str, str]
    body: bytes


@dataclass(frozen=True, kw_only=True)
class Idempotency:
    """A request's key, where it counts, what the request was, and how its answer is written."""

    scope: str
    key: str
    request_digest: bytes
    reply: Callable[[Answer, int], Reply]

    @property
    def binds(self) -> dict[str, Any]:
        return {"key_scope": self.scope, "key": self.key}


class Replayed(Exception):
    """The request was carried out before; `reply` is what it was answered then."""

    def __init__(self, reply: Reply) -> None:
        super().__init__(reply.status)
        self.reply = reply


def with_key(start: FromClause) -> FromClause:
    """A view's tables and the key's kept answer, if there is one."""
    return start.outerjoin(K, (K.c.scope == bindparam("key_scope")) & (K.c.key == bindparam("key")))


def kept_in(row: Row) -> Row | None:
    """The kept answer in a view's row."""
    kept = picked(row, "kept")
    return kept if kept.get("status") is not None else None


def replay(kept: Row | None, asked: Idempotency) -> None:
    """Raise `Replayed` for a request that was answered before, `IdempotencyKeyReused` for another with its key."""
    if kept is None:
        return
    if bytes(kept["request_digest"]) != asked.request_digest:
        raise IdempotencyKeyReused()
    raise Replayed(Reply(status=kept["status"], headers=json.loads(kept["headers"]), body=bytes(kept["body"])))


def read_kept(store: Store, asked: Idempotency) -> Row | None:
    """The kept answer, for a view that was folded and not read from the tables."""
    rows = store.read(_KEPT, asked.binds)
    return picked(rows[0], "kept") if rows else None


def to_keep(asked: Idempotency, answer: Answer, version: int, now: str) -> KeptAnswer:
    """What is kept of an answer."""
    reply = asked.reply(answer, version)
    return KeptAnswer(
        scope=asked.scope,
        key=asked.key,
        request_digest=asked.request_digest,
        status=reply.status,
        headers=json.dumps(reply.headers),
        body=reply.body,
        created_at=now,
    )


def keep(store: Store, kept: KeptAnswer) -> None:
    """Keep the answer to a request that recorded nothing. Raises `Conflict` where the key has another already."""
    try:
        store.write(insert_row(K), asdict(kept))
    except Conflict:
        # Ours, when the answer to the INSERT was lost and the store wrote it again.
        if store.read(_WHOLE, {"key_scope": kept.scope, "key": kept.key}) != [asdict(kept)]:
            raise


def forget_now_and_then(store: Store, asked: Idempotency | None) -> None:
    """After one keyed request in many, forget some old keys; whatever comes of it, the request is answered."""
    if asked is not None and random.randrange(FORGET_ONE_IN) == 0:  # noqa: S311 - any will do
        with suppress(Exception):
            forget_old(store)


def forget_old(store: Store) -> None:
    """Forget the oldest of the keys that are older than any retry, a bounded number at once."""
    store.write(_FORGET, {"before": write_moment(datetime.now(UTC) - KEPT_FOR)})
