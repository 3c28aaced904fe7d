"""Many writers at once, each through its own connection to a real server: nothing is lost, doubled or half written."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from release_ledger.api import create_app
from release_ledger.environment import Settings
from release_ledger.ledger import Caller, Ledger, recording
from release_ledger.store import Append, Store, open_store
from release_ledger.store.database import Database
from tests.laws.crowd import PROJECT, REPO, Asked, Client, at_once
from tests.laws.stored import assert_whole, by_request, events_of
from tests.support.command_line import CommandLine
from tests.support.server import LiveServer

WRITERS, PAIRS, WORKERS = 20, 8, 4
BOUND_S, QUIET_S = 0.3, 5  # the bound of this test; what a busy machine may add
BOUND_OF_ALL_S = recording.DECIDE_AGAIN_S
BY = Caller(recorded_by="tests", request_id="rival")
on_postgresql = pytest.mark.parametrize("database_kind", ["postgresql"], indirect=True)


@pytest.fixture
def server(upgraded_url: str) -> Iterator[LiveServer]:
    """A real server with four worker processes."""
    with LiveServer(upgraded_url, workers=WORKERS) as running:
        yield running


@pytest.fixture
def store(upgraded_url: str) -> Iterator[Store]:
    opened = open_store(upgraded_url, pool_size=1)
    yield opened
    opened.close()


@on_postgresql
@pytest.mark.parametrize("environments", [1, WRITERS], ids=["one environment", "an environment each"])
def test_every_acknowledged_command_is_recorded_once(
    server: LiveServer, store: Store, tmp_path: Path, environments: int
) -> None:
    """Twenty writers deploy and report at the same time. Each command that was answered with success is in the history
    exactly once, at the version of its answer, and nothing else is; nobody is turned away."""
    token = prepared(server, environments)

    def write(client: Client, number: int) -> None:
        for turn in range(PAIRS):
            client.deploy_and_report(f"e{number % environments}", f"w{number}-rc{turn}")

    asked = at_once(server.url, token, WRITERS, write)

    assert {one.status for one in asked} == {200, 201}
    assert len(asked) == WRITERS * PAIRS * 3
    assert_recorded_once(store, asked)
    assert_whole(store)
    assert verified_by_command(server, tmp_path)


@on_postgresql
def test_rollbacks_in_the_crowd_cancel_and_deploy_in_one_piece(
    server: LiveServer, store: Store, tmp_path: Path
) -> None:
    """Some roll back while others deploy: each rollback's cancellations and its deployment are one append, and the
    newest success of the history is what the environment says it runs."""
    token = prepared(server, 2)

    def write(client: Client, number: int) -> None:
        environment = f"e{number % 2}"
        for turn in range(PAIRS):
            client.deploy_and_report(environment, f"w{number}-rc{turn}")
            if number % 4 == turn % 4:
                strategy = "walk_back" if turn % 2 else "previous"
                client.call("POST", f"/environments/{environment}/rollback", {"strategy": strategy})

    asked = at_once(server.url, token, WRITERS, write)

    refused = [one for one in asked if one.status not in (200, 201)]
    assert {(one.status, one.body["code"]) for one in refused} <= {(404, "no_rollback_target")}
    assert any(one.path.endswith("/rollback") and one.status == 201 for one in asked)
    for name in ("e0", "e1"):
        assert running_and_newest_success(server.url, token, name)
    assert_recorded_once(store, asked)
    assert_whole(store)
    assert verified_by_command(server, tmp_path)


def test_a_command_that_is_always_overtaken_is_refused_after_a_while(
    upgraded_url: str, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who never finds the stream where it was seen decides again for a bounded time, is answered 503 with when to try
    again, and leaves no trace; tried again in a quiet moment, the same command is recorded."""
    rival = Ledger.open(upgraded_url, pool_size=1)
    begin(rival)
    overtaken = Overtaken(upgraded_url, rival)
    token = rival.create_token("ci", role="deploy", by=BY)
    before = rival.deployments(PROJECT, "e0")

    replies, took_s = [], []
    for turns in (None, None, 3):
        overtaken.turns = turns
        # Three turns are over within the real bound, however busy the machine is.
        monkeypatch.setattr(recording, "DECIDE_AGAIN_S", BOUND_S if turns is None else BOUND_OF_ALL_S)
        started = time.monotonic()
        client = create_app(ledger=Ledger(overtaken)).test_client()
        replies.append(
            client.post(
                f"/api/releases/{PROJECT}/environments/e0/deployments",
                json={"release_candidate_version": "w-rc0"},
                headers={"Authorization": f"Bearer {token}", "X-Request-Id": f"victim {turns}"},
            )
        )
        took_s.append(time.monotonic() - started)
        if turns is None:
            assert rival.deployments(PROJECT, "e0").items == before.items

    assert [reply.status_code for reply in replies] == [503, 503, 201]
    assert replies[0].get_json() == {"error": "The ledger cannot be written", "code": "ledger_unavailable"}
    assert replies[0].headers["Retry-After"] == "1"
    assert all(BOUND_S <= took < 10 * BOUND_S + QUIET_S for took in took_s[:2])
    assert "victim None" not in by_request(store)
    assert len(by_request(store)["victim 3"]) == 1
    assert_whole(store)
    rival.close()
    overtaken.close()


