"""`/openapi.json` and `/docs`: what is described is what there is, and it can be read without the internet."""

import re
from typing import Any, Final

import pytest
from flask import Flask
from openapi_schema_validator import OAS30Validator
from openapi_spec_validator import OpenAPIV30SpecValidator

from .client import REPO, EnvironmentClient, Json, Service, commit_of, refused

UNDESCRIBED: Final = {"/openapi.json", "/docs", "/docs/<name>"}
METHODS: Final = {"get", "put", "post", "patch", "delete"}
HERE: Final = "/api/releases/{project_name}/environments/{env_name}"
WEBHOOK: Final = "/api/v1/github/webhook"
EXPOSURE: Final = "/api/releases/{project_name}/commits/{commit}/exposure"
CANDIDATE: Final = "/api/releases/{project_name}/releases/{release_candidate_version}"


@pytest.fixture
def described(service: Service) -> dict[str, Any]:
    description: dict[str, Any] = service.stranger().get("/openapi.json").get_json()
    return description


def operations(described: Json) -> dict[tuple[str, str], dict[str, Any]]:
    """Every operation of the description, by method and path."""
    return {
        (method, path): operation
        for path, item in described["paths"].items()
        for method, operation in item.items()
        if method in METHODS
    }


def routes(app: Flask) -> set[tuple[str, str]]:
    return {
        (method.lower(), re.sub(r"<(\w+)>", r"{\1}", rule.rule))
        for rule in app.url_map.iter_rules()
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
        if rule.rule not in UNDESCRIBED
    }


def test_the_description_is_valid(described: dict[str, Any]) -> None:
    """It is OpenAPI, by the validator of its authors."""
    assert list(OpenAPIV30SpecValidator(described).iter_errors()) == []


def test_the_description_covers_every_route(service: Service, described: dict[str, Any]) -> None:
    """Every route of the application is described, and nothing else."""
    assert set(operations(described)) == routes(service.app)


def test_every_operation_says_what_it_does_and_how_it_refuses(described: dict[str, Any]) -> None:
    """A summary, a success, and the errors that it can answer, each in the shape of all errors."""
    for (method, path), operation in operations(described).items():
        statuses = set(operation["responses"]) - {"default"}
        errors = {status for status in statuses if status >= "400"}

        assert operation["summary"].strip(), f"{method} {path}"
        assert statuses & {"200", "201"}, f"{method} {path}"
        assert "default" not in operation["responses"], f"{method} {path}"
        if path not in ("/healthz", "/readyz"):
            assert errors >= {"401", "503"}, f"{method} {path}"
            assert ("429" in errors) == (path != WEBHOOK), f"{method} {path}"
            assert ("403" in errors) == ("{" in path or "/sync-" in path), f"{method} {path}"
        for status in errors:
            refusal = resolved(described, operation["responses"][status])
            shape, codes = refusal["content"]["application/json"]["schema"]["allOf"]
            assert shape == described["components"]["schemas"]["Error"], f"{method} {path} {status}"
            assert codes["properties"]["code"]["enum"], f"{method} {path} {status}"


def test_every_operation_has_a_name_of_its_own(described: dict[str, Any]) -> None:
    """Clients are made from the names: they are these, and stay."""
    names = sorted(operation["operationId"] for operation in operations(described).values())

    assert names == sorted(
        [
            "cancelDeployment",
            "compareMoments",
            "createDeployment",
            "cutRelease",
            "freezeEnvironment",
            "getCheckpoint",
            "getDeployment",
            "getEnvironment",
            "getExposure",
            "getHistory",
            "getProject",
            "getProjectHistory",
            "getRelease",
            "githubWebhook",
            "health",
            "listDeployments",
            "listEnvironments",
            "listProjects",
            "listReleases",
            "listRunningPeriods",
            "metrics",
            "previewRollback",
            "putEnvironment",
            "putProject",
            "readFeed",
            "readiness",
            "reportBuild",
            "reportStatus",
            "rollBack",
            "syncBuild",
            "syncDeploy",
            "unfreezeEnvironment",
        ]
    )


