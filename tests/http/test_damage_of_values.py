"""Values of read models edited behind the ledger's back: no event and no answer ever tells of them.

A row is sealed as it is written (docs/decisions/0011-sealed-rows.md). One that is not as it was written is not
believed, and its stream is folded instead. A process that remembers nothing of the time before has to read the rows.
"""

import json
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from typing import Any, Final

import pytest

from release_ledger.environment import Environment
from release_ledger.errors import EnvironmentFrozen, LedgerUnavailable
from release_ledger.projection import Rows, installed

from .client import BOTH_DATABASES, OPERATOR, Client, EnvironmentClient, Service, commit_of, fine, refused
from .test_damage import LIVED_ON, Witness, is_as_if_nothing_had_happened

pytestmark = BOTH_DATABASES

# Of these a row that is looked for by the damaged value is not found at all: README, "For operators".
STATE: Final = "update environments set state = replace(state, '{}', '{}')"
EDITS: Final = {
    "the deployments that the state counts": STATE.format('"deployments"\\:3', '"deployments"\\:0'),
    "what the state says is running": STATE.format("C-rc1", "A-rc1"),
    "the state is no JSON": "update environments set state = 'garbage'",
    "the state is that of another": "update environments set state ="
    " (select state from environments where environment_name = 'staging')",
    "the number of deployments": "update environments set deployments = 0",
    "the number of what runs": "update environments set running_number = 1",
    "the number of the latest": "update environments set latest_number = null",
    "the commits of deployments": "update deployments set \"commit\" = 'edited'",
    "how deployments ended": "update deployments set status = 'failure', finished = 1 where number = 2",
    "the releases of deployments": "update deployments set release_version = 'edited'",
    "the seals of deployments": "update deployments set seal = seal + 1",
    "the commits of candidates": "update release_candidates set \"commit\" = 'edited'",
    "the candidate of a version": "update release_candidates set release_candidate_version = 'A-rc1' where number = 2",
    "the state of the project": "update projects set state = replace(state, 'acme/web', 'acme/edited')",
    "how many candidates there are": "update projects set candidates = 1",
    "the project is no JSON": "update projects set state = 'garbage'",
    "when periods began": "update running_periods set reported_from = 'garbage'",
    "what periods are of": "update running_periods set deployment_number = 1",
}
TYPES: Final = {
    "sqlite": [
        "update deployments set release_version = cast(release_version as blob)",
        "update environments set deployments = 'three'",
        'update release_candidates set "commit" = cast("commit" as blob)',
    ],
    "postgresql": [
        "alter table deployments alter column number type text",
        "alter table environments alter column deployments type numeric",
        "alter table deployments alter column id type uuid using id::uuid",
        "alter table release_candidates alter column number type text",
    ],
}
# What differs from one run to the next, whatever is damaged.
_OWN: Final = ("deployment_id", "person_id", "request_id", "candidate_cut_at", "id", "run_id", "build_id")


def recorded(service: Service) -> list[tuple[str, int, str, dict[str, Any]]]:
    """Every event of the project and its environments, without what differs from run to run."""
    rows = service.rows("select stream, version, topic, state from events where stream <> 'access' order by 1, 2")
    states = [json.loads(bytes(row["state"]), object_hook=_without_own) for row in rows]
    return [(row["stream"], row["version"], row["topic"], state) for row, state in zip(rows, states, strict=True)]


def _without_own(fields: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if name not in _OWN and not name.endswith("_at")}


@contextmanager
def begun_anew(upgraded_url: str, production: EnvironmentClient) -> Iterator[Witness]:
    """The same environment served by a process that remembers nothing."""
    with closing(Service(upgraded_url)) as service:
        client = Client(service.app.test_client(), production.client.token)
        yield Witness(service, EnvironmentClient(client, production.project_path, production.name))


@pytest.fixture
def ran(production: EnvironmentClient) -> EnvironmentClient:
    """A, B and C were deployed with success; there is another environment with nothing in it."""
    production.client.environment("staging", project="web")
    production.ran("A-rc1", "B-rc1", "C-rc1")
    return production


Undamaged = list[tuple[str, int, str, dict[str, Any]]]
_UNDAMAGED: Final[dict[str, Undamaged]] = {}