class Overtaken(Store):
    """A store that lets somebody else append to the stream first; `turns` times, or always (None)."""

    def __init__(self, url: str, rival: Ledger) -> None:
        super().__init__(Database(url, pool_size=1))
        self.rival, self.stuck_after_s = rival, 0
        self.turns: int | None = None

    def append(self, append: Append) -> list[int]:
        if append.head.stream == f"environment/{PROJECT}/e0" and self.turns != 0:
            self.turns = self.turns - 1 if self.turns is not None else None
            self.stuck_after_s += 1
            self.rival.configure_environment(PROJECT, "e0", Settings(stuck_after_s=self.stuck_after_s), by=BY)
        return super().append(append)


def begin(ledger: Ledger) -> None:
    ledger.configure_project(PROJECT, repo=REPO, by=BY)
    ledger.configure_environment(PROJECT, "e0", Settings(), by=BY)
    ledger.cut_release_candidate(PROJECT, "w-rc0", repo=REPO, commit="a" * 40, by=BY)


def prepared(server: LiveServer, environments: int) -> str:
    """The server's first token, when the project and its environments are there."""
    assert server.token is not None
    admin = Client(server.url, server.token)
    with admin.session:
        assert admin.call("PUT", "", {"repo": REPO}).status == 201
        for number in range(environments):
            assert admin.call("PUT", f"/environments/e{number}").status == 201
    return server.token


def assert_recorded_once(store: Store, asked: list[Asked]) -> None:
    """Each success has the events that it must have, together and up to the version of its answer; a refusal none."""
    found = by_request(store)
    for one in asked:
        events = found[one.request_id]
        topics = [event.TOPIC for event in events]
        if one.status not in (200, 201):
            assert topics == []
        elif one.path.startswith("/releases/"):
            assert topics == ["release-candidate-cut"]
        elif one.method == "PATCH":
            assert topics == ["deployment-reported"]
        else:
            canceled = ["deployment-canceled"] * (len(topics) - 1) if one.path.endswith("/rollback") else []
            assert topics == [*canceled, "deployment-requested"]
        if events:
            first, last = events[0].originator_version, events[-1].originator_version
            assert one.etag == f'"{last}"'
            assert last - first == len(events) - 1
    requests = {one.request_id for one in asked}
    configured = {"project-configured", "environment-configured", "token-created"}
    others = [event for events in events_of(store).values() for event in events if event.request_id not in requests]
    assert {event.TOPIC for event in others} <= configured


def running_and_newest_success(url: str, token: str, name: str) -> bool:
    """Whether what an environment says it runs is the newest success of its list."""
    client = Client(url, token)
    with client.session:
        running = client.call("GET", f"/environments/{name}").body["running"]
        listed = client.call("GET", f"/environments/{name}/deployments?status=success&per_page=1").body
    return [running] == list(listed)


def verified_by_command(server: LiveServer, folder: Path) -> bool:
    """Whether `release-ledger projections verify` finds nothing either."""
    return CommandLine(folder, server.database_url)("projections", "verify").code == 0
