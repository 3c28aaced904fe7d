"""The API, each call of which is made of the plain model too: every answer, refusal, version and event is compared."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol

from flask.testing import FlaskClient

from release_ledger.store import Store
from release_ledger.store.store import events_after
from tests.laws.contract_model import Answer, Refused, Report
from tests.laws.environment_model import REPO, EnvironmentModel, ProjectModel

EMAIL, TOKEN_NAME = "dev@example.com", "tester"
ASKER = {"actor": EMAIL, "recorded_by": TOKEN_NAME}
# Cut with a build that never ends, because there is nobody to build: its candidate stays pending.
TO_BE_BUILT = "3.0.0-rc1"
NOTHING: Mapping[str, object] = {}


@dataclass(frozen=True)
class Reply:
    """What was answered."""

    status: int
    body: Any
    etag: str | None
    link: str

    @property
    def refusal(self) -> tuple[int, Any]:
        return self.status, self.body["code"]


class Versioned(Protocol):
    """What has a stream."""

    version: int


class ComparedApi:
    """One project, by the API and by the model."""

    def __init__(self, client: FlaskClient, store: Store, token: str, project_name: str) -> None:
        self.client, self.store, self.project_name = client, store, project_name
        self.headers = {"Authorization": f"Bearer {token}"}
        self.project = ProjectModel(ASKER)
        self.environments: dict[str, EnvironmentModel] = {}

    def call(self, method: str, path: str, body: Answer | None = None, query: Mapping[str, object] = NOTHING) -> Reply:
        path = f"/api/releases/{self.project_name}{path}"
        response = self.client.open(path, method=method, json=body, query_string=given(**query), headers=self.headers)
        assert response.status_code < 500, response.text
        headers = response.headers
        return Reply(response.status_code, response.get_json(), headers.get("ETag"), headers.get("Link", ""))

    def begin(self, environments: dict[str, str]) -> None:
        """A project with these environments and their strategies."""
        assert self.call("PUT", "", {"repo": REPO}).status == 201
        for name, strategy in environments.items():
            made = self.call("PUT", f"/environments/{name}", {"rollback_strategy": strategy})
            assert (made.status, made.etag) == (201, '"1"')
            self.environments[name] = EnvironmentModel(name, ASKER, made.body["created_at"], strategy)

    def cut(self, version: str, *, commit: str | None = None, repo: str = REPO, at: str | None = None) -> None:
        build, commit = version == TO_BE_BUILT, commit or commit_of(version)
        body = given(repo=repo, commit=commit, occurred_at=at, trigger_build_workflow=build or None)
        reply = self.call("POST", f"/releases/{version}", body)

        def outcome(now: str) -> Answer:
            return self.project.cut(version, repo=repo, commit=commit, build=build, occurred_at=as_stored(at), now=now)

        self._compare(self.project, f"project/{self.project_name}", reply, 201, outcome)

    def deploy(self, name: str, version: str, *, force: bool = False, reason: str | None = None) -> None:
        body = given(release_candidate_version=version, force=force or None, reason=reason)
        reply = self.call("POST", f"/environments/{name}/deployments", body)

        def outcome(now: str) -> Answer:
            made = reply.body.get("id", "")
            candidate = self.project.candidate(version)
            return self.environments[name].deploy(candidate, made, force=force, reason=reason, now=now)

        self._compare_in(name, reply, 201, outcome)

    def report(
        self,
        name: str,
        version: str,
        status: str,
        *,
        at: str | None = None,
        message: str | None = None,
        url: str | None = None,
        named: str | None = None,
    ) -> None:
        said = {"error_message": message, "external_url": url, "occurred_at": at, "id": named}
        body = given(release_candidate_version=version, status=status, **said)
        reply = self.call("PATCH", f"/environments/{name}/deployments", body)
        fits = url is None or url.startswith("http")

        def outcome(now: str) -> Answer:
            moment = as_stored(at) or now
            timed = at is not None and moment <= now
            report = Report(status, min(moment, now), timed, message, url if fits else None)
            made = reply.body.get("id", "")
            answer = self.environments[name].report(self.project.candidate(version), named, report, made, now)
            return answer if fits else answer | {"details": reply.body["details"]}

        answer = self._compare_in(name, reply, 200, outcome)
        assert fits or answer is None or "external_url" in answer["details"]

    def roll_back(
        self,
        name: str,
        *,
        strategy: str | None = None,
        to: str | None = None,
        force: bool = False,
        reason: str | None = None,
    ) -> str | None:
        """Preview, then press: the preview says what the press does. The id of the rollback, if there is one."""
        model = self.environments[name]
        preview = self.call("GET", f"/environments/{name}/rollback", query={"strategy": strategy, "to": to})
        self._compare_preview(model, preview, strategy, to)
        body = given(strategy=strategy, to=to, force=force or None, reason=reason)

        reply = self.call("POST", f"/environments/{name}/rollback", body)

        def outcome(now: str) -> Answer:
            made = reply.body.get("id", "")
            return model.roll_back(self.project, made, to=to, strategy=strategy, force=force, reason=reason, now=now)

        answer = self._compare_in(name, reply, 201, outcome)
        assert answer is None or answer["release_candidate_version"] == preview.body["target"]
        return answer["id"] if answer is not None else None

    def freeze(self, name: str, reason: str, until: str | None) -> None:
        reply = self.call("PUT", f"/environments/{name}/freeze", given(reason=reason, until=until))

        def outcome(now: str) -> Answer:
            self.environments[name].freeze(reason, until, now)
            return self._as_answered(name, reply)

        self._compare_in(name, reply, 200, outcome)

    def unfreeze(self, name: str) -> None:
        reply = self.call("DELETE", f"/environments/{name}/freeze")

        def outcome(_: str) -> Answer:
            self.environments[name].unfreeze()
            return self._as_answered(name, reply)

        self._compare_in(name, reply, 200, outcome)

    def configure(self, name: str, strategy: str) -> None:
        reply = self.call("PUT", f"/environments/{name}", {"rollback_strategy": strategy})

        def outcome(_: str) -> Answer:
            self.environments[name].configure(strategy)
            return self._as_answered(name, reply)

        self._compare_in(name, reply, 200, outcome)

    def list_deployments(self, name: str, page: int, per_page: int, status: str | None, version: str | None) -> None:
        model = self.environments[name]
        wanted = {"status": status, "release_candidate_version": version}
        listed = self.call(
            "GET", f"/environments/{name}/deployments", query={"page": page, "per_page": per_page} | wanted
        )

        assert listed.body == model.page(page, per_page, **wanted)
        assert listed.etag == f'"{model.version}"'
        rels = {"first"} | ({"prev"} if page > 1 else set())
        rels |= {"next"} if model.page(page * per_page + 1, 1, **wanted) else set()
        assert {part.partition('rel="')[2][:-1] for part in listed.link.split(", ")} == rels

    def list_candidates(self, page: int, per_page: int) -> None:
        listed = self.call("GET", "/releases", query={"page": page, "per_page": per_page})

        assert listed.body == self.project.candidates[::-1][(page - 1) * per_page : page * per_page]
        assert listed.etag == f'"{self.project.version}"'

    def list_environments(self) -> None:
        listed = self.call("GET", "/environments")

        now, names = moment_of_now(), sorted(self.environments)
        assert listed.body == [self.environments[name].answer(self.project_name, now) for name in names]

    def get_one(self, name: str, back: int) -> None:
        """A deployment alone is what the list shows, and its candidate is what was cut."""
        for shown in self.environments[name].page(back + 1, 1):
            one = self.call("GET", f"/environments/{name}/deployments/{shown['id']}")
            candidate = self.call("GET", f"/releases/{shown['release_candidate_version']}")
            assert (one.status, one.body) == (200, shown)
            assert candidate.body == self.project.candidate(shown["release_candidate_version"])

    def look_at(self, name: str) -> None:
        """The environment and all its deployments."""
        model = self.environments[name]
        shown = self.call("GET", f"/environments/{name}")
        listed = self.call("GET", f"/environments/{name}/deployments", query={"per_page": 100})
        assert shown.body == model.answer(self.project_name, moment_of_now())
        assert listed.body == model.page(1, 100)
        assert shown.etag == listed.etag == f'"{model.version}"'

    def _as_answered(self, name: str, reply: Reply) -> Answer:
        """The environment when it was answered: a freeze of a moment may be over by then."""
        freeze = reply.body.get("freeze")
        return self.environments[name].answer(self.project_name, freeze["frozen_at"] if freeze else moment_of_now())

    def _compare_preview(self, model: EnvironmentModel, preview: Reply, strategy: str | None, to: str | None) -> None:
        if to is not None and to not in {c["release_candidate_version"] for c in self.project.candidates}:
            assert preview.refusal == (404, "release_not_found")
            return
        shown = {key: preview.body[key] for key in ("target", "strategy", "would_cancel")}
        considered = [(one["id"], one["verdict"]) for one in preview.body["considered"]]
        assert shown | {"considered": considered} == model.preview(to, strategy)
        assert preview.body["frozen"] == model.frozen_at(moment_of_now())
        assert preview.etag == f'"{model.version}"'

    def _compare_in(self, name: str, reply: Reply, ok: int, outcome: Callable[[str], Answer]) -> Answer | None:
        return self._compare(self.environments[name], f"environment/{self.project_name}/{name}", reply, ok, outcome)

    def _compare(
        self, model: Versioned, stream: str, reply: Reply, ok: int, outcome: Callable[[str], Answer]
    ) -> Answer | None:
        """Compare with the model's outcome at the moment that the ledger recorded; the ETag with what it recorded."""
        before = model.version
        recorded = list(events_after(self.store, stream, before))
        expected = outcome_or_refusal(outcome, moment_of(recorded))
        assert [event["version"] for event in recorded] == list(range(before + 1, model.version + 1))
        if isinstance(expected, Refused):
            assert reply.refusal == (expected.status, expected.code), reply
            assert not recorded
            return None
        assert (reply.status, reply.body, reply.etag) == (ok, expected, f'"{model.version}"')
        return expected


def outcome_or_refusal(outcome: Callable[[str], Answer], now: str) -> Answer | Refused:
    try:
        return outcome(now)
    except Refused as refused:
        return refused


def given(**values: Any) -> dict[str, Any]:
    """A body without the keys that were not given."""
    return {name: value for name, value in values.items() if value is not None}


def commit_of(version: str) -> str:
    return version.encode().hex().ljust(40, "0")[:40]


def as_stored(moment: str | None) -> str | None:
    """A moment as the ledger writes it: UTC with microseconds."""
    if moment is None:
        return None
    return datetime.fromisoformat(moment).astimezone(UTC).isoformat(timespec="microseconds")


def moment_of(recorded: list[dict[str, Any]]) -> str:
    """When the ledger recorded; now, where it recorded nothing."""
    return str(recorded[-1]["recorded_at"]) if recorded else moment_of_now()


def moment_of_now(later: timedelta = timedelta()) -> str:
    return (datetime.now(UTC) + later).isoformat(timespec="microseconds")