def lives_on_as_ever(upgraded_url: str, ran: EnvironmentClient, damage: str) -> None:
    """The day after the damage is the day without it: statuses, events and answers."""
    with closing(Service(upgraded_url)) as service:
        service.run(damage)
    with begun_anew(upgraded_url, ran) as witness:
        assert witness.lives_on() == LIVED_ON
        is_as_if_nothing_had_happened(witness.production)
        events = recorded(witness.service)

    numbers = [state["number"] for _, _, topic, state in events if topic == "deployment-requested"]
    assert numbers == [1, 2, 3, 4, 5]
    assert "edited" not in str(events)
    undamaged = _UNDAMAGED.setdefault("", events)
    assert events == undamaged


def test_events_of_a_day_without_damage(upgraded_url: str, ran: EnvironmentClient) -> None:
    """What the others are compared with."""
    with begun_anew(upgraded_url, ran) as witness:
        assert witness.lives_on() == LIVED_ON

        assert recorded(witness.service) == _UNDAMAGED.setdefault("", recorded(witness.service))


@pytest.mark.parametrize("damage", EDITS.values(), ids=EDITS)
def test_an_edited_value(upgraded_url: str, ran: EnvironmentClient, damage: str) -> None:
    """Everything is recorded and answered as if it had not been edited."""
    lives_on_as_ever(upgraded_url, ran, damage)


@pytest.mark.parametrize("which", range(4))
def test_a_value_that_comes_back_as_another_type(
    upgraded_url: str, ran: EnvironmentClient, database_kind: str, which: int
) -> None:
    """Types are as much a part of an event as values."""
    lives_on_as_ever(upgraded_url, ran, (TYPES[database_kind] * 2)[which])


@pytest.mark.parametrize("damage", ["finished = 1", "release_candidate_version = 'A-rc1'", "id = 'edited'"])
def test_an_unfinished_deployment_that_is_not_found_any_more(
    upgraded_url: str, ran: EnvironmentClient, damage: str
) -> None:
    """The state knows which one a report means; a report of it is not recorded of another."""
    first, second = ran.deploy("B-rc1"), ran.deploy("B-rc1")
    ran.report("B-rc1", "success", id=second["id"])
    report = {"release_candidate_version": "B-rc1", "status": "in_progress"}
    found = []
    for given in (report, report | {"id": first["id"]}):
        with begun_anew(upgraded_url, ran) as witness:
            witness.service.run(f"update deployments set {damage} where number = {first['number']}")
            found.append(fine(witness.sends("PATCH", ran.deployments_path, given)))

    assert [(each["id"], each["number"]) for each in found] == [(first["id"], 4), (first["id"], 4)]


def test_a_row_that_only_the_fold_reads(upgraded_url: str, ran: EnvironmentClient) -> None:
    """A rollback cancels what is unfinished; nothing is folded on an edited row, which is set aside."""
    fine(ran.client.post(f"{ran.path}/deployments", {"release_candidate_version": "A-rc1"}))
    fine(ran.client.post(f"{ran.path}/deployments", {"release_candidate_version": "B-rc1"}))
    with begun_anew(upgraded_url, ran) as witness:
        witness.service.run("update deployments set reason = 'edited' where number = 4")
        answer = witness.sends("POST", f"{ran.path}/rollback", {"strategy": "walk_back"})

        listed = witness.production.deployments()

    assert answer.status_code in (200, 201), answer.text
    assert [each["status"] for each in listed[1:3]] == ["canceled", "canceled"]
    assert "edited" not in str(listed)


def test_a_token_edited_to_do_more(service: Service, upgraded_url: str, production: EnvironmentClient) -> None:
    """A process that has to look it up does not believe it: the history says `read`."""
    token = service.token("read", name="reader")
    service.run("update tokens set role = 'admin' where token_name = 'reader'")

    with closing(Service(upgraded_url)) as other:
        reader = Client(other.app.test_client(), token)
        fine(reader.get(production.path))
        refused(reader.put(production.path, {"tier": "staging"}), 403, "forbidden")
        roles = {each["token_name"]: each["role"] for each in other.ledger.tokens()}

    assert roles["reader"] == "read"


@pytest.mark.parametrize("damage", ["token_sha256 = (select token_sha256 from tokens where token_name = 'stolen')"])
def test_a_token_that_was_revoked_and_written_over(
    service: Service, upgraded_url: str, production: EnvironmentClient, damage: str
) -> None:
    """The digest of one that opens nothing, put into the row of one that does."""
    service.token("admin", name="good")
    token = service.token("admin", name="stolen")
    service.ledger.revoke_token("stolen", by=OPERATOR)
    service.run(f"update tokens set {damage} where token_name = 'good'")
    service.run("delete from tokens where token_name = 'stolen'")

    with closing(Service(upgraded_url)) as other:
        refused(Client(other.app.test_client(), token).get(production.path), 401, "unauthorized")


