"""What CI and people may do, in any order: the rules of the state machine. `ComparedApi` compares each step."""

from __future__ import annotations

import itertools
import time
from datetime import timedelta

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from tests.laws.api_calls import commit_of, moment_of_now
from tests.laws.compared_api import TO_BE_BUILT, ComparedApi
from tests.laws.contract_model import RANKS, RUNNING, TERMINAL
from tests.laws.environment_model import REPO, UNFINISHED_LIMIT

# The first is used the most: a short run must reach long histories of one environment too.
ENVIRONMENTS = {"production": "walk_back", "staging": "previous", "development": "previous"}
VERSIONS = ("1.0.0-rc1", "1.0.0-rc2", "2026.08.05-2-rc1")
CUT_LATER, NEVER_CUT = "v2-rc0", "9.9.9-rc9"
# As CI may write them: the fifth is the second again, the last is later than any arrival.
MOMENTS = (
    "2024-03-01T12:00:00+00:00",
    "2024-03-02T12:00:00+00:00",
    "2024-03-03T12:00:00.000001+00:00",
    "2024-03-04T12:00:00Z",
    "2024-03-02T14:00:00+02:00",
    "2999-01-01T00:00:00Z",
)
FREEZE_S = 0.03
PROJECTS = itertools.count(1)
KEYS = itertools.count(1)

names = st.sampled_from(("production", "production", "production", "staging", "development"))
versions = st.sampled_from(VERSIONS)
any_version = st.sampled_from((*VERSIONS, *VERSIONS, CUT_LATER, NEVER_CUT, TO_BE_BUILT))
statuses = st.sampled_from((*RANKS, "success", "success", "in_progress"))
strategies = st.sampled_from((None, None, "previous", "walk_back"))
messages = st.sampled_from((None, "no space left", "killed"))
urls = st.sampled_from((None, "https://ci.example.com/1", "http://ci.example.com/2", "ftp://x", "javascript:1"))
reasons = st.sampled_from((None, "because"))
Move = tuple[str, str, str | None]
moves = st.tuples(
    st.sampled_from(("deploy", "back", "back", "back to")),
    versions,
    st.sampled_from(("success", "success", "success", "failure", None)),
)


