"""Whether the read models say what the history says: `projections status` and `projections verify`."""

import re
from pathlib import Path

import pytest
from sqlalchemy import text

from release_ledger.cli import progress
from release_ledger.cli.output import counted
from release_ledger.environment import Settings
from release_ledger.ledger import Caller, Ledger
from release_ledger.projection import installed, relevant
from tests.support.command_line import CommandLine, InProcess

on_sqlite = pytest.mark.parametrize("database_kind", ["sqlite"])
API = Caller(recorded_by="ci")
NAMES = list(installed())
ALL = counted(len(NAMES), "projection")


@pytest.fixture(autouse=True)
def _a_small_history(ledger: Ledger) -> None:
    ledger.configure_project("shop", repo="acme/shop", by=API)
    ledger.configure_environment("shop", "production", Settings(), by=API)
    for number in range(1, 13):
        version = f"1.{number}-rc1"
        ledger.cut_release_candidate("shop", version, repo="acme/shop", commit=f"{number:040x}", by=API)
        ledger.report("shop", "production", release_candidate_version=version, status="success", by=API)


def test_a_sound_ledger_is_live(cli: CommandLine) -> None:
    """Both commands have nothing to complain about, and count what there is."""
    status = cli("projections", "status", "--json")
    verified = cli.fine("projections", "verify")

    assert (status.code, status.err) == (0, "")
    assert [each["name"] for each in status.json] == NAMES
    assert {(each["state"], each["advice"], each["stale"]) for each in status.json} == {("live", "", 0)}
    rows = {each["name"]: (each["rows"], each["streams"]) for each in status.json}
    assert rows["deployments"] == (12, 1)
    assert rows["release_candidates"] == (12, 1)
    assert rows["tokens"] == (0, 0)
    assert verified == f"No differences in 2 streams, {ALL}\n"


def test_a_row_that_somebody_changed_is_named(cli: CommandLine, ledger: Ledger) -> None:
    """Where, in which projection, which key and column, what the row says and what the history says."""
    execute(ledger, "update deployments set status = 'failure' where number = 3")

    ran = cli("projections", "verify")

    assert ran.code == 1
    header, line, _, count = ran.out.splitlines()
    assert header.split() == ["PROJECT", "ENVIRONMENT", "PROJECTION", "KEY", "COLUMN", "LIVE", "FOLDED"]
    assert line.split() == ["shop", "production", "deployments", "3", "status", "failure", "success"]
    assert count == f"1 difference in 2 streams, {ALL}: deployments 1"


def test_values_that_look_the_same_are_told_apart(cli: CommandLine, ledger: Ledger) -> None:
    """A number, and the text of the same digits in a column that somebody altered."""
    if ledger.store.database.is_postgresql:
        execute(ledger, "alter table environments alter column latest_number type text")
    else:
        table = installed()["environments"].table
        names = ", ".join(f'"{column.name}"' for column in table.columns)
        execute(ledger, "alter table environments rename to kept")
        execute(ledger, f"create table environments ({names})")
        execute(ledger, f"insert into environments ({names}) select {names} from kept")
        execute(ledger, "update environments set latest_number = cast(latest_number as text)")
    ledger.store.database.forget_connections()

    ran = cli("projections", "verify", "environments")

    [line] = [line.split() for line in ran.out.splitlines() if line.startswith("shop") and "latest_number" in line]
    assert line[-3:] == ["latest_number", "'12'", "12"]


def test_a_history_of_a_newer_release_is_said_and_is_no_difference(cli: CommandLine, ledger: Ledger) -> None:
    """Side by side with a newer release, nobody is woken: what is known here is compared, the rest is named."""
    execute(ledger, "update events set topic = 'teleported' where stream = 'project/shop' and version = 3")

    ran, as_json, repaired = (cli("projections", "verify", *more) for more in ((), ("--json",), ("--repair",)))

    newer = "project/shop is of a newer release, and was not compared.\n"
    assert (ran.code, ran.out) == (0, f"{newer}No differences in 2 streams, {ALL}\n")
    assert (as_json.code, as_json.json["newer"], as_json.json["differences"]) == (0, ["project/shop"], 0)
    assert (repaired.code, repaired.out) == (0, ran.out)


