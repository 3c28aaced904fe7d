"""`projections verify --repair`: damage by SQL is found, mended and looked at again; only what differs is folded."""

import threading
from importlib import import_module
from typing import Any

import pytest
from sqlalchemy import text

from release_ledger.cli.output import counted
from release_ledger.environment import Settings
from release_ledger.ledger import Caller, Ledger
from release_ledger.projection import environment_stream, installed, own_columns, verify
from release_ledger.projection.alone import alone
from release_ledger.store.seal import SEAL
from release_ledger.store.store import head_of
from tests.support.command_line import InProcess, Ran

ALL = counted(len(installed()), "projection")
on_sqlite = pytest.mark.parametrize("database_kind", ["sqlite"])
API = Caller(recorded_by="ci")
PRODUCTION, STAGING = environment_stream("shop", "production"), environment_stream("shop", "staging")


@pytest.fixture(autouse=True)
def _a_small_history(ledger: Ledger) -> None:
    ledger.configure_project("shop", repo="acme/shop", by=API)
    for number in range(1, 5):
        ledger.cut_release_candidate("shop", f"1.{number}-rc1", repo="acme/shop", commit=f"{number:040x}", by=API)
    for environment in ("production", "staging"):
        ledger.configure_environment("shop", environment, Settings(), by=API)
        for number in range(1, 4):
            succeeded(ledger, environment, number)


def succeeded(ledger: Ledger, environment: str, number: int) -> None:
    ledger.report("shop", environment, release_candidate_version=f"1.{number}-rc1", status="success", by=API)


def answers(ledger: Ledger) -> list[Any]:
    """What is asked most, of both environments."""
    return [
        answer
        for name in ("production", "staging")
        for answer in (
            ledger.environment("shop", name),
            ledger.deployments("shop", name),
            ledger.rollback_preview("shop", name),
        )
    ]


def execute(ledger: Ledger, *statements: str) -> None:
    """Do to the database what nobody should."""
    with ledger.store.database.engine.connect() as connection:
        for statement in statements:
            connection.execute(text(statement))
        if connection.in_transaction():
            connection.commit()


def generations(ledger: Ledger) -> dict[str, int]:
    return {stream: head_of(ledger.store, stream).generation for stream in (PRODUCTION, STAGING)}


def test_only_the_streams_that_differ_are_folded_again(here: InProcess, ledger: Ledger) -> None:
    """A wrong, a missing and a strange row: all are named and counted, mended, and nothing is left; the environment
    beside is not touched."""
    before, were = answers(ledger), generations(ledger)
    rows = f"where stream = '{PRODUCTION}' and"
    execute(
        ledger,
        f"update deployments set status = 'failure', reason = 'mallory' {rows} number = 3",
        f"delete from deployments {rows} number = 2",
        f"update deployments set number = 99 {rows} number = 1",
    )

    ran = here("projections", "verify", "--repair")

    assert (ran.code, ran.err) == (0, "")
    lines = ran.out.splitlines()
    assert len([line for line in lines if line.startswith("shop")]) == 5
    assert lines[-3:] == [
        f"5 differences in 3 streams, {ALL}: deployments 5",
        f"Mended: {PRODUCTION}",
        "No differences are left.",
    ]
    assert answers(ledger) == before
    assert generations(ledger)[STAGING] == were[STAGING]
    assert generations(ledger)[PRODUCTION] > were[PRODUCTION]
    assert here.fine("projections", "verify", "--repair") == f"No differences in 3 streams, {ALL}\n"


def test_a_wrong_seal_is_a_difference(here: InProcess, ledger: Ledger) -> None:
    """A row of the right values that would not be believed: named by its column, and mended."""
    execute(ledger, f"update deployments set seal = 7 where stream = '{PRODUCTION}' and number = 2")

    ran = here("projections", "verify", "--json")
    mended = here("projections", "verify", "--repair", "--json")

    [found] = ran.json["first"] if "first" in ran.json else ran.json["differences"]["first"]
    assert (found["projection"], found["column"], found["live"]) == ("deployments", "seal", 7)
    assert (mended.code, mended.json["mended"]) == (0, [PRODUCTION])


