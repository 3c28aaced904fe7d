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
from .project_questions import ProjectQuestions
from .recording import Caller, Command, Outcome, carry_out
from .views import View, project_view

Decide = Callable[[View, str], Iterable[Event]]


class ProjectCommands(ProjectQuestions):
    """What can be done to a project."""

    def configure_project(
        self, project_name: str, *, repo: str, build_workflow: dict[str, Any] | None = None, by: Caller
    ) -> tuple[Answer, int, bool]:
        """Give a project these settings: the project, its stream's version, and whether it is new."""

        def decided(view: View, _: str) -> Iterable[Event]:
            view.expect_version()
            return project.configure(view.project, repo, build_workflow)

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
            lambda view, _: project.cut(view.found_project(), view.candidate, command),
            version=release_candidate_version,
            occurred_at=occurred_at,
            answer=lambda outcome: _cut(outcome, by),
        )
        return _cut(outcome, by)

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


def _cut(outcome: Outcome, by: Caller) -> tuple[Answer, int]:
    """The candidate that a command cuts, or (a repetition) finds as it is."""
    known = outcome.view.candidate
    if known is not None:
        return answers.candidate(known, outcome.view.candidate_email), outcome.version
    event: Any = outcome.events[-1]
    row = outcome.row("release_candidates", event.number) or answers.candidate_in(event)
    return answers.candidate(row, by.email), outcome.version
