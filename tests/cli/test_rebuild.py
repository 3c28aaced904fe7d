"""`projections rebuild`: what is chosen, what is printed, how it ends."""

import json
import re
from collections.abc import Callable

import pytest
from click.testing import CliRunner, Result

from release_ledger.cli import main, progress
from release_ledger.environment import Settings
from release_ledger.ledger import Caller, Ledger
from release_ledger.projection import crew, verify
from release_ledger.projection.alone import Seat, alone
from release_ledger.projection.crew import Advanced
from release_ledger.projection.rebuild import Rebuilt, rebuild_stream
from release_ledger.store.store import head_of
from tests.cli.test_projections import execute
from tests.support.command_line import CommandLine, InProcess

on_sqlite = pytest.mark.parametrize("database_kind", ["sqlite"])
on_postgresql = pytest.mark.parametrize("database_kind", ["postgresql"])
API = Caller(recorded_by="ci")
STREAMS = ["environment/shop/production", "environment/shop/staging", "project/shop"]


@pytest.fixture(autouse=True)
def _a_small_history(ledger: Ledger) -> None:
    ledger.configure_project("shop", repo="acme/shop", by=API)
    ledger.configure_environment("shop", "production", Settings(), by=API)
    ledger.configure_environment("shop", "staging", Settings(), by=API)
    for number in range(1, 6):
        version = f"1.{number}-rc1"
        ledger.cut_release_candidate("shop", version, repo="acme/shop", commit=f"{number:040x}", by=API)
        ledger.report("shop", "production", release_candidate_version=version, status="success", by=API)


@pytest.fixture
def run(upgraded_url: str, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    """The command, in this process: a process of its own for each would take most of the time."""
    monkeypatch.setenv("RELEASE_LEDGER_DATABASE_URL", upgraded_url)
    return lambda *arguments: CliRunner().invoke(main, ["projections", "rebuild", *arguments])


def generations(ledger: Ledger) -> dict[str, int]:
    return {stream: head_of(ledger.store, stream).generation for stream in STREAMS}


@on_sqlite
def test_only_what_was_chosen_is_rebuilt(run: Callable[..., Result], ledger: Ledger) -> None:
    """The histories that the named projections fold, or one environment's."""
    assert run("release_candidates").stdout.startswith("Rebuilt 1 stream: ")
    first = generations(ledger)
    assert [stream for stream, generation in first.items() if generation] == ["project/shop"]

    ran = run("deployments", "--environment", "shop/staging", "--json")

    said = json.loads(ran.stdout)
    assert (ran.exit_code, said["streams"], said["events"]) == (0, 1, 1)
    assert (said["set_aside"], said["left"]) == ([], [])
    assert said["seconds"] > 0 < said["waited_s"]
    second = generations(ledger)
    assert {stream for stream in STREAMS if second[stream] != first[stream]} == {"environment/shop/staging"}


@on_sqlite
@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (("nonsense",), 2, "there is no projection nonsense; there are "),
        (("--environment", "shop"), 2, "PROJECT/ENVIRONMENT"),
        (("tokens", "--environment", "shop/staging"), 2, "of these folds an environment's history"),
        (("--jobs", "0"), 2, "--jobs"),
        (("--environment", "shop/nowhere"), 1, "Release environment not found"),
    ],
)
def test_what_cannot_be_chosen(run: Callable[..., Result], arguments: tuple[str, ...], code: int, says: str) -> None:
    """Wrong usage is told from what is not there."""
    ran = run(*arguments)

    assert (ran.exit_code, ran.stdout) == (code, "")
    assert says in ran.stderr


def test_the_second_of_two_says_so(run: Callable[..., Result], ledger: Ledger) -> None:
    """It does not wait. Wrong usage is said all the same."""
    with alone(ledger.store.database, wait=False):
        ran, nonsense = run(), run("nonsense")

    assert nonsense.exit_code == 2
    assert (ran.exit_code, ran.stdout, ran.stderr) == (1, "", "Error: Another rebuild of this ledger is under way.\n")
    assert set(generations(ledger).values()) == {0}


@on_sqlite
def test_the_tables_of_a_newer_release_are_left(here: InProcess, ledger: Ledger) -> None:
    """Whoever rolled the program back is told, and nothing of the newer release's is touched."""
    execute(ledger, "update projections set definition = '10' where name = 'deployments'")
    execute(ledger, "alter table deployments add column later text")

    for command in (("projections", "rebuild"), ("projections", "verify", "--repair"), ("upgrade",)):
        ran = here(*command)
        assert ran.code == 1
        assert re.fullmatch(
            r"Error: The read model deployments is of definition 10, which is newer than this release knows"
            r" \(this release has \d\): install a newer one.\n",
            ran.err,
        )

    execute(ledger, "select later from deployments")


@on_sqlite
def test_strange_faults_are_forgotten(run: Callable[..., Result], here: InProcess, ledger: Ledger) -> None:
    """Or `status` would say for ever what no rebuild can change."""
    for command in (run, lambda: here("upgrade")):
        fault(ledger, "tokens", "project/shop")
        fault(ledger, "tokens", "environment/shop/gone")
        fault(ledger, "plugin", "environment/shop/gone")

        command()

        status = here("projections", "status")
        assert (status.code, "gone" in status.out, "plugin" in status.out) == (0, False, False)