@on_sqlite
def test_verify_says_how_far_it_is(upgraded_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A line now and then where there is no terminal, as `rebuild` does."""
    monkeypatch.setattr(progress, "LINE_EVERY_S", 0.0)

    ran = InProcess(tmp_path, upgraded_url)("projections", "verify")

    assert ran.code == 0
    assert re.fullmatch(r"1 of 2 streams, .*\n2 of 2 streams, [\d,]+ streams/s, 0 s left\n", ran.err)


@on_sqlite
def test_a_row_that_is_gone_and_one_too_many_are_named(cli: CommandLine, ledger: Ledger) -> None:
    """As JSON too; the project's own stream has no environment."""
    execute(ledger, "delete from release_candidates where number = 2")
    execute(ledger, "update deployments set number = 99 where number = 12")

    ran = cli("projections", "verify", "--json")

    assert ran.code == 1
    assert (ran.json["streams"], ran.json["differences"]) == (2, 3)
    found = {(each["projection"], *each["key"]): each for each in ran.json["first"]}
    assert set(found) == {("release_candidates", 2), ("deployments", 12), ("deployments", 99)}
    gone, too_many = found["release_candidates", 2], found["deployments", 99]
    assert (gone["project"], gone["environment"], gone["live"], gone["folded"]) == ("shop", None, "no row", "a row")
    assert (too_many["environment"], too_many["live"], too_many["folded"]) == ("production", "a row", "no row")


@on_sqlite
def test_the_first_twenty_differences_are_named_and_all_counted(cli: CommandLine, ledger: Ledger) -> None:
    """A table that is wrong throughout does not fill the terminal."""
    execute(ledger, "update deployments set status = 'failure', recorded_by = 'mallory'")

    ran = cli("projections", "verify")

    lines = ran.out.splitlines()
    assert len([line for line in lines if line.startswith("shop")]) == 20
    assert lines[-3:] == ["and 4 more", "", f"24 differences in 2 streams, {ALL}: deployments 24"]
    assert ran.code == 1


@on_sqlite
def test_only_the_projections_named_are_verified(cli: CommandLine, ledger: Ledger) -> None:
    """What is wrong elsewhere is not asked for."""
    execute(ledger, "update deployments set status = 'failure'")

    sound = cli.fine("projections", "verify", "release_candidates", "projects")

    assert sound == "No differences in 1 stream, 2 projections\n"
    assert cli("projections", "verify", "deployments").code == 1


def test_a_stream_that_was_set_aside_is_named_with_its_error(cli: CommandLine, ledger: Ledger) -> None:
    """Which stream, since which version, why, and what to do; `upgrade` then mends it."""
    execute(ledger, "update streams set folded = '' where stream = 'environment/shop/production'")
    execute(
        ledger,
        "insert into projection_faults values"
        " ('deployments', 'environment/shop/production', 7, 'ValueError: no', '2026-11-23T18:00:00.000000+00:00')",
    )

    ran = cli("projections", "status")

    assert ran.code == 1
    states = {line.split()[0]: " ".join(line.split()[1:-5]) for line in ran.out.splitlines()[1 : len(NAMES) + 1]}
    stale = {projection.name for projection in relevant("environment/shop/production")}
    assert states == {name: "stale" if name in stale else "live" for name in NAMES} | {"deployments": "set aside"}
    assert "  environment/shop/production at version 7, 2026-11-23 18:00:00 UTC: ValueError: no\n" in ran.out
    advice = "correct what the error names, then run `release-ledger projections verify deployments --repair`"
    assert f"deployments is set aside: {advice}.\n" in ran.out
    assert cli("projections", "verify").code == 1
    assert cli.fine("upgrade") == "The tables are up to date.\nFolded again: 1 stream.\n"
    assert cli("projections", "status").code == 0


def test_a_table_that_is_gone_is_missing(cli: CommandLine, ledger: Ledger) -> None:
    """It says what to do, verify goes on with the other projections, and `upgrade` makes it again from the history."""
    execute(ledger, "drop table deployments")

    status, verified = cli("projections", "status", "--json"), cli("projections", "verify", "--json")

    states = {each["name"]: each["state"] for each in status.json}
    assert status.code == 1
    assert states.pop("deployments") == "missing"
    assert set(states.values()) == {"live"}
    assert verified.code == 1
    assert [each["projection"] for each in verified.json["first"]] == ["deployments"]
    cli.fine("upgrade")
    assert cli.fine("projections", "verify") == f"No differences in 2 streams, {ALL}\n"


@on_sqlite
def test_rows_of_another_definition_are_stale(cli: CommandLine, ledger: Ledger) -> None:
    """After a new release was installed and before it was upgraded."""
    execute(ledger, "update projections set definition = '0' where name = 'tokens'")
    execute(ledger, "insert into projections values ('plugin', '1')")

    found = {each["name"]: each for each in cli("projections", "status", "--json").json}

    assert (found["tokens"]["state"], found["tokens"]["registered"], found["tokens"]["installed"]) == (
        "stale",
        "0",
        "1",
    )
    assert (found["plugin"]["state"], found["plugin"]["rows"]) == ("not installed", None)


def execute(ledger: Ledger, statement: str) -> None:
    """Do to the database what nobody should."""
    with ledger.store.database.engine.connect() as connection:
        connection.execute(text(statement))
        if connection.in_transaction():
            connection.commit()
