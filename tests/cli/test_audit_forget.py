"""`audit forget`: the e-mail is nowhere any more, and nothing else changes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, Final

import pytest
import requests
from click.testing import CliRunner
from sqlalchemy import inspect, text

from release_ledger.cli import audit_people, main
from release_ledger.environment import Settings
from release_ledger.ledger import Caller, Ledger, forgetting
from tests.laws.stored import assert_whole
from tests.support.command_line import InProcess
from tests.support.server import LiveServer

EMAIL: Final = "dev+büro@example.com"
OPERATOR: Final = Caller(recorded_by="tests")
VERSION: Final = {"release_candidate_version": "1.0-rc1"}


class Person:
    """Who calls the server."""

    def __init__(self, url: str, token: str) -> None:
        self.url, self.headers = f"{url}/api/releases/web", {"Authorization": f"Bearer {token}"}

    def __call__(self, method: str, path: str, body: Any = None, key: str | None = None) -> requests.Response:
        headers = self.headers | ({"Idempotency-Key": key} if key else {})
        return requests.request(method, self.url + path, json=body, headers=headers, timeout=30)


@pytest.fixture(autouse=True)
def _nothing_under_way(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a request that is under way may still keep is a test of its own."""
    monkeypatch.setattr(audit_people, "UNDER_WAY_S", 0.0)


@pytest.fixture
def served(upgraded_url: str, ledger: Ledger) -> Iterator[Person]:
    """A server in another process, and a caller whose token is the person's."""
    ledger.configure_project("web", repo="acme/web", by=OPERATOR)
    settings = Settings(tier="staging", deploy_workflow=None, rollback_strategy="previous", stuck_after_s=None)
    ledger.configure_environment("web", "production", settings, by=OPERATOR)
    token = ledger.create_token("laptop", role="admin", email=EMAIL, by=OPERATOR)
    with LiveServer(upgraded_url) as server:
        yield Person(server.url, token)


def cells_with(ledger: Ledger, wanted: str) -> list[str]:
    """The tables and columns in which a text is, anywhere in any value."""
    needles = [wanted.encode(), json.dumps(wanted).strip('"').encode()]
    found = []
    with ledger.store.database.engine.connect() as connection:
        for table in inspect(connection).get_table_names():
            for row in connection.execute(text(f'select * from "{table}"')).mappings():
                for name, value in row.items():
                    raw = bytes(value) if isinstance(value, bytes | memoryview) else str(value).encode()
                    if any(needle in raw for needle in needles):
                        found.append(f"{table}.{name}")
    return sorted(set(found))


def test_a_forgotten_person_is_nowhere(served: Person, here: InProcess, ledger: Ledger) -> None:
    """Not in any table, not in what another process remembers; and no event has changed."""
    commit = {"repo": "acme/web", "commit": "a" * 40}
    served("POST", "/releases/1.0-rc1", commit, key="cut")
    served("POST", "/environments/production/deployments", VERSION, key="wish")
    served("PUT", "/environments/production/freeze", {"reason": "tests"})
    said = served("PATCH", "/environments/production/deployments", VERSION | {"status": "in_progress"}, key="report")
    before = cells_with(ledger, EMAIL)
    kept = len(rows(ledger, "select * from idempotency_keys"))

    ran = here("audit", "forget", EMAIL, "--yes")

    assert (ran.code, said.json()["actor"]) == (0, EMAIL)
    assert before == ["idempotency_keys.body", "people.email"]
    assert cells_with(ledger, EMAIL) == []
    assert len(rows(ledger, "select * from idempotency_keys")) == kept
    deployment = served("GET", "/environments/production/deployments").json()[0]
    assert (deployment["actor"], deployment["recorded_by"]) == (None, "laptop")
    assert served("GET", "/releases/1.0-rc1").json()["actor"] is None
    assert served("GET", "/environments/production").json()["freeze"]["frozen_by"] == "laptop"
    again = served("POST", "/environments/production/deployments", VERSION, key="wish")
    assert (again.status_code, again.headers["Idempotent-Replayed"], again.json()["actor"]) == (201, "true", None)
    # Looked up anew and remembered; what the next command recalls is of after the forgetting.
    assert served("DELETE", "/environments/production/freeze").status_code == 200
    reported = served("PATCH", "/environments/production/deployments", VERSION | {"status": "success"})
    assert (reported.status_code, reported.json()["actor"]) == (200, None)
    recut = served("POST", "/releases/1.0-rc1", commit, key="another")
    assert (recut.status_code, recut.json()["actor"]) == (201, None)
    assert cells_with(ledger, EMAIL) == []
    assert_whole(ledger.store)


def test_that_somebody_was_forgotten_is_an_event_that_does_not_say_who(here: InProcess, ledger: Ledger) -> None:
    """By an opaque id, that of the events of the person."""
    ledger.create_token("laptop", role="read", email=EMAIL, by=OPERATOR)
    person_id = rows(ledger, "select person_id from people")[0]["person_id"]

    here("audit", "forget", EMAIL, "--yes")

    [event] = rows(ledger, "select state from events where topic = 'person-forgotten'")
    state = json.loads(bytes(event["state"]))
    assert state["forgotten_person_id"] == person_id
    assert state["recorded_by"].startswith("command-line:")
    [shown] = [each for each in ledger.feed(limit=1000).events if each["type"] == "person-forgotten"]
    assert shown["data"] == {}