@on_sqlite
@pytest.mark.parametrize(
    "damage",
    [
        "update environments set state = replace(state, '1.3-rc1', '1.1-rc1')",
        "update environments set latest_number = 1",
        "delete from environments",
        "delete from running_periods",
        "update release_candidates set \"commit\" = 'x'",
        "update projects set state = '{}'",
        "update running_periods set seal = 1",
        "delete from deployments",
    ],
)
def test_every_read_model_is_covered(ledger: Ledger, here: InProcess, damage: str) -> None:
    """The environment's state too, which the rules decide on: it is a read model like the others."""
    execute(ledger, damage)
    differing = [stream for stream, differences in verify(ledger.store) if differences]

    ran = here("projections", "verify", "--repair", "--json")

    assert ran.code == 0
    assert ran.json["mended"] == differing != []
    assert (ran.json["left"]["differences"], ran.json["left"]["first"]) == (0, [])
    assert sum(ran.json["projections"].values()) == ran.json["differences"] > 0


def test_a_dropped_table_is_made_and_filled_again(here: InProcess, ledger: Ledger) -> None:
    """As `upgrade` would, without one."""
    before = answers(ledger)
    execute(ledger, "drop table deployments")

    ran = here("projections", "verify", "deployments", "--repair")

    assert ran.code == 0, ran
    assert ran.out.endswith(f"Mended: {PRODUCTION}\nMended: {STAGING}\nNo differences are left.\n")
    assert answers(ledger) == before
    assert here("projections", "status").code == 0


def test_a_fault_is_repaired_once_its_cause_is_gone(here: InProcess, ledger: Ledger) -> None:
    """From the report that a rule of the database's own refuses, through right answers meanwhile, to live rows."""
    refuse(ledger)
    succeeded(ledger, "production", 4)
    target = ledger.rollback_preview("shop", "production")[0]["target"]
    numbers = [each["number"] for each in ledger.deployments("shop", "production").items]

    said, vain = here("projections", "status"), here("projections", "verify", "--repair")
    allow(ledger)
    ran = here("projections", "verify", "deployments", "--repair")

    assert (target, numbers) == ("1.3-rc1", [4, 3, 2, 1])
    assert f"  {PRODUCTION} at version " in said.out
    assert vain.code == 1
    assert "Mended" not in vain.out
    assert vain.out.endswith("1 difference left; `projections status` says what is in the way.\n")
    assert (ran.code, ran.out.splitlines()[-2:]) == (0, [f"Mended: {PRODUCTION}", "No differences are left."])
    assert here("projections", "status").code == 0
    assert ledger.rollback_preview("shop", "production")[0]["target"] == target