def test_links_lead_from_project_to_rollback(described: dict[str, Any]) -> None:
    """Every link leads to an operation, with parameters that it has; from a project, every operation is reached."""
    known = {operation["operationId"]: (path, operation) for (_, path), operation in operations(described).items()}
    reached, waiting = {"listProjects"}, ["listProjects"]
    while waiting:
        for answer in known[waiting.pop()][1]["responses"].values():
            for link in resolved(described, answer).get("links", {}).values():
                path, operation = known[link["operationId"]]
                asked = {each["name"] for each in resolved(described, operation["parameters"])}
                asked |= set(re.findall(r"{(\w+)}", path))
                assert {name.rpartition(".")[2] for name in link["parameters"]} <= asked
                if link["operationId"] not in reached:
                    reached.add(link["operationId"])
                    waiting.append(link["operationId"])

    assert reached == set(known) - {"health", "readiness", "metrics", "readFeed", "getCheckpoint", "githubWebhook"}


def test_examples_are_as_described(described: dict[str, Any]) -> None:
    """Every example fits the schema beside it."""
    for (method, path), operation in operations(described).items():
        for part in (operation.get("requestBody", {}), *operation["responses"].values()):
            for content in resolved(described, part).get("content", {}).values():
                examples = [each["value"] for each in content.get("examples", {}).values()]
                examples += [content["example"]] if "example" in content else []
                for example in examples:
                    wrong = [error.message for error in OAS30Validator(content["schema"]).iter_errors(example)]
                    assert not wrong, f"{method} {path}: {wrong}"


def test_only_the_open_paths_are_described_as_open(described: dict[str, Any]) -> None:
    """The description asks for a bearer token, and says where none is needed."""
    scheme = described["components"]["securitySchemes"]["token"]
    open_paths = {path for (_, path), operation in operations(described).items() if operation.get("security") == []}

    assert (scheme["type"], scheme["scheme"], described["security"]) == ("http", "bearer", [{"token": []}])
    assert open_paths == {"/healthz", "/readyz", WEBHOOK}


def test_no_schema_holds_what_only_python_understands(described: dict[str, Any]) -> None:
    """Patterns are ECMA's: no `\\\\Z`, no `(?P<…>)`."""
    patterns = re.findall(r'"pattern": "((?:[^"\\\\]|\\\\.)*)"', str(described).replace("'", '"'))

    assert not [each for each in patterns if "\\\\Z" in each or "(?P" in each]


