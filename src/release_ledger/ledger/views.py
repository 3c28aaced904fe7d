"""What a command looks at before it decides: the head, the bounded state and the rows it is about, in one statement.

Rows are read with the head or after it, never before; older deployments are read lazily, after it.
"""

from __future__ import annotations

from collections.abc import Iterator, MutableMapping
from dataclasses import dataclass, field
from typing import Any, cast

from sqlalchemy import Select, bindparam, select
from sqlalchemy.sql.selectable import FromClause

from ..deployment import Deployment
from ..environment import Environment
from ..errors import EnvironmentNotFound, ProjectNotFound, ReleaseNotFound
from ..project import Candidate, Project
from ..projection import environment_stream, installed, own_columns, project_stream
from ..projections.deployments import Deployments
from ..projections.environments import Environments
from ..projections.projects import Projects
from ..projections.release_candidates import ReleaseCandidates
from ..store import Head, Row, Source, Statement
from ..store.schema import PEOPLE, STREAMS
from ..store.store import as_head
from .asking import HEAD_COLUMNS, anchor, belongs, labelled, picked, require, require_row

HISTORY_PAGE = 50
D, C = Deployments.table, ReleaseCandidates.table
E, P = Environments.table, Projects.table
_HEAD, _PROJECT_HEAD = STREAMS.alias("head"), STREAMS.alias("project_head")
_CUTTER, _ACTOR = PEOPLE.alias("cutter"), PEOPLE.alias("actor")


@dataclass(kw_only=True)
class View:
    """What one command saw. `known` are the rows that the fold may need, as the projections hold them."""

    source: Source
    head: Head
    project_head: Head
    project: Project | None = None
    environment: Environment | None = None
    candidate: Candidate | None = None
    candidate_email: str | None = None
    target: Deployment | None = None
    target_email: str | None = None
    known: dict[str, MutableMapping[tuple[Any, ...], Any]] = field(default_factory=dict)

    def found_project(self) -> Project:
        if self.project is None:
            raise ProjectNotFound()
        return self.project

    def found_environment(self) -> Environment:
        self.found_project()
        if self.environment is None:
            raise EnvironmentNotFound()
        return self.environment

    def found_candidate(self) -> Candidate:
        if self.candidate is None:
            raise ReleaseNotFound()
        return self.candidate

    def history(self, before: int | None = None) -> Iterator[Deployment]:
        """The environment's deployments, newest first, read a page at a time; they become known to the fold."""
        require(self.source, self.head, "deployments")
        number = before if before is not None else (self.environment.deployments if self.environment else 0) + 1
        place = {"of_stream": self.head.stream, "of_generation": self.head.generation}
        while number > 1:
            rows = self.source.read(_HISTORY, place | {"before": number})
            for row in rows:
                self.known["deployments"].setdefault((row["number"],), dict(row))
                yield cast(Deployment, row)
            if len(rows) < HISTORY_PAGE:
                return
            number = rows[-1]["number"]

    def success_of(self, version: str | None) -> Deployment | None:
        """The newest success of a version here."""
        if version is None:
            return None
        require(self.source, self.head, "deployments")
        place = {"of_stream": self.head.stream, "of_generation": self.head.generation, "version": version}
        rows = self.source.read(_SUCCESS_OF, place)
        return cast(Deployment, rows[0]) if rows else None


def project_view(source: Source, project_name: str, version: str = "") -> View:
    """What a command on a project looks at: its state, and the candidate of that version."""
    stream = project_stream(project_name)
    row = source.read(_PROJECT_VIEW, {"project_stream": stream, "version": version})[0]
    head = as_head(stream, picked(row, "project_head"))
    view = View(source=source, head=head, project_head=head)
    _fill_project(view, row)
    view.known["projects"] = {(): view.project}
    return view


