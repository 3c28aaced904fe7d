"""One project and its environments as the contract describes them: the plain model that the API is compared with.

Each command takes the moment at which the ledger recorded it, and either raises `Refused` or changes the lists and
returns the answer. `version` counts what is to be recorded.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from tests.laws.contract_model import Answer, Deployment, Ending, Refused, Report, leaving, rollback_target

REPO = "acme/shop"
UNFINISHED_LIMIT = 4


@dataclass
class ProjectModel:
    """A project: its candidates, oldest first."""

    asker: Answer
    version: int = 1
    candidates: list[Answer] = field(default_factory=list)

    def candidate(self, version: str) -> Answer:
        for candidate in self.candidates:
            if candidate["release_candidate_version"] == version:
                return candidate
        raise Refused("release_not_found")

    def cut(
        self, version: str, *, repo: str, commit: str, build: str | None, occurred_at: str | None, now: str
    ) -> Answer:
        """A candidate is tied to one commit for ever; the same again is answered with the same."""
        if repo.lower() != REPO:
            raise Refused("repository_not_found")
        for known in self.candidates:
            if known["release_candidate_version"] == version:
                if known["commit"] != commit.lower():
                    raise Refused("release_candidate_exists")
                if build is not None and (known["build_id"] is None or known["status"] == "failed"):
                    self.version += 1
                    known |= {"status": "pending", "build_id": build, "build_url": None, "error_message": None}
                return known
        self.version += 2 if build else 1  # the candidate, and its build
        self.candidates.append(
            {
                "release_candidate_version": version,
                "release_version": version[: version.rindex("-rc")],
                "commit": commit.lower(),
                "repo": REPO,
                "status": "pending" if build else "ready",
                "created_at": min(occurred_at or now, now),
                "build_id": build,
                "build_url": None,
                "error_message": None,
                "commit_check": None,
                "actor": self.asker["actor"],
            }
        )
        return self.candidates[-1]

    def report_build(self, version: str, status: str, message: str | None) -> Answer:
        """What is told now is the newest: `pending` ends nothing. The same again records nothing."""
        known = self.candidate(version)
        if status == "pending":
            return known
        after = known | {"status": status, "error_message": message if status == "failed" else None}
        self.version += after != known
        known |= after
        return known


@dataclass
class EnvironmentModel:
    """An environment: its settings, its freeze, and every deployment that was ever made, oldest first."""

    name: str
    asker: Answer
    created_at: str
    strategy: str = "previous"
    version: int = 1
    freeze_set: Answer | None = None
    deployments: list[Deployment] = field(default_factory=list)

    @property
    def newest_first(self) -> list[Deployment]:
        return sorted(self.deployments, key=lambda d: -d.number)

    @property
    def unfinished(self) -> list[Deployment]:
        return [d for d in self.deployments if not d.finished]

    @property
    def running(self) -> Deployment | None:
        return next((d for d in self.newest_first if d.status == "success"), None)

    def frozen_at(self, now: str) -> bool:
        until = self.freeze_set["until"] if self.freeze_set is not None else None
        return self.freeze_set is not None and (until is None or until > now)

    def configure(self, strategy: str) -> None:
        self.version += self.strategy != strategy
        self.strategy = strategy

    def freeze(self, reason: str, until: str | None, now: str) -> None:
        """The same freeze again records nothing."""
        if until is not None and until <= now:
            raise Refused("invalid_request")
        known = self.freeze_set
        if self.frozen_at(now) and known is not None and (known["reason"], known["until"]) == (reason, until):
            return
        self.version += 1
        self.freeze_set = {"reason": reason, "until": until, "frozen_by": self.asker["actor"], "frozen_at": now}

    def unfreeze(self) -> None:
        """Also when not frozen. A freeze that is past its `until` is there to be lifted (left open by the contract)."""
        self.version += self.freeze_set is not None
        self.freeze_set = None

    def deploy(self, candidate: Answer, id_: str, *, force: bool, reason: str | None, now: str) -> Answer:
        """Frozen, then not ready, then too many: the order among rules is left open by the contract."""
        if self.frozen_at(now) and not force:
            raise Refused("environment_frozen")
        if candidate["status"] != "ready":
            raise Refused("release_candidate_not_ready")
        if len(self.unfinished) >= UNFINISHED_LIMIT:
            raise Refused("too_many_unfinished")
        return self._shown(self._create(candidate, id_, "deploy", reason, now))

    def report(self, candidate: Answer, named: str | None, report: Report, new_id: str, now: str) -> Answer:
        """Which deployment is meant, and what the report does to it."""
        meant = self._named(named, candidate) if named is not None else self._meant(candidate)
        if meant is None or (named is None and meant.begins_again(report)):
            if report.status in ("pending", "in_progress", "canceling", "unknown"):
                self._make_room(now)
            made = self._create(candidate, new_id, "observed", None, now)
            made.reports.append(report)
            self.version += 1
            return self._shown(made)
        if not meant.is_news(report):
            return self._shown(meant)
        after = meant.after(report)
        if meant.finished and not after.finished:
            self._make_room(now)
        self.deployments[meant.number - 1] = after
        self.version += 1
        return self._shown(after)

    def cancel(self, id_: str, now: str) -> Answer:
        """Without a run it is canceled at once, also while frozen; what has ended stays as it is."""
        meant = next((d for d in self.deployments if d.id == id_), None)
        if meant is None:
            raise Refused("deployment_not_found")
        if not meant.finished:
            meant.ending = Ending("rollback", "canceled", now)
            self.version += 1
        return self._shown(meant)

    def roll_back(
        self,
        project: ProjectModel,
        id_: str,
        *,
        to: str | None,
        strategy: str | None,
        force: bool,
        reason: str | None,
        now: str,
    ) -> Answer:
        """Cancel what is unfinished and deploy the target; refused, cancel and record nothing."""
        if to is not None:
            project.candidate(to)
        if self.frozen_at(now) and not force:
            raise Refused("environment_frozen")
        target = self.target(to, strategy)
        if target is None:
            raise Refused("no_rollback_target")
        left = leaving(self.deployments, target)
        for deployment in self.unfinished:
            deployment.ending = Ending("rollback", "canceled", now)
            self.version += 1
        made = self._create(target.candidate, id_, "rollback", reason, now)
        made.left = left
        return self._shown(made)

    def target(self, to: str | None, strategy: str | None) -> Deployment | None:
        if to is not None:
            return next((d for d in self.newest_first if d.version == to and d.status == "success"), None)
        return rollback_target(self.deployments, strategy or self.strategy)

    def preview(self, to: str | None, strategy: str | None) -> Answer:
        """What a rollback would do. With `to` only the chosen one was considered (left open by the contract)."""
        target = self.target(to, strategy)
        considered = [] if to is not None else self.newest_first
        if target is not None:
            considered = [*[d for d in considered if d.number > target.number][:99], target]
        return {
            "target": target.version if target is not None else None,
            "strategy": "to" if to is not None else strategy or self.strategy,
            "would_cancel": [d.id for d in self.unfinished] if target is not None else [],
            "considered": [(d.id, "chosen" if d is target else "skipped") for d in considered[:100]],
        }

    def page(self, number: int, per_page: int, **wanted: str | None) -> list[Answer]:
        """A page of the deployments, newest first, perhaps only those with these values."""
        shown = [self._shown(d) for d in self.newest_first]
        matching = [d for d in shown if all(value in (None, d[name]) for name, value in wanted.items())]
        return matching[(number - 1) * per_page : number * per_page]

    def answer(self, project_name: str, now: str) -> Answer:
        """The environment as a caller is shown it."""
        latest = self.newest_first[0] if self.deployments else None
        return {
            "name": self.name,
            "project_name": project_name,
            "created_at": self.created_at,
            "tier": "development",
            "deploy_workflow": None,
            "stuck_after_s": None,
            "rollback_strategy": self.strategy,
            "running": self._shown(self.running) if self.running is not None else None,
            "latest": self._shown(latest) if latest is not None else None,
            "frozen": self.frozen_at(now),
            "freeze": self.freeze_set if self.frozen_at(now) else None,
            "unfinished": len(self.unfinished),
            "version": self.version,
        }

    def _named(self, id_: str, candidate: Answer) -> Deployment:
        for deployment in self.deployments:
            if deployment.id == id_:
                if deployment.version != candidate["release_candidate_version"]:
                    raise Refused("invalid_request")
                return deployment
        raise Refused("deployment_not_found")

    def _meant(self, candidate: Answer) -> Deployment | None:
        of_version = [d for d in self.newest_first if d.version == candidate["release_candidate_version"]]
        return next((d for d in of_version if not d.finished), of_version[0] if of_version else None)

    def _make_room(self, now: str) -> None:
        """A report is never refused: the oldest unfinished is given up (the limit is the contract's, this is ours)."""
        if len(self.unfinished) >= UNFINISHED_LIMIT:
            said = f"Given up: {UNFINISHED_LIMIT} newer deployments are unfinished. A report resumes it."
            oldest = self.unfinished[0]
            oldest.ending = Ending("ledger", "error", now, said)
            self.version += 1

    def _create(self, candidate: Answer, id_: str, kind: str, reason: str | None, now: str) -> Deployment:
        came_from = self.running.version if self.running is not None else None
        made = Deployment(len(self.deployments) + 1, id_, kind, candidate, came_from, now, reason)
        self.deployments.append(made)
        self.version += 1
        return made

    def _shown(self, deployment: Deployment) -> dict[str, Any]:
        return deployment.answer(self.name, self.asker)