class ApiMachine(RuleBasedStateMachine):
    """One project in three environments at once; the database is shared by all examples of a test."""

    def __init__(self) -> None:
        super().__init__()
        self.api = self.open_project(f"project-{next(PROJECTS)}")
        self.touched: str | None = None

    def open_project(self, name: str) -> ComparedApi:
        """A new project on the database of this test."""
        raise NotImplementedError

    @initialize(version=versions)
    def begin(self, version: str) -> None:
        """Three environments, each with something deployed."""
        self.api.begin(ENVIRONMENTS)
        for each in VERSIONS:
            self.api.cut(each)
        for name in ENVIRONMENTS:
            self.api.deploy(name, version)

    @rule(name=names, version=versions, status=st.sampled_from((*TERMINAL, "success", "success")))
    def deploy_and_finish(self, name: str, version: str, status: str) -> None:
        self.api.deploy(name, version, force=True)
        self.api.report(name, version, status)
        self.touched = name

    @rule(name=names, version=versions, force=st.booleans(), reason=reasons)
    def deploy(self, name: str, version: str, force: bool, reason: str | None) -> None:
        self.api.deploy(name, version, force=force, reason=reason)
        self.touched = name

    @rule(name=names, lone=versions, other=versions)
    def report_more_than_there_is_room_for(self, name: str, lone: str, other: str) -> None:
        """One finished version is seen running again while the others fill the environment: the oldest is given up."""
        for deployment in self.api.environments[name].unfinished:
            if deployment.version == lone:
                self.api.report(name, lone, "success", named=deployment.id)
        for _ in range(UNFINISHED_LIMIT):
            self.api.deploy(name, other, force=True)
            self.api.report(name, other, "in_progress")
        self.api.report(name, lone, "in_progress")
        self.touched = name

    @rule(name=names, status=st.sampled_from((*RUNNING, "success", "unknown")), at=st.sampled_from((None, MOMENTS[1])))
    def report_what_was_given_up(self, name: str, status: str, at: str | None) -> None:
        for deployment in self.api.environments[name].newest_first:
            if deployment.ending is not None and deployment.ending.by == "ledger" and deployment.decided is None:
                self.api.report(name, deployment.version, "canceling", named=deployment.id)
                self.api.report(name, deployment.version, status, at=at, named=deployment.id)
                self.touched = name
                return

    @rule(name=names, version=versions, status=statuses)
    def report(self, name: str, version: str, status: str) -> None:
        self.api.report(name, version, status)
        self.touched = name

    @rule(name=names, version=any_version, status=statuses, at=st.sampled_from(MOMENTS), message=messages, url=urls)
    def report_with_a_time(
        self, name: str, version: str, status: str, at: str, message: str | None, url: str | None
    ) -> None:
        self.api.report(name, version, status, at=at, message=message, url=url)
        self.touched = name

    @rule(name=names, back=st.integers(0, 5), status=statuses, at=st.sampled_from((None, *MOMENTS)), message=messages)
    def report_by_id(self, name: str, back: int, status: str, at: str | None, message: str | None) -> None:
        newest_first = self.api.environments[name].newest_first
        meant = newest_first[min(back, len(newest_first) - 1)]
        self.api.report(name, meant.version, status, at=at, message=message, named=meant.id)
        self.touched = name

    @rule(name=names, other=names, version=any_version, status=statuses)
    def report_by_a_strange_id(self, name: str, other: str, version: str, status: str) -> None:
        """Of another environment: unknown here. Of this one: perhaps of another version."""
        self.api.report(name, version, status, named=self.api.environments[other].deployments[0].id)
        self.touched = name

    @rule(version=any_version, status=st.sampled_from(("pending", "ready", "failed", "failed")), message=messages)
    def report_build(self, version: str, status: str, message: str | None) -> None:
        """Of a candidate without a build, too; one that failed is deployed no more until it is ready."""
        self.api.report_build(version, status, message)
        if status == "failed" and version == TO_BE_BUILT:
            self.api.cut(version)  # once more
        elif status == "failed":
            self.api.report_build(version, "ready", None)

    @rule(name=names, other=names, back=st.integers(0, 5), reason=reasons)
    def cancel(self, name: str, other: str, back: int, reason: str | None) -> None:
        """One of its own, or of another environment, which is unknown here."""
        newest_first = self.api.environments[other].newest_first
        self.api.cancel(name, newest_first[min(back, len(newest_first) - 1)].id, reason)
        self.touched = name

    @rule(name=names, strategy=strategies, force=st.booleans(), reason=reasons)
    def roll_back(self, name: str, strategy: str | None, force: bool, reason: str | None) -> None:
        self.api.roll_back(name, strategy=strategy, force=force, reason=reason)
        self.touched = name

    @rule(name=names, strategy=strategies, moves=st.lists(moves, min_size=2, max_size=8))
    def go_back_and_forth(self, name: str, strategy: str | None, moves: list[Move]) -> None:
        """Rollbacks and deployments, each with what came of it before the next."""
        for what, version, status in moves:
            if what == "deploy":
                self.api.deploy(name, version, force=True)
                if status is not None:
                    self.api.report(name, version, status)
                continue
            to = version if what == "back to" else None
            pressed = self.api.roll_back(name, strategy=None if to else strategy, to=to, force=True)
            if pressed is not None and status is not None:
                version = self.api.environments[name].newest_first[0].version
                self.api.report(name, version, status, named=pressed)
        self.touched = name

    @rule(name=names, to=any_version, force=st.booleans(), status=st.sampled_from((None, "success", "success")))
    def roll_back_to(self, name: str, to: str, force: bool, status: str | None) -> None:
        pressed = self.api.roll_back(name, to=to, force=force)
        if pressed is not None and status is not None:
            self.api.report(name, to, status, named=pressed)
        self.touched = name

    @rule(name=names, version=any_version)
    def deploy_what_is_not_there_or_not_ready(self, name: str, version: str) -> None:
        self.api.deploy(name, version)
        self.touched = name

    @rule(name=names, version=any_version, status=statuses, back=st.booleans())
    def everything_twice_under_a_key(self, name: str, version: str, status: str, back: bool) -> None:
        """A retry is answered what the first try was, and records nothing; a refusal holds no key."""
        for step in ("deploy", "report", "roll_back" if back else "report"):
            with self.api.with_header("Idempotency-Key", f"key-{next(KEYS)}"):
                if step == "deploy":
                    self.api.deploy(name, version)
                elif step == "report":
                    self.api.report(name, version, status)
                else:
                    self.api.roll_back(name)
        self.touched = name

    @rule(name=names, version=any_version, status=statuses)
    def write_on_condition(self, name: str, version: str, status: str) -> None:
        """With the newest tag as without one; with another not at all."""
        self.api.refuse_stale(name, version)
        with self.api.with_header("If-Match", f'"{self.api.environments[name].version}"'):
            self.api.report(name, version, status)
        self.touched = name

    @rule(version=any_version, other=st.booleans(), repo=st.sampled_from((REPO, "Acme/Shop", "x/y")))
    def cut(self, version: str, other: bool, repo: str) -> None:
        if version != NEVER_CUT:
            self.api.cut(version, commit="f" * 40 if other else commit_of(version).upper(), repo=repo, at=MOMENTS[0])

    @rule(name=names, what=st.sampled_from(("freeze", "freeze until", "freeze too late", "freeze shortly", "previous")))
    def administer(self, name: str, what: str) -> None:
        """Past its `until` a freeze freezes nothing, whoever asks."""
        days = {"freeze until": timedelta(days=1), "freeze too late": timedelta(days=-1)}
        if what == "freeze shortly":
            self.api.freeze(name, what, moment_of_now(timedelta(seconds=FREEZE_S)))
            time.sleep(FREEZE_S + 0.002)
        elif what == "previous":
            self.api.configure(name, what)
        else:
            self.api.freeze(name, "audit", moment_of_now(days[what]) if what in days else None)
        self.touched = name

    @rule(name=names, strategy=st.sampled_from((None, "walk_back")))
    def back_to_usual(self, name: str, strategy: str | None) -> None:
        self.api.unfreeze(name)
        if strategy is not None:
            self.api.configure(name, strategy)
        self.touched = name

    @rule(
        name=names,
        status=st.sampled_from((None, *RANKS)),
        version=st.none() | any_version,
        page=st.integers(1, 3),
        per_page=st.integers(1, 4),
    )
    def read(self, name: str, status: str | None, version: str | None, page: int, per_page: int) -> None:
        self.api.list_deployments(name, page, per_page, status, version)
        self.api.list_candidates(page, per_page)
        self.api.list_environments()
        self.api.get_one(name, page * per_page)

    @invariant()
    def the_environment_just_touched_is_as_the_model_says(self) -> None:
        if self.touched is not None:
            self.api.look_at(self.touched)
            self.touched = None
