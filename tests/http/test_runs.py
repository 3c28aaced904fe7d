"""Runs of GitHub Actions: their first step says which run it is, GitHub's webhook how it stands."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import pytest

from tests.support.github_contract import WEBHOOKS

from .client import BOTH_DATABASES, REPO, Client, EnvironmentClient, Service, alone, commit_of, fine, refused
from .signing import WEBHOOK, WEBHOOK_SECRET, signature_of, tell

WORKFLOW: Final = {"kind": "github", "workflow": "deploy.yml", "ref": "main"}
BUILD_WORKFLOW: Final = WORKFLOW | {"workflow": "build.yml"}
DEPLOY, BUILD = "/api/v1/sync-deploy-github-action", "/api/v1/sync-build-github-action"
RUN: Final = 30433642
WORKFLOW_ID: Final = 2823525
DISPATCHED: Final = {
    "event": "workflow_dispatch",
    "path": ".github/workflows/deploy.yml@refs/heads/main",
    "workflow_id": WORKFLOW_ID,
}
URL: Final = f"https://github.com/{REPO}/actions/runs/{RUN}"


@pytest.fixture
def service(upgraded_url: str) -> Iterator[Service]:
    service = Service(upgraded_url, github_webhook_secret=WEBHOOK_SECRET)
    yield service
    service.close()


@pytest.fixture
def started(production: EnvironmentClient) -> dict[str, Any]:
    """A deployment that a workflow is to be started for."""
    fine(production.client.put(production.path, {"deploy_workflow": WORKFLOW}))
    return production.deploy("A-rc1")


def build_of(
    production: EnvironmentClient, version: str = "2.0.0-rc1", workflow: dict[str, Any] = BUILD_WORKFLOW
) -> dict[str, Any]:
    """A candidate whose build is to be started."""
    settings = {"repo": REPO, "build_workflow": workflow}
    fine(production.client.put(production.project_path, settings))
    body = {"repo": REPO, "commit": commit_of(version), "trigger_build_workflow": True}
    made: dict[str, Any] = fine(production.client.post(f"{production.project_path}/releases/{version}", body))
    return made


def run_of(status: Any = "completed", conclusion: Any = "success", *, repo: str = REPO, **more: Any) -> dict[str, Any]:
    """A webhook as GitHub sends it, of our run."""
    payload = WEBHOOKS[1]
    told = {"id": RUN, "html_url": URL, "status": status, "conclusion": conclusion} | DISPATCHED | more
    repository = payload["repository"] | {"full_name": repo}
    return payload | {"workflow_run": payload["workflow_run"] | told, "repository": repository}


def as_shown(production: EnvironmentClient, deployment: dict[str, Any]) -> dict[str, Any]:
    return alone(production.client.get(f"{production.deployments_path}/{deployment['id']}"))


@pytest.mark.parametrize("run_id", [RUN, str(RUN)])
def test_a_deployment_learns_its_run(
    service: Service, production: EnvironmentClient, started: dict[str, Any], run_id: object
) -> None:
    """200 with the deployment, which shows the run; told twice: the same, and nothing is recorded."""
    body = {"deployment_id": started["id"], "workflow_run_id": run_id}

    first = production.client.post(DEPLOY, body)
    known = service.event_count()
    again = production.client.post(DEPLOY, body)
    other = production.client.post(DEPLOY, body | {"workflow_run_id": 7})

    assert fine(first) == started | {"external_url": URL}
    assert fine(again) == fine(other) == fine(first) == as_shown(production, started)
    assert again.headers["ETag"] == first.headers["ETag"]
    assert service.event_count() == known


def test_a_candidate_learns_its_run(service: Service, production: EnvironmentClient) -> None:
    """The same for a build, by the id that its workflow was given as `release_cut_id`."""
    made = build_of(production)
    body = {"release_cut_id": made["build_id"], "workflow_run_id": RUN}

    first = production.client.post(BUILD, body)
    known = service.event_count()
    again = production.client.post(BUILD, body)

    assert fine(first) == fine(again) == made | {"build_url": URL}
    assert service.event_count() == known


def test_the_address_of_a_run_elsewhere_is_not_known(upgraded_url: str) -> None:
    """Of another server than github.com nothing is made up."""
    service = Service(upgraded_url, github_url="https://github.example.com/api/v3")
    try:
        production = service.environment(deploy_workflow=WORKFLOW)
        body = {"deployment_id": production.deploy("A-rc1")["id"], "workflow_run_id": RUN}

        assert fine(production.client.post(DEPLOY, body))["external_url"] is None
    finally:
        service.close()


def test_unknown_ids(production: EnvironmentClient, started: dict[str, Any]) -> None:
    """404; the id of a build is no deployment's, and the other way round."""
    build_id = build_of(production)["build_id"]
    for id_ in ("x", "0", "019ab1f0-0000-7000-8000-000000000000", build_id):
        refused(
            production.client.post(DEPLOY, {"deployment_id": id_, "workflow_run_id": 1}), 404, "deployment_not_found"
        )
    for id_ in ("x", started["id"]):
        refused(production.client.post(BUILD, {"release_cut_id": id_, "workflow_run_id": 1}), 404, "release_not_found")


