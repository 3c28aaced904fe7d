"""Forgetting a person: their e-mail goes from wherever it is written down, and the chain of events stays as it is.

It is in `people`, which events point into by an opaque id, and in the answers that are kept to requests with an
idempotency key. These stay, so that a retry still counts once, and say null where they said the e-mail.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec
from sqlalchemy import Integer, bindparam, literal, select, text, tuple_, update

from ..store import Row, Statement, Store
from ..store.schema import IDEMPOTENCY_KEYS

ANSWERS_AT_ONCE: Final = 5000
UNDER_WAY_S: Final = 12.0
"""A request that was under way may yet keep an answer. Above the longest that the database may keep one (11 s)."""

K = IDEMPOTENCY_KEYS
_PLACE = tuple_(K.c.scope, K.c.key)
_AFTER = tuple_(bindparam("scope"), bindparam("key")) < _PLACE


def _bound(answers: int) -> Statement:
    """The last of the next answers that are gone through at once; none where there are fewer."""
    last = select(K.c.scope, K.c.key).where(_AFTER).order_by(K.c.scope, K.c.key)
    return Statement(last.limit(1).offset(literal(answers - 1, Integer)))


_BOUND = _bound(ANSWERS_AT_ONCE)
_WITH: Final = {
    "postgresql": text("position(:said in body) > 0"),
    "sqlite": text("instr(body, :said) > 0"),
}
_UPTO = tuple_(bindparam("last_scope"), bindparam("last_key")) >= _PLACE
_SAYING = {
    (name, bounded): Statement(select(K.c.scope, K.c.key, K.c.body).where(_AFTER, *([_UPTO] if bounded else []), says))
    for name, says in _WITH.items()
    for bounded in (True, False)
}
_REWRITE = Statement(
    update(K)
    .where(K.c.scope == bindparam("of_scope"), K.c.key == bindparam("of_key"))
    .values(body=bindparam("without"))
)


def forget_in_answers(store: Store, email: str) -> None:
    """No answer that is kept says whose it was any more. In pieces, so that nobody waits for it."""
    said = msgspec.json.encode(email)
    place: dict[str, Any] = {"scope": "", "key": "", "said": said}
    while True:
        bound = store.read(_BOUND, place)
        last = {"last_scope": bound[0]["scope"], "last_key": bound[0]["key"]} if bound else {}
        for row in store.read(_SAYING[store.database.dialect.name, bool(bound)], place | last):
            store.write(_REWRITE, _rewritten(row, email))
        if not bound:
            return
        place |= bound[0]


def _rewritten(row: Row, email: str) -> dict[str, Any]:
    answer = _without(msgspec.json.decode(bytes(row["body"])), email)
    body = msgspec.json.encode(answer, order="deterministic") + b"\n"
    return {"of_scope": row["scope"], "of_key": row["key"], "without": body}


def _without(value: Any, email: str) -> Any:
    """The same with null for the e-mail, wherever it is."""
    if isinstance(value, dict):
        return {name: _without(each, email) for name, each in value.items()}
    if isinstance(value, list):
        return [_without(each, email) for each in value]
    return None if value == email else value
