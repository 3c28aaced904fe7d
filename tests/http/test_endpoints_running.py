"""What ran where, from when to when: the periods of an environment, and the exposure of a commit."""

from __future__ import annotations

import re
from typing import Any, Final

import pytest

from release_ledger.ledger import running_selects
from release_ledger.projection import environment_stream
from release_ledger.projection.mend import mend
from release_ledger.projection.upgrade import upgrade
from release_ledger.store import Params, Statement

from .client import BOTH_DATABASES, ON_BOTH_DATABASES, Client, EnvironmentClient, Service, commit_of, fine, refused
from .test_endpoints_lists import links, walked

DAY: Final = "2026-03-{:02d}T12:00:00Z"


def day(number: int) -> str:
    return DAY.format(number)


def shown(day_of: str | None) -> int | None:
    """The day that an answered moment is."""
    return None if day_of is None else int(day_of[8:10])


def running(production: EnvironmentClient, query: str = "") -> Any:
    return fine(production.client.get(f"{production.path}/running{query}"))


def told(periods: list[dict[str, Any]]) -> list[tuple[str, int | None, int | None]]:
    """Version and the days from and to, newest first."""
    return [(each["release_version"], shown(each["from"]), shown(each["to"])) for each in periods]


def exposure(production: EnvironmentClient, version: str) -> Any:
    return fine(production.client.get(f"{production.project_path}/commits/{commit_of(version)}/exposure"))


def ran_from(production: EnvironmentClient, version: str, number: int) -> dict[str, Any]:
    """A deployment that succeeded on a day of March."""
    made = production.deploy(version)
    return production.report(version, "success", id=made["id"], occurred_at=day(number))


@pytest.fixture(scope="module")
def march(lasting_service: Service) -> EnvironmentClient:
    """A from the 2nd, B from the 5th, A again from the 9th, C from the 20th on. Nobody adds to it."""
    production = lasting_service.environment(tier="production")
    for version, number in (("A-rc1", 2), ("B-rc1", 5), ("A-rc1", 9), ("C-rc1", 20)):
        ran_from(production, version, number)
    return production


ALL: Final = [("C", 20, None), ("A", 9, 20), ("B", 5, 9), ("A", 2, 5)]


@ON_BOTH_DATABASES
def test_all_periods_newest_first(march: EnvironmentClient) -> None:
    """Each runs until the next one does; the newest still runs."""
    assert told(running(march)) == ALL


@ON_BOTH_DATABASES
@pytest.mark.parametrize(
    ("begins", "ends", "expected"),
    [
        (1, 2, []),
        (1, 3, ALL[3:]),
        (2, 5, ALL[3:]),
        (4, 6, ALL[2:]),
        (5, 6, ALL[2:3]),
        (10, 12, ALL[1:2]),
        (3, 21, ALL),
        (25, 26, ALL[:1]),
        (None, 9, ALL[2:]),
        (9, None, ALL[:2]),
        (30, None, ALL[:1]),
    ],
)
@pytest.mark.parametrize("per_page", [1, 2, 100])
def test_the_periods_in_a_range(
    march: EnvironmentClient, begins: int | None, ends: int | None, expected: list[Any], per_page: int
) -> None:
    """Those that overlap [from, to), on as many pages as it takes, each exactly once."""
    given = {"from": begins, "to": ends}
    asked = "&".join(f"{name}={day(number)}" for name, number in given.items() if number is not None)

    pages = walked(march.client, f"{march.path}/running?per_page={per_page}&{asked}")

    assert told([each for page in pages for each in page]) == expected
    assert all(len(page) == per_page for page in pages[:-1])
    assert pages[-1] or not expected


@ON_BOTH_DATABASES
def test_a_range_that_has_not_begun(march: EnvironmentClient) -> None:
    """What still runs does so until now."""
    assert running(march, "?from=2999-01-01T00:00:00Z") == []
    assert told(running(march, "?to=2999-01-01T00:00:00Z")) == ALL


