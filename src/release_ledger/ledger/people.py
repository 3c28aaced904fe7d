"""People and tokens: an e-mail is never in an event, only in `people`, where it can be forgotten."""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from typing import cast

from sqlalchemy import bindparam, select

from ..projection import ACCESS, FoldedSource
from ..projections.tokens import Tokens
from ..store import Row, Source, Statement, Store
from ..store.schema import PEOPLE
from ..store.store import head_of
from .asking import NotLive, here, labelled, picked, require
from .event_selects import AT_ONCE, PEOPLE_OF, some
from .views import View

T = Tokens.table
_BY_EMAIL = Statement(select(PEOPLE.c.person_id).where(PEOPLE.c.email == bindparam("email")))
_BY_NAME = Statement(select(*labelled(T, "token")).where(*here(T, "stream"), T.c.token_name == bindparam("name")))


def person_of(store: Store, email: str | None) -> tuple[str | None, list[tuple[str, str]]]:
    """The id of the person of an e-mail, and what to record of them if they were not known yet."""
    if email is None:
        return None, []
    known = store.read(_BY_EMAIL, {"email": email})
    if known:
        return known[0]["person_id"], []
    person_id = str(uuid.uuid4())
    return person_id, [(person_id, email)]


def emails_of(source: Source, people: Iterable[str | None]) -> dict[str | None, str]:
    """The e-mails of those of these people that are known."""
    asked = sorted({person_id for person_id in people if person_id is not None})
    found: list[Row] = []
    for first in range(0, len(asked), AT_ONCE):
        found += source.read(PEOPLE_OF, some("person", asked[first : first + AT_ONCE]))
    return {cast(str, row["person_id"]): cast(str, row["email"]) for row in found}


def people_of(source: Source, email: str) -> list[str]:
    """The ids under which the person of an e-mail is known. Two of them, where two first tokens were made at once."""
    return [row["person_id"] for row in source.read(_BY_EMAIL, {"email": email})]


def token_named(source: Source, token_name: str) -> View:
    """What a command on a token looks at."""
    head = head_of(source, ACCESS)
    view = View(source=source, head=head, project_head=head)
    view.known["tokens"] = {}
    require(source, head, "tokens")
    if not token_name:  # the command is about a person
        return view
    rows = source.read(_BY_NAME, {"stream": ACCESS, "name": token_name})
    if not rows and head.version and not isinstance(source, FoldedSource):
        raise NotLive(ACCESS, "tokens")  # no row tells that there is none
    for row in rows:
        view.known["tokens"][(token_name,)] = picked(row, "token")
    return view
