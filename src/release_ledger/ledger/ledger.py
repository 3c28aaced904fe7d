"""The ledger: one method per command. Each looks, decides and appends; the answer is the row that was just written."""

from __future__ import annotations

import secrets
import time
import uuid
from collections.abc import Callable, Iterable
from typing import Any

from .. import access, decide, project
from ..deployment import Deployment
from ..environment import Settings
from ..errors import DeploymentNotFound, EnvironmentFrozen, InvalidRequest
from ..events import Event
from ..project import CutCandidate
from ..projection import ACCESS, environment_stream, project_stream
from ..store import Source, open_store
from ..store.store import person
from . import answers
from .answers import Answer
from .people import person_of, token_named
from .questions import Questions
from .recording import Caller, Command, Outcome, carry_out
from .views import View, environment_view, project_view

Decide = Callable[[View, str], Iterable[Event]]


class Ledger(Questions):
    """All streams together, in one store."""

    @classmethod
    def open(cls, url: str, *, pool_size: int = 10) -> Ledger:
        """The ledger in the database at a URL; connects when first used."""
        return cls(open_store(url, pool_size=pool_size))

    def configure_project(
        self, project_name: str, *, repo: str, build_workflow: dict[str, Any] | None = None, by: Caller
    ) -> tuple[Answer, int, bool]:
        """Give a project these settings: the project, its stream's version, and whether it is new."""
        outcome = self._on_project(
            by, project_name, lambda view, _: project.configure(view.project, repo, build_workflow)
        )
        answer, version = self.project(project_name)
        return answer, version, outcome.view.project is None

    def cut_release_candidate(
        self,
        project_name: str,
        release_candidate_version: str,
        *,
        repo: str,
        commit: str,
        trigger_build_workflow: bool = False,
        occurred_at: str | None = None,
        by: Caller,
    ) -> tuple[Answer, int]:
        """Cut a candidate, tied to one commit for ever; the same again is answered with the same."""
        command = CutCandidate(
            release_candidate_version=release_candidate_version,
            repo=repo,
            commit=commit,
            trigger_build_workflow=trigger_build_workflow,
        )
        outcome = self._on_project(
            by,
            project_name,
            lambda view, now: project.cut(view.found_project(), view.candidate, command),
            version=release_candidate_version,
            occurred_at=occurred_at,
        )
        if not outcome.events and outcome.view.candidate is not None:
            return answers.candidate(outcome.view.candidate, outcome.view.candidate_email), outcome.version
        state = outcome.view.found_project()
        row = outcome.row("release_candidates", state.candidates + 1)
        if row is None:
            return self.candidate(project_name, release_candidate_version)
        return answers.candidate(row, by.email), outcome.version

    def configure_environment(
        self, project_name: str, environment_name: str, settings: Settings, *, by: Caller
    ) -> tuple[Answer, int, bool]:
        """Give an environment these settings and no others: the environment, its version, whether it is new."""

        def decided(view: View, now: str) -> Iterable[Event]:
            view.found_project()
            return decide.configure(view.environment, settings)

        outcome = self._on_environment(by, project_name, environment_name, decided)
        answer, version = self.environment(project_name, environment_name)
        return answer, version, outcome.view.environment is None

    def freeze(
        self, project_name: str, environment_name: str, *, reason: str, until: str | None = None, by: Caller
    ) -> tuple[Answer, int]:
        """Refuse to be changed by command, until somebody lifts it or `until` passes."""
        self._on_environment(
            by,
            project_name,
            environment_name,
            lambda view, now: decide.freeze(view.found_environment(), reason, until, now),
        )
        return self.environment(project_name, environment_name)

    def unfreeze(self, project_name: str, environment_name: str, *, by: Caller) -> tuple[Answer, int]:
        """Lift the freeze, if there is one."""
        self._on_environment(
            by, project_name, environment_name, lambda view, now: decide.unfreeze(view.found_environment())
        )
        return self.environment(project_name, environment_name)

    def deploy(
        self,
        project_name: str,
        environment_name: str,
        *,
        release_candidate_version: str,
        force: bool = False,
        reason: str | None = None,
        occurred_at: str | None = None,
        by: Caller,
    ) -> tuple[Answer, int]:
        """Request a deployment of a candidate."""
        command = decide.RequestDeployment(deployment_id=new_id(), force=force, reason=reason)

        def decided(view: View, now: str) -> Iterable[Event]:
            state = view.found_environment()
            return decide.request_deployment(state, view.found_candidate(), command, now)

        outcome = self._on_environment(
            by, project_name, environment_name, decided, version=release_candidate_version, occurred_at=occurred_at
        )
        return self._written(outcome, project_name, environment_name, by)

    def report(
        self,
        project_name: str,
        environment_name: str,
        *,
        release_candidate_version: str,
        status: str,
        id: str | None = None,  # noqa: A002 - the contract's word
        error_message: str | None = None,
        external_url: str | None = None,
        occurred_at: str | None = None,
        by: Caller,
    ) -> tuple[Answer, int]:
        """Record what CI says of a deployment; the deployment as it is after it. Never refused by a rule."""
        command = decide.ReportStatus(
            deployment_id=new_id(),
            id=id,
            status=status,
            occurred_at=occurred_at,
            error_message=error_message,
            external_url=external_url,
        )

        def decided(view: View, now: str) -> Iterable[Event]:
            state, candidate, target = view.found_environment(), view.found_candidate(), view.target
            if id is not None:
                target = named(target, release_candidate_version)
            older = view.history(before=target["number"]) if target else ()
            return decide.report(state, candidate, target, command, now, older)

        outcome = self._on_environment(
            by,
            project_name,
            environment_name,
            decided,
            version=release_candidate_version,
            deployment_id=id,
            occurred_at=occurred_at,
        )
        return self._written(outcome, project_name, environment_name, by)

    def roll_back(
        self,
        project_name: str,
        environment_name: str,
        *,
        force: bool = False,
        reason: str | None = None,
        strategy: str | None = None,
        to: str | None = None,
        by: Caller,
    ) -> tuple[Answer, int]:
        """Cancel what is unfinished and deploy a version that succeeded here before."""
        command = decide.RollBack(deployment_id=new_id(), force=force, reason=reason, strategy=strategy, to=to)

        def decided(view: View, now: str) -> Iterable[Event]:
            state = view.found_environment()
            if to is not None:
                view.found_candidate()
            return decide.roll_back(state, view.history(), view.success_of(to), command, now)

        outcome = self._on_environment(by, project_name, environment_name, decided, version=to or "")
        return self._written(outcome, project_name, environment_name, by)

    def create_token(
        self,
        token_name: str,
        *,
        role: access.Role = "read",
        email: str | None = None,
        projects: list[str] | None = None,
        expires_at: str | None = None,
        by: Caller,
    ) -> str:
        """Make a token; it is returned once and never again. Raises `TokenExists`."""
        secret = access.new_secret()
        person_id, people = person_of(self.store, email)

        def decided(view: View, now: str) -> Iterable[Event]:
            if expires_at is not None and expires_at <= now:
                raise InvalidRequest(expires_in="must be in the future")
            return access.create_token(
                view.known["tokens"].get((token_name,)),
                token_name=token_name,
                token_sha256=access.digest(secret),
                role=role,
                owner_person_id=person_id,
                projects=projects,
                expires_at=expires_at,
            )

        self._on_access(by, token_name, decided, people)
        return secret

    def revoke_token(self, token_name: str, *, by: Caller) -> None:
        """The token opens nothing from now on. Raises `TokenNotFound`."""
        self._on_access(
            by,
            token_name,
            lambda view, now: access.revoke_token(view.known["tokens"].get((token_name,)), token_name),
        )

    def close(self) -> None:
        self.store.close()

    def _on_project(
        self, by: Caller, project_name: str, decided: Decide, *, version: str = "", occurred_at: str | None = None
    ) -> Outcome:
        command = Command(
            streams=[project_stream(project_name)],
            look=lambda source: project_view(source, project_name, version),
            decide=decided,
            by=by,
            occurred_at=occurred_at,
            names={"project_name": project_name},
        )
        return carry_out(self.store, command)

    def _on_environment(
        self,
        by: Caller,
        project_name: str,
        environment_name: str,
        decided: Decide,
        *,
        version: str = "",
        deployment_id: str | None = None,
        occurred_at: str | None = None,
    ) -> Outcome:
        def look(source: Source) -> View:
            return environment_view(source, project_name, environment_name, version, deployment_id)

        command = Command(
            streams=[environment_stream(project_name, environment_name), project_stream(project_name)],
            look=look,
            decide=decided,
            by=by,
            occurred_at=occurred_at,
            names={"project_name": project_name, "environment_name": environment_name},
        )
        try:
            return carry_out(self.store, command)
        except EnvironmentFrozen as refusal:
            raise EnvironmentFrozen(**self._said_of_freeze(refusal.details)) from None

    def _said_of_freeze(self, details: dict[str, Any]) -> dict[str, Any]:
        """Who froze the environment, by e-mail where one is known: a person's id is never shown."""
        person_id = details["person_id"]
        known = person(self.store, person_id) if person_id is not None else None
        shown = {name: value for name, value in details.items() if name != "person_id"}
        return shown | ({"frozen_by": known["email"]} if known else {})

    def _on_access(
        self, by: Caller, token_name: str, decided: Decide, people: list[tuple[str, str]] | None = None
    ) -> Outcome:
        command = Command(
            streams=[ACCESS],
            look=lambda source: token_named(source, token_name),
            decide=decided,
            by=by,
            names={},
            people=people or (),
        )
        return carry_out(self.store, command)

    def _written(self, outcome: Outcome, project_name: str, environment_name: str, by: Caller) -> tuple[Answer, int]:
        """The deployment that a command made or changed, or found as it was."""
        target = outcome.view.target
        if not outcome.events and target is not None:
            return answers.deployment(target, environment_name, outcome.view.target_email), outcome.version
        last: Any = outcome.events[-1]
        row = outcome.row("deployments", last.number)
        if row is None:
            return self.deployment(project_name, environment_name, last.deployment_id)
        known = target is not None and target["number"] == last.number
        return answers.deployment(
            row, environment_name, outcome.view.target_email if known else by.email
        ), outcome.version


def named(target: Deployment | None, version: str) -> Deployment:
    """The deployment that a report names by its id; it must be of the version that the report names too."""
    if target is None:
        raise DeploymentNotFound()
    if target["release_candidate_version"] != version:
        raise InvalidRequest(id="is of another release candidate version")
    return target


def new_id() -> str:
    """An id in the order of time: UUID version 7 (RFC 9562)."""
    milliseconds = time.time_ns() // 1_000_000
    number = milliseconds << 80 | 0x7 << 76 | secrets.randbits(12) << 64 | 0b10 << 62 | secrets.randbits(62)
    return str(uuid.UUID(int=number))