def test_a_period_in_full(production: EnvironmentClient) -> None:
    """Every key; `ETag` is the version of the environment's stream."""
    production.ran("1.4.0-rc1")
    deployment = production.deployments()[0]
    answer = production.client.get(f"{production.path}/running")

    (period,) = fine(answer)
    assert period == {
        "release_candidate_version": "1.4.0-rc1",
        "release_version": "1.4.0",
        "commit": commit_of("1.4.0-rc1"),
        "deployment_id": deployment["id"],
        "from": deployment["deploy_end_at"],
        "to": None,
        "recorded_from": deployment["deploy_end_at"],
        "recorded_to": None,
        "corrected": False,
        "actor": "dev@example.com",
    }
    assert answer.headers["ETag"] == production.client.get(production.path).headers["ETag"]
    assert set(links(production.client, f"{production.path}/running")) == {"first"}


@ON_BOTH_DATABASES
@pytest.mark.parametrize(
    ("query", "named"),
    [
        ("from=2026-03-01T12:00:00", "from"),
        ("to=yesterday", "to"),
        ("from=", "from"),
        ("to=2026-03-01", "to"),
        (f"from={day(2)}&to={day(2)}", "from"),
        (f"from={day(3)}&to={day(2)}", "from"),
        (f"from={day(2)}&to=2026-03-02T13:00:00%2B01:00", "from"),
        ("page=0", "page"),
        ("per_page=x", "per_page"),
    ],
)
def test_what_is_no_range(march: EnvironmentClient, query: str, named: str) -> None:
    """A moment without an offset, a range that ends before it begins: 400, and says which."""
    answer = march.client.get(f"{march.path}/running?{query}")

    assert set(refused(answer, 400, "invalid_request", "Invalid request")["details"]) == {named}


@ON_BOTH_DATABASES
def test_what_is_not_there(march: EnvironmentClient) -> None:
    """An unknown project or environment is 404; one in which nothing ran has no periods."""
    here, commit = march.project_path, commit_of("A-rc1")
    idle = march.client.environment("idle", project=here.rpartition("/")[2])

    refused(march.client.get("/api/releases/nowhere/environments/x/running"), 404, "project_not_found")
    refused(march.client.get(f"{here}/environments/nowhere/running"), 404, "environment_not_found")
    refused(march.client.get(f"/api/releases/nowhere/commits/{commit}/exposure"), 404, "project_not_found")
    assert running(idle) == []
    assert running(idle, "?page=7") == []


@BOTH_DATABASES
def test_a_corrected_success(production: EnvironmentClient) -> None:
    """Taken back while it ran, it ran for no time, and what it had replaced ran on; the ledger's answers stay."""
    ran_from(production, "A-rc1", 2)
    ran_from(production, "B-rc1", 5)
    production.report("B-rc1", "failure", occurred_at=day(6))

    again, taken_back, first = running(production)

    assert told([again, taken_back, first]) == [("A", 5, None), ("B", 5, 5), ("A", 2, 5)]
    assert [each["corrected"] for each in (again, taken_back, first)] == [False, True, False]
    assert first["recorded_to"] == taken_back["recorded_from"]
    assert taken_back["recorded_to"] == again["recorded_from"]
    assert again["recorded_to"] is None
    assert told(running(production, f"?from={day(4)}&to={day(5)}")) == [("A", 2, 5)]
    assert told(running(production, f"?from={day(5)}&to={day(6)}")) == [("A", 5, None), ("B", 5, 5)]

    production.report("B-rc1", "success", occurred_at=day(9))
    assert [(each["release_version"], each["corrected"]) for each in running(production)] == [
        ("B", False),
        ("A", False),
        ("B", True),
        ("A", False),
    ]


