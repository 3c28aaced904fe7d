"""`upgrade` folds again, while servers go on, what it made stale; `--no-rebuild` postpones that; `serve` says it."""

import threading
from collections.abc import Iterator, MutableMapping
from contextlib import contextmanager
from importlib import import_module
from typing import Any, cast

import pytest

from release_ledger.cli.output import say
from release_ledger.environment import Settings
from release_ledger.ledger import Caller, Ledger
from release_ledger.projection import Projection, Rows, environment_stream, installed
from release_ledger.projection.alone import alone
from release_ledger.projections.deployments import Deployments
from release_ledger.store.store import head_of
from tests.support.command_line import CommandLine, InProcess
from tests.support.server import LiveServer, wait_for

upgrade_command = import_module("release_ledger.cli.upgrade")
on_sqlite = pytest.mark.parametrize("database_kind", ["sqlite"])
API = Caller(recorded_by="ci")
STALE = """\
Read model deployments is stale for 2 streams.
Questions about these are answered by folding the history: slower, never wrong.
`release-ledger upgrade` folds what is stale while servers go on.
"""


class NextDeployments(Deployments):
    """The same as ever, by the definition of the next release."""

    definition = "next"


@pytest.fixture(autouse=True)
def _two_environments(ledger: Ledger) -> None:
    ledger.configure_project("shop", repo="acme/shop", by=API)
    for number in range(1, 4):
        ledger.cut_release_candidate("shop", f"1.{number}-rc1", repo="acme/shop", commit=f"{number:040x}", by=API)
    for environment in ("production", "staging"):
        ledger.configure_environment("shop", environment, Settings(), by=API)
        ledger.report("shop", environment, release_candidate_version="1.1-rc1", status="success", by=API)


@contextmanager
def release(projection: Projection) -> Iterator[None]:
    """A release that has this projection installed."""
    everything = cast(MutableMapping[str, Projection], installed())
    before = everything["deployments"]
    everything["deployments"] = projection
    try:
        yield
    finally:
        everything["deployments"] = before


@pytest.fixture
def _the_next_release() -> Iterator[None]:
    with release(NextDeployments()):
        yield


def folded(ledger: Ledger) -> list[bool]:
    """Of each environment, whether the next release's rows of `deployments` are live."""
    heads = [head_of(ledger.store, environment_stream("shop", name)) for name in ("production", "staging")]
    return ["deployments=next" in head.folded for head in heads]


@pytest.mark.usefixtures("_the_next_release")
def test_what_an_upgrade_makes_stale_it_folds_again(here: InProcess, ledger: Ledger) -> None:
    """And once that is done there is nothing to do."""
    assert here("projections", "status").code == 1

    upgraded = here.fine("upgrade")

    assert upgraded == "The tables are up to date.\nFolded again: 2 streams.\n"
    assert folded(ledger) == [True, True]
    assert here("projections", "status").code == 0
    assert here.fine("upgrade") == "The tables are up to date.\n"


@pytest.mark.usefixtures("_the_next_release")
def test_folding_may_be_postponed(here: InProcess, ledger: Ledger) -> None:
    """It says what is stale, that answers are right, and what to run; answers are."""
    upgraded = here.fine("upgrade", "--no-rebuild")

    assert upgraded == f"The tables are up to date.\n{STALE}"
    assert folded(ledger) == [False, False]
    assert [each["status"] for each in ledger.deployments("shop", "production").items] == ["success"]
    ledger.report("shop", "production", release_candidate_version="1.2-rc1", status="success", by=API)
    assert ledger.rollback_preview("shop", "production")[0]["target"] == "1.1-rc1"
    assert here.fine("upgrade").endswith("Folded again: 2 streams.\n")
    assert folded(ledger) == [True, True]
    assert here.fine("upgrade", "--no-rebuild") == "The tables are up to date.\n"


def test_writers_go_on_while_it_folds(here: InProcess, ledger: Ledger) -> None:
    """A report that comes in the middle of the fold is recorded at once, and is in the rows that go live."""
    reported: list[Any] = []

    class Interrupted(NextDeployments):
        def fold(self, event: Any, rows: Rows) -> None:
            if not reported and threading.current_thread() is threading.main_thread():
                reported.append(None)
                writer = threading.Thread(target=report)
                writer.start()
                writer.join(20)
                reported.append(writer.is_alive())
            super().fold(event, rows)

    def report() -> None:
        ledger.report("shop", "production", release_candidate_version="1.3-rc1", status="success", by=API)

    with release(Interrupted()):
        here.fine("upgrade")

        assert reported == [None, False]
        assert folded(ledger) == [True, True]
        newest = ledger.deployments("shop", "production").items[0]
        assert (newest["release_candidate_version"], newest["status"]) == ("1.3-rc1", "success")
        assert here("projections", "verify").code == 0


def test_what_fails_again_is_said_and_stops_nothing(here: InProcess, ledger: Ledger) -> None:
    """A defect of the new release: the other read models are upgraded, and the stream is named with its error."""

    class Broken(NextDeployments):
        def fold(self, event: Any, rows: Rows) -> None:
            if event.environment_name == "staging":
                raise ValueError("a bug in a projection")
            super().fold(event, rows)

    with release(Broken()):
        upgraded = here("upgrade")

    assert (upgraded.code, upgraded.err) == (1, "")
    assert "deployments is set aside for environment/shop/staging at version 1: ValueError: a bug" in upgraded.out
    assert upgraded.out.endswith("\nFolded again: 1 stream.\n")
    assert folded(ledger) == [True, False]


@pytest.mark.usefixtures("_the_next_release")
def test_what_is_left_is_said_with_exit_status_1(here: InProcess, ledger: Ledger) -> None:
    """A script that upgrades must not take a history that was not folded for done."""
    with ledger.store.database.cursor() as cursor:
        cursor.execute("update events set topic = 'teleported' where stream = 'environment/shop/staging'")

    upgraded = here("upgrade")

    assert upgraded.code == 1
    assert "environment/shop/staging is left as it was: version 1 is an event of a newer release" in upgraded.out
    assert folded(ledger) == [True, False]


@pytest.mark.usefixtures("_the_next_release")
def test_it_waits_for_a_rebuild_that_is_under_way(
    here: InProcess, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And says so; two hosts that upgrade take turns."""
    over = threading.Event()

    def rebuild() -> None:
        with alone(ledger.store.database, wait=False):
            begun.set()
            over.wait(20)

    begun, another = threading.Event(), threading.Thread(target=rebuild)
    another.start()
    assert begun.wait(20)

    def says(line: str) -> None:
        say(line)
        over.set()

    monkeypatch.setattr(upgrade_command, "say", says)
    ran = here("upgrade")
    another.join()

    assert (ran.code, ran.err) == (0, "Waiting for the rebuild that is under way…\n")
    assert ran.out.endswith("Folded again: 2 streams.\n")
    assert over.is_set()


@on_sqlite
def test_serve_says_what_is_stale(cli: CommandLine, ledger: Ledger) -> None:
    """Whoever starts it knows why it is slower, and what to run. It serves all the same."""
    for name in ("production", "staging"):
        stream = environment_stream("shop", name)
        left = " ".join(tag for tag in head_of(ledger.store, stream).folded.split() if "deployments=" not in tag)
        with ledger.store.database.cursor() as cursor:
            cursor.execute("update streams set folded = ? where stream = ?", (left, stream))
    ledger.create_token("first", by=API)

    with LiveServer(cli.database_url) as server:
        wait_for(lambda: "listens on" in server.output)

        assert server.output == f"{STALE}Release Ledger listens on {server.url}\n"
        assert server.errors == ""
