"""Commands and questions of one project, each made of the API and of the plain model, and compared."""

from __future__ import annotations

from typing import Any

from tests.laws.api_calls import ASKER, ApiCalls, Reply, as_stored, commit_of, given, moment_of_now
from tests.laws.contract_model import Answer, Report
from tests.laws.environment_model import REPO, EnvironmentModel

# Cut with a build that never ends, because there is nobody to build: its candidate stays pending.
TO_BE_BUILT = "3.0.0-rc1"


class ComparedApi(ApiCalls):
    """What can be done and asked; whatever differs from the model is a failed assertion."""

    def begin(self, environments: dict[str, str]) -> None:
        """A project with these environments and their strategies."""
        assert self.call("PUT", "", {"repo": REPO}).status == 201
        for name, strategy in environments.items():
            made = self.call("PUT", f"/environments/{name}", {"rollback_strategy": strategy})
            assert (made.status, made.etag) == (201, '"1"')
            self.environments[name] = EnvironmentModel(name, ASKER, made.body["created_at"], strategy)

    def cut(self, version: str, *, commit: str | None = None, repo: str = REPO, at: str | None = None) -> None:
        to_build, commit = version == TO_BE_BUILT, commit or commit_of(version)
        body = given(repo=repo, commit=commit, occurred_at=at, trigger_build_workflow=to_build or None)
        reply = self.call("POST", f"/releases/{version}", body)

        def outcome(now: str) -> Answer:
            build = reply.body.get("build_id") if to_build else None
            return self.project.cut(version, repo=repo, commit=commit, build=build, occurred_at=as_stored(at), now=now)

        self.compare(self.project, f"project/{self.project_name}", reply, 201, outcome)

    def deploy(self, name: str, version: str, *, force: bool = False, reason: str | None = None) -> None:
        body = given(release_candidate_version=version, force=force or None, reason=reason)
        reply = self.call("POST", f"/environments/{name}/deployments", body)

        def outcome(now: str) -> Answer:
            made = reply.body.get("id", "")
            candidate = self.project.candidate(version)
            return self.environments[name].deploy(candidate, made, force=force, reason=reason, now=now)

        self.compare_in(name, reply, 201, outcome)

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

        answer = self.compare_in(name, reply, 200, outcome)
        assert fits or answer is None or "external_url" in answer["details"]

    def report_build(self, version: str, status: str, message: str | None) -> None:
        reply = self.call("PATCH", f"/releases/{version}", given(status=status, error_message=message))

        def outcome(_: str) -> Answer:
            return self.project.report_build(version, status, message)

        self.compare(self.project, f"project/{self.project_name}", reply, 200, outcome)

    def cancel(self, name: str, id_: str, reason: str | None) -> None:
        reply = self.call("POST", f"/environments/{name}/deployments/{id_}/cancel", given(reason=reason))

        def outcome(now: str) -> Answer:
            return self.environments[name].cancel(id_, now)

        self.compare_in(name, reply, 200, outcome)

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

        answer = self.compare_in(name, reply, 201, outcome)
        assert answer is None or answer["release_candidate_version"] == preview.body["target"]
        return answer["id"] if answer is not None else None

    def freeze(self, name: str, reason: str, until: str | None) -> None:
        reply = self.call("PUT", f"/environments/{name}/freeze", given(reason=reason, until=until))

        def outcome(now: str) -> Answer:
            self.environments[name].freeze(reason, until, now)
            return self._as_answered(name, reply)

        self.compare_in(name, reply, 200, outcome)

    def unfreeze(self, name: str) -> None:
        reply = self.call("DELETE", f"/environments/{name}/freeze")

        def outcome(_: str) -> Answer:
            self.environments[name].unfreeze()
            return self._as_answered(name, reply)

        self.compare_in(name, reply, 200, outcome)

    def configure(self, name: str, strategy: str) -> None:
        reply = self.call("PUT", f"/environments/{name}", {"rollback_strategy": strategy})

        def outcome(_: str) -> Answer:
            self.environments[name].configure(strategy)
            return self._as_answered(name, reply)

        self.compare_in(name, reply, 200, outcome)

    def refuse_stale(self, name: str, version: str) -> None:
        """A write that is meant for another version of the environment records nothing, whatever it asks for."""
        model = self.environments[name]
        place, body = f"/environments/{name}", {"release_candidate_version": version, "status": "success"}
        with self.with_header("If-Match", f'"{model.version - 1}"'):
            replies = [
                self.call("PATCH", f"{place}/deployments", body),
                self.call("POST", f"{place}/deployments", body),
                self.call("POST", f"{place}/rollback", {"force": True}),
                self.call("PUT", f"{place}/freeze", {"reason": "too late"}),
                self.call("DELETE", f"{place}/freeze"),
            ]
        assert {reply.refusal for reply in replies} == {(412, "precondition_failed")}
        assert self.recorded(name) == []

    def list_deployments(self, name: str, page: int, per_page: int, status: str | None, version: str | None) -> None:
        model = self.environments[name]
        wanted: dict[str, Any] = {"status": status, "release_candidate_version": version}
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
            events = one.body.pop("events")
            assert (one.status, one.body) == (200, shown | {"events_total": len(events)})
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
