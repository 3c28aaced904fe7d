"""Commands about builds: what CI, a worker or a run tells of a candidate's build."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from .. import builds, triggering
from ..builds import ReportBuild
from ..events import Event, How
from ..store import Row
from .answers import Answer
from .asking import require
from .outbox_questions import Wish, wish_row
from .project_commands import ProjectCommands
from .recording import Caller
from .views import View


class BuildCommands(ProjectCommands):
    """What can be told of a candidate's build."""

    def report_build(
        self,
        project_name: str,
        release_candidate_version: str,
        *,
        status: str,
        build_id: str | None = None,
        build_url: str | None = None,
        error_message: str | None = None,
        occurred_at: str | None = None,
        run_attempt: int | None = None,
        by: Caller,
    ) -> tuple[Answer, int]:
        """It is told how a candidate's build stands (`pending`, `ready`, `failed`): the candidate after it."""
        command = ReportBuild(
            status=status,
            build_id=build_id,
            build_url=build_url,
            error_message=error_message,
            occurred_at=occurred_at,
            run_attempt=run_attempt,
        )

        def decided(view: View, now: str) -> Iterable[Event]:
            project, candidate = view.found_project(), view.found_candidate()
            return builds.report(project, candidate, command, now)

        return self._on_candidate(by, project_name, release_candidate_version, decided, occurred_at=occurred_at)

    def checked(self, wish: Wish, *, found: bool, error_message: str | None = None, by: Caller) -> None:
        """GitHub was asked for a candidate's commit after all."""

        def decided(view: View, _: str) -> Iterable[Event]:
            view.found_project()
            return builds.checked(view.found_candidate(), found, error_message)

        self._on_candidate(by, wish.project_name, wish.release_candidate_version, decided)

    def build_triggered(
        self, wish: Wish, *, run_id: str | None, run_url: str | None, how: How, by: Caller
    ) -> tuple[Answer, int]:
        """The workflow of a build was started: the candidate after it."""
        return self._on_build(by, wish, lambda _, row, __: triggering.build_triggered(row, run_id, run_url, how))

    def build_trigger_failed(self, wish: Wish, *, attempt: int, error_message: str, final: bool, by: Caller) -> None:
        """A try to start the workflow of a build came to nothing; for good, and the candidate has `failed`."""

        said = ReportBuild(status="failed", build_id=wish.subject, error_message=error_message)

        def decided(view: View, row: Row, now: str) -> Iterable[Event]:
            failed = triggering.build_trigger_failed(row, attempt, error_message, final)
            ends = builds.report(view.found_project(), view.found_candidate(), said, now) if failed and final else ()
            return (*failed, *ends)

        self._on_build(by, wish, decided)

    def deployed_after_build(
        self, wish: Wish, *, deployment_id: str | None, error_message: str | None = None, by: Caller
    ) -> None:
        """What came of the deployment that was to follow a build."""
        self._on_build(by, wish, lambda _, row, __: triggering.deployed_after_build(row, deployment_id, error_message))

    def _on_build(
        self, by: Caller, wish: Wish, decided: Callable[[View, Row, str], Iterable[Event]]
    ) -> tuple[Answer, int]:
        def on_view(view: View, now: str) -> Iterable[Event]:
            view.found_project()
            view.found_candidate()
            require(view.source, view.head, "outbox")
            row = wish_row(view.source, view.head.stream, wish.kind, wish.number)
            return decided(view, row, now) if row is not None and row["subject"] == wish.subject else ()

        return self._on_candidate(by, wish.project_name, wish.release_candidate_version, on_view)
