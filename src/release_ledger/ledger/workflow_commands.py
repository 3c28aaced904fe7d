"""Commands about workflows: what a worker, a run or somebody who cancels tells of a deployment."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Literal

from .. import triggering
from ..deployment import Deployment
from ..errors import DeploymentNotFound
from ..events import Event, How
from ..store import Row
from .answers import Answer
from .asking import require
from .environment_commands import EnvironmentCommands
from .outbox_questions import OutboxQuestions, Watched, Wish, wish_row
from .recording import Caller
from .views import View

Decided = Callable[[View, Deployment, str], Iterable[Event]]
OnWish = Callable[[View, Deployment, Row, str], Iterable[Event]]


class WorkflowCommands(EnvironmentCommands, OutboxQuestions):
    """What can be told of a deployment's workflow. What was told before is answered, and not recorded again."""

    def cancel(
        self, project_name: str, environment_name: str, deployment_id: str, *, reason: str | None = None, by: Caller
    ) -> tuple[Answer, int]:
        """End a deployment: at once where no run of it is known, else it is `canceling` until the run has ended."""

        def decided(view: View, target: Deployment, _: str) -> Iterable[Event]:
            return triggering.cancel_deployment(view.found_environment(), view.found_project(), target, reason)

        return self._on_target(by, project_name, environment_name, deployment_id, decided)

    def give_up(self, watched: Watched, *, error_message: str, by: Caller) -> None:
        """Nothing was heard of a deployment for too long."""
        known = watched.deployment

        def decided(view: View, target: Deployment, _: str) -> Iterable[Event]:
            if watched.wish is not None:
                require(view.source, view.head, "outbox")
            row = wish_row(view.source, view.head.stream, "trigger", known["number"]) if watched.wish else None
            return triggering.give_up(target, row, watched.silent_since, error_message)

        environment = watched.environment
        self._on_target(by, environment.project_name, environment.environment_name, known["id"], decided)

    def triggered(
        self, wish: Wish, *, run_id: str | None, run_url: str | None, how: How, by: Caller
    ) -> tuple[Answer, int]:
        """The workflow of a deployment was started: the deployment after it."""
        return self._on_wish(
            by,
            wish,
            lambda view, target, row, now: triggering.triggered(
                view.found_environment(), view.found_project(), target, row, run_id, run_url, how, now
            ),
        )

    def trigger_failed(self, wish: Wish, *, attempt: int, error_message: str, final: bool, by: Caller) -> None:
        """A try to start the workflow of a deployment came to nothing."""
        self._on_wish(
            by, wish, lambda _, target, row, __: triggering.trigger_failed(target, row, attempt, error_message, final)
        )

    def dropped(self, wish: Wish, *, by: Caller) -> bool:
        """Drop the wish where the deployment has ended; whether it has."""
        ended: list[bool] = []

        def decided(_: View, target: Deployment, row: Row, __: str) -> Iterable[Event]:
            ended[:] = [bool(target["finished"]) or row["status"] != triggering.WANTED]
            return triggering.dropped(target, row)

        self._on_wish(by, wish, decided)
        return ended == [True]

    def cancel_answered(
        self,
        wish: Wish,
        *,
        attempt: int,
        answer: Literal["accepted", "ended", "failed"],
        error_message: str | None = None,
        final: bool = False,
        by: Caller,
    ) -> None:
        """What came of a try to cancel a run."""
        self._on_wish(
            by,
            wish,
            lambda _, target, row, __: triggering.cancel_answered(target, row, attempt, answer, error_message, final),
        )

    def _on_wish(self, by: Caller, wish: Wish, decided: OnWish) -> tuple[Answer, int]:
        def on_target(view: View, target: Deployment, now: str) -> Iterable[Event]:
            require(view.source, view.head, "outbox")
            row = wish_row(view.source, view.head.stream, wish.kind, wish.number)
            return decided(view, target, row, now) if row is not None else ()

        return self._on_target(by, wish.project_name, wish.environment_name, wish.subject, on_target)

    def _on_target(
        self, by: Caller, project_name: str, environment_name: str, deployment_id: str, decided: Decided
    ) -> tuple[Answer, int]:
        """Carry out a command on the deployment of this id. Raises `DeploymentNotFound`."""

        def on_view(view: View, now: str) -> Iterable[Event]:
            view.found_environment()
            if view.target is None:
                raise DeploymentNotFound()
            return decided(view, view.target, now)

        return self._on_deployment(
            by, project_name, environment_name, on_view, of_deployment=True, deployment_id=deployment_id
        )