def resolved(described: Json, schema: Any) -> Any:
    """A part of the description with its references put in."""
    if isinstance(schema, list):
        return [resolved(described, each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    if "$ref" in schema:
        _, kind, name = schema["$ref"].removeprefix("#/").split("/")
        return resolved(described, described["components"][kind][name])
    return {name: resolved(described, value) for name, value in schema.items()}


STEPS: Final[list[tuple[str, str, Any, int]]] = [
    (
        "put",
        "/api/releases/{project_name}",
        {"repo": REPO, "build_workflow": {"kind": "http", "url": "https://b.example"}},
        201,
    ),
    ("put", "/api/releases/{project_name}", {"repo": REPO}, 200),
    ("get", "/api/releases/{project_name}", None, 200),
    ("get", "/api/releases", None, 200),
    ("put", HERE, {"deploy_workflow": {"kind": "github", "workflow": "d.yml", "ref": "main"}}, 201),
    ("put", HERE, {}, 200),
    ("get", HERE, None, 200),
    ("get", f"{HERE}/rollback", None, 200),
    ("post", CANDIDATE, {"repo": REPO, "commit": commit_of("A-rc1")}, 201),
    ("post", CANDIDATE, {"repo": REPO, "commit": commit_of("B-rc1")}, 409),
    ("patch", CANDIDATE, {"status": "ready", "build_url": "x:"}, 200),
    ("patch", CANDIDATE, {"status": "done"}, 400),
    ("post", f"{HERE}/deployments", {"release_candidate_version": "A-rc1"}, 201),
    ("post", f"{HERE}/deployments", {"release_candidate_version": "A"}, 400),
    ("post", f"{HERE}/rollback", None, 404),
    (
        "patch",
        f"{HERE}/deployments",
        {"release_candidate_version": "A-rc1", "status": "success", "external_url": "x:"},
        200,
    ),
    ("post", f"{HERE}/rollback", {"to": "A-rc1"}, 201),
    ("get", f"{HERE}/deployments/{{deployment_id}}", None, 200),
    ("post", f"{HERE}/deployments/{{deployment_id}}/cancel", {"reason": "by mistake"}, 200),
    ("post", "/api/v1/sync-deploy-github-action", {"deployment_id": "x", "workflow_run_id": 1}, 404),
    ("post", "/api/v1/sync-build-github-action", {"release_cut_id": "x", "workflow_run_id": 0}, 400),
    ("post", WEBHOOK, {}, 404),
    ("get", f"{HERE}/deployments", None, 200),
    ("get", f"{HERE}/running", None, 200),
    ("get", f"{HERE}/running?from=now", None, 400),
    ("get", EXPOSURE, None, 200),
    ("get", f"{HERE}/rollback", None, 200),
    ("put", f"{HERE}/freeze", {"reason": "holidays", "until": "2999-01-01T00:00:00Z"}, 200),
    ("post", f"{HERE}/deployments", {"release_candidate_version": "A-rc1"}, 400),
    ("get", HERE, None, 200),
    ("get", "/api/releases/{project_name}/environments", None, 200),
    ("delete", f"{HERE}/freeze", None, 200),
    ("get", CANDIDATE, None, 200),
    ("get", "/api/releases/{project_name}/releases", None, 200),
    ("get", "/healthz", None, 200),
]


def test_answers_are_as_described(service: Service, described: dict[str, Any]) -> None:
    """Every answer of a scenario, successes and refusals, fits the schema that is described for its status."""
    client, known = service.client("admin", email="dev@example.com"), operations(described)
    names = {
        "project_name": "web",
        "env_name": "production",
        "release_candidate_version": "A-rc1",
        "commit": commit_of("A-rc1"),
    }

    for method, path, body, status in STEPS:
        answer = client.send(method.upper(), path.format(**names), body)
        if answer.status_code == 201 and "kind" in answer.get_json():
            names["deployment_id"] = answer.get_json()["id"]

        assert answer.status_code == status, f"{method} {path}: {answer.text}"
        content = resolved(described, known[method, path.partition("?")[0]]["responses"][str(status)]).get(
            "content", {}
        )
        schema = content.get("application/json", {}).get("schema", {})
        wrong = [error.message for error in OAS30Validator(schema).iter_errors(answer.get_json())]
        assert not wrong, f"{method} {path}: {wrong}"


def test_a_deployment_is_described_as_it_is(described: dict[str, Any], production: EnvironmentClient) -> None:
    """Every key of a deployment is in its schema, but those that a later release adds."""
    deployment = production.deploy("A-rc1")

    properties = described["components"]["schemas"]["Deployment"]["properties"]

    assert set(deployment) <= set(properties)


def test_the_page_is_served_offline(service: Service) -> None:
    """The page and all that it refers to come from here, and a policy keeps it so; no token is needed."""
    page = service.stranger().get("/docs")
    referred = re.findall(r'(?:src|href)="([^"]+)"', page.text)

    assert page.status_code == 200
    assert page.content_type.startswith("text/html")
    assert len(referred) >= 4
    for reference in referred:
        assert reference.startswith("/"), reference
        assert not reference.startswith("//"), reference
        assert service.stranger().get(reference).status_code == 200, reference
    policy = page.headers["Content-Security-Policy"]
    assert "default-src 'self'" in policy
    assert not re.search(r"https?:|\*|'unsafe-eval'|script-src[^;]*'unsafe-inline'", policy)


def test_the_assets_fetch_nothing_from_elsewhere(service: Service) -> None:
    """What the page starts asks only this server; the style sheet loads no font and no image from outside."""
    start = service.stranger().get("/docs/docs.js").text
    style = service.stranger().get("/docs/swagger-ui.css").text

    assert not re.search(r"https?://", start)
    assert "validatorUrl: null" in start
    assert not re.search(r"@import|url\(\s*['\"]?(?:https?:)?//", style)


@pytest.mark.parametrize(
    "name", ["../app.py", "..%2Fapp.py", "%2e%2e/app.py", "index.html", "swagger-ui.js.map", "/etc/passwd"]
)
def test_nothing_else_is_served(service: Service, name: str) -> None:
    """Only the page's own files are served."""
    answer = service.stranger().get(f"/docs/{name}")

    refused(answer, 404, "not_found")
