"""Projects and environments are set up on the command line; what has no option is left as it is."""

import os
import pwd

import pytest

from release_ledger.environment import Settings
from release_ledger.ledger import Caller, Ledger
from release_ledger.projection import environment_stream
from release_ledger.store.codec import decode
from release_ledger.store.store import events_after
from tests.support.command_line import CommandLine

on_sqlite = pytest.mark.parametrize("database_kind", ["sqlite"])
API = Caller(recorded_by="ci")


def test_a_project_and_an_environment_can_be_used_at_once(cli: CommandLine, ledger: Ledger) -> None:
    """What was created here is what the API serves."""
    said = [
        cli.fine("project", "create", "web shop", "--repo", "acme/shop"),
        cli.fine("environment", "create", "web shop", "production", "--tier", "production"),
    ]

    assert said == ["Project web shop is created.\n", "Environment production of web shop is created.\n"]
    [project] = cli("project", "list", "--json").json
    assert (project["name"], project["repo"]) == ("web shop", "acme/shop")
    environment, _ = ledger.environment("web shop", "production")
    assert (environment["tier"], environment["rollback_strategy"]) == ("production", "previous")


@on_sqlite
def test_created_again_it_says_what_became_of_it(cli: CommandLine, ledger: Ledger) -> None:
    """A script that sets up a ledger may be run every day; it records only what changes."""
    project, environment = ("project", "create", "shop", "--repo"), ("environment", "create", "shop", "production")
    cli.fine(*project, "acme/shop")
    cli.fine(*environment)

    said = [
        cli.fine(*project, "acme/shop"),
        cli.fine(*project, "acme/new"),
        cli.fine(*environment),
        cli.fine(*environment, "--tier", "staging"),
    ]

    assert [line.split(" is ")[1] for line in said] == ["as it was.\n", "changed.\n"] * 2
    assert (ledger.project("shop")[1], ledger.environment("shop", "production")[1]) == (2, 2)


@on_sqlite
def test_created_again_it_keeps_what_has_no_option(cli: CommandLine, ledger: Ledger) -> None:
    """Workflows that were set over HTTP are not lost because somebody changes the tier here."""
    workflow = {"repo": "acme/shop", "workflow": "deploy.yml"}
    settings = Settings(tier="staging", deploy_workflow=workflow, rollback_strategy="walk_back", stuck_after_s=60)
    ledger.configure_project("shop", repo="acme/shop", build_workflow=workflow, deploy_after_build="qa", by=API)
    ledger.configure_environment("shop", "production", settings, by=API)

    cli.fine("project", "create", "shop", "--repo", "acme/new")
    cli.fine("environment", "create", "shop", "production", "--tier", "production")

    project, _ = ledger.project("shop")
    assert (project["build_workflow"], project["deploy_after_build"]) == (workflow, "qa")
    environment, _ = ledger.environment("shop", "production")
    assert (environment["tier"], environment["rollback_strategy"]) == ("production", "walk_back")
    assert (environment["deploy_workflow"], environment["stuck_after_s"]) == (workflow, 60)


def test_an_environment_is_frozen_and_unfrozen(cli: CommandLine, ledger: Ledger) -> None:
    """The freeze says why, until when and by whom; lifting it twice is no mistake."""
    set_up(ledger)

    frozen = cli.fine(
        "environment", "freeze", "shop", "production", "--reason", "audit", "--until", "2999-01-01T01:00+01:00"
    )

    assert frozen == "Environment production of shop is frozen until 2999-01-01 00:00:00 UTC: audit\n"
    freeze = ledger.environment("shop", "production")[0]["freeze"]
    assert (freeze["reason"], freeze["until"]) == ("audit", "2999-01-01T00:00:00.000000+00:00")
    assert freeze["frozen_by"] == f"command-line:{user()}"
    unfrozen = [cli.fine("environment", "unfreeze", "shop", "production") for _ in range(2)]
    assert unfrozen == ["Environment production of shop is not frozen.\n"] * 2
    assert ledger.environment("shop", "production")[0]["freeze"] is None


@on_sqlite
def test_a_freeze_that_is_over_already_is_refused(cli: CommandLine, ledger: Ledger) -> None:
    """It would look frozen to whoever typed it, and would not be."""
    set_up(ledger)

    ran = cli("environment", "freeze", "shop", "production", "--reason", "audit", "--until", "2001-01-01T00:00Z")

    assert (ran.code, ran.err) == (1, "Error: Invalid request (until: must be in the future)\n")
    assert ledger.environment("shop", "production")[0]["freeze"] is None


@on_sqlite
def test_what_is_printed_cannot_steer_a_terminal(cli: CommandLine, ledger: Ledger) -> None:
    """A reason may hold anything; on a terminal it is only text."""
    set_up(ledger)

    printed = cli.fine("environment", "freeze", "shop", "production", "--reason", "red \x1b[31m[bold]\u202e")

    assert printed.endswith(r": red \x1b[31m[bold]\u202e" + "\n")


@on_sqlite
def test_the_history_knows_who_typed_it(cli: CommandLine, ledger: Ledger) -> None:
    """The user of the operating system, not the one that an environment variable claims; and one id a command."""
    set_up(ledger)

    cli("environment", "freeze", "shop", "production", "--reason", "audit", USER="mallory", LOGNAME="mallory")
    cli.fine("environment", "unfreeze", "shop", "production")

    stream = environment_stream("shop", "production")
    events = [decode(stream, row) for row in events_after(ledger.store, stream, after=1)]
    assert [event.recorded_by for event in events] == [f"command-line:{user()}"] * 2
    assert len({event.request_id for event in events}) == 2
    assert all(event.request_id for event in events)


def set_up(ledger: Ledger) -> None:
    ledger.configure_project("shop", repo="acme/shop", by=API)
    ledger.configure_environment("shop", "production", Settings(), by=API)


def user() -> str:
    return pwd.getpwuid(os.geteuid()).pw_name
