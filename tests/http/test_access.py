"""Who may call: tokens, roles, projects; and that neither a token nor an e-mail is written down."""

from datetime import UTC, datetime, timedelta
from time import sleep
from typing import Any, Final

import pytest
from flask import Flask
from sqlalchemy import inspect

from release_ledger.access import ROLES, Role, allows, digest
from release_ledger.versions import write_moment

from .client import BOTH_DATABASES, OPERATOR, REPO, Client, EnvironmentClient, Service, commit_of, fine, refused

OPEN: Final = {"/healthz", "/readyz", "/openapi.json", "/docs", "/docs/<name>", "/api/v1/github/webhook"}
DEPLOY: Final = {
    ("POST", "/api/releases/<project_name>/releases/<release_candidate_version>"),
    ("POST", "/api/releases/<project_name>/environments/<env_name>/deployments"),
    ("PATCH", "/api/releases/<project_name>/environments/<env_name>/deployments"),
    ("POST", "/api/releases/<project_name>/environments/<env_name>/rollback"),
    ("PATCH", "/api/releases/<project_name>/releases/<release_candidate_version>"),
    ("POST", "/api/releases/<project_name>/environments/<env_name>/deployments/<deployment_id>/cancel"),
    ("POST", "/api/v1/sync-build-github-action"),
    ("POST", "/api/v1/sync-deploy-github-action"),
}
ADMIN: Final = {
    ("PUT", "/api/releases/<project_name>"),
    ("PUT", "/api/releases/<project_name>/environments/<env_name>"),
    ("PUT", "/api/releases/<project_name>/environments/<env_name>/freeze"),
    ("DELETE", "/api/releases/<project_name>/environments/<env_name>/freeze"),
}
BODIES: Final[dict[str, dict[str, Any]]] = {
    "releases/<release": {"repo": REPO, "commit": commit_of("B-rc1"), "status": "ready"},
    "sync-": {"deployment_id": "0", "release_cut_id": "0", "workflow_run_id": 1},
    "deployments": {"release_candidate_version": "A-rc1", "status": "success"},
    "freeze": {"reason": "holidays"},
    "": {"repo": REPO},
}


def routes(app: Flask) -> list[tuple[str, str]]:
    """Every method of every path that the application knows, closed ones only."""
    found = [(method, rule.rule) for rule in app.url_map.iter_rules() for method in sorted(rule.methods or ())]
    return [(method, rule) for method, rule in found if rule not in OPEN]


def role_of(method: str, rule: str) -> Role:
    """The contract's: every GET is `read`; a route that nobody has thought of is nobody's."""
    if (method, rule) in DEPLOY | ADMIN:
        return "deploy" if (method, rule) in DEPLOY else "admin"
    assert method in ("GET", "HEAD"), f"{method} {rule} is new: say here who may call it"
    return "read"


def asked(client: Client, method: str, rule: str) -> Any:
    """A request of this route that would be fine for who may make it."""
    names = {
        "project_name": "web",
        "env_name": "production",
        "release_candidate_version": "A-rc1",
        "deployment_id": "0",
        "commit": commit_of("A-rc1"),
    }
    path = rule
    for name, value in names.items():
        path = path.replace(f"<{name}>", value)
    body = next(body for part, body in BODIES.items() if part in rule)
    return client.send(method, path, body if method in ("POST", "PUT", "PATCH") else None)


def test_every_route_is_known(service: Service) -> None:
    """A new route fails here until somebody says who may call it."""
    closed = routes(service.app)

    assert {role_of(*route) for route in closed} == set(ROLES)
    assert set(closed) >= DEPLOY | ADMIN


@pytest.mark.parametrize("role", ROLES)
def test_the_role_matrix(service: Service, production: EnvironmentClient, role: Role) -> None:
    """Every route is open to its role and to those above it, and to no other."""
    production.ran("A-rc1", "B-rc1")
    client = service.client(role)

    for method, rule in routes(service.app):
        answer = asked(client, method, rule)

        allowed = allows(role, role_of(method, rule))
        assert (answer.status_code != 403) == allowed, f"{method} {rule}: {answer.status}"
        assert answer.status_code < 500
        if not allowed:
            refused(answer, 403, "forbidden", "forbidden")


def test_nothing_else_is_reachable_without_a_token(service: Service, production: EnvironmentClient) -> None:
    """Without a token every route but the open ones is 401, with WWW-Authenticate, and records nothing."""
    production.ran("A-rc1")
    known = service.event_count()

    for method, rule in routes(service.app):
        answer = asked(service.stranger(), method, rule)

        assert answer.status_code == 401, f"{method} {rule}: {answer.status}"
        assert answer.headers["WWW-Authenticate"] == "Bearer"
    assert service.event_count() == known


