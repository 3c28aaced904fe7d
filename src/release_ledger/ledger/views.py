"""What a command looks at before it decides: the head, the bounded state and the rows it is about, in one statement.

Rows are read with the head or after it, never before; older deployments are read lazily, after it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, MutableMapping
from dataclasses import dataclass, field
from typing import Any, cast

from ..deployment import Deployment
from ..environment import Environment
from ..errors import EnvironmentNotFound, PreconditionFailed, ProjectNotFound, ReleaseNotFound
from ..project import Candidate, Project
from ..projection import FoldedSource, environment_stream, project_stream
from ..projections.environments import NOW
from ..projections.running_periods import NEWEST
from ..store import Head, Row, Source
from ..store.store import as_head
from .absence import require_attempts, require_no_such_id, require_seen
from .asking import NotLive, answers_for, picked, require, require_newest, require_numbers, state_in
from .keeping import NO_KEY, kept_in
from .view_selects import (
    CANDIDATE_VIEW,
    ENVIRONMENT_VIEW,
    HISTORY,
    PROJECT_VIEW,
    SUCCESS_OF,
    VIEW_BY_ID,
    VIEW_BY_VERSION,
)


@dataclass(kw_only=True)
class View:
    """What one command saw. `known` are the rows that the fold may need, as the projections hold them.

    `access` is how the tokens stood (`Head.mark`).
    """

    source: Source
    head: Head
    project_head: Head
    access: str = ""
    project: Project | None = None
    environment: Environment | None = None
    candidate: Candidate | None = None
    candidate_email: str | None = None
    target: Deployment | None = None
    target_email: str | None = None
    kept: Row | None = None
    if_match: str | None = None
    known: dict[str, MutableMapping[tuple[Any, ...], Any]] = field(default_factory=dict)

    def found_project(self) -> Project:
        if self.project is None:
            raise ProjectNotFound()
        if self.head is self.project_head:
            self.expect_version()
        return self.project

    def found_environment(self) -> Environment:
        self.found_project()
        if self.environment is None:
            raise EnvironmentNotFound()
        self.expect_version()
        return self.environment

    def expect_version(self) -> None:
        """Raise `PreconditionFailed` where a conditional write's stream is at another version, or not there."""
        there = self.head.version if self.head.version else None
        if self.if_match is not None and (there is None or self.if_match not in ("*", str(there))):
            raise PreconditionFailed(version=there)

    def found_candidate(self) -> Candidate:
        if self.candidate is None:
            raise ReleaseNotFound()
        return self.candidate

    def history(self, before: int | None = None) -> Iterator[Deployment]:
        """The environment's deployments, newest first, read a page at a time; they become known to the fold."""
        require(self.source, self.head, "deployments")
        number = before if before is not None else (self.environment.deployments if self.environment else 0) + 1
        place = {"of_stream": self.head.stream}
        while number > 1:
            read = self.source.read(HISTORY, place | {"before": number})
            rows = [picked(row, "deployment") for row in read]
            require_numbers(self.head, "deployments", [row["number"] for row in rows], number)
            for row in rows:
                self.known["deployments"].setdefault((row["number"],), dict(row))
                yield cast(Deployment, row)
            number = rows[-1]["number"]

    def success_of(self, version: str | None) -> Deployment | None:
        """The newest success of a version here: all newer attempts are there, and are none."""
        if version is None:
            return None
        require(self.source, self.head, "deployments")
        rows = self.source.read(SUCCESS_OF, {"of_stream": self.head.stream, "version": version})
        found = cast(Deployment, picked(rows[0], "deployment")) if rows else None
        after, last = found["number"] if found else 0, self.environment.deployments if self.environment else 0
        require_attempts(self.source, self.head, version, after=after, last=last)
        return found


