"""The SELECTs of the questions: each begins at the head of its stream, so that it knows whose rows it sees."""

from __future__ import annotations

from typing import Any

from sqlalchemy import ColumnElement, Select, and_, bindparam, select, true
from sqlalchemy.sql.selectable import FromClause

from ..projection import ACCESS
from ..projections.deployments import Deployments
from ..projections.environments import NOW, Environments
from ..projections.projects import Projects
from ..projections.release_candidates import ReleaseCandidates
from ..projections.tokens import Tokens
from ..store import Params, Statement
from ..store.schema import PEOPLE, STREAMS
from .asking import ACCESS_MARK, HEAD_COLUMNS, belongs, here, labelled, once, unindexed, whole

D, C, T = Deployments.table, ReleaseCandidates.table, Tokens.table
E, P = Environments.table, Projects.table
HEAD = STREAMS.alias("head")
_ACTOR, _CUTTER, _OWNER = PEOPLE.alias("actor"), PEOPLE.alias("cutter"), PEOPLE.alias("owner")
HEAD_LABELS = (ACCESS_MARK, HEAD.c.stream.label("head_stream"), *labelled(HEAD, "head", *HEAD_COLUMNS))
_OF_STREAM = HEAD.c.stream == bindparam("stream")
_BETWEEN = and_(HEAD.c.stream >= bindparam("first"), HEAD.c.stream < bindparam("beyond"))

PROJECTS = Statement(
    select(*HEAD_LABELS, *labelled(P, "of_project"))
    .select_from(HEAD.outerjoin(P, belongs(P, HEAD)))
    .where(_BETWEEN)
    .order_by(HEAD.c.stream)
)


def _environments() -> Select[Any]:
    parts = HEAD.outerjoin(E, belongs(E, HEAD) & (E.c.slot == NOW))
    columns = [*HEAD_LABELS, *labelled(E, "environment")]
    for which in ("running", "latest"):
        deployment, actor = D.alias(which), PEOPLE.alias(f"{which}_actor")
        parts = parts.outerjoin(
            deployment,
            and_(
                deployment.c.stream == HEAD.c.stream,
                deployment.c.generation == HEAD.c.generation,
                deployment.c.number == E.c[f"{which}_number"],
            ),
        ).outerjoin(actor, actor.c.person_id == deployment.c.person_id)
        columns += [*labelled(deployment, which), actor.c.email.label(f"actor_email_of_{which}")]
    return select(*columns).select_from(parts)


ENVIRONMENT = Statement(_environments().where(_OF_STREAM))
ENVIRONMENTS = Statement(_environments().where(_BETWEEN).order_by(HEAD.c.stream))

_IN_ENVIRONMENT = here(D, "stream")


def _with_deployments(rows: Select[Any]) -> Select[Any]:
    """The head, how many deployments there are, and these of them."""
    of = rows.subquery("of")
    parts = HEAD.outerjoin(E, belongs(E, HEAD) & (E.c.slot == NOW)).outerjoin(of, true())
    return (
        select(
            *HEAD_LABELS,
            *once(labelled(E, "environment"), of.c.number),
            *labelled(of, "deployment"),
            _ACTOR.c.email.label("actor_email"),
        )
        .select_from(parts.outerjoin(_ACTOR, _ACTOR.c.person_id == of.c.person_id))
        .where(_OF_STREAM)
        .order_by(of.c.number.desc())
    )


DEPLOYMENT = Statement(
    _with_deployments(select(*whole(D)).where(*_IN_ENVIRONMENT, D.c.id == bindparam("deployment_id")).limit(1))
)


def _filtered(*names: str) -> Statement:
    of_version = "release_candidate_version" in names
    columns = {name: unindexed(D.c[name]) if name == "status" and of_version else D.c[name] for name in names}
    filters = (column == bindparam(name) for name, column in columns.items())
    page = select(*whole(D)).where(*_IN_ENVIRONMENT, *filters).order_by(D.c.number.desc())
    return Statement(_with_deployments(page.limit(bindparam("one_more")).offset(bindparam("skipped"))))


def _numbered(table: FromClause, of: FromClause, count: str, *which: ColumnElement[bool]) -> Select[Any]:
    """A page of rows that are numbered densely: a range, wherever it lies. `of` counts them."""
    counted = select(of.c[count]).where(*here(of, "stream"), *which).scalar_subquery()
    last = counted - bindparam("skipped")
    return (
        select(*whole(table))
        .where(*here(table, "stream"), table.c.number <= last, table.c.number > last - bindparam("per_page"))
        .order_by(table.c.number.desc())
        .limit(bindparam("per_page"))
    )


ALL = Statement(_with_deployments(_numbered(D, E, "deployments", E.c.slot == NOW)))
# A filtered page costs what it skips.
FILTERED = {
    (True, False): _filtered("status"),
    (False, True): _filtered("release_candidate_version"),
    (True, True): _filtered("status", "release_candidate_version"),
}


def deployments_page(
    stream: str, page: int, per_page: int, *, status: str | None, version: str | None
) -> tuple[Statement, Params]:
    """The SELECT of a page of deployments, and its parameters; a filtered one reads one row more than the page."""
    params: dict[str, Any] = {"stream": stream, "skipped": (page - 1) * per_page}
    if status is None and version is None:
        return ALL, params | {"per_page": per_page}
    filters = {"status": status, "release_candidate_version": version}
    asked = {name: value for name, value in filters.items() if value is not None}
    return FILTERED[status is not None, version is not None], params | asked | {"one_more": per_page + 1}


_CUT = _numbered(C, P, "candidates").subquery("cut")
CANDIDATES = Statement(
    select(
        *HEAD_LABELS,
        *once(labelled(P, "of_project"), _CUT.c.number),
        *labelled(_CUT, "candidate"),
        _CUTTER.c.email.label("cutter_email"),
    )
    .select_from(
        HEAD.outerjoin(P, belongs(P, HEAD))
        .outerjoin(_CUT, true())
        .outerjoin(_CUTTER, _CUTTER.c.person_id == _CUT.c.person_id)
    )
    .where(_OF_STREAM)
    .order_by(_CUT.c.number.desc())
)


def _tokens(condition: Any) -> Select[Any]:
    return (
        select(*HEAD_LABELS, *labelled(T, "token"), _OWNER.c.email.label("owner_email"))
        .select_from(HEAD.outerjoin(T, condition).outerjoin(_OWNER, _OWNER.c.person_id == T.c.owner_person_id))
        .where(HEAD.c.stream == ACCESS)
        .order_by(T.c.token_name)
    )


TOKEN = Statement(_tokens(belongs(T, HEAD) & (T.c.token_sha256 == bindparam("token_sha256"))).limit(1))
TOKENS = Statement(_tokens(belongs(T, HEAD)))
