"""Commands on an environment: settings, freeze, deployments, reports, rollback."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from functools import reduce
from typing import Any, cast

from .. import decide, reporting
from ..deployment import Deployment
from ..environment import Settings, apply
from ..errors import DeploymentNotFound, EnvironmentFrozen, InvalidRequest, LedgerUnavailable
from ..events import EnvironmentEvent, Event
from ..projection import environment_stream, project_stream
from ..store import Source
from ..store.store import person
from ..versions import write_moment
from . import answers
from .answers import Answer
from .environment_questions import EnvironmentQuestions
from .ids import new_id
from .recording import Caller, Command, Outcome, carry_out
from .views import View, environment_view

Decide = Callable[[View, str], Iterable[Event]]


class EnvironmentCommands(EnvironmentQuestions):
    """What can be done to an environment."""

    def configure_environment(
        self, project_name: str, environment_name: str, settings: Settings, *, by: Caller
    ) -> tuple[Answer, int, bool]:
        """Give an environment these settings and no others: the environment, its version, whether it is new."""

        def decided(view: View, _: str) -> Iterable[Event]:
            view.found_project()
            view.expect_version()
            return decide.configure(view.environment, settings)

        outcome = self._on_environment(by, project_name, environment_name, decided)
        return (*self._after(outcome, project_name, environment_name), outcome.view.environment is None)

    def freeze(
        self, project_name: str, environment_name: str, *, reason: str, until: str | None = None, by: Caller
    ) -> tuple[Answer, int]:
        """Refuse to be changed by command, until somebody lifts it or `until` passes."""
        outcome = self._on_environment(
            by,
            project_name,
            environment_name,
            lambda view, now: decide.freeze(view.found_environment(), reason, until, now),
        )
        return self._after(outcome, project_name, environment_name)

    def unfreeze(self, project_name: str, environment_name: str, *, by: Caller) -> tuple[Answer, int]:
        """Lift the freeze, if there is one."""
        outcome = self._on_environment(
            by, project_name, environment_name, lambda view, _: decide.unfreeze(view.found_environment())
        )
        return self._after(outcome, project_name, environment_name)

    def _after(self, outcome: Outcome, project_name: str, environment_name: str) -> tuple[Answer, int]:
        """The environment after a command. What was recorded is never answered 503: without deployments if need be."""
        try:
            return self.environment(project_name, environment_name)
        except LedgerUnavailable:
            state = reduce(apply, cast(Sequence[EnvironmentEvent], outcome.events), outcome.view.environment)
            if state is None:
                raise
            now = write_moment(datetime.now(UTC))
            unknown = {"running": "cannot be read now", "latest": "cannot be read now"}
            answer = answers.environment(
                state, version=outcome.version, now=now, running=None, latest=None, frozen_by=None
            )
            return answer | {"details": unknown}, outcome.version

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
            return decide.request_deployment(state, view.found_project(), view.found_candidate(), command, now)

        return self._on_deployment(
            by, project_name, environment_name, decided, version=release_candidate_version, occurred_at=occurred_at
        )

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
        run_attempt: int | None = None,
        by: Caller,
    ) -> tuple[Answer, int]:
        """Record what CI says of a deployment; the deployment as it is after it. Never refused by a rule."""
        command = reporting.ReportStatus(
            deployment_id=new_id(),
            id=id,
            status=status,
            occurred_at=occurred_at,
            error_message=error_message,
            external_url=external_url,
            run_attempt=run_attempt,
        )

        return self._on_deployment(
            by,
            project_name,
            environment_name,
            _reported(command, release_candidate_version),
            version=release_candidate_version,
            of_deployment=True,
            deployment_id=id,
            occurred_at=occurred_at,
        )

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
            project = view.found_project()
            return decide.roll_back(state, project, view.history(), view.success_of(to), command, now)

        return self._on_deployment(by, project_name, environment_name, decided, version=to or "")

    def _on_deployment(
        self, by: Caller, project_name: str, environment_name: str, decided: Decide, **about: Any
    ) -> tuple[Answer, int]:
        """Carry out a command whose answer is the deployment that it makes or changes, or finds as it is."""

        def answer(outcome: Outcome) -> tuple[Answer, int]:
            return _written(outcome, environment_name, by)

        return answer(self._on_environment(by, project_name, environment_name, decided, answer=answer, **about))

    def _on_environment(
        self,
        by: Caller,
        project_name: str,
        environment_name: str,
        decided: Decide,
        *,
        version: str = "",
        of_deployment: bool = False,
        deployment_id: str | None = None,
        occurred_at: str | None = None,
        answer: Callable[[Outcome], tuple[Answer, int] | None] = lambda outcome: None,
    ) -> Outcome:
        meant: Any = {"of_deployment": of_deployment, "deployment_id": deployment_id}

        def look(source: Source) -> View:
            return environment_view(source, project_name, environment_name, version, by.key, **meant)

        stream, projects = environment_stream(project_name, environment_name), project_stream(project_name)

        def recall() -> View | None:
            return self.remembered.view(self.store, stream, projects, version, **meant)

        command = Command(
            streams=[stream, projects],
            look=look,
            decide=decided,
            by=by,
            answer=answer,
            occurred_at=occurred_at,
            names={"project_name": project_name, "environment_name": environment_name},
            remembered=self.remembered,
            recall=recall,
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


def _reported(command: reporting.ReportStatus, version: str) -> Decide:
    """What a report of this version decides, on what is seen."""

    def decided(view: View, now: str) -> Iterable[Event]:
        state, candidate, target = view.found_environment(), view.found_candidate(), view.target
        if command.id is not None:
            target = named(target, version)
        older = view.history(before=target["number"]) if target else ()
        return reporting.report(state, candidate, target, command, now, older)

    return decided


def _written(outcome: Outcome, environment_name: str, by: Caller) -> tuple[Answer, int]:
    """The deployment that a command makes or changes, or (a repetition) finds as it is."""
    target, email = outcome.view.target, outcome.view.target_email
    if not outcome.events and target is not None:
        return answers.deployment(target, environment_name, email), outcome.version
    last: Any = outcome.events[-1]
    row = outcome.row("deployments", last.number) or answers.deployment_in(outcome.events, target)
    is_known = target is not None and target["number"] == last.number
    return answers.deployment(row, environment_name, email if is_known else by.email), outcome.version


def named(target: Deployment | None, version: str) -> Deployment:
    """The deployment that a report names by its id; it must be of the version that the report names too."""
    if target is None:
        raise DeploymentNotFound()
    if target["release_candidate_version"] != version:
        raise InvalidRequest(id="is of another release candidate version")
    return target