def test_a_deployment_without_a_workflow(service: Service, production: EnvironmentClient) -> None:
    """400: it is there, and no run can be its. A token of other projects is told nothing of it."""
    body = {"deployment_id": production.deploy("A-rc1")["id"], "workflow_run_id": RUN}
    limited, known = service.client("deploy", projects=["other"]), service.event_count()

    answer = production.client.post(DEPLOY, body)

    said = refused(answer, 400, "invalid_request")["details"]
    assert said == {"deployment_id": "no workflow was to be started for it"}
    refused(limited.post(DEPLOY, body), 403, "forbidden")
    assert service.event_count() == known


@pytest.mark.parametrize("is_build", [False, True])
def test_a_workflow_without_runs_of_github(service: Service, production: EnvironmentClient, is_build: bool) -> None:
    """400, and nothing is recorded: nobody could be asked how that run stands, and the receiver reports by PATCH."""
    hook = {"kind": "http", "url": "https://deploy.example/hook"}
    if is_build:
        claim = {"release_cut_id": build_of(production, workflow=hook)["build_id"], "workflow_run_id": RUN}
    else:
        fine(production.client.put(production.path, {"deploy_workflow": hook}))
        claim = {"deployment_id": production.deploy("A-rc1")["id"], "workflow_run_id": RUN}
    limited, known = service.client("deploy", projects=["other"]), service.event_count()

    answer = production.client.post(BUILD if is_build else DEPLOY, claim)

    said = refused(answer, 400, "invalid_request")["details"]
    assert said == {"workflow_run_id": "its workflow is of kind http, which has no runs of GitHub Actions"}
    refused(limited.post(BUILD if is_build else DEPLOY, claim), 403, "forbidden")
    assert service.event_count() == known


def other_project(service: Service, repo: str = "mallory/web") -> EnvironmentClient:
    """An environment of another project, of another repository, that starts a workflow of the same name."""
    other = service.environment(deploy_workflow=WORKFLOW)
    fine(other.client.put(other.project_path, {"repo": repo}))
    other.known_versions.add("M-rc1")
    fine(other.client.post(f"{other.project_path}/releases/M-rc1", {"repo": repo, "commit": commit_of("M")}))
    return other


@BOTH_DATABASES
def test_the_run_of_another_is_refused(
    service: Service, production: EnvironmentClient, started: dict[str, Any]
) -> None:
    """400, and nothing is recorded, of another deployment, another project or a build; its own is told again."""
    body = {"deployment_id": started["id"], "workflow_run_id": RUN}
    fine(production.client.post(DEPLOY, body))
    other, made = other_project(service), build_of(production)
    claims = [
        (DEPLOY, {"deployment_id": production.deploy("A-rc1")["id"], "workflow_run_id": RUN}),
        (DEPLOY, {"deployment_id": other.deploy("M-rc1")["id"], "workflow_run_id": str(RUN)}),
        (BUILD, {"release_cut_id": made["build_id"], "workflow_run_id": RUN}),
    ]
    known = service.event_count()

    for path, claim in claims:
        answer = service.client("deploy").post(path, claim)
        assert set(refused(answer, 400, "invalid_request")["details"]) == {"workflow_run_id"}

    assert service.event_count() == known
    assert fine(production.client.post(DEPLOY, body))["external_url"] == URL


