"""The contract's sentences (sections 2 and 3) as a plain model: slow, naive, and of nothing but lists.

It knows no rule of the ledger's own code. An environment is a list of deployments, a deployment is a list of reports;
every question is answered by sorting or searching the whole list. What the contract leaves open follows the ledger
and says so.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any

Answer = dict[str, Any]
RUNNING = ("pending", "in_progress")
UNFINISHED = ("pending", "in_progress", "canceling", "unknown")
# Which of two terminal reports of one microsecond decides is left open by the contract: the last of these.
TERMINAL = ("error", "canceled", "failure", "success")
RANKS = UNFINISHED + TERMINAL
REFUSALS = {
    "environment_frozen": 400,
    "invalid_request": 400,
    "release_not_found": 404,
    "deployment_not_found": 404,
    "repository_not_found": 404,
    "no_rollback_target": 404,
    "release_candidate_exists": 409,
    "release_candidate_not_ready": 409,
    "too_many_unfinished": 409,
}


class Refused(Exception):
    """The call is answered with this code, and nothing is recorded."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code, self.status = code, REFUSALS[code]


@dataclass(frozen=True)
class Report:
    """What CI said; `at` is its time, `timed` whether CI gave it one that had come already."""

    status: str
    at: str
    timed: bool
    message: str | None
    url: str | None

    @property
    def place(self) -> tuple[str, int]:
        return self.at, RANKS.index(self.status)


@dataclass(frozen=True)
class Ending:
    """How the ledger itself ended a deployment."""

    by: str
    status: str
    at: str
    message: str | None = None


@dataclass
class Deployment:
    """A deployment and everything that was said of it, in the order in which it arrived."""

    number: int
    id: str
    kind: str
    candidate: Answer
    came_from: str | None
    requested_at: str
    reason: str | None = None
    left: frozenset[str] = frozenset()
    reports: list[Report] = field(default_factory=list)
    ending: Ending | None = None

    @property
    def version(self) -> str:
        return str(self.candidate["release_candidate_version"])

    @property
    def decided(self) -> Report | None:
        """The last terminal report in the order of time and rank."""
        return max((r for r in self.reports if r.status in TERMINAL), key=lambda r: r.place, default=None)

    @property
    def seen(self) -> Report | None:
        """The last unfinished report in that order."""
        return max((r for r in self.reports if r.status in UNFINISHED), key=lambda r: r.place, default=None)

    @property
    def status(self) -> str:
        if self.decided is not None:
            return self.decided.status
        if self.ending is not None:
            return self.ending.status
        return self.seen.status if self.seen is not None else "pending"

    @property
    def finished(self) -> bool:
        return self.status in TERMINAL

    @property
    def started_at(self) -> str | None:
        return min((report.at for report in self.reports), default=None)

    @property
    def ended_at(self) -> str | None:
        ending = self.decided or self.ending
        return ending.at if ending is not None else None

    @property
    def message(self) -> tuple[Any, ...]:
        """Place and text of CI's last message; of two in one place the greater text (left open by the contract).

        Where CI brought none, the ledger's own words stand as long as its ending does.
        """
        said: list[tuple[Any, ...]] = [(r.place, r.message) for r in self.reports if r.message is not None]
        if not said and self.ending is not None and self.decided is None:
            return None, self.ending.message
        return max(said, default=(None, None))

    @property
    def url(self) -> tuple[Any, ...]:
        said: list[tuple[Any, ...]] = [(r.place, r.url) for r in self.reports if r.url is not None]
        return max(said, default=(None, None))

    def is_late(self, status: str) -> bool:
        """An unfinished report for a finished deployment; one that the ledger gave up is resumed instead."""
        resumes = self.decided is None and self.ending is not None and self.ending.by == "ledger" and status in RUNNING
        return self.finished and status in UNFINISHED and not resumes

    def begins_again(self, report: Report) -> bool:
        """Reported finished, and seen running after that moment."""
        return self.decided is not None and report.status in RUNNING and report.at > self.decided.at

    def after(self, report: Report) -> Deployment:
        resumed = not self.is_late(report.status) and report.status in UNFINISHED
        return replace(self, reports=[*self.reports, report], ending=None if resumed else self.ending)

    def is_news(self, report: Report) -> bool:
        """Whether the report is worth keeping.

        A report without a time says again what is known, or something else; one with a time counts where it changes
        what the reports say together. Late ones are kept, unless they repeat one that was late too.
        """
        late, before = self.is_late(report.status), self.reports[-1] if self.reports else None
        if report.timed:
            repeated = before is not None and (before.at, before.status) == (report.at, report.status)
            return self.after(report)._told() != self._told() or (late and not repeated)
        if late:
            repeats = before is not None and before.status == report.status and before.at > (self.ended_at or "")
        else:
            repeats = (
                before is not None
                and self.status == report.status
                and (self.decided is not None or self.ending is None)
            )
        new_message = report.message is not None and report.message != self.message[1]
        new_url = report.url is not None and report.url != self.url[1]
        return not repeats or new_message or new_url

    def _told(self) -> tuple[Any, ...]:
        return self.status, self.started_at, self.ended_at, self.ending, self.seen_place, self.message, self.url

    @property
    def seen_place(self) -> tuple[str, int] | None:
        return self.seen.place if self.seen is not None else None

    def answer(self, environment_name: str, asker: Answer) -> Answer:
        """The deployment as a caller is shown it."""
        came_from = self.came_from
        return {
            "id": self.id,
            "number": self.number,
            "kind": self.kind,
            "status": self.status,
            "environment_name": environment_name,
            "release_candidate_version": self.version,
            "release_version": self.candidate["release_version"],
            "commit": self.candidate["commit"],
            "from_release_candidate_version": came_from,
            "from_release_version": came_from[: came_from.rindex("-rc")] if came_from else None,
            "deploy_start_at": self.started_at,
            "deploy_end_at": self.ended_at,
            "requested_at": self.requested_at,
            "error_message": self.message[1],
            "external_url": self.url[1],
            "reason": self.reason,
            **asker,
        }