def test_what_is_open(service: Service) -> None:
    """Health, readiness and the description answer strangers, and a wrong token does not matter there."""
    for path in ("/healthz", "/readyz", "/openapi.json", "/docs", "/docs/docs.js"):
        assert service.stranger().get(path).status_code == 200
        assert service.stranger().get(path, headers={"Authorization": "Bearer wrong"}).status_code == 200


@pytest.mark.parametrize(
    "header",
    ["", "Bearer", "Bearer ", "Bearer wrong", "Basic {token}", "{token}", "Bearer {token} x", "Bearer {token}x",
     "Bearer \xff", "Bearer " + "x" * 100_000, "Bearer {digest}", "Token {token}", "Bearer {shouted}"],
)  # fmt: skip
def test_what_is_no_token(service: Service, admin: Client, header: str) -> None:
    """Anything but the token itself, behind `Bearer`, is 401; its digest too."""
    token = str(admin.token)
    given = header.format(token=token, digest=digest(token), shouted=token.upper())

    answer = service.stranger().get("/api/releases", headers={"Authorization": given})

    refused(answer, 401, "unauthorized", "unauthorized")
    assert answer.headers["WWW-Authenticate"] == "Bearer"


def test_the_scheme_is_in_any_case(service: Service, admin: Client) -> None:
    """`bearer` is `Bearer` (RFC 9110)."""
    fine(service.stranger().get("/api/releases", headers={"Authorization": f"bearer {admin.token}"}))


@BOTH_DATABASES
def test_a_revoked_token(service: Service) -> None:
    """A revoked token opens nothing from that moment on; a new one may have its name."""
    client = service.client("read", name="ci")
    fine(client.get("/api/releases"))

    service.ledger.revoke_token("ci", by=OPERATOR)

    refused(client.get("/api/releases"), 401, "unauthorized")
    fine(service.client("read", name="ci").get("/api/releases"))
    refused(client.get("/api/releases"), 401, "unauthorized")


def test_an_expired_token(service: Service) -> None:
    """A token opens until it expires."""
    expires_at = datetime.now(UTC) + timedelta(seconds=0.5)
    client = service.client("read", expires_at=write_moment(expires_at))
    fine(client.get("/api/releases"))

    while datetime.now(UTC) <= expires_at:
        sleep(0.02)

    refused(client.get("/api/releases"), 401, "unauthorized")


def test_a_token_limited_to_projects(service: Service, admin: Client) -> None:
    """Outside of its projects a token is 403, whether they are there or not; the list shows its own."""
    for name in ("a", "b", "c"):
        admin.environment(project=name)
    limited = service.client("admin", projects=["a", "c", "not-yet"])

    listed = fine(limited.get("/api/releases"))

    assert [each["name"] for each in listed] == ["a", "c"]
    for path in ("/api/releases/b", "/api/releases/b/environments", "/api/releases/unknown", "/api/releases/A"):
        refused(limited.get(path), 403, "forbidden", "forbidden")
    assert limited.put("/api/releases/not-yet", {"repo": REPO}).status_code == 201
    assert fine(service.client("read", projects=[]).get("/api/releases")) == []


def test_a_limited_token_at_every_route(service: Service) -> None:
    """No route that names a project forgets to ask whether the token is for it."""
    limited = service.client("admin", projects=["other"])

    for method, rule in routes(service.app):
        if "<project_name>" in rule:
            assert asked(limited, method, rule).status_code == 403, f"{method} {rule}"


@BOTH_DATABASES
def test_secrets_and_emails_are_written_nowhere(
    service: Service, production: EnvironmentClient, capfd: pytest.CaptureFixture[str]
) -> None:
    """A token is in no table and no log, only its digest; an e-mail is in `people` alone, in no event."""
    token, email = str(production.client.token), "dev@example.com"
    production.ran("A-rc1", "B-rc1")
    fine(production.client.put(f"{production.path}/freeze", {"reason": "holidays"}))
    fine(production.press(force=True))
    production.client.get("/nowhere")
    service.run("alter table events rename to hidden")
    production.client.post(f"{production.path}/rollback", {"force": True})
    service.run("alter table hidden rename to events")

    tables = inspect(service.ledger.store.database.engine).get_table_names()
    stored = {
        table: repr([list(map(as_text, row.values())) for row in service.rows(f"select * from {table}")])
        for table in tables
    }

    assert [table for table in stored if token in stored[table] or token.removeprefix("rl_") in stored[table]] == []
    assert [table for table in stored if digest(token) in stored[table]] == ["events", "tokens"]
    assert [table for table in stored if email in stored[table]] == ["people"]
    printed = capfd.readouterr()
    assert token not in printed.out + printed.err
    assert email not in printed.out + printed.err


def as_text(value: object) -> str:
    return bytes(value).decode("utf-8", "replace") if isinstance(value, bytes | memoryview) else str(value)