def test_the_tokens_of_a_forgotten_person_open_as_a_machines_do(served: Person, here: InProcess) -> None:
    """Forgetting takes nobody's access away: that is what `token revoke` is for."""
    here("audit", "forget", EMAIL, "--yes")

    assert served("GET", "").status_code == 200
    [token] = here("token", "list", "--json").json
    assert (token["name"], token["email"], token["state"]) == ("laptop", None, "open")


def test_an_unknown_e_mail_is_refused(here: InProcess, ledger: Ledger) -> None:
    """Also one that is written in another way, and one that was forgotten before."""
    ledger.create_token("laptop", role="read", email=EMAIL, by=OPERATOR)
    first = here("audit", "forget", EMAIL, "--yes")

    second = here("audit", "forget", EMAIL, "--yes")

    assert (first.code, second.code) == (0, 1)
    assert "No person of this e-mail is known" in second.err


def test_tokens_that_are_named_after_the_person_are_listed(
    here: InProcess, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An older release let a token be called by an e-mail: what cannot be forgotten is at least said, open or not."""
    monkeypatch.setattr("release_ledger.access.NO_EMAIL_HAS_LESS", "\0")
    for name in (EMAIL, f"laptop/{EMAIL.upper()}", "other"):
        ledger.create_token(name, role="read", email=EMAIL, by=OPERATOR)
    ledger.revoke_token(EMAIL, by=OPERATOR)

    ran = here("audit", "forget", EMAIL, "--yes")

    assert ran.code == 0
    assert [line.split(" holds ")[0] for line in ran.err.splitlines()] == [
        f"Warning: the name of token {EMAIL}", f"Warning: the name of token laptop/{EMAIL.upper()}",
    ]  # fmt: skip


def test_others_are_not_forgotten_with_them(here: InProcess, ledger: Ledger) -> None:
    """Not those whose e-mail holds the forgotten one."""
    for number, email in enumerate((EMAIL, f"x{EMAIL}", f"{EMAIL}.org")):
        ledger.create_token(f"laptop-{number}", role="read", email=email, by=OPERATOR)

    here("audit", "forget", EMAIL, "--yes")

    assert {row["email"] for row in rows(ledger, "select email from people")} == {f"x{EMAIL}", f"{EMAIL}.org"}


def test_it_asks_first(upgraded_url: str, ledger: Ledger) -> None:
    """Nobody can undo it."""
    ledger.create_token("laptop", role="read", email=EMAIL, by=OPERATOR)
    given = {"RELEASE_LEDGER_DATABASE_URL": upgraded_url}

    declined = CliRunner().invoke(main, ["audit", "forget", EMAIL], input="n\n", env=given)
    still_there = cells_with(ledger, EMAIL)
    agreed = CliRunner().invoke(main, ["audit", "forget", EMAIL], input="y\n", env=given)

    assert (declined.exit_code, still_there) == (1, ["people.email"])
    assert (agreed.exit_code, cells_with(ledger, EMAIL)) == (0, [])


def test_who_was_interrupted_can_go_through_the_kept_answers_again(here: InProcess, ledger: Ledger) -> None:
    """The person is gone already; what is kept of answers is gone through all the same, in pieces."""
    for number in range(7):
        keep(ledger, f"key-{number}", {"actor": EMAIL if number % 2 else "other@example.com", "number": number})

    ran = here("audit", "forget", EMAIL, "--yes")

    assert ran.code == 1
    assert cells_with(ledger, EMAIL) == []
    bodies = [json.loads(bytes(row["body"])) for row in rows(ledger, "select * from idempotency_keys order by key")]
    assert [body["actor"] for body in bodies] == ["other@example.com" if n % 2 == 0 else None for n in range(7)]


def test_kept_answers_are_gone_through_in_pieces(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    """A month of them may be many: no statement goes through all."""
    monkeypatch.setattr(forgetting, "_BOUND", forgetting._bound(3))
    for number in range(10):
        keep(ledger, f"key-{number}", {"actor": EMAIL})

    ledger.forget_kept_answers(EMAIL)

    assert cells_with(ledger, EMAIL) == []


def keep(ledger: Ledger, key: str, body: dict[str, Any]) -> None:
    statement = (
        "insert into idempotency_keys (scope, key, request_digest, status, headers, body, created_at)"
        " values ('scope', :key, :digest, 201, '{}', :body, '2026-11-24T09:30:00.123456+00:00')"
    )
    raw = json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()
    with ledger.store.database.engine.begin() as connection:
        connection.execute(text(statement), {"key": key, "digest": b"x", "body": raw})


def rows(ledger: Ledger, sql: str) -> list[dict[str, Any]]:
    with ledger.store.database.engine.connect() as connection:
        return [dict(row) for row in connection.execute(text(sql)).mappings()]
