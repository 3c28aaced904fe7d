"""What `/readyz` and `/metrics` say of the read models: states and counts, and nothing that a stranger may not know."""

import re
from typing import Any

import pytest

from release_ledger.api import read_models
from release_ledger.projection.alone import alone
from release_ledger.projection.condition import Condition, conditions
from release_ledger.store import Store

from .client import BOTH_DATABASES, EnvironmentClient, Service, fine

pytestmark = BOTH_DATABASES


@pytest.fixture(autouse=True)
def _always_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(read_models, "KNOWN_FOR_S", -1.0)


def readiness(service: Service) -> dict[str, Any]:
    answer: dict[str, Any] = fine(service.stranger().get("/readyz"))
    return answer


def gauges(service: Service) -> dict[tuple[str, ...], float]:
    """The gauges of `deployments`, by their name and, where it has one, the state."""
    measured = service.client("read").get("/metrics").text
    pattern = r'^release_ledger_projection_(\w+){projection="deployments"(?:,state="([a-z ]+)")?} (\S+)$'
    found = re.findall(pattern, measured, re.MULTILINE)
    return {(name, state) if state else (name,): float(value) for name, state, value in found}


def states_of(found: dict[tuple[str, ...], float]) -> set[str]:
    return {key[1] for key, value in found.items() if key[0] == "state" and value == 1}


def test_while_all_is_well(service: Service, production: EnvironmentClient) -> None:
    """Every projection is live."""
    production.ran("A-rc1")

    projections = readiness(service)["projections"]
    measured = gauges(service)

    assert projections["deployments"] == {"state": "live", "streams": 1, "stale": 0, "set_aside": 0}
    assert {each["state"] for each in projections.values()} == {"live"}
    assert states_of(measured) == {"live"}
    assert (measured["streams",], measured["stale",], measured["set_aside",]) == (1, 0, 0)


def test_a_stream_set_aside_shows_without_its_error(service: Service, production: EnvironmentClient) -> None:
    """The server is ready all the same: it answers by folding. Names and errors are for `projections status`."""
    service.run(
        "insert into projection_faults values ('deployments', 'environment/web/production', 1, 'geheim', 'now')"
    )
    service.run("update streams set folded = 'environments=1' where stream = 'environment/web/production'")
    production.shown()

    answered = readiness(service)
    measured = gauges(service)

    assert answered["status"] == "ok"
    assert answered["projections"]["deployments"] == {"state": "set aside", "streams": 1, "stale": 1, "set_aside": 1}
    assert answered["projections"]["running_periods"]["state"] == "stale"
    assert "geheim" not in str(answered)
    assert "web" not in str(answered)
    assert states_of(measured) == {"set aside"}
    assert (measured["stale",], measured["set_aside",]) == (1, 1)


def test_a_table_that_is_gone_and_a_rebuild_under_way(service: Service, production: EnvironmentClient) -> None:
    """A missing table is no reason not to serve, nor is a rebuild."""
    with alone(service.ledger.store.database, wait=False):
        rebuilding = states_of(gauges(service)), readiness(service)["projections"]["tokens"]["state"]
    service.run("drop table deployments")

    assert rebuilding == ({"rebuilding"}, "rebuilding")
    assert states_of(gauges(service)) == {"missing"}
    assert production.deployments() == []


def test_a_database_that_cannot_be_asked_leaves_the_other_measures(service: Service) -> None:
    """Just then somebody wants to see them."""
    reader = service.client("read")
    reader.get("/metrics")
    service.run("alter table projections rename to elsewhere")

    measured = reader.get("/metrics")

    assert measured.status_code == 200
    assert "release_ledger_requests_total" in measured.text
    assert "release_ledger_projection_state{" not in measured.text


def test_strangers_cannot_make_the_database_work(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was asked a moment ago is not asked again."""
    monkeypatch.setattr(read_models, "KNOWN_FOR_S", 60.0)
    asked = []

    def counted(store: Store) -> list[Condition]:
        asked.append(store)
        return conditions(store)

    monkeypatch.setattr(read_models, "conditions", counted)

    for _ in range(5):
        readiness(service)
        gauges(service)

    assert len(asked) == 1
