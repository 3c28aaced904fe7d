"""The SELECTs of the views: the heads, the states and the rows that a command is about, in one statement each."""

from __future__ import annotations

from typing import Any, Final

from sqlalchemy import ColumnElement, Select, and_, bindparam, func, literal_column, select, true, union_all
from sqlalchemy.sql.elements import Label
from sqlalchemy.sql.selectable import FromClause

from ..projections.deployments import Deployments
from ..projections.environments import NOW, Environments
from ..projections.known_versions import KnownVersions
from ..projections.projects import Projects
from ..projections.release_candidates import ReleaseCandidates
from ..projections.running_periods import NEWEST, RunningPeriods
from ..store import Statement
from ..store.schema import PEOPLE, STREAMS
from .asking import ACCESS_MARK, HEAD_COLUMNS, anchor, belongs, here, labelled, unindexed, whole
from .keeping import KEY_COLUMNS, with_key

HISTORY_PAGE: Final = 50
NEARBY: Final = 50
D, C = Deployments.table, ReleaseCandidates.table
E, P = Environments.table, Projects.table
R = RunningPeriods.table
K = KnownVersions.table
_HEAD, _PROJECT_HEAD = STREAMS.alias("head"), STREAMS.alias("project_head")
_OF_PROJECT = and_(*here(C, "project_stream"))
_CUTTER, _ACTOR = PEOPLE.alias("cutter"), PEOPLE.alias("actor")


def _newest_known(name: str, stream: str) -> FromClause:
    """The newest number of the version, as `known_versions` has it."""
    of_version = K.c.release_candidate_version == bindparam("version")
    known = select(*whole(K)).where(*here(K, stream), of_version).order_by(K.c.number.desc()).limit(1)
    return known.subquery(name)


_CUT, _DEPLOYED = _newest_known("known_cut", "project_stream"), _newest_known("known_deployed", "stream")


def _project_part(start: FromClause) -> FromClause:
    return (
        start.outerjoin(_PROJECT_HEAD, _PROJECT_HEAD.c.stream == bindparam("project_stream"))
        .outerjoin(P, belongs(P, _PROJECT_HEAD))
        .outerjoin(C, _OF_PROJECT & (C.c.release_candidate_version == bindparam("version")))
        .outerjoin(_CUTTER, _CUTTER.c.person_id == C.c.person_id)
        .outerjoin(_CUT, true())
    )


_PROJECT_COLUMNS: tuple[Label[Any], ...] = (
    *labelled(_PROJECT_HEAD, "project_head", *HEAD_COLUMNS),
    *labelled(P, "of_project"),
    *labelled(C, "candidate"),
    *labelled(_CUT, "known_cut"),
    _CUTTER.c.email.label("cutter_email"),
)
PROJECT_VIEW = Statement(
    select(ACCESS_MARK, *_PROJECT_COLUMNS, *KEY_COLUMNS).select_from(with_key(_project_part(anchor()))).limit(1)
)


def _environment_part(start: FromClause) -> FromClause:
    return (
        start.outerjoin(_HEAD, _HEAD.c.stream == bindparam("stream"))
        .outerjoin(E, belongs(E, _HEAD) & (E.c.slot == NOW))
        .outerjoin(R, belongs(R, _HEAD) & (R.c.slot == NEWEST))
    )


_ENVIRONMENT_COLUMNS: tuple[Label[Any], ...] = (
    ACCESS_MARK,
    *labelled(_HEAD, "head", *HEAD_COLUMNS),
    *labelled(E, "environment"),
    *labelled(R, "period"),
)
ENVIRONMENT_VIEW = Statement(
    select(
        *_ENVIRONMENT_COLUMNS,
        *labelled(_PROJECT_HEAD, "project_head", *HEAD_COLUMNS),
        *labelled(P, "of_project"),
        *KEY_COLUMNS,
    )
    .select_from(
        with_key(_environment_part(anchor()))
        .outerjoin(_PROJECT_HEAD, _PROJECT_HEAD.c.stream == bindparam("project_stream"))
        .outerjoin(P, belongs(P, _PROJECT_HEAD))
    )
    .limit(1)
)


