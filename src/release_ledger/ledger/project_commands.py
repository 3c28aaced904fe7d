"""Commands on a project: its settings, its release candidates."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import reduce
from typing import Any

from .. import project
from ..events import Event
from ..project import CutCandidate
from ..projection import project_stream
from . import answers
from .answers import Answer
from .ids import new_id
from .project_questions import ProjectQuestions
from .recording import Caller, Command, Outcome, carry_out
from .views import View, project_view

Decide = Callable[[View, str], Iterable[Event]]


class NotChecked(Exception):
    """A candidate would be cut, and nobody has asked GitHub for its commit."""


class ProjectCommands(ProjectQuestions):
    """What can be done to a project."""

    def configure_project(
        self,
        project_name: str,
        *,
        repo: str,
        build_workflow: dict[str, Any] | None = None,
        deploy_after_build: str | None = None,
        by: Caller,
    ) -> tuple[Answer, int, bool]:
        """Give a project these settings: the project, its stream's version, and whether it is new."""

        def decided(view: View, _: str) -> Iterable[Event]:
            view.expect_version()
            return project.configure(view.project, repo, build_workflow, deploy_after_build)

        outcome = self._on_project(by, project_name, decided)
        events: Any = outcome.events
        state: Any = reduce(project.apply, events, outcome.view.project)
        return answers.project(state), outcome.version, outcome.view.project is None

    def cut_release_candidate(
        self,
        project_name: str,
        release_candidate_version: str,
        *,
        repo: str,
        commit: str,
        trigger_build_workflow: bool = False,
        checked: bool | None = True,
        occurred_at: str | None = None,
        by: Caller,
    ) -> tuple[Answer, int]:
        """Cut a candidate, tied to one commit for ever; the same again is answered with the same.

        `checked` is false where GitHub is still to be asked for the commit; with None nothing new is cut: raises
        `NotChecked` where all else is as it must be.
        """
        command = CutCandidate(
            release_candidate_version=release_candidate_version,
            repo=repo,
            commit=commit,
            trigger_build_workflow=trigger_build_workflow,
            build_id=new_id(),
            checked=checked is True,
        )

        def decided(view: View, _: str) -> Iterable[Event]:
            events = project.cut(view.found_project(), view.candidate, command)
            if checked is None and view.candidate is None:
                raise NotChecked()
            return events

        return self._on_candidate(by, project_name, release_candidate_version, decided, occurred_at=occurred_at)

    def _on_candidate(
        self, by: Caller, project_name: str, version: str, decided: Decide, *, occurred_at: str | None = None
    ) -> tuple[Answer, int]:
        """Carry out a command whose answer is the candidate that it makes or changes, or finds as it is."""

        def answer(outcome: Outcome) -> tuple[Answer, int]:
            return _candidate(outcome, by)

        return answer(
            self._on_project(by, project_name, decided, version=version, occurred_at=occurred_at, answer=answer)
        )

    def _on_project(
        self,
        by: Caller,
        project_name: str,
        decided: Decide,
        *,
        version: str = "",
        occurred_at: str | None = None,
        answer: Callable[[Outcome], tuple[Answer, int] | None] = lambda outcome: None,
    ) -> Outcome:
        command = Command(
            streams=[project_stream(project_name)],
            look=lambda source: project_view(source, project_name, version, by.key),
            decide=decided,
            by=by,
            answer=answer,
            occurred_at=occurred_at,
            names={"project_name": project_name},
            remembered=self.remembered,
        )
        return carry_out(self.store, command)


def _candidate(outcome: Outcome, by: Caller) -> tuple[Answer, int]:
    """The candidate that a command cuts or changes, or (a repetition) finds as it is."""
    known: Any = outcome.view.candidate
    email = outcome.view.candidate_email if known is not None else by.email
    if outcome.events:
        first: Any = outcome.events[0]
        known = outcome.row("release_candidates", first.number) or answers.candidate_in(outcome.events, known)
    return answers.candidate(known, email), outcome.version