def environment_view(
    source: Source, project_name: str, environment_name: str, version: str = "", deployment_id: str | None = None
) -> View:
    """What a command on an environment looks at: its state, its project's, the candidate, the deployment meant.

    That is the one of the id, else the newest unfinished one of the version, else the newest of the version.
    """
    stream = environment_stream(project_name, environment_name)
    params = {
        "stream": stream,
        "project_stream": project_stream(project_name),
        "version": version,
        "deployment_id": deployment_id,
    }
    statement = _ENVIRONMENT_VIEW if not version else _VIEW_BY_VERSION if deployment_id is None else _VIEW_BY_ID
    row = source.read(statement, params)[0]
    head = as_head(stream, picked(row, "head"))
    project_head = as_head(params["project_stream"] or "", picked(row, "project_head"))
    view = View(source=source, head=head, project_head=project_head)
    _fill_project(view, row)
    require_row(source, head, "environments", row["environment_state"])
    if row["environment_state"] is not None:
        view.environment = installed()["environments"].load({"state": row["environment_state"]})
    view.known = {"environments": {(): view.environment}, "deployments": {}}
    if version:
        require(source, head, "deployments")
        target = picked(row, "deployment")
        if target["number"] is not None:
            view.target, view.target_email = cast(Deployment, target), row["actor_email"]
            view.known["deployments"][(target["number"],)] = dict(target)
    return view


def _fill_project(view: View, row: Row) -> None:
    head = view.project_head
    require_row(view.source, head, "projects", row["project_state"])
    if row["project_state"] is not None:
        view.project = installed()["projects"].load({"state": row["project_state"]})
    if "candidate_number" in row:
        require(view.source, head, "release_candidates")
        if row["candidate_number"] is not None:
            view.candidate, view.candidate_email = cast(Candidate, picked(row, "candidate")), row["cutter_email"]


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
_PROJECT_VIEW = Statement(select(*_PROJECT_COLUMNS).select_from(_project_part(anchor())).limit(1))


def _environment_part(start: FromClause) -> FromClause:
    return start.outerjoin(_HEAD, _HEAD.c.stream == bindparam("stream")).outerjoin(E, belongs(E, _HEAD))


_ENVIRONMENT_COLUMNS = (*labelled(_HEAD, "head", *HEAD_COLUMNS), E.c.state.label("environment_state"))
_ENVIRONMENT_VIEW = Statement(
    select(
        *_ENVIRONMENT_COLUMNS, *labelled(_PROJECT_HEAD, "project_head", *HEAD_COLUMNS), P.c.state.label("project_state")
    )
    .select_from(
        _environment_part(anchor())
        .outerjoin(_PROJECT_HEAD, _PROJECT_HEAD.c.stream == bindparam("project_stream"))
        .outerjoin(P, belongs(P, _PROJECT_HEAD))
    )
    .limit(1)
)


def _view_with_deployment(number: Select[Any]) -> Statement:
    parts = (
        _project_part(_environment_part(anchor()))
        .outerjoin(D, belongs(D, _HEAD) & (D.c.number == number.correlate(_HEAD).scalar_subquery()))
        .outerjoin(_ACTOR, _ACTOR.c.person_id == D.c.person_id)
    )
    deployment = labelled(D, "deployment", *own_columns(D))
    columns = (*_ENVIRONMENT_COLUMNS, *_PROJECT_COLUMNS, *deployment, _ACTOR.c.email.label("actor_email"))
    return Statement(select(*columns).select_from(parts).limit(1))


_MEANT = D.alias("meant")
_OF_HEAD = (_MEANT.c.stream == _HEAD.c.stream) & (_MEANT.c.generation == _HEAD.c.generation)
_VIEW_BY_ID = _view_with_deployment(
    select(_MEANT.c.number).where(_OF_HEAD, _MEANT.c.id == bindparam("deployment_id")).limit(1)
)
_VIEW_BY_VERSION = _view_with_deployment(
    select(_MEANT.c.number)
    .where(_OF_HEAD, _MEANT.c.release_candidate_version == bindparam("version"))
    .order_by(_MEANT.c.finished, _MEANT.c.number.desc())
    .limit(1)
)

_OWN = [D.c[name] for name in own_columns(D)]
_HERE = (D.c.stream == bindparam("of_stream"), D.c.generation == bindparam("of_generation"))
_HISTORY = Statement(
    select(*_OWN).where(*_HERE, D.c.number < bindparam("before")).order_by(D.c.number.desc()).limit(HISTORY_PAGE)
)
_SUCCESS_OF = Statement(
    select(*_OWN)
    .where(*_HERE, D.c.release_candidate_version == bindparam("version"), D.c.status == "success")
    .order_by(D.c.number.desc())
    .limit(1)
)