def test_a_run_that_was_claimed_reports_where_it_is_from(
    service: Service, production: EnvironmentClient, started: dict[str, Any]
) -> None:
    """A project of another repository that was the first to name it hears nothing of it."""
    other = other_project(service)
    stolen = other.deploy("M-rc1")
    fine(other.client.post(DEPLOY, {"deployment_id": stolen["id"], "workflow_run_id": RUN}))
    before = as_shown(other, stolen)

    first = tell(service.stranger(), run_of("in_progress", None, display_title=f"Deploy {started['id']}"))
    then = tell(service.stranger(), run_of(repo="ACME/web"))
    of_nobody = tell(service.stranger(), run_of(repo="someone/else"))

    assert fine(first) == fine(then) == {"deployment_id": started["id"]}
    assert fine(of_nobody) == {"ignored": "not a run of this ledger"}
    assert as_shown(production, started)["status"] == "success"
    assert as_shown(other, stolen) == before


@pytest.mark.parametrize("run_id", [None, "", 0, -1, 1.5, True, "1 ", "x", "0", "٣", "1" * 21, [1], {}])
def test_what_is_no_run(production: EnvironmentClient, started: dict[str, Any], run_id: object) -> None:
    """400, which names the key."""
    answer = production.client.post(DEPLOY, {"deployment_id": started["id"], "workflow_run_id": run_id})

    assert set(refused(answer, 400, "invalid_request")["details"]) == {"workflow_run_id"}


def test_a_token_reaches_only_its_projects(
    service: Service, production: EnvironmentClient, started: dict[str, Any]
) -> None:
    """A token that is limited to other projects is 403, and nothing is recorded."""
    limited = service.client("deploy", projects=["other"])
    made, known = build_of(production), service.event_count() + 2

    deploy = limited.post(DEPLOY, {"deployment_id": started["id"], "workflow_run_id": 1})
    build = limited.post(BUILD, {"release_cut_id": made["build_id"], "workflow_run_id": 1})

    refused(deploy, 403, "forbidden")
    refused(build, 403, "forbidden")
    assert as_shown(production, started)["external_url"] is None
    assert service.event_count() <= known


def test_a_run_told_under_a_key(production: EnvironmentClient, started: dict[str, Any]) -> None:
    """Retried with the key of the first try, it is answered as the first was."""
    body = {"deployment_id": started["id"], "workflow_run_id": RUN}

    first = production.client.post(DEPLOY, body, headers={"Idempotency-Key": "k"})
    again = production.client.post(DEPLOY, body, headers={"Idempotency-Key": "k"})

    assert fine(again) == fine(first)
    assert again.headers["Idempotent-Replayed"] == "true"


@BOTH_DATABASES
def test_a_run_told_where_the_outbox_is_not_live(
    service: Service, production: EnvironmentClient, started: dict[str, Any]
) -> None:
    """The first step of a deployment does not fail because a read model is being made anew."""
    service.run("update streams set folded = replace(folded, 'outbox', 'outbux')")

    answer = production.client.post(DEPLOY, {"deployment_id": started["id"], "workflow_run_id": RUN})

    assert fine(answer)["external_url"] == URL


def test_there_is_no_webhook_without_a_secret(upgraded_url: str) -> None:
    """404, whatever is sent and however it is signed."""
    service = Service(upgraded_url)
    try:
        refused(tell(service.stranger(), run_of()), 404, "not_found")
        refused(tell(service.stranger(), run_of(), signature=signature_of(b"", "")), 404, "not_found")
    finally:
        service.close()


@pytest.mark.parametrize(
    "signature",
    ["", "sha256=", "sha256=" + "0" * 64, signature_of(b"something else"), "sha1=0", "sha256=é",
     signature_of(b"{}", "x")],
)  # fmt: skip
def test_a_wrong_signature(service: Service, started: dict[str, Any], signature: str) -> None:
    """401, before anything of the body is looked at; nothing is recorded."""
    known = service.event_count()
    body = run_of(display_title=f"Deploy {started['id']}")

    for each in (body, b"no JSON"):
        refused(tell(service.stranger(), each, signature=signature or "x"), 401, "unauthorized")
    missing = service.stranger().post(WEBHOOK, body, headers={"X-GitHub-Event": "workflow_run"})

    refused(missing, 401, "unauthorized")
    assert service.event_count() == known