def project_view(source: Source, project_name: str, version: str = "", key: Mapping[str, Any] = NO_KEY) -> View:
    """What a command on a project looks at: its state, and the candidate of that version."""
    stream = project_stream(project_name)
    row = source.read(PROJECT_VIEW, {"project_stream": stream, "version": version, **key})[0]
    head = as_head(stream, picked(row, "project_head"))
    view = View(source=source, head=head, project_head=head, access=row["access_mark"], kept=kept_in(row))
    _fill_project(view, row, version)
    view.known["projects"] = {(): view.project}
    return view


def environment_view(
    source: Source,
    project_name: str,
    environment_name: str,
    version: str = "",
    key: Mapping[str, Any] = NO_KEY,
    *,
    of_deployment: bool = False,
    deployment_id: str | None = None,
) -> View:
    """What a command on an environment looks at: its state, its project's, the candidate, perhaps the deployment meant.

    That is the one of the id, else the newest unfinished one of the version, else the newest of the version.
    """
    stream, projects = environment_stream(project_name, environment_name), project_stream(project_name)
    params = {"stream": stream, "project_stream": projects, "version": version, "deployment_id": deployment_id, **key}
    statement = VIEW_BY_VERSION if deployment_id is None else VIEW_BY_ID
    if not of_deployment:
        statement = CANDIDATE_VIEW if version else ENVIRONMENT_VIEW
    row = source.read(statement, params)[0]
    head = as_head(stream, picked(row, "head"))
    project_head = as_head(projects, picked(row, "project_head"))
    view = View(source=source, head=head, project_head=project_head, access=row["access_mark"], kept=kept_in(row))
    _fill_project(view, row, version)
    view.environment = state_in(source, head, row, "environments", "environment")
    view.known = {"environments": {(NOW,): view.environment}, "deployments": {}}
    view.known["running_periods"] = {(NEWEST,): _newest_period(view, row)}
    if of_deployment:
        require(source, head, "deployments")
        target = picked(row, "deployment")
        if target["number"] is not None:
            view.target, view.target_email = cast(Deployment, target), row["actor_email"]
            view.known["deployments"][(target["number"],)] = dict(target)
        _require_meant(view, version, deployment_id)
        _require_absent(view, row, deployment_id)
    return view


def _require_meant(view: View, version: str, deployment_id: str | None) -> None:
    """Raise `NotLive` where the state knows of an unfinished deployment that is meant, and another row was found."""
    meant = [
        ref.number
        for ref in (view.environment.unfinished if view.environment else ())
        if (ref.release_candidate_version == version if deployment_id is None else ref.id == deployment_id)
    ]
    if isinstance(view.source, FoldedSource):
        return
    if meant and (view.target is None or view.target["number"] != max(meant)):
        raise NotLive(view.head.stream, "deployments")


def _require_absent(view: View, row: Row, deployment_id: str | None) -> None:
    """Raise `NotLive` where there is another deployment than was found: a newer one, or one of this id."""
    target = view.target
    if deployment_id is None and (target is None or target["finished"]):
        found = target["number"] if target is not None else None
        require_seen(view.source, view.head, row, "known_deployed", "deployments", found)
    elif target is None:
        count = view.environment.deployments if view.environment else 0
        require_no_such_id(view.source, view.head, count, deployment_id or "")


def _newest_period(view: View, row: Row) -> Row | None:
    """The newest running period, if any: the fold of a report needs it."""
    if not answers_for(view.source, view.head, "running_periods"):
        return None
    period = picked(row, "period")
    newest = period if period["number"] is not None else None
    running = view.environment.running if view.environment else None
    require_newest(view.source, view.head, running.number if running else None, newest)
    return newest


def _fill_project(view: View, row: Row, version: str) -> None:
    head = view.project_head
    view.project = state_in(view.source, head, row, "projects", "of_project")
    if "candidate_number" in row:
        require(view.source, head, "release_candidates")
        candidate = picked(row, "candidate")
        if candidate["number"] is not None:
            view.candidate, view.candidate_email = cast(Candidate, candidate), row["cutter_email"]
        elif version:
            require_seen(view.source, head, row, "known_cut", "release_candidates", None)