@on_sqlite
def test_the_faults_of_what_is_not_installed_here_are_left(
    run: Callable[..., Result], here: InProcess, ledger: Ledger
) -> None:
    """A host without a plug-in cannot know whether they are mended: one that has it still needs them."""
    fault(ledger, "plugin", "project/shop")

    for command in (run, lambda: here("upgrade")):
        command()

        assert "  project/shop at version 1, 2026 UTC: no\n" in here("projections", "status").out


def fault(ledger: Ledger, name: str, stream: str) -> None:
    execute(ledger, f"insert into projection_faults values ('{name}', '{stream}', 1, 'no', '2026')")


def test_two_jobs(cli: CommandLine, ledger: Ledger) -> None:
    """All of it, in two processes."""
    said = cli.fine("projections", "rebuild", "--jobs", "2")

    assert said.startswith("Rebuilt 3 streams: 18 events, ")
    assert 0 not in generations(ledger).values()
    assert [found for _, found in verify(ledger.store) if found] == []


def test_what_is_set_aside_or_left_is_said(run: Callable[..., Result], ledger: Ledger) -> None:
    """With the reason, and exit status 1; the rest is rebuilt."""
    execute(ledger, "update events set topic = 'deployment-approved' where stream like '%staging'")
    execute(ledger, "delete from deployments")
    execute(ledger, "create unique index one_of_a_kind on deployments (kind)")

    ran = run()

    aside, left, summary = ran.stdout.splitlines()
    assert ran.exit_code == 1
    assert aside.startswith("deployments is set aside for environment/shop/production at version 11: ")
    assert left == (
        "environment/shop/staging is left as it was: version 1 is an event of a newer release: deployment-approved"
    )
    assert summary.startswith("Rebuilt 2 streams: ")


@on_sqlite
def test_ctrl_c_says_how_far_it_came(
    run: Callable[..., Result], ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A line and exit status 1; what was finished by then is live, the rest as it was."""

    def interrupted(seat: Seat, stream: str, advanced: Advanced) -> Rebuilt:
        if stream == "project/shop":
            raise KeyboardInterrupt
        return rebuild_stream(seat, stream, advanced)

    monkeypatch.setattr(crew, "rebuild_stream", interrupted)

    ran = run()

    assert (ran.exit_code, ran.stdout) == (1, "")
    assert ran.stderr == "Error: Interrupted: 1 of 3 streams rebuilt, the rest is as it was.\n"
    assert [stream for stream, generation in generations(ledger).items() if generation] == [STREAMS[0]]


@on_postgresql
def test_a_lost_connection_says_how_far_it_came(
    run: Callable[..., Result], ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As Ctrl-C does, and why it went no further."""

    def cut_off(seat: Seat, stream: str, advanced: Advanced) -> Rebuilt:
        if stream == "project/shop":
            seat.cursor.execute("select pg_backend_pid()")
            execute(ledger, f"select pg_terminate_backend({seat.cursor.fetchone()[0]})")
        return rebuild_stream(seat, stream, advanced)

    monkeypatch.setattr(crew, "rebuild_stream", cut_off)

    ran = run()

    assert (ran.exit_code, ran.stdout) == (1, "")
    assert ran.stderr == (
        "Error: The ledger cannot be written (database: terminating connection due to administrator command):"
        " 1 of 3 streams rebuilt, the rest is as it was.\n"
    )
    assert [stream for stream, generation in generations(ledger).items() if generation] == [STREAMS[0]]


def test_the_notes_of_what_is_registered_are_made_again(
    run: Callable[..., Result], here: InProcess, ledger: Ledger
) -> None:
    """Somebody deleted them: what a rebuild made live is not missing."""
    execute(ledger, "delete from projections")
    assert here("projections", "status").code == 1

    run()

    assert here("projections", "status").code == 0


@pytest.mark.parametrize("table", ["projection_faults", "projections"])
def test_a_table_of_the_ledger_itself_that_is_gone(here: InProcess, ledger: Ledger, table: str) -> None:
    """No read model can be made from it, and nothing here makes it again: that is said."""
    execute(ledger, f"drop table {table}")

    for command in (("projections", "status"), ("projections", "rebuild"), ("upgrade",)):
        ran = here(*command)

        says = rf"Error: A table of the ledger itself is damaged \(.*{table}.*\): restore the database from a backup.\n"
        assert ran.code == 1
        assert re.fullmatch(says, ran.err)


@on_sqlite
def test_progress_is_a_line_now_and_then(run: Callable[..., Result], monkeypatch: pytest.MonkeyPatch) -> None:
    """Where there is no terminal to draw a bar on."""
    monkeypatch.setattr(progress, "LINE_EVERY_S", 0.0)

    ran = run()

    assert re.match(r"11 of 18 events, [\d,]+ events/s, \d+ s left\n", ran.stderr)
    assert "18 of 18 events" in ran.stderr