def test_a_long_history_is_compared_in_pieces(here: InProcess, ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    """Wherever a piece of the live rows ends, each row is compared, once."""
    rows = f"where stream = '{PRODUCTION}' and"
    execute(
        ledger,
        f"delete from deployments {rows} number = 2",
        f"update deployments set number = 99, reason = 'mallory' {rows} number = 1",
        f"update deployments set reason = 'mallory' {rows} number = 3",
    )
    for size in (1, 2, 3, 4):
        monkeypatch.setattr(import_module("release_ledger.projection.verify"), "ROWS_PER_READ", size)

        found = here("projections", "verify", "deployments", "--json").json

        assert sorted((each["key"], each["column"]) for each in found["first"] if each["column"] is None) == [
            ([1], None),
            ([2], None),
            ([99], None),
        ]
        assert [each["key"] for each in found["first"] if each["column"] == "reason"] == [[3]]
        assert found["projections"] == {"deployments": 4}


def test_writes_that_go_on_are_no_false_alarms(here: InProcess, ledger: Ledger) -> None:
    """Each history is compared as of one moment, though reports come in all the time."""
    ledger.configure_environment("shop", "busy", Settings(), by=API)
    busy, over = environment_stream("shop", "busy"), threading.Event()
    found: list[Ran] = []

    def reports() -> None:
        while not over.is_set():
            for number in range(1, 5):
                ledger.deploy("shop", "busy", release_candidate_version=f"1.{number}-rc1", by=API)
                succeeded(ledger, "busy", number)

    writer = threading.Thread(target=reports)
    writer.start()
    try:
        while len(found) < 10 or head_of(ledger.store, busy).version < 20:
            found.append(here("projections", "verify"))
            assert writer.is_alive()
    finally:
        over.set()
        writer.join()

    assert {ran.code for ran in found} == {0}


@on_sqlite
def test_what_cannot_be_read_here_is_said_and_stops_nothing(here: InProcess, ledger: Ledger) -> None:
    """An event that is damaged: its stream is named, the others are compared and mended."""
    execute(ledger, f"update events set state = substr(state, 1, 9) where stream = '{STAGING}' and version = 2")
    execute(ledger, f"update deployments set status = 'failure' where stream = '{PRODUCTION}'")

    ran = here("projections", "verify", "deployments", "--repair", "--json")

    assert ran.code == 1
    assert ran.json["mended"] == [PRODUCTION]
    [left] = ran.json["left"]["first"]
    assert (left["environment"], left["live"]) == ("staging", "an event of this stream cannot be read here")


def test_while_a_rebuild_is_under_way_it_says_so(here: InProcess, ledger: Ledger) -> None:
    """Both would fold the same; `projections status` shows what goes on, and that answers are right."""
    with alone(ledger.store.database, wait=False):
        ran, status = here("projections", "verify", "--repair"), here("projections", "status", "--json")
        verified = here("projections", "verify")

    assert (ran.code, ran.err) == (1, "Error: A rebuild of this ledger is under way.\n")
    assert (status.code, {each["state"] for each in status.json}) == (0, {"rebuilding"})
    assert verified.code == 0
    assert here("projections", "status").code == 0


@on_sqlite
def test_what_is_set_aside_or_stale_shows_while_a_rebuild_is_under_way(here: InProcess, ledger: Ledger) -> None:
    """It may be the rebuild of other histories."""
    execute(ledger, f"insert into projection_faults values ('deployments', '{PRODUCTION}', 1, 'no', '2026')")
    with alone(ledger.store.database, wait=False):
        status = here("projections", "status", "--json")
        execute(ledger, "delete from projection_faults", "update streams set folded = ''")
        stale = here("projections", "status")

    assert (status.code, stale.code) == (1, 1)
    states = {each["name"]: each["state"] for each in status.json}
    assert (states.pop("deployments"), set(states.values())) == ("set aside", {"rebuilding"})


@on_sqlite
def test_a_difference_of_no_project_shows_its_stream(here: InProcess, ledger: Ledger) -> None:
    """That of the tokens, say."""
    ledger.create_token("ci", role="deploy", by=API)
    execute(ledger, "update tokens set role = 'admin'")

    ran = here("projections", "verify")

    [line] = [line.split() for line in ran.out.splitlines() if " tokens " in line and " role " in line]
    assert line == ["access", "-", "tokens", "ci", "role", "admin", "deploy"]


@on_sqlite
def test_rows_of_other_generations_are_no_differences(here: InProcess, ledger: Ledger) -> None:
    """What an interrupted rebuild left is nobody's answer."""
    others = ", ".join(f'"{name}"' for name in (*own_columns(installed()["deployments"].table), SEAL))
    execute(
        ledger,
        f"insert into deployments (stream, generation, {others}) select stream, generation + 7, {others}"
        f" from deployments where stream = '{PRODUCTION}'",
    )

    assert here.fine("projections", "verify") == f"No differences in 3 streams, {ALL}\n"


def refuse(ledger: Ledger) -> None:
    """An index of somebody's own, which nothing makes again: no deployment number 4 beside number 1."""
    execute(ledger, "create unique index no on deployments (stream, generation) where number in (1, 4)")


def allow(ledger: Ledger) -> None:
    execute(ledger, "drop index no")
