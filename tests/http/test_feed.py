"""`GET /api/feed`: all events in one order, from a cursor on."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from release_ledger.ledger import feed_questions

from .client import BOTH_DATABASES, Client, EnvironmentClient, Service, fine

Events = list[dict[str, Any]]


def read(client: Client, after: str | None = None, **query: Any) -> tuple[Events, str]:
    asked = "&".join(f"{name}={value}" for name, value in (query | ({"after": after} if after else {})).items())
    answer = fine(client.get(f"/api/feed?{asked}"))
    return answer["events"], answer["cursor"]


def read_all(client: Client, limit: int = 3) -> Events:
    found: Events = []
    cursor = None
    while True:
        events, cursor = read(client, cursor, limit=limit)
        if not events:
            return found
        found += events


@BOTH_DATABASES
def test_the_feed_tells_what_the_histories_tell(production: EnvironmentClient) -> None:
    """Each event as its stream's history shows it, and whose stream it is; each stream's own in their order."""
    production.deploy("1.0-rc1", reason="weekly")
    production.report("1.0-rc1", "success")

    found = read_all(production.client)

    names = ("project_name", "environment_name")
    of_environment = [each for each in found if each["environment_name"] == "production"]
    of_project = [each for each in found if each["project_name"] == "web" and each["environment_name"] is None]
    without = [{name: each[name] for name in each if name not in names} for each in (*of_environment, *of_project)]
    history = fine(production.client.get(f"{production.path}/history"))
    assert without == history + fine(production.client.get(f"{production.project_path}/history"))
    assert {each["type"] for each in found if each["project_name"] is None} == {"token-created"}
    assert len(found) == len(without) + 1


def test_no_answer_holds_a_persons_id_or_a_tokens_digest(service: Service, production: EnvironmentClient) -> None:
    """People are known by their e-mails as long as they are known; of a token nothing is told that would tell it."""
    production.deploy("1.0-rc1")
    ids = [row["person_id"] for row in service.rows("select person_id from people")]
    digests = [row["token_sha256"] for row in service.rows("select token_sha256 from tokens")]

    answer = production.client.get("/api/feed?limit=1000").get_data(as_text=True)

    assert ids
    assert digests
    assert [secret for secret in (*ids, *digests) if secret in answer] == []
    assert "dev@example.com" in answer


def test_a_token_of_some_projects_sees_their_streams_alone(service: Service, production: EnvironmentClient) -> None:
    """Not those of others, whose names begin alike, and not what happened to tokens; its cursor passes them by."""
    other = production.client.environment("production", project="web-2")
    other.deploy("1.0-rc1")
    production.deploy("1.0-rc1")
    limited = service.client("read", projects=["web-2"])

    found = read_all(limited, limit=1)

    everything = read_all(production.client)
    assert found == [each for each in everything if each["project_name"] == "web-2"]
    assert len(found) > 3


def test_a_long_stretch_of_other_projects_is_passed_in_steps(
    service: Service, production: EnvironmentClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No request takes the whole history: it answers nothing, and a cursor that has moved."""
    monkeypatch.setattr(feed_questions, "PIECE_ROWS", 2)
    monkeypatch.setattr(feed_questions, "PIECES", 2)
    for _ in range(5):
        production.deploy("1.0-rc1")
    limited = service.client("read", projects=["none"])

    first, cursor = read(limited)
    second, further = read(limited, cursor)

    assert (first, second) == ([], [])
    assert cursor != further


def test_an_answer_is_bounded_by_bytes_too(production: EnvironmentClient, monkeypatch: pytest.MonkeyPatch) -> None:
    """A thousand events may each carry a long message."""
    monkeypatch.setattr(feed_questions, "ANSWER_BYTES", 1000)

    events, cursor = read(production.client, limit=1000)
    more, _ = read(production.client, cursor, limit=1000)

    assert len(events) == 3
    assert more == []
    production.deploy("1.0-rc1")
    assert len(read_all(production.client, limit=1000)) == 5