def rollback_target(deployments: Iterable[Deployment], strategy: str) -> Deployment | None:
    """Where a rollback goes, by the rules of section 3."""
    newest_first = sorted(deployments, key=lambda d: -d.number)
    running, newest = running_version(newest_first), _newest_looked_at(newest_first)
    successes = [d for d in newest_first if d.status == "success"]
    left = {version for d in newest_first for version in d.left if not _forward_since(newest_first, version, d)}
    if newest is None or not successes:
        return None
    if strategy == "previous":
        unlike = newest.version if newest.status == "success" else None
        return next((d for d in successes if d.version != unlike), None)
    if newest.status != "success" and running not in left:
        return successes[0]
    return next((d for d in successes if d.version not in left | {running}), None)


def leaving(deployments: Iterable[Deployment], target: Deployment) -> frozenset[str]:
    """What a rollback to the target asks to leave: the running version, and the newest deployment's."""
    newest_first = sorted(deployments, key=lambda d: -d.number)
    newest = _newest_looked_at(newest_first)
    versions = {running_version(newest_first), newest.version if newest is not None else None}
    return frozenset(version for version in versions if version is not None and version != target.version)


def running_version(deployments: Iterable[Deployment]) -> str | None:
    """The version of the newest success."""
    successes = [d for d in deployments if d.status == "success"]
    return max(successes, key=lambda d: d.number).version if successes else None


def _newest_looked_at(newest_first: list[Deployment]) -> Deployment | None:
    """The newest but for an unfinished rollback and the running version under way again: they are left out."""
    running = running_version(newest_first)
    return next((d for d in newest_first if d.finished or (d.kind != "rollback" and d.version != running)), None)


def _forward_since(deployments: Iterable[Deployment], version: str, left_by: Deployment) -> bool:
    return any(
        d.version == version and d.kind != "rollback" and d.status == "success" and d.number > left_by.number
        for d in deployments
    )
