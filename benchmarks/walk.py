"""The life of one environment, walked command by command through the real rules.

Only the newest deployments and the unfinished ones stay in memory. Where a rule asks for more, the command is
dropped and another one tried: what is recorded is exactly what the ledger would have decided.
"""

from __future__ import annotations

import random
from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any, Final, NamedTuple, cast

from release_ledger import decide, reporting
from release_ledger.deployment import TERMINAL, Deployment
from release_ledger.environment import TIERS, Environment, Settings
from release_ledger.errors import Refusal
from release_ledger.events import DeploymentRequested, EnvironmentEvent
from release_ledger.project import Candidate, Project
from release_ledger.projections.environments import NOW
from release_ledger.rollback import STRATEGIES
from release_ledger.versions import read_moment, write_moment

from .bulk import NewStream
from .chance import NEXT, Clock, caller, earlier, id_at

PROJECT: Final = Project(repo="acme/shop")
KEPT: Final = 200
LATELY: Final = 20
TRIES: Final = 50
UNDER_WAY_AT_ONCE: Final = 3


class NotNow(Exception):
    """This command makes no sense here, or asks for what is not in memory any more."""


class Decided(NamedTuple):
    """What a command came to, and when CI said it had happened."""

    events: Sequence[EnvironmentEvent]
    occurred_at: str | None = None