@BOTH_DATABASES
def test_a_success_corrected_when_it_did_not_run_any_more(production: EnvironmentClient) -> None:
    """Its period is marked, and counts for nothing; no other moves."""
    first = ran_from(production, "A-rc1", 2)
    ran_from(production, "B-rc1", 5)
    assert exposure(production, "A-rc1")["total_seconds"] == 3 * 86400.0

    production.report("A-rc1", "failure", id=first["id"], occurred_at=day(6))

    assert [(each["release_version"], each["corrected"]) for each in running(production)] == [("B", False), ("A", True)]
    assert told(running(production)) == [("B", 5, None), ("A", 2, 5)]
    assert exposure(production, "A-rc1")["total_seconds"] == 0.0


@BOTH_DATABASES
def test_the_exposure_of_a_commit(service: Service, admin: Client) -> None:
    """Per environment that it ran in, by name: the periods, the seconds, whether it runs; and in all."""
    production = admin.environment("production", project="web", tier="production")
    staging = admin.environment("staging", project="web", tier="staging")
    admin.environment("idle", project="web")
    for version, number in (("A-rc1", 2), ("B-rc1", 5), ("A-rc1", 9), ("C-rc1", 20)):
        ran_from(production, version, number)
    ran_from(staging, "A-rc1", 1)
    ran_from(staging, "B-rc1", 2)
    elsewhere = admin.environment("production", project="other")
    ran_from(elsewhere, "A-rc1", 3)

    found = exposure(production, "A-rc1")

    assert (found["commit"], found["running"]) == (commit_of("A-rc1"), False)
    assert found["total_seconds"] == (3 + 11 + 1) * 86400.0
    names = ("name", "tier", "running", "total_seconds")
    assert [tuple(each[name] for name in names) for each in found["environments"]] == [
        ("production", "production", False, 14 * 86400.0),
        ("staging", "staging", False, 86400.0),
    ]
    assert told(found["environments"][0]["periods"]) == [("A", 9, 20), ("A", 2, 5)]
    assert service.faults() == set()


@BOTH_DATABASES
def test_a_commit_that_runs_now(production: EnvironmentClient) -> None:
    """Its time goes on, until now."""
    ran_from(production, "A-rc1", 2)
    found = exposure(production, "A-rc1")
    (here,) = found["environments"]

    assert found["running"]
    assert here["running"]
    assert here["total_seconds"] > 200 * 86400
    assert exposure(production, "A-rc1")["total_seconds"] > here["total_seconds"]


@BOTH_DATABASES
def test_commits_without_exposure(production: EnvironmentClient) -> None:
    """Cut and never run, or never cut: an empty list. What is no commit is the commit sentence."""
    production.cut("A-rc1")
    path = f"{production.project_path}/commits"
    nothing = {"running": False, "total_seconds": 0.0, "environments": []}

    for commit in (commit_of("A-rc1"), commit_of("never"), "a" * 64):
        assert fine(production.client.get(f"{path}/{commit}/exposure")) == {"commit": commit} | nothing
    for commit in ("x", "a" * 39, "a" * 41, "g" * 40, "%D9%A1" * 40):
        refused(production.client.get(f"{path}/{commit}/exposure"), 400, "invalid_commit", "Invalid commit hash")


def test_a_commit_is_found_in_any_case(production: EnvironmentClient) -> None:
    """Hex digits are folded, as when it was cut."""
    production.ran("A-rc1")
    path = f"{production.project_path}/commits/{commit_of('A-rc1').upper()}/exposure"

    assert fine(production.client.get(path))["running"]


def test_a_token_of_another_project(service: Service, production: EnvironmentClient) -> None:
    """It sees neither; a `read` token of the project sees both."""
    production.ran("A-rc1")
    paths = [f"{production.path}/running", f"{production.project_path}/commits/{commit_of('A-rc1')}/exposure"]
    mine, other = service.client("read", projects=["web"]), service.client("read", projects=["other"])

    for path in paths:
        fine(mine.get(path))
        refused(other.get(path), 403, "forbidden")
        refused(service.stranger().get(path), 401, "unauthorized")


