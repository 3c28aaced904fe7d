"""Rows that somebody deleted, or gave another key: what is not found leads neither to an event nor to a refusal.

Each command is sent by a process that remembers nothing, to a damaged ledger and to a sound one: the answers
and the events are the same.
"""

from collections.abc import Callable
from typing import Any, Final

import pytest

from release_ledger.ledger import Ledger
from release_ledger.ledger.remembered import Remembered
from release_ledger.projection import mend
from release_ledger.projection.verify import verify
from release_ledger.store.store import stream_names

from .client import BOTH_DATABASES, REPO, Client, EnvironmentClient, Service, commit_of, fine, refused

pytestmark = BOTH_DATABASES

DAMAGE: Final = {
    "all candidates": "delete from release_candidates",
    "a candidate": "delete from release_candidates where number = 2",
    "a candidate's version": "update release_candidates set release_candidate_version = 'x-rc1' where number = 2",
    "the newest candidate": "delete from release_candidates where number = 3",
    "all deployments": "delete from deployments",
    "a deployment": "delete from deployments where number = 2",
    "a deployment's version": "update deployments set release_candidate_version = 'x-rc1' where number = 2",
    "a deployment's id": "update deployments set id = '00000000-0000-7000-8000-000000000000' where number = 2",
    "a deployment's status": "update deployments set status = 'failure' where number = 2",
    "the newest deployment": "delete from deployments where number = 3",
    "the newest deployment's version": "update deployments set release_candidate_version = 'B-rc1' where number = 3",
    "what witnesses": "delete from known_versions",
    "what a witness says": "update known_versions set number = number + 100",
    "the witnesses' table": "drop table known_versions",
    "all tokens": "delete from tokens",
    "a token's digest": "update tokens set token_sha256 = 'x'",
}
ANOTHER: Final = {"repo": REPO, "commit": commit_of("another")}
Sent = tuple[str, str, dict[str, Any] | None]


def reported(version: str, status: str, **more: str) -> Sent:
    return "PATCH", "/deployments", {"release_candidate_version": version, "status": status, **more}


COMMANDS: Final[dict[str, Callable[[str], Sent]]] = {
    "cut again with another commit": lambda _: ("POST", "../../releases/B-rc1", ANOTHER),
    "cut again": lambda _: ("POST", "../../releases/B-rc1", {"repo": REPO, "commit": commit_of("B-rc1")}),
    "cut a new one": lambda _: ("POST", "../../releases/N-rc1", ANOTHER),
    "deploy": lambda _: ("POST", "/deployments", {"release_candidate_version": "B-rc1"}),
    "deploy what was never cut": lambda _: ("POST", "/deployments", {"release_candidate_version": "N-rc1"}),
    "correct": lambda _: reported("B-rc1", "failure"),
    "correct by id": lambda id_: reported("B-rc1", "failure", id=id_),
    "repeat the newest": lambda _: reported("C-rc1", "success"),
    "report an id that is not there": lambda _: reported("B-rc1", "failure", id="00000000-0000-7000-8000-00000000000f"),
    "roll back to": lambda _: ("POST", "/rollback", {"to": "B-rc1"}),
    "roll back": lambda _: ("POST", "/rollback", {}),
    "read by id": lambda id_: ("GET", f"/deployments/{id_}", None),
    "read a candidate": lambda _: ("GET", "../../releases/B-rc1", None),
}
VARIES: Final = (
    "actor",
    "recorded_by",
    "id",
    "deploy_start_at",
    "deploy_end_at",
    "requested_at",
    "created_at",
    "events",
    "commit",
)


@pytest.fixture
def production(production: EnvironmentClient) -> EnvironmentClient:
    """An environment in which A, B and C were deployed with success."""
    production.ran("A-rc1", "B-rc1", "C-rc1")
    return production


def told(production: EnvironmentClient, ledger: Ledger, command: Callable[[str], Sent]) -> tuple[int, Any]:
    """What a process that remembers nothing answers: status and body, but for what differs between two ledgers."""
    [id_] = [one["id"] for one in production.deployments() if one["number"] == 2]
    method, path, body = command(id_)
    whole = production.path + path if path.startswith("/") else f"{production.project_path}{path.removeprefix('../..')}"
    ledger.remembered = Remembered()
    answer = production.client.send(method, whole, body)
    said = answer.get_json()
    return answer.status_code, {key: value for key, value in said.items() if key not in VARIES}


def topics(service: Service) -> list[str]:
    return [row["topic"] for row in service.rows("select topic from events where stream <> 'access' order by position")]


@pytest.mark.parametrize("damage", DAMAGE)
def test_what_is_lost_is_neither_made_anew_nor_refused(
    service: Service, production: EnvironmentClient, damage: str
) -> None:
    """Every command, one after the other: as to a ledger without the damage, which is done again before each."""
    sound = service.environment()
    sound.ran("A-rc1", "B-rc1", "C-rc1")
    for name, command in COMMANDS.items():
        known = len(topics(service))
        expected = told(sound, service.ledger, command)
        sound_events = topics(service)[known:]
        service.run(DAMAGE[damage])

        said = told(production, service.ledger, command)

        assert (name, said) == (name, expected)
        assert (name, topics(service)[known + len(sound_events) :]) == (name, sound_events)
        if damage == "the witnesses' table":
            break
        for stream in stream_names(service.ledger.store, ""):
            mend(service.ledger.store, stream)
        assert [list(found) for _, found in verify(service.ledger.store) if found] == []


def test_a_guessed_token_folds_nothing_anew(service: Service, production: EnvironmentClient) -> None:
    """Who tries tokens is answered from what was folded for the first of them, until a token is made or revoked."""
    stranger = Client(service.app.test_client(), "rl_guessed")
    refused(stranger.get(production.path), 401, "unauthorized")
    service.run("delete from events where stream = 'access' and version = 1")

    refused(Client(service.app.test_client(), "rl_another").get(production.path), 401, "unauthorized")


def test_the_success_that_a_rollback_names_is_found_in_the_history(
    service: Service, production: EnvironmentClient
) -> None:
    """Where its row is gone, a rollback to that version goes on as it would."""
    service.run("delete from deployments where number = 1")

    assert production.preview("?to=A-rc1")["target"] == "A-rc1"
    assert fine(production.press(to="A-rc1"))["release_candidate_version"] == "A-rc1"


@pytest.mark.parametrize("query", ["status=success", "status=failure", "release_candidate_version=B-rc1"])
def test_an_emptied_table_is_no_empty_list(service: Service, production: EnvironmentClient, query: str) -> None:
    """Filters find what they found before."""
    path = f"{production.deployments_path}?{query}"
    before = fine(production.client.get(path))
    service.run("delete from deployments")

    assert fine(production.client.get(path)) == before
