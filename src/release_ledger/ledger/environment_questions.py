"""Questions about environments and their deployments, each one SELECT on read models, or folded."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from .. import decide
from ..errors import DeploymentNotFound, EnvironmentNotFound
from ..projection import environment_stream, project_stream
from ..store import Head, Row, Source
from ..store.store import as_head, person
from . import answers, selects
from .absence import require_no_such_id, require_of_status, require_same_numbers
from .answers import Answer
from .as_of import ask_then
from .asking import ask, picked, require, require_page, require_row, state_in
from .moments import Moment, now, then_of
from .project_questions import Page, ProjectQuestions
from .views import environment_view

T = TypeVar("T")


class EnvironmentQuestions(ProjectQuestions):
    """What can be asked of an environment."""

    def environments(self, project_name: str) -> list[Answer]:
        """The environments of a project in the order of their names."""
        self.project(project_name)

        def listed(source: Source, row: Row) -> Answer:
            head = as_head(row["head_stream"], picked(row, "head"))
            return self._environment(source, head, row, now())

        return self._over_streams(environment_stream(project_name, ""), selects.ENVIRONMENTS, listed)

    def environment(
        self, project_name: str, environment_name: str, *, moment: Moment | None = None
    ) -> tuple[Answer, int]:
        """An environment as it stands, and its stream's version."""
        stream = environment_stream(project_name, environment_name)

        def question(source: Source, now: str) -> tuple[Answer, int] | None:
            rows = source.read(selects.ENVIRONMENT, {"stream": stream})
            if not rows:
                return None
            head = as_head(stream, picked(rows[0], "head"))
            return self._environment(source, head, rows[0], now), head.version

        return self._of_environment(project_name, self._at(stream, moment, question))

    def deployments(
        self,
        project_name: str,
        environment_name: str,
        *,
        page: int = 1,
        per_page: int = 10,
        status: str | None = None,
        version: str | None = None,
        moment: Moment | None = None,
    ) -> Page:
        """A page of an environment's deployments, newest first; perhaps only those of a status or a version."""
        stream = environment_stream(project_name, environment_name)
        statement, params = selects.deployments_page(stream, page, per_page, status=status, version=version)

        def question(source: Source, _: str) -> Page | None:
            rows = source.read(statement, params)
            if not rows:
                return None
            head = as_head(stream, picked(rows[0], "head"))
            state = state_in(source, head, rows[0], "environments", "environment")
            require(source, head, "deployments")
            found = [
                answers.deployment(picked(row, "deployment"), environment_name, row["actor_email"])
                for row in rows
                if row["deployment_number"] is not None
            ]
            total = state.deployments if status is None and version is None else None
            if total is not None:
                require_page(head, "deployments", len(found), total, page, per_page)
            elif state is not None:
                if status is not None:
                    require_of_status(source, head, state, status)
                else:
                    numbers = [row["number"] for row in found]
                    require_same_numbers(source, head, params, numbers, last=state.deployments)
            more = page * per_page < total if total is not None else len(found) > per_page
            return Page(items=found[:per_page], version=head.version, more=more, total=total)

        return self._of_environment(project_name, self._at(stream, moment, question))

    def deployment(self, project_name: str, environment_name: str, deployment_id: str) -> tuple[Answer, int]:
        """One deployment, and its stream's version."""
        stream = environment_stream(project_name, environment_name)

        def question(source: Source) -> tuple[Answer | None, int] | None:
            rows = source.read(selects.DEPLOYMENT, {"stream": stream, "deployment_id": deployment_id})
            if not rows:
                return None
            head = as_head(stream, picked(rows[0], "head"))
            require(source, head, "deployments")
            row, email = picked(rows[0], "deployment"), rows[0]["actor_email"]
            if row["id"] is None:
                self._require_no_such_id(source, head, rows[0], deployment_id)
            return answers.deployment(row, environment_name, email) if row["id"] is not None else None, head.version

        answer, version = self._of_environment(project_name, ask(self.store, [stream], question))
        if answer is None:
            raise DeploymentNotFound()
        return answer, version

    def _require_no_such_id(self, source: Source, head: Head, row: Row, deployment_id: str) -> None:
        state = state_in(source, head, row, "environments", "environment")
        require_no_such_id(source, head, state.deployments if state else 0, deployment_id)

    def rollback_preview(
        self,
        project_name: str,
        environment_name: str,
        *,
        strategy: str | None = None,
        to: str | None = None,
        moment: Moment | None = None,
    ) -> tuple[Answer, int]:
        """What a rollback would do, with the reason; records nothing."""
        stream, projects = environment_stream(project_name, environment_name), project_stream(project_name)

        def question(source: Source, now: str) -> tuple[Answer, int] | None:
            view = environment_view(source, project_name, environment_name, to or "")
            state = view.found_environment()
            if to is not None:
                view.found_candidate()
            command = decide.RollBack(deployment_id="", strategy=strategy, to=to)
            choice = decide.choice(state, view.history(), view.success_of(to), command)
            return answers.rollback_preview(choice, state, now), view.head.version

        return self._of_environment(project_name, self._at(stream, moment, question, projects))

    def _at(
        self,
        stream: str,
        moment: Moment | None,
        question: Callable[[Source, str], T | None],
        project_stream: str | None = None,
    ) -> T | None:
        """The answer of an environment as it is, or was at a moment; None for one that is not there."""
        if moment is not None:
            then = then_of(self.store, stream, moment)
            return ask_then(self.store, then, project_stream, question) if then is not None else None
        streams = [stream] if project_stream is None else [stream, project_stream]
        return ask(self.store, streams, lambda source: question(source, now()))

    def _environment(self, source: Source, head: Head, row: Row, now: str) -> Answer:
        state = state_in(source, head, row, "environments", "environment")
        require(source, head, "deployments")
        found: dict[str, Answer | None] = {}
        for which in ("running", "latest"):
            of_row = picked(row, which)
            is_lost = row[f"environment_{which}_number"] is not None and of_row["number"] is None
            require_row(source, head, "deployments", None if is_lost else of_row)
            found[which] = (
                answers.deployment(of_row, state.environment_name, row[f"actor_email_of_{which}"])
                if of_row["number"] is not None
                else None
            )
        frozen = state.freeze_at(now)
        who = person(self.store, frozen.person_id) if frozen and frozen.person_id else None
        return answers.environment(
            state,
            version=head.version,
            now=now,
            running=found["running"],
            latest=found["latest"],
            frozen_by=who["email"] if who else None,
        )

    def _of_environment(self, project_name: str, found: T | None) -> T:
        if found is None:
            self.project(project_name)
            raise EnvironmentNotFound()
        return found