@pytest.mark.parametrize(
    "after",
    ["nonsense", "AA", "%3D%3D", "é", "A" * 101, base64.urlsafe_b64encode(b"\x01" + b"\xff" * 16).decode()[:-1]],
)
def test_a_cursor_that_is_none_is_refused(production: EnvironmentClient, after: str) -> None:
    """Its caller reads of which parameter."""
    answer = production.client.get(f"/api/feed?after={after}")

    assert (answer.status_code, answer.get_json()["code"]) == (400, "invalid_request")
    assert "after" in answer.get_json()["details"]


@pytest.mark.parametrize("query", ["limit=0", "limit=x", "wait_s=-1", "wait_s=1.5", "wait_s=x"])
def test_a_number_that_is_none_is_refused(production: EnvironmentClient, query: str) -> None:
    """Much is as good as the most that there is, and nonsense is nonsense."""
    assert production.client.get(f"/api/feed?{query}").status_code == 400
    assert production.client.get("/api/feed?limit=99999&wait_s=99999&after=").status_code == 200


@BOTH_DATABASES
def test_a_cursor_of_before_a_restore_is_refused_where_it_would_skip(
    service: Service, production: EnvironmentClient
) -> None:
    """The feed of the backup goes on with other events: by its number alone, the old cursor would pass them by."""
    production.deploy("1.0-rc1")
    _, of_backup = read(production.client, limit=1000)
    backup = {table: service.rows(f"select * from {table}") for table in ("streams", "events", "feed")}
    production.deploy("1.0-rc1")
    production.deploy("1.0-rc1")
    _, of_lost = read(production.client, limit=1000)
    restore(service, backup)

    after_restore = [production.client.get(f"/api/feed?after={cursor}").status_code for cursor in (of_backup, of_lost)]
    for reason in ("one", "two", "three"):
        fine(production.client.put(f"{production.path}/freeze", {"reason": reason}))
    later, _ = read(production.client, of_backup)
    refused = production.client.get(f"/api/feed?after={of_lost}")

    assert after_restore == [200, 400]
    assert [each["data"]["reason"] for each in later] == ["one", "two", "three"]
    assert refused.status_code == 400
    assert "Begin anew" in refused.get_json()["details"]["after"][0]


def restore(service: Service, backup: dict[str, Events]) -> None:
    """What was recorded after the backup is gone, as if it had never been."""
    for table in ("feed", "events"):
        kept = {(row["stream"], row["version"]) for row in backup[table]}
        for row in service.rows(f"select stream, version from {table}"):
            if (row["stream"], row["version"]) not in kept:
                service.run(f"delete from {table} where stream = :stream and version = :version", **row)
    for row in backup["streams"]:
        service.run(
            "update streams set version = :version, digest = :digest, recorded_at = :recorded_at, folded = ''"
            " where stream = :stream",
            **{name: row[name] for name in ("stream", "version", "digest", "recorded_at")},
        )


def test_what_a_newer_release_recorded_stops_the_feed_before_it(
    service: Service, production: EnvironmentClient
) -> None:
    """An order cannot be kept by leaving something out: what comes before is answered, then 503."""
    _, cursor = read(production.client, limit=1000)
    production.deploy("1.0-rc1")
    service.run("update events set topic = 'deployment-teleported' where topic = 'deployment-requested'")

    events, further = read(production.client, cursor)
    stopped = production.client.get(f"/api/feed?after={further}")

    assert [each["type"] for each in events] == ["release-candidate-cut"]
    assert (stopped.status_code, stopped.get_json()["details"]["topic"]) == (503, "deployment-teleported")


def test_what_is_in_the_feed_is_answered_also_where_nothing_can_be_written(
    service: Service, production: EnvironmentClient
) -> None:
    """Only what has no number yet cannot be told: 503, and no event is passed by."""
    read(production.client, limit=1000)
    fine(production.client.put(f"{production.path}/freeze", {"reason": "stock-taking"}))
    with service.ledger.store.database.engine.connect() as other:
        other.exec_driver_sql("begin immediate")
        events, cursor = read(production.client)
        waiting = production.client.get(f"/api/feed?after={cursor}")
        other.exec_driver_sql("rollback")

    assert len(events) == 3
    assert waiting.status_code == 503
    assert [each["data"]["reason"] for each in read(production.client, cursor)[0]] == ["stock-taking"]


def test_without_a_token_there_is_no_feed(service: Service) -> None:
    """As everywhere."""
    assert service.stranger().get("/api/feed").status_code == 401
