"""Lost rows that no witness of a version tells: ids, successes, tokens, wishes, and the past.

Each is asked of a process that remembers nothing, before the damage and after it.
"""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any, Final

import pytest

from release_ledger.errors import TokenExists
from release_ledger.ledger import absence
from release_ledger.ledger.absence import require_no_such_id
from release_ledger.ledger.view_selects import HISTORY_PAGE
from release_ledger.projection import environment_stream
from release_ledger.store.store import head_of

from .client import BOTH_DATABASES, OPERATOR, Client, EnvironmentClient, Service, fine, refused

pytestmark = BOTH_DATABASES

LAST_DIGIT: Final = "substr(id, 1, 35) || (case substr(id, 36, 1) when '0' then '1' else '0' end)"
WORKFLOW: Final = {"kind": "github", "workflow": "deploy.yml", "ref": "main"}


@pytest.fixture
def production(production: EnvironmentClient) -> EnvironmentClient:
    """An environment in which A, B and C were deployed with success."""
    production.ran("A-rc1", "B-rc1", "C-rc1")
    return production


@contextmanager
def begun_anew(upgraded_url: str, known: EnvironmentClient) -> Iterator[tuple[Service, EnvironmentClient]]:
    """The same environment served by a process that remembers nothing."""
    with closing(Service(upgraded_url)) as service:
        client = Client(service.app.test_client(), known.client.token)
        yield service, EnvironmentClient(client, known.project_path, known.name)


@pytest.mark.parametrize("number", [1, 2, 3])
@pytest.mark.parametrize("damage", [LAST_DIGIT, "id || 'x'", "''"])
def test_an_id_that_was_edited_a_little(
    upgraded_url: str, service: Service, production: EnvironmentClient, number: int, damage: str
) -> None:
    """It still lies between its neighbours' ids; a report of the true id is recorded all the same."""
    [known] = [one for one in production.deployments() if one["number"] == number]
    service.run(f"update deployments set id = {damage} where number = {number}")

    with begun_anew(upgraded_url, production) as (_, anew):
        read = fine(anew.client.get(f"{anew.deployments_path}/{known['id']}"))
        corrected = anew.report(known["release_candidate_version"], "failure", id=known["id"])

    assert (read["number"], corrected["number"], corrected["status"]) == (number, number, "failure")


