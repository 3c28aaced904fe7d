"""The story of one environment, told in memory: what was given, what is done, what came of it.

Every step goes the way of a real command, without a database: decide, stamp, fold. Time is a counter: each command
takes one minute, and the first one happens at minute 1,000, so that CI can speak of minutes before the story.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final, cast

from release_ledger import decide, reporting
from release_ledger.deployment import Deployment
from release_ledger.environment import Environment, Settings
from release_ledger.events import DeploymentGivenUp, EnvironmentEvent, stamp
from release_ledger.project import Deployable, Project
from release_ledger.projection.projection import Projection, Rows
from release_ledger.projections.deployments import Deployments
from release_ledger.projections.environments import NOW, Environments
from release_ledger.rollback import Choice
from release_ledger.versions import write_moment

FIRST_MINUTE: Final = 1_000
STREAM: Final = "environment/shop/production"
PROJECT: Final = Project(project_name="shop", repo="org/shop")
_ZERO: Final = datetime(2026, 1, 1, tzinfo=UTC)


def at(minute: float) -> str:
    """A minute of the story, as the ledger writes a moment."""
    return write_moment(_ZERO + timedelta(minutes=minute))


def candidate(version: str, status: str = "ready") -> Deployable:
    """A release candidate that was cut before the story begins."""
    return Deployable(
        release_candidate_version=version,
        release_version=version,
        commit=version.encode().hex().ljust(40, "0"),
        status=status,
        created_at=at(0),
    )


class Story:
    """One environment, from its first settings on."""

    def __init__(self, strategy: str = "previous") -> None:
        self.minute = FIRST_MINUTE
        self.events: list[EnvironmentEvent] = []
        self._deployments, self._environments = Rows(), Rows()
        self._folds: list[tuple[Projection, Rows]] = [
            (Deployments(), self._deployments),
            (Environments(), self._environments),
        ]
        self.configure(Settings(rollback_strategy=strategy))

    @property
    def now(self) -> str:
        """The moment at which the next command happens."""
        return at(self.minute)

    @property
    def state(self) -> Environment:
        return cast(Environment, self._environments[NOW])

    @property
    def rows(self) -> list[Deployment]:
        """All deployments, newest first."""
        return [self._deployments[number] for number in range(len(self._deployments.all()), 0, -1)]

    @property
    def folded(self) -> dict[str, dict[tuple[Any, ...], Any]]:
        """All rows as they were kept from command to command, by projection."""
        return {projection.name: rows.all() for projection, rows in self._folds}

    @property
    def running(self) -> str | None:
        return self.state.running.release_candidate_version if self.state.running else None

    def configure(self, settings: Settings) -> list[EnvironmentEvent]:
        known = self._environments.get(NOW)
        return self._record(lambda _: decide.configure(known, settings))

    def freeze(self, reason: str = "holidays", until: str | None = None) -> list[EnvironmentEvent]:
        return self._record(lambda now: decide.freeze(self.state, reason, until, now))

    def unfreeze(self) -> list[EnvironmentEvent]:
        return self._record(lambda _: decide.unfreeze(self.state))

    def deploy(self, version: str, *, force: bool = False, candidate_status: str = "ready") -> Attempt:
        command = decide.RequestDeployment(deployment_id=self._next_id(), force=force)
        cut = candidate(version, candidate_status)
        self._record(lambda now: decide.request_deployment(self.state, PROJECT, cut, command, now))
        return Attempt(self, self.state.deployments)

    def report(
        self,
        version: str,
        status: str,
        id: str | None = None,  # noqa: A002 - the contract's word
        occurred_at: str | None = None,
        error_message: str | None = None,
        external_url: str | None = None,
    ) -> list[EnvironmentEvent]:
        """A PATCH: the events that it recorded."""
        command = reporting.ReportStatus(
            deployment_id=self._next_id(),
            id=id,
            status=status,
            occurred_at=occurred_at,
            error_message=error_message,
            external_url=external_url,
        )
        target = self.meant(version, id)
        return self._record(
            lambda now: reporting.report(self.state, candidate(version), target, command, now, self.rows), occurred_at
        )

    def meant(self, version: str, deployment_id: str | None) -> Deployment | None:
        """The deployment of the id, else the newest unfinished one of the version, else its newest, else none."""
        if deployment_id is not None:
            return next(row for row in self.rows if row["id"] == deployment_id)
        of_version = [row for row in self.rows if row["release_candidate_version"] == version]
        return min(of_version, key=lambda row: row["finished"], default=None)

    def roll_back(self, strategy: str | None = None, to: str | None = None, force: bool = False) -> Attempt:
        command = decide.RollBack(deployment_id=self._next_id(), strategy=strategy, to=to, force=force)
        success = self._success_of(to)
        self._record(lambda now: decide.roll_back(self.state, PROJECT, self.rows, success, command, now))
        return Attempt(self, self.state.deployments)

    def preview(self, strategy: str | None = None, to: str | None = None) -> Choice:
        """What a rollback would choose now."""
        command = decide.RollBack(deployment_id="", strategy=strategy, to=to)
        return decide.choice(self.state, self.rows, self._success_of(to), command)

    def rollback_target(self, strategy: str | None = None, to: str | None = None) -> str | None:
        target = self.preview(strategy, to).target
        return target["release_candidate_version"] if target else None

    def give_up(self, number: int) -> None:
        """What a watchdog does to a deployment that nobody has heard of for too long."""
        row = self.rows[-number]
        event = DeploymentGivenUp(
            number=number,
            deployment_id=row["id"],
            release_candidate_version=row["release_candidate_version"],
            error_message="Given up: nothing was heard of it.",
        )
        self._record(lambda _: (event,))

    def _success_of(self, version: str | None) -> Deployment | None:
        successes = (row for row in self.rows if row["status"] == "success")
        return next((row for row in successes if row["release_candidate_version"] == version), None)

    def _next_id(self) -> str:
        known = self._environments.get(NOW)
        return f"deployment-{known.deployments + 1}"

    def _record(
        self, decided: Callable[[str], Iterable[EnvironmentEvent]], occurred_at: str | None = None
    ) -> list[EnvironmentEvent]:
        now = self.now
        self.minute += 1
        events = stamp(
            decided(now),
            STREAM,
            len(self.events),
            recorded_at=now,
            occurred_at=occurred_at,
            recorded_by="ci",
            project_name="shop",
            environment_name="production",
        )
        for event in events:
            for projection, rows in self._folds:
                projection.fold(event, rows)
        self.events += events
        return events


@dataclass(frozen=True)
class Attempt:
    """One deployment of a story, so that its end can be told in the same breath."""

    story: Story
    number: int

    @property
    def row(self) -> Deployment:
        return self.story.rows[-self.number]

    @property
    def version(self) -> str:
        return self.row["release_candidate_version"]

    @property
    def id(self) -> str:
        return self.row["id"]

    def reports(self, status: str, **said: str | None) -> list[EnvironmentEvent]:
        """A PATCH that names this deployment by its id."""
        return self.story.report(self.version, status, id=self.id, **said)

    def succeeds(self) -> Attempt:
        self.reports("success")
        return self

    def fails(self) -> Attempt:
        self.reports("failure")
        return self


Step = Callable[[Story], object]


def given(*steps: Step, strategy: str = "previous") -> Story:
    """An environment in which this has happened, oldest first."""
    story = Story(strategy)
    for step in steps:
        step(story)
    return story


def deployed(version: str) -> Step:
    return lambda story: story.deploy(version)


def success(version: str) -> Step:
    return lambda story: story.deploy(version).succeeds()


def failed(version: str) -> Step:
    return lambda story: story.deploy(version).fails()


def in_progress(version: str) -> Step:
    return lambda story: story.deploy(version).reports("in_progress")


def rolled_back(strategy: str | None = None, to: str | None = None) -> Step:
    return lambda story: story.roll_back(strategy, to).succeeds()