class Walk:
    """One environment; `forgetful`: its CI seldom reports an end, so that the ledger must give deployments up."""

    def __init__(
        self,
        stream: NewStream,
        rng: random.Random,
        clock: Clock,
        candidates: Sequence[Candidate],
        *,
        names: dict[str, str],
        people: Sequence[str],
        forgetful: bool = False,
    ) -> None:
        self._stream, self._rng, self._clock, self._names, self._people = stream, rng, clock, names, people
        self._candidates = {candidate["release_candidate_version"]: candidate for candidate in candidates}
        self._versions = list(self._candidates)
        self._cut_at = [candidate["created_at"] for candidate in candidates]
        self._released_to, self._left_open, self._seen = 0, set[int](), set[str]()
        self._at_once = 200 if forgetful else UNDER_WAY_AT_ONCE
        self._weights: dict[Callable[[str], Decided], float] = {
            self._deploy: 30,
            self._go_on: 15 if forgetful else 60,
            self._roll_back: 0.02 if forgetful else 3,
            self._observe: 6 if forgetful else 2,
            self._correct: 1.5,
            self._late: 1,
            self._freeze_or_lift: 0.3,
            self._configure: 0.2,
        }
        self._record(Decided(decide.configure(None, self._settings())), self._clock.tick())

    @property
    def version(self) -> int:
        return self._stream.head.version

    @property
    def deployments(self) -> int:
        return self._state.deployments

    def step(self, most: int) -> int:
        """One command that records something, of at most so many events; how many they were."""
        now = self._clock.tick()
        weights = {**self._weights, self._freeze_or_lift: 10.0} if self._state.freeze else self._weights
        for _ in range(TRIES):
            try:
                decided = self._rng.choices(list(weights), list(weights.values()))[0](now)
            except (Refusal, NotNow):
                continue
            if 0 < len(decided.events) <= most:
                return self._record(decided, now)
        return self._record(self._freeze_or_lift(now), now)

    @property
    def _state(self) -> Environment:
        return cast(Environment, self._stream.rows("environments")[NOW,])

    @property
    def _hot(self) -> dict[tuple[int], Deployment]:
        return cast("dict[tuple[int], Deployment]", self._stream.rows("deployments"))

    def _record(self, decided: Decided, now: str) -> int:
        who = caller(self._rng, self._people)
        count = self._stream.record(decided.events, now, occurred_at=decided.occurred_at, **self._names, **who)
        self._seen.update(e.release_candidate_version for e in decided.events if isinstance(e, DeploymentRequested))
        self._release()
        return count

    def _release(self) -> None:
        """Let go of what is finished and too old to be touched again."""
        while self._released_to < self.deployments - KEPT:
            self._released_to += 1
            self._left_open.add(self._released_to)
        for number in [number for number in self._left_open if self._hot[number,]["finished"]]:
            self._stream.release("deployments", (number,))
            self._left_open.remove(number)

    def _deploy(self, now: str) -> Decided:
        if len(self._state.unfinished) > self._at_once:
            raise NotNow
        command = decide.RequestDeployment(
            deployment_id=id_at(self._rng, now), force=self._rng.random() < 0.05, reason=self._sometimes("hotfix")
        )
        events = decide.request_deployment(self._state, PROJECT, self._candidates[self._version_at(now)], command, now)
        return Decided(events, earlier(now, 5) if self._rng.random() < 0.1 else None)

    def _go_on(self, now: str) -> Decided:
        if not self._state.unfinished:
            raise NotNow
        row = self._hot[self._rng.choice(self._state.unfinished[-UNDER_WAY_AT_ONCE:]).number,]
        chances = NEXT[row["status"]]
        status = self._rng.choices(list(chances), list(chances.values()))[0]
        occurred_at = earlier(now, self._rng.uniform(0, 90)) if self._rng.random() < 0.5 else None
        return self._report(now, row["release_candidate_version"], status, row, occurred_at)

    def _observe(self, now: str) -> Decided:
        status = self._rng.choice(("in_progress", "in_progress", "pending", "success", "failure"))
        return self._report(now, self._version_at(now), status, None, None)

    def _correct(self, now: str) -> Decided:
        row = self._recent()
        status = self._rng.choice([status for status in TERMINAL if status != row["status"]])
        return self._report(now, row["release_candidate_version"], status, row, now)

    def _late(self, now: str) -> Decided:
        row = self._recent()
        occurred_at = earlier(row["deploy_end_at"] or now, 1)
        return self._report(now, row["release_candidate_version"], "in_progress", row, occurred_at)

    def _report(
        self, now: str, version: str, status: str, named: Deployment | None, occurred_at: str | None
    ) -> Decided:
        target = named or self._meant(version)
        went_wrong = status in ("failure", "error")
        command = reporting.ReportStatus(
            deployment_id=id_at(self._rng, now),
            id=named["id"] if named else None,
            status=status,
            occurred_at=occurred_at,
            error_message=f"step {self._rng.randrange(1, 9)} of 9 failed" if went_wrong else None,
            external_url=self._sometimes(f"https://ci.example.com/runs/{self._rng.randrange(10**9)}", 0.4),
        )
        older = self._history(target["number"]) if target else iter(())
        return Decided(
            reporting.report(self._state, self._candidates[version], target, command, now, older), occurred_at
        )

    def _roll_back(self, now: str) -> Decided:
        kind = self._rng.choice((None, *STRATEGIES, "to"))
        to = self._recent()["release_candidate_version"] if kind == "to" else None
        command = decide.RollBack(
            deployment_id=id_at(self._rng, now),
            force=self._rng.random() < 0.2,
            reason=self._sometimes("errors since the deployment"),
            strategy=kind if to is None else None,
            to=to,
        )
        success = self._success_of(to) if to is not None else None
        return Decided(decide.roll_back(self._state, PROJECT, self._history(), success, command, now))

    def _freeze_or_lift(self, now: str) -> Decided:
        if self._state.freeze is not None:
            return Decided(decide.unfreeze(self._state))
        until = write_moment(read_moment(now) + timedelta(days=2)) if self._rng.random() < 0.5 else None
        return Decided(decide.freeze(self._state, "the quarter ends", until, now))

    def _configure(self, _: str) -> Decided:
        return Decided(decide.configure(self._state, replace(self._state.settings, **self._other_setting())))

    def _other_setting(self) -> dict[str, Any]:
        wished = self._settings()
        name = self._rng.choice(("tier", "rollback_strategy", "stuck_after_s"))
        return {name: getattr(wished, name)}

    def _settings(self) -> Settings:
        return Settings(
            tier=self._rng.choice(TIERS),
            rollback_strategy=self._rng.choice(STRATEGIES),
            stuck_after_s=self._rng.choice((None, 600, 3600)),
        )

    def _version_at(self, now: str) -> str:
        """A version that has been cut by then: nearly always one of the newest."""
        cut = bisect_right(self._cut_at, now)
        return self._versions[max(0, cut - 1 - min(int(self._rng.expovariate(0.5)), cut - 1))]

    def _recent(self) -> Deployment:
        """A finished deployment of those that are surely in memory."""
        first = max(1, self.deployments - LATELY)
        row = self._hot[self._rng.randint(first, self.deployments),] if self.deployments else None
        if row is None or not row["finished"]:
            raise NotNow
        return row

    def _history(self, before: int | None = None) -> Iterator[Deployment]:
        for number in range((before or self.deployments + 1) - 1, 0, -1):
            if (number,) not in self._hot:
                raise NotNow
            yield self._hot[number,]

    def _meant(self, version: str) -> Deployment | None:
        """The newest unfinished deployment of the version, else its newest."""
        of_version = [row for row in self._hot.values() if row["release_candidate_version"] == version]
        if not of_version and version in self._seen:
            raise NotNow
        return min(of_version, key=lambda row: (row["finished"], -row["number"]), default=None)

    def _success_of(self, version: str) -> Deployment | None:
        of_version = (row for row in self._history() if row["release_candidate_version"] == version)
        return next((row for row in of_version if row["status"] == "success"), None)

    def _sometimes(self, text: str, chance: float = 0.2) -> str | None:
        return text if self._rng.random() < chance else None