@BOTH_DATABASES
@pytest.mark.parametrize(
    "damage",
    [
        "drop table running_periods",
        "drop table deployments",
        "delete from running_periods",
        "delete from running_periods where slot = 0",
        "delete from running_periods where number = 2",
        "delete from deployments where number = 2",
        "delete from environments",
        "update streams set folded = 'deployments=1 environments=1' where stream like 'environment/%'",
    ],
)
def test_rows_that_are_lost_or_of_an_older_release(
    service: Service, production: EnvironmentClient, upgraded_url: str, damage: str
) -> None:
    """A head of before this read model, and rows that are gone, are answered by folding, until `upgrade` or a mend."""
    for version, number in (("A-rc1", 2), ("B-rc1", 5), ("C-rc1", 9)):
        ran_from(production, version, number)
    before = running(production), exposure(production, "A-rc1")["environments"]
    service.run(damage)

    assert (running(production), exposure(production, "A-rc1")["environments"]) == before
    assert exposure(production, "C-rc1")["running"]
    ran_from(production, "D-rc1", 12)
    assert told(running(production)) == [("D", 12, None), ("C", 9, 12), ("B", 5, 9), ("A", 2, 5)]

    upgrade(upgraded_url)
    mend(service.ledger.store, environment_stream("web", "production"))
    ran_from(production, "A-rc1", 15)
    assert told(running(production)) == [("A", 15, None), ("D", 12, 15), ("C", 9, 12), ("B", 5, 9), ("A", 2, 5)]
    assert len(service.rows("select 1 from running_periods")) == 5


STRANGERS: Final = """
    insert into running_periods (stream, generation, slot, number, deployment_number, deployment_id,
        release_candidate_version, "commit", reported_from, reported_to, recorded_from, recorded_to, taken_back,
        from_version, seal)
    with recursive numbers (n) as (select 1 union all select n + 1 from numbers where n < 20000)
    select 'environment/web-' || (n % 100) || '/production', 0, n, n, n, 'id', 'A-rc1', 'commit-' || (n % 1000),
        '2026', '2026', '2026', '2026', 0, 1, 0
    from numbers
"""


@BOTH_DATABASES
@pytest.mark.parametrize("prepared", [(), (STRANGERS,), (STRANGERS, "analyze")], ids=["few", "many", "analyzed"])
def test_what_is_asked_is_read_from_an_index(
    service: Service, production: EnvironmentClient, prepared: tuple[str, ...]
) -> None:
    """Among the rows of many others, with statistics and without: no statement reads all of them."""
    ran_from(production, "A-rc1", 2)
    for sql in prepared:
        service.run(sql)
    place = {"stream": environment_stream("web", "production"), "before": "2027", "skipped": 0, "rows": 11}
    project = {"first": "environment/web/", "beyond": "environment/web0", "commit": commit_of("A-rc1")}

    page, exposed = (
        plan_of(service, statement, params)
        for statement, params in ((running_selects.RUNNING, place), (running_selects.EXPOSURE, project))
    )

    assert not re.search(r"(Seq Scan on|SCAN) (running_periods|newest)", page + exposed), page + exposed
    if prepared == (STRANGERS,):  # of a handful of rows, and of those it knows, one index costs as much as another
        assert "running_periods_by_time" in page
        assert "running_periods_by_number" in page
        assert re.search(r"running_periods_by_commit(?s:.*)commit ?= ?.*stream ?>", exposed), exposed


def plan_of(service: Service, statement: Statement, params: Params) -> str:
    """How the database would carry a statement out."""
    database = service.ledger.store.database
    compiled = statement.compiled(database.dialect)
    values = [{**compiled.own, **params}[name] for name in compiled.binds]
    with database.cursor() as cursor:
        cursor.execute(("EXPLAIN " if database.is_postgresql else "EXPLAIN QUERY PLAN ") + compiled.sql, values)
        return "\n".join(str(row) for row in cursor.fetchall())
