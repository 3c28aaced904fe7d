"""The SELECTs of the views: the heads, the states and the rows that a command is about, in one statement each."""

from __future__ import annotations

from typing import Any

from sqlalchemy import ColumnElement, bindparam, func, select
from sqlalchemy.sql.selectable import FromClause

from ..projection import own_columns
from ..projections.deployments import Deployments
from ..projections.environments import Environments
from ..projections.projects import Projects
from ..projections.release_candidates import ReleaseCandidates
from ..store import Statement
from ..store.schema import PEOPLE, STREAMS
from .asking import HEAD_COLUMNS, anchor, belongs, labelled
from .keeping import KEY_COLUMNS, with_key

HISTORY_PAGE = 50
D, C = Deployments.table, ReleaseCandidates.table
E, P = Environments.table, Projects.table
_HEAD, _PROJECT_HEAD = STREAMS.alias("head"), STREAMS.alias("project_head")
_CUTTER, _ACTOR = PEOPLE.alias("cutter"), PEOPLE.alias("actor")


def _project_part(start: FromClause) -> FromClause:
    return (
        start.outerjoin(_PROJECT_HEAD, _PROJECT_HEAD.c.stream == bindparam("project_stream"))
        .outerjoin(P, belongs(P, _PROJECT_HEAD))
        .outerjoin(C, belongs(C, _PROJECT_HEAD) & (C.c.release_candidate_version == bindparam("version")))
        .outerjoin(_CUTTER, _CUTTER.c.person_id == C.c.person_id)
    )


_PROJECT_COLUMNS = (
    *labelled(_PROJECT_HEAD, "project_head", *HEAD_COLUMNS),
    P.c.state.label("project_state"),
    *labelled(C, "candidate", *own_columns(C)),
    _CUTTER.c.email.label("cutter_email"),
)
PROJECT_VIEW = Statement(
    select(*_PROJECT_COLUMNS, *KEY_COLUMNS).select_from(with_key(_project_part(anchor()))).limit(1)
)


def _environment_part(start: FromClause) -> FromClause:
    return start.outerjoin(_HEAD, _HEAD.c.stream == bindparam("stream")).outerjoin(E, belongs(E, _HEAD))


_ENVIRONMENT_COLUMNS = (*labelled(_HEAD, "head", *HEAD_COLUMNS), E.c.state.label("environment_state"))
ENVIRONMENT_VIEW = Statement(
    select(
        *_ENVIRONMENT_COLUMNS,
        *labelled(_PROJECT_HEAD, "project_head", *HEAD_COLUMNS),
        P.c.state.label("project_state"),
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


def _view_with_deployment(number: ColumnElement[Any]) -> Statement:
    parts = (
        _project_part(with_key(_environment_part(anchor())))
        .outerjoin(D, belongs(D, _HEAD) & (D.c.number == number))
        .outerjoin(_ACTOR, _ACTOR.c.person_id == D.c.person_id)
    )
    deployment = labelled(D, "deployment", *own_columns(D))
    columns = (*_ENVIRONMENT_COLUMNS, *_PROJECT_COLUMNS, *deployment, _ACTOR.c.email.label("actor_email"))
    return Statement(select(*columns, *KEY_COLUMNS).select_from(parts).limit(1))


_MEANT = D.alias("meant")
_OF_HEAD = (_MEANT.c.stream == _HEAD.c.stream) & (_MEANT.c.generation == _HEAD.c.generation)
VIEW_BY_ID = _view_with_deployment(
    select(_MEANT.c.number)
    .where(_OF_HEAD, _MEANT.c.id == bindparam("deployment_id"))
    .limit(1)
    .correlate(_HEAD)
    .scalar_subquery()
)


def _newest(*conditions: ColumnElement[bool]) -> ColumnElement[Any]:
    of_version = _MEANT.c.release_candidate_version == bindparam("version")
    return select(func.max(_MEANT.c.number)).where(_OF_HEAD, of_version, *conditions).correlate(_HEAD).scalar_subquery()


VIEW_BY_VERSION = _view_with_deployment(func.coalesce(_newest(_MEANT.c.finished == 0), _newest()))

_OWN = [D.c[name] for name in own_columns(D)]
_HERE = (D.c.stream == bindparam("of_stream"), D.c.generation == bindparam("of_generation"))
HISTORY = Statement(
    select(*_OWN).where(*_HERE, D.c.number < bindparam("before")).order_by(D.c.number.desc()).limit(HISTORY_PAGE)
)
SUCCESS_OF = Statement(
    select(*_OWN)
    .where(*_HERE, D.c.release_candidate_version == bindparam("version"), D.c.status == "success")
    .order_by(D.c.number.desc())
    .limit(1)
)
