"""The history of an environment and of a project: a page of it, or all of it as JSON Lines."""

import json
from typing import Any, Final

import pytest

from .client import BOTH_DATABASES, EnvironmentClient, Service, fine, refused

LINES: Final = {"Accept": "application/x-ndjson"}
KEYS: Final = {"version", "type", "data", "actor", "recorded_by", "recorded_at", "occurred_at", "request_id", "digest"}


def lines(production: EnvironmentClient, query: str = "") -> list[dict[str, Any]]:
    answer = production.client.get(f"{production.path}/history{query}", headers=LINES)
    assert (answer.status_code, answer.content_type) == (200, "application/x-ndjson")
    return [json.loads(line) for line in answer.text.splitlines()]


@BOTH_DATABASES
def test_every_event_in_its_order(production: EnvironmentClient, service: Service) -> None:
    """Who, when, what and its link in the chain; no id of a person."""
    production.deploy("A-rc1", reason="weekly")
    production.report("A-rc1", "success", occurred_at="2026-01-01T00:00:00Z")

    answer = production.client.get(f"{production.path}/history")

    events = fine(answer)
    stored = service.rows("select digest, recorded_at from events where stream like 'environment/%' order by version")
    assert answer.headers["ETag"] == '"3"'
    assert [event["version"] for event in events] == [1, 2, 3]
    assert [event["type"] for event in events] == [
        "environment-configured", "deployment-requested", "deployment-reported",
    ]  # fmt: skip
    assert all(set(event) == KEYS for event in events)
    assert [event["digest"] for event in events] == [bytes(row["digest"]).hex() for row in stored]
    assert [event["recorded_at"] for event in events] == [row["recorded_at"] for row in stored]
    assert {event["actor"] for event in events} == {"dev@example.com"}
    assert {event["recorded_by"] for event in events} == {"admin"}
    assert events[1]["data"]["reason"] == "weekly"
    assert events[1]["data"]["number"] == 1
    assert events[2]["occurred_at"] == "2026-01-01T00:00:00.000000+00:00"
    assert "person_id" not in str(events)


def test_pages_by_version(production: EnvironmentClient) -> None:
    """`after` is the version of the last event that is known; past the end there is nothing."""
    production.ran("A-rc1", "B-rc1")

    def versions(query: str) -> list[int]:
        return [each["version"] for each in fine(production.client.get(f"{production.path}/history{query}"))]

    assert versions("") == [1, 2, 3, 4, 5]
    assert versions("?after=1&limit=2") == [2, 3]
    assert versions("?after=5") == versions("?after=9007199254740992") == []


@pytest.mark.parametrize(
    "query", ["after=-1", "after=x", "limit=0", "limit=1001", "limit=1_0", "after=9007199254740993"]
)
def test_a_page_that_no_history_has(production: EnvironmentClient, query: str) -> None:
    """It is said, and nothing is guessed."""
    answer = production.client.get(f"{production.path}/history?{query}")

    assert set(refused(answer, 400, "invalid_request")["details"]) == {query.partition("=")[0]}


@BOTH_DATABASES
def test_all_of_it_as_json_lines(production: EnvironmentClient, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same events in pages, and a last line that says that these were all."""
    monkeypatch.setattr("release_ledger.ledger.history_questions.HISTORY_LIMIT", 2)
    production.ran("A-rc1", "B-rc1")
    page = fine(production.client.get(f"{production.path}/history?limit=1000"))

    *events, end = lines(production)

    assert events == page
    assert end == {"end": True, "version": 5}
    assert lines(production, "?after=3") == [*page[3:], end]
    assert lines(production, "?after=5") == [end]


def test_one_version_for_a_whole_stream(production: EnvironmentClient, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is recorded while a history is read is not in it: it ends at the version that its head says."""
    monkeypatch.setattr("release_ledger.ledger.history_questions.HISTORY_LIMIT", 1)
    ledger_pages, version = _ledger_of(production).whole_history("web", "production")
    first = next(ledger_pages)
    production.ran("A-rc1")

    assert (version, [first, *ledger_pages]) == (1, [first])


def test_a_stream_that_breaks_off_is_told(
    production: EnvironmentClient, service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An event of a newer release amid it: there is no last line."""
    monkeypatch.setattr("release_ledger.ledger.history_questions.HISTORY_LIMIT", 2)
    production.ran("A-rc1", "B-rc1")
    service.run("update events set topic = 'of-tomorrow' where version = 4 and stream like 'environment/%'")
    pages, version = service.ledger.whole_history("web", "production")
    app_lines: list[bytes] = []

    with pytest.raises(Exception, match="cannot be written"):
        app_lines.extend(_lines(pages, version))

    assert [json.loads(line)["version"] for line in b"".join(app_lines).splitlines()] == [1, 2]


def test_the_history_of_a_project(production: EnvironmentClient) -> None:
    """Its settings and candidates; the environment's events are in the environment's own."""
    production.cut("A-rc1")

    answer = production.client.get(f"{production.project_path}/history")

    assert [event["type"] for event in fine(answer)] == ["project-configured", "release-candidate-cut"]
    assert answer.headers["ETag"] == '"2"'
    assert fine(answer)[1]["data"]["release_candidate_version"] == "A-rc1"
    streamed = production.client.get(f"{production.project_path}/history", headers=LINES)
    assert [json.loads(line) for line in streamed.text.splitlines()] == [*fine(answer), {"end": True, "version": 2}]


def test_nothing_to_read(production: EnvironmentClient, service: Service) -> None:
    """Of what is not there, and for those who may not."""
    read = production.client.get
    refused(read("/api/releases/nobody/history"), 404, "project_not_found")
    refused(read("/api/releases/nobody/environments/production/history"), 404, "project_not_found")
    refused(read(f"{production.project_path}/environments/none/history"), 404, "environment_not_found")
    refused(read(f"{production.project_path}/environments/none/history", headers=LINES), 404, "environment_not_found")
    refused(service.stranger().get(f"{production.path}/history"), 401, "unauthorized")
    refused(service.client("read", projects=["other"]).get(f"{production.path}/history"), 403, "forbidden")


def test_a_person_who_was_forgotten(production: EnvironmentClient, service: Service) -> None:
    """The event stands, its actor is null."""
    service.run("delete from people")

    (event,) = fine(production.client.get(f"{production.path}/history"))

    assert event["actor"] is None
    assert event["recorded_by"] == "admin"


def _ledger_of(production: EnvironmentClient) -> Any:
    return production.client.http.application.extensions["ledger"]


def _lines(pages: Any, version: int) -> Any:
    from release_ledger.api.history import _lines as encoded

    return encoded(pages, version)