def test_a_token_does_not_open_the_webhook(admin: Client) -> None:
    """Only a signature does."""
    refused(admin.post(WEBHOOK, run_of(), headers={"X-GitHub-Event": "workflow_run"}), 401, "unauthorized")


@BOTH_DATABASES
def test_a_run_that_is_known_reports_itself(
    service: Service, production: EnvironmentClient, started: dict[str, Any]
) -> None:
    """By its id, whatever its name is; the moment is GitHub's."""
    fine(production.client.post(DEPLOY, {"deployment_id": started["id"], "workflow_run_id": RUN}))

    begun = tell(service.stranger(), run_of("in_progress", None, updated_at="2026-01-01T00:00:00Z"))
    in_progress = as_shown(production, started)["status"]
    done = tell(service.stranger(), run_of(updated_at="2026-01-01T00:01:00Z"))

    assert fine(begun) == fine(done) == {"deployment_id": started["id"]}
    after = as_shown(production, started)
    assert (in_progress, after["status"]) == ("in_progress", "success")
    assert (after["deploy_end_at"], after["external_url"]) == ("2026-01-01T00:01:00.000001+00:00", URL)
    assert production.shown()["running"]["id"] == started["id"]


def test_a_run_is_known_by_its_name(service: Service, production: EnvironmentClient, started: dict[str, Any]) -> None:
    """`run-name` contains the deployment's id: the run is recorded, then how it stands; once."""
    body = run_of(display_title=f"Deploy {started['id'].upper()} to production", repo="ACME/Web")

    answers = [fine(tell(service.stranger(), body)) for _ in range(2)]

    assert answers == [{"deployment_id": started["id"]}] * 2
    events = fine(production.client.get(f"{production.deployments_path}/{started['id']}"))["events"]
    assert [(each["type"], each["recorded_by"]) for each in events[1:]] == [
        ("deployment-triggered", "github"),
        ("deployment-reported", "github"),
    ]
    assert events[1]["data"] == {"run_id": str(RUN), "run_url": URL, "how": "told"}
    assert events[2]["data"]["run_attempt"] == 1


def test_a_run_reports_its_own_deployment(
    service: Service, production: EnvironmentClient, started: dict[str, Any]
) -> None:
    """And not a newer one of the same version."""
    newer = production.deploy("A-rc1")

    fine(tell(service.stranger(), run_of(conclusion="failure", display_title=f"Deploy {started['id']}")))

    assert as_shown(production, started)["status"] == "failure"
    assert as_shown(production, newer) == newer


def test_a_name_in_another_repository_counts_for_nothing(
    service: Service, production: EnvironmentClient, started: dict[str, Any]
) -> None:
    """Whoever can name a run elsewhere cannot report our deployments."""
    body = run_of(display_title=f"Deploy {started['id']}", repo="mallory/web")

    assert fine(tell(service.stranger(), body)) == {"ignored": "not a run of this ledger"}
    assert as_shown(production, started) == started


@pytest.mark.parametrize(
    "more",
    [{"event": "pull_request"}, {"event": "push"}, {"event": None}, {"event": "repository_dispatch"},
     {"path": ".github/workflows/test.yml@refs/heads/main"}, {"path": ".github/workflows/test.yml@x/deploy.yml"},
     {"path": None}, {"path": 7}, {"path": ".github/workflows/Deploy.yml"}],
)  # fmt: skip
def test_a_name_alone_makes_no_run_a_deployments(
    service: Service, production: EnvironmentClient, started: dict[str, Any], more: dict[str, Any]
) -> None:
    """Whoever opens a pull request names its runs: only a dispatched run of the very workflow counts."""
    body = run_of(display_title=f"Deploy {started['id']}", **more)

    assert fine(tell(service.stranger(), body)) == {"ignored": "not a run of this ledger"}
    assert as_shown(production, started) == started