@pytest.mark.parametrize("edited", ["2000-01-01", "2999-01-01"])
@pytest.mark.parametrize("number", [1, 2])
@pytest.mark.parametrize("per_page", [1, 10])
def test_periods_in_another_order(
    service: Service, ran: EnvironmentClient, edited: str, number: int, per_page: int
) -> None:
    """An edited beginning is seen also where it takes a period off the page, or puts another on it."""
    whole = fine(ran.client.get(f"{ran.path}/running"))
    ends = whole[1]["from"]
    paths = [f"{ran.path}/running?per_page={per_page}&page={page}&to={to}" for page in (1, 2) for to in (ends, "")]
    paths = [path.removesuffix("&to=").replace("+", "%2B") for path in paths]
    before = [fine(ran.client.get(path)) for path in paths]
    service.run(
        "update running_periods set reported_from = :edited where number = :number", edited=edited, number=number
    )

    assert [fine(ran.client.get(path)) for path in paths] == before


class Exits(SystemExit):
    """Raised by code that takes itself for a program."""


@pytest.mark.parametrize("raised", [LedgerUnavailable, EnvironmentFrozen, Exits])
def test_a_fold_that_raises_what_means_something_elsewhere(
    service: Service, ran: EnvironmentClient, monkeypatch: pytest.MonkeyPatch, raised: Callable[[], BaseException]
) -> None:
    """It is the projection's fault all the same: the report is recorded, the projection set aside."""

    def fold(*_: object) -> None:
        raise raised()

    monkeypatch.setattr(installed()["running_periods"], "fold", fold)

    fine(ran.client.post(f"{ran.path}/deployments", {"release_candidate_version": "A-rc1"}))

    assert service.faults() == {"running_periods"}


BAD_ROWS: Final[dict[str, Callable[[dict[str, Any]], dict[str, Any]]]] = {
    "a value that is none": lambda row: row | {"commit": {"a": "dict"}},
    "a column is missing": lambda row: {name: value for name, value in row.items() if name != "commit"},
    "null where there may be none": lambda row: row | {"commit": None},
}


@pytest.mark.parametrize("bad", BAD_ROWS.values(), ids=BAD_ROWS)
def test_rows_that_do_not_fit_cost_their_projection_only(
    service: Service, ran: EnvironmentClient, monkeypatch: pytest.MonkeyPatch, bad: Any
) -> None:
    """Where a stream is folded, what other projections make of it answers all the same."""
    before = ran.deployments(), ran.shown()
    monkeypatch.setattr(installed()["running_periods"], "dump", bad)
    service.run("delete from environments")

    assert (ran.deployments(), ran.shown()) == before
    refused(ran.client.get(f"{ran.path}/running"), 503, "ledger_unavailable")


def test_a_fold_that_changes_the_event(
    service: Service, ran: EnvironmentClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is recorded was written down before any fold had it."""

    def fold(event: Any, _: Rows) -> None:
        vars(event).update(commit="edited", number=7)

    monkeypatch.setattr(installed()["outbox"], "fold", fold)

    ran.client.post(f"{ran.path}/deployments", {"release_candidate_version": "A-rc1"})

    [event] = [state for _, _, topic, state in recorded(service) if topic == "deployment-requested"][3:]
    assert (event["number"], event["commit"]) == (4, commit_of("A-rc1"))


def test_a_number_that_is_none_is_not_recorded(
    service: Service, ran: EnvironmentClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever a command was told wrong: an event's fields are of their types, or nothing is recorded."""
    whole: Any = installed()["environments"].load

    def load(row: Any) -> Environment:
        state: Environment = whole(row)
        vars(state)["deployments"] = Text(state.deployments)
        return state

    class Text(str):
        """Counts like a number."""

        def __add__(self, other: Any) -> str:
            return str(int(self) + other)

    monkeypatch.setattr(installed()["environments"], "load", load)
    before = service.event_count()
    with begun_anew(str(service.ledger.store.database.url.render_as_string(hide_password=False)), ran) as witness:
        answer = witness.production.client.post(f"{ran.path}/deployments", {"release_candidate_version": "A-rc1"})

    assert answer.status_code == 500
    assert service.event_count() == before