def test_ids_in_another_order_than_their_numbers(
    upgraded_url: str, service: Service, production: EnvironmentClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Made in one moment, or by servers whose clocks differ: one that is lost is missed all the same."""
    later, sooner = ("ffffffff-ffff-7fff-8fff-fffffffffffe", "ffffffff-ffff-7fff-8fff-fffffffffffd")
    ids = iter([later, sooner])
    monkeypatch.setattr("release_ledger.ledger.environment_commands.new_id", lambda: next(ids, sooner))
    production.deploy("A-rc1")
    monkeypatch.undo()
    production.report("A-rc1", "success")
    monkeypatch.setattr("release_ledger.ledger.environment_commands.new_id", lambda: sooner)
    production.deploy("B-rc1")
    monkeypatch.undo()
    production.report("B-rc1", "success")
    service.run("delete from deployments where number = 4")

    with begun_anew(upgraded_url, production) as (_, anew):
        assert fine(anew.client.get(f"{anew.deployments_path}/{later}"))["number"] == 4


def test_an_id_that_nobody_has_is_answered_from_rows(service: Service, production: EnvironmentClient) -> None:
    """While the rows are whole, no stream is folded for it, whatever the id: it would find nothing here."""
    service.run("delete from events where stream <> 'access'")

    for nobodys in ("nobody", "00000000-0000-7000-8000-000000000000", "ffffffff-ffff-7fff-8fff-ffffffffffff"):
        answer = production.client.get(f"{production.deployments_path}/{nobodys}")
        refused(answer, 404, "deployment_not_found")


def test_a_deployment_that_was_made_meanwhile_is_no_contradiction(
    service: Service, production: EnvironmentClient
) -> None:
    """It has a number that the environment, as it was seen before, does not know yet."""
    store, stream = service.ledger.store, environment_stream("web", production.name)

    require_no_such_id(store, head_of(store, stream), 2, "ffffffff-ffff-7fff-8fff-ffffffffffff")


@pytest.mark.parametrize("path", ["rollback", "preview", "preview of the past"])
def test_the_only_success_of_a_version_whose_newer_attempt_failed(
    upgraded_url: str, service: Service, production: EnvironmentClient, path: str
) -> None:
    """Its row is lost, and the newest deployment of the version is there: the rollback goes where it would."""
    production.deploy("A-rc1")
    production.report("A-rc1", "failure")
    if path == "preview of the past":
        for _ in range(HISTORY_PAGE):  # so that it is not among those that are read for the rule, and missed there
            production.report("B-rc1", "in_progress")
            production.report("B-rc1", "success")
            production.report("C-rc1", "in_progress")
            production.report("C-rc1", "success")
    version = production.shown()["version"]
    service.run("delete from deployments where number = 1")

    with begun_anew(upgraded_url, production) as (_, anew):
        if path == "rollback":
            found = fine(anew.press(to="A-rc1"))["release_candidate_version"]
        else:
            past = f"&as_of_version={version}" if path == "preview of the past" else ""
            found = anew.preview(f"?to=A-rc1{past}")["target"]

    assert found == "A-rc1"


def test_a_token_whose_row_is_lost_is_revoked_and_not_made_anew(
    upgraded_url: str, service: Service, production: EnvironmentClient
) -> None:
    """It still opens, so its name is taken; and it can be seen and closed."""
    token = service.token("read", name="reader")
    service.run("delete from tokens where token_name = 'reader'")

    with begun_anew(upgraded_url, production) as (anew, there):
        reader = Client(anew.app.test_client(), token)
        fine(reader.get(there.path))
        with pytest.raises(TokenExists):
            anew.ledger.create_token("reader", by=OPERATOR)
        assert "reader" in [each["token_name"] for each in anew.ledger.tokens()]
        anew.ledger.revoke_token("reader", by=OPERATOR)

        refused(reader.get(there.path), 401, "unauthorized")


def test_a_wish_in_hand_whose_row_is_lost(upgraded_url: str, service: Service, production: EnvironmentClient) -> None:
    """The run that was started for it is recorded: it would be started again, or never be known."""
    fine(production.client.put(production.path, {"deploy_workflow": WORKFLOW}))
    made = production.deploy("B-rc1")
    [wish] = [each for each in service.ledger.wanted() if each.subject == made["id"]]
    service.run("delete from outbox")

    with begun_anew(upgraded_url, production) as (anew, _):
        anew.ledger.triggered(wish, run_id="7", run_url=None, how="answered", by=OPERATOR)

    [newest] = service.rows("select topic from events order by position desc limit 1")
    assert newest["topic"] == "deployment-triggered"


QUERIES: Final = (
    "?release_candidate_version=B-rc1",
    "?status=success",
    "?status=success&release_candidate_version=B-rc1",
)


@pytest.mark.parametrize("past", ["", "as_of_version=7"])
@pytest.mark.parametrize("query", QUERIES)
def test_an_emptied_table_is_no_empty_list_in_the_past_either(
    upgraded_url: str, service: Service, production: EnvironmentClient, query: str, past: str
) -> None:
    """Filters find what they found before."""
    whole: Any = production.deployments(f"{query}&{past}".removesuffix("&"))
    service.run("delete from deployments")

    with begun_anew(upgraded_url, production) as (_, anew):
        assert anew.deployments(f"{query}&{past}".removesuffix("&")) == whole != []


@pytest.mark.parametrize("past", [False, True])
@pytest.mark.parametrize("damage", ["delete from deployments", "update deployments set status = 'failure'"])
@pytest.mark.parametrize("attempts", [0, 4])
def test_the_newest_success_of_a_version_that_succeeded_before(
    upgraded_url: str,
    service: Service,
    production: EnvironmentClient,
    monkeypatch: pytest.MonkeyPatch,
    attempts: int,
    damage: str,
    past: bool,
) -> None:
    """It is the one that a rollback to the version goes back to, not the older one."""
    monkeypatch.setattr(absence, "ATTEMPTS_PAGE", 3)
    for _ in range(attempts):
        production.deploy("A-rc1")
        production.report("A-rc1", "failure")
    production.ran("A-rc1", *["B-rc1", "C-rc1"] * (HISTORY_PAGE // 2))  # it is not among those read for the rule
    moment = f"&as_of_version={production.shown()['version']}" if past else ""
    production.deploy("C-rc1")
    whole = production.preview(f"?to=A-rc1{moment}")
    service.run(f"{damage} where number = {attempts + 4}")

    with begun_anew(upgraded_url, production) as (_, anew):
        assert anew.preview(f"?to=A-rc1{moment}") == whole

    [newest] = [
        each["id"]
        for each in production.deployments("?release_candidate_version=A-rc1")
        if each["number"] == attempts + 4
    ]
    assert [each["id"] for each in whole["considered"]] == [newest]


@pytest.mark.parametrize("past", [False, True])
@pytest.mark.parametrize(
    ("query", "lost", "listed"),
    [
        ("?status=failure&per_page=1", 7, [7]),
        ("?status=failure&per_page=1&page=2", 7, [6]),
        ("?status=pending", 4, [4]),
        ("?status=success", 5, [5, 3, 2, 1]),
    ],
)
def test_what_the_state_knows_is_in_the_list_of_its_status(
    upgraded_url: str,
    service: Service,
    production: EnvironmentClient,
    query: str,
    lost: int,
    listed: list[int],
    past: bool,
) -> None:
    """The newest deployment of all, what is unfinished, and what runs; on whatever page."""
    production.deploy("A-rc1")
    production.ran("B-rc1")
    for _ in range(2):
        production.deploy("C-rc1")
        production.report("C-rc1", "failure")
    query += f"&as_of_version={production.shown()['version']}" if past else ""
    service.run(f"delete from deployments where number = {lost}")

    with begun_anew(upgraded_url, production) as (_, anew):
        assert [each["number"] for each in anew.deployments(query)] == listed


@pytest.mark.parametrize("past", ["", "&as_of_version={}"])
@pytest.mark.parametrize(
    ("more", "version", "place", "lost"), [([], 7, "", 2), (["B-rc1", "B-rc1"], 11, "&per_page=1&page=2", 4)]
)
def test_no_deployment_of_a_version_is_missing_from_its_list(
    upgraded_url: str,
    service: Service,
    production: EnvironmentClient,
    more: list[str],
    version: int,
    place: str,
    lost: int,
    past: str,
) -> None:
    """Not the newest, although a newer one of another version is there; nor from the middle, on whatever page."""
    production.ran(*more)
    query = f"?release_candidate_version=B-rc1{place}{past.format(version)}"
    whole = production.deployments(query)
    service.run(f"delete from deployments where number = {lost}")

    with begun_anew(upgraded_url, production) as (_, anew):
        assert anew.deployments(query) == whole != []


@pytest.mark.parametrize("damage", ["delete from deployments where number = 2", "delete from deployments"])
def test_a_deployment_of_the_past_by_its_id(
    upgraded_url: str, service: Service, production: EnvironmentClient, damage: str
) -> None:
    """It was there, and is answered as it was."""
    [known] = [one for one in production.deployments() if one["number"] == 2]
    path = f"{production.deployments_path}/{known['id']}?as_of_version=6"
    whole = fine(production.client.get(path))
    service.run(damage)

    with begun_anew(upgraded_url, production) as (_, anew):
        assert fine(anew.client.get(path)) == whole
