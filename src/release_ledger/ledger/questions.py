"""Questions about the ledger, each answered by one SELECT on read models, or by folding where they are not live."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, TypeVar, cast

from .. import decide
from ..access import Token
from ..errors import DeploymentNotFound, EnvironmentNotFound, ProjectNotFound, ReleaseNotFound
from ..projection import ACCESS, environment_stream, installed, project_stream
from ..store import Head, Row, Source, Store
from ..store.store import as_head, person, stream_names
from ..versions import write_moment
from . import answers, selects
from .answers import Answer
from .asking import ask, picked, require, require_row
from .views import environment_view, project_view

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class Page:
    """One page of a list, newest first; `version` is the stream's, `more` whether older ones follow."""

    items: list[Answer]
    version: int
    more: bool
    total: int | None = None


class Questions:
    """What can be asked of a ledger."""

    def __init__(self, store: Store) -> None:
        self.store = store

    def projects(self, only: Iterable[str] | None = None) -> list[Answer]:
        """All projects in the order of their names, or those of some names."""
        wanted = None if only is None else set(only)

        def listed(source: Source, row: Row) -> Answer | None:
            head = as_head(row["head_stream"], picked(row, "head"))
            require_row(source, head, "projects", row["project_state"])
            found = answers.project(installed()["projects"].load({"state": row["project_state"]}))
            return found if wanted is None or found["name"] in wanted else None

        return self._over_streams("project/", selects.PROJECTS, listed)

    def project(self, project_name: str) -> tuple[Answer, int]:
        """A project's settings, and its stream's version."""
        view = ask(self.store, [project_stream(project_name)], lambda source: project_view(source, project_name))
        return answers.project(view.found_project()), view.head.version

    def environments(self, project_name: str) -> list[Answer]:
        """The environments of a project in the order of their names."""
        self.project(project_name)

        def listed(source: Source, row: Row) -> Answer:
            head = as_head(row["head_stream"], picked(row, "head"))
            return self._environment(source, head, row)

        return self._over_streams(environment_stream(project_name, ""), selects.ENVIRONMENTS, listed)

    def environment(self, project_name: str, environment_name: str) -> tuple[Answer, int]:
        """An environment as it stands now, and its stream's version."""
        stream = environment_stream(project_name, environment_name)

        def question(source: Source) -> tuple[Answer, int] | None:
            rows = source.read(selects.ENVIRONMENT, {"stream": stream})
            if not rows:
                return None
            head = as_head(stream, picked(rows[0], "head"))
            return self._environment(source, head, rows[0]), head.version

        answer = ask(self.store, [stream], question)
        if answer is None:
            self.project(project_name)
            raise EnvironmentNotFound()
        return answer

    def deployments(
        self,
        project_name: str,
        environment_name: str,
        *,
        page: int = 1,
        per_page: int = 10,
        status: str | None = None,
        version: str | None = None,
    ) -> Page:
        """A page of an environment's deployments, newest first; perhaps only those of a status or a version."""
        stream = environment_stream(project_name, environment_name)
        statement, params = selects.deployments_page(stream, page, per_page, status=status, version=version)

        def question(source: Source) -> Page | None:
            rows = source.read(statement, params)
            if not rows:
                return None
            head = as_head(stream, picked(rows[0], "head"))
            require_row(source, head, "environments", rows[0]["environment_deployments"])
            require(source, head, "deployments")
            found = [
                answers.deployment(picked(row, "deployment"), environment_name, row["actor_email"])
                for row in rows
                if row["deployment_number"] is not None
            ]
            total = rows[0]["environment_deployments"] if status is None and version is None else None
            more = page * per_page < total if total is not None else len(found) > per_page
            return Page(items=found[:per_page], version=head.version, more=more, total=total)

        return self._of_environment(project_name, ask(self.store, [stream], question))

    def deployment(self, project_name: str, environment_name: str, deployment_id: str) -> tuple[Answer, int]:
        """One deployment, and its stream's version."""
        stream = environment_stream(project_name, environment_name)

        def question(source: Source) -> tuple[Row, int] | None:
            rows = source.read(selects.DEPLOYMENT, {"stream": stream, "deployment_id": deployment_id})
            if not rows:
                return None
            head = as_head(stream, picked(rows[0], "head"))
            require(source, head, "deployments")
            return rows[0], head.version

        row, version = self._of_environment(project_name, ask(self.store, [stream], question))
        if row["deployment_number"] is None:
            raise DeploymentNotFound()
        return answers.deployment(picked(row, "deployment"), environment_name, row["actor_email"]), version

    def candidates(self, project_name: str, *, page: int = 1, per_page: int = 10) -> Page:
        """A page of a project's release candidates, newest first."""
        stream = project_stream(project_name)
        params = {"stream": stream, "skipped": (page - 1) * per_page, "per_page": per_page}

        def question(source: Source) -> Page | None:
            rows = source.read(selects.CANDIDATES, params)
            if not rows:
                return None
            head = as_head(stream, picked(rows[0], "head"))
            require_row(source, head, "projects", rows[0]["project_candidates"])
            require(source, head, "release_candidates")
            found = [
                answers.candidate(picked(row, "candidate"), row["cutter_email"])
                for row in rows
                if row["candidate_number"] is not None
            ]
            total = rows[0]["project_candidates"]
            return Page(items=found, version=head.version, more=page * per_page < total, total=total)

        found = ask(self.store, [stream], question)
        if found is None:
            raise ProjectNotFound()
        return found

    def candidate(self, project_name: str, version: str) -> tuple[Answer, int]:
        """One release candidate, and its project's version."""
        view = ask(
            self.store, [project_stream(project_name)], lambda source: project_view(source, project_name, version)
        )
        view.found_project()
        if view.candidate is None:
            raise ReleaseNotFound()
        return answers.candidate(view.candidate, view.candidate_email), view.head.version

    def rollback_preview(
        self, project_name: str, environment_name: str, *, strategy: str | None = None, to: str | None = None
    ) -> tuple[Answer, int]:
        """What a rollback would do now, with the reason; records nothing."""
        streams = [environment_stream(project_name, environment_name), project_stream(project_name)]

        def question(source: Source) -> tuple[Answer, int]:
            view = environment_view(source, project_name, environment_name, to or "")
            state = view.found_environment()
            if to is not None:
                view.found_candidate()
            command = decide.RollBack(deployment_id="", strategy=strategy, to=to)
            choice = decide.choice(state, view.history(), view.success_of(to), command)
            return answers.rollback_preview(choice, state, _now()), view.head.version

        return ask(self.store, streams, question)

    def token(self, token_sha256: str) -> tuple[Token, str | None] | None:
        """The token of a digest and its owner's e-mail, whether it opens or not."""

        def question(source: Source) -> Row | None:
            rows = source.read(selects.TOKEN, {"token_sha256": token_sha256})
            if not rows:
                return None
            require(source, as_head(ACCESS, picked(rows[0], "head")), "tokens")
            return rows[0] if rows[0]["token_token_name"] is not None else None

        row = ask(self.store, [ACCESS], question)
        return None if row is None else (cast(Token, picked(row, "token")), row["owner_email"])

    def tokens(self) -> list[Answer]:
        """All tokens in the order of their names, without their digests."""

        def question(source: Source) -> list[Row]:
            rows = source.read(selects.TOKENS, {})
            if rows:
                require(source, as_head(ACCESS, picked(rows[0], "head")), "tokens")
            return [row for row in rows if row["token_token_name"] is not None]

        hidden = ("token_sha256", "owner_person_id")
        return [
            {name: value for name, value in picked(row, "token").items() if name not in hidden}
            | {"email": row["owner_email"]}
            for row in ask(self.store, [ACCESS], question)
        ]

    def _environment(self, source: Source, head: Head, row: Row) -> Answer:
        require_row(source, head, "environments", row["environment_state"])
        require(source, head, "deployments")
        state = installed()["environments"].load({"state": row["environment_state"]})
        now = _now()
        found: dict[str, Answer | None] = {}
        for which in ("running", "latest"):
            of_row = picked(row, which)
            require_row(source, head, "deployments", None if row[f"environment_{which}_number"] else of_row)
            found[which] = (
                answers.deployment(of_row, state.environment_name, row[f"{which}_actor_email"])
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

    def _over_streams(
        self, prefix: str, statement: Any, listed: Callable[[Source, Row], Answer | None]
    ) -> list[Answer]:
        """One answer a stream, in the order of their names; streams whose rows are not live are folded."""

        def question(source: Source) -> list[Answer | None]:
            beyond = {"first": prefix, "beyond": prefix + "\U0010ffff"}
            return [listed(source, row) for row in source.read(statement, beyond)]

        found = ask(self.store, _Lazily(lambda: stream_names(self.store, prefix)), question)
        return [answer for answer in found if answer is not None]


class _Lazily:
    """The names of streams, read only when somebody needs them."""

    def __init__(self, read: Callable[[], list[str]]) -> None:
        self._read = read

    def __iter__(self) -> Any:
        return iter(self._read())


def _now() -> str:
    return write_moment(datetime.now(UTC))