CANDIDATE_VIEW = Statement(
    select(*_ENVIRONMENT_COLUMNS, *_PROJECT_COLUMNS, *KEY_COLUMNS)
    .select_from(_project_part(with_key(_environment_part(anchor()))))
    .limit(1)
)


def _view_with_deployment(deployment: Select[Any]) -> Statement:
    meant = deployment.subquery("meant")
    parts = (
        _project_part(with_key(_environment_part(anchor())))
        .outerjoin(meant, true())
        .outerjoin(_ACTOR, _ACTOR.c.person_id == meant.c.person_id)
        .outerjoin(_DEPLOYED, true())
    )
    columns = (
        *_ENVIRONMENT_COLUMNS,
        *_PROJECT_COLUMNS,
        *labelled(meant, "deployment"),
        *labelled(_DEPLOYED, "known_deployed"),
        _ACTOR.c.email.label("actor_email"),
    )
    return Statement(select(*columns, *KEY_COLUMNS).select_from(parts).limit(1))


VIEW_BY_ID = _view_with_deployment(
    select(*whole(D)).where(*here(D, "stream"), D.c.id == bindparam("deployment_id")).limit(1)
)


def _newest(name: str, *conditions: ColumnElement[bool]) -> Select[Any]:
    of_version = D.c.release_candidate_version == bindparam("version")
    newest = select(*whole(D)).where(*here(D, "stream"), of_version, *conditions).order_by(D.c.number.desc()).limit(1)
    return select(newest.subquery(name))


# Written out: of a parameter, the database does not know that the index of the unfinished serves.
_NOT: ColumnElement[int] = literal_column("0")
_EITHER = union_all(_newest("unfinished", D.c.finished == _NOT), _newest("newest")).subquery("either")
VIEW_BY_VERSION = _view_with_deployment(select(_EITHER).order_by(_EITHER.c.finished).limit(1))

# Of the generation that is live by then: after a rebuild, the rows of the one that was seen with the head are gone.
_HERE = here(D, "of_stream")
HISTORY = Statement(
    select(*labelled(D, "deployment"))
    .where(*_HERE, D.c.number < bindparam("before"))
    .order_by(D.c.number.desc())
    .limit(HISTORY_PAGE)
)
# The deployments around the one whose id comes before an id that is not found.
_BEFORE = select(D.c.number).where(*_HERE, D.c.id < bindparam("deployment_id")).order_by(D.c.id.desc()).limit(1)
_CENTRE = func.coalesce(_BEFORE.scalar_subquery(), 0)
NEIGHBOURS = Statement(
    select(_CENTRE.label("centre"), *labelled(D, "deployment"))
    .where(*_HERE, D.c.number > _CENTRE - NEARBY, D.c.number <= _CENTRE + NEARBY)
    .order_by(D.c.number)
)
# The deployments of a version, as `known_versions` has them, and the row of each, if it is there.
ATTEMPTS = Statement(
    select(*labelled(K, "known"), *labelled(D, "deployment"))
    .select_from(
        K.outerjoin(D, and_(D.c.stream == K.c.stream, D.c.generation == K.c.generation, D.c.number == K.c.number))
    )
    .where(
        *here(K, "of_stream"),
        K.c.release_candidate_version == bindparam("version"),
        K.c.number > bindparam("after"),
        K.c.number <= bindparam("last"),
    )
    .order_by(K.c.number)
    .limit(bindparam("rows"))
)
SUCCESS_OF = Statement(
    select(*labelled(D, "deployment"))
    .where(*_HERE, D.c.release_candidate_version == bindparam("version"), unindexed(D.c.status) == "success")
    .order_by(D.c.number.desc())
    .limit(1)
)
KNOWN_PAGE = Statement(
    select(*labelled(K, "known"))
    .where(
        *here(K, "of_stream"),
        K.c.release_candidate_version == bindparam("release_candidate_version"),
        K.c.number <= bindparam("last"),
    )
    .order_by(K.c.number.desc())
    .limit(bindparam("one_more"))
    .offset(bindparam("skipped"))
)