@pytest.mark.parametrize(
    ("workflow", "more"),
    [("deploy.yml", {"path": ".github/workflows/deploy.yml"}), (str(WORKFLOW_ID), {}),
     (str(WORKFLOW_ID), {"path": None})],
)  # fmt: skip
def test_a_workflow_is_known_by_its_file_or_its_id(
    service: Service, production: EnvironmentClient, workflow: str, more: dict[str, Any]
) -> None:
    """Whichever the setting names; GitHub has not always sent the path."""
    fine(production.client.put(production.path, {"deploy_workflow": WORKFLOW | {"workflow": workflow}}))
    made = production.deploy("A-rc1")

    body = run_of(display_title=f"Deploy {made['id']}", **more)

    assert fine(tell(service.stranger(), body)) == {"deployment_id": made["id"]}


def test_another_run_of_the_same_name(service: Service, production: EnvironmentClient, started: dict[str, Any]) -> None:
    """Started by hand with the same input, it is not the deployment's run: the first that is known stays."""
    fine(production.client.post(DEPLOY, {"deployment_id": started["id"], "workflow_run_id": 7}))

    answer = tell(service.stranger(), run_of(conclusion="failure", display_title=f"Deploy {started['id']}"))

    assert fine(answer) == {"ignored": "another run is known of it"}
    assert as_shown(production, started)["status"] == "pending"


@pytest.mark.parametrize(
    ("conclusion", "status", "message"),
    [
        ("success", "ready", None),
        ("failure", "failed", "The build's run ended as failure."),
        ("cancelled", "failed", "The build's run ended as canceled."),
        ("timed_out", "failed", "The workflow's run timed out."),
        ("skipped", "failed", "The workflow's run ended as skipped."),
        (None, "pending", None),
    ],
)
def test_a_build_reports_itself(
    service: Service, production: EnvironmentClient, conclusion: str | None, status: str, message: str | None
) -> None:
    """A candidate is ready when its build's run has succeeded, and failed when it has ended otherwise."""
    made = build_of(production)
    more = {"display_title": f"Build {made['build_id']}", "path": ".github/workflows/build.yml"}
    body = run_of("completed" if conclusion else "in_progress", conclusion, **more)

    assert fine(tell(service.stranger(), body)) == {"release_cut_id": made["build_id"]}
    after = fine(production.client.get(f"{production.project_path}/releases/2.0.0-rc1"))
    assert (after["status"], after["error_message"], after["build_url"]) == (status, message, URL)


@pytest.mark.parametrize("event", ["ping", "push", "workflow_job", "", "x" * 1000])
def test_other_events_are_ignored(service: Service, event: str) -> None:
    """200, so that GitHub shows no failure; `ping` is the first that it sends."""
    assert set(fine(tell(service.stranger(), {"zen": "Design for failure."}, event=event))) == {"ignored"}


def test_all_real_payloads_are_read(service: Service) -> None:
    """As GitHub has sent them over the years; they are of nobody here."""
    for payload in WEBHOOKS:
        assert fine(tell(service.stranger(), payload)) == {"ignored": "not a run of this ledger"}


@pytest.mark.parametrize(
    "payload",
    [b"", b"{", b"[]", b"\xff", {}, {"workflow_run": None}, {"workflow_run": 7}, {"workflow_run": {}},
     run_of() | {"repository": None}, run_of() | {"repository": {}}, run_of(updated_at="now"), run_of(id="x"),
     run_of(id=-1), run_of(status=None), run_of(updated_at="2026-01-01T00:00:00"), run_of(run_attempt="x"),
     run_of(updated_at="9999-12-31T23:59:59.999999-01:00"), run_of(conclusion=7)],
)  # fmt: skip
def test_what_cannot_be_read(service: Service, payload: object) -> None:
    """400 for what is signed and is not a run."""
    refused(tell(service.stranger(), payload), 400, "invalid_request")


def test_a_body_without_end(service: Service) -> None:
    """413, as everywhere."""
    refused(tell(service.stranger(), b" " * (1024 * 1024 + 1)), 413, "body_too_large")


def test_what_cannot_be_recorded_is_503(
    service: Service, production: EnvironmentClient, started: dict[str, Any]
) -> None:
    """GitHub shows that it failed, and may send it again; looking at the run catches up."""
    body = run_of(display_title=f"Deploy {started['id']}")
    service.run("alter table events rename to hidden")
    failed = tell(service.stranger(), body)
    service.run("alter table hidden rename to events")

    refused(failed, 503, "ledger_unavailable")
    assert fine(tell(service.stranger(), body)) == {"deployment_id": started["id"]}
    assert as_shown(production, started)["status"] == "success"
