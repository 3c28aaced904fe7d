"""`release-ledger audit`: what an auditor types, and what it says; both databases."""

import json
import subprocess
import sys
from pathlib import Path

import click
import pytest

from release_ledger.cli import audit_verify
from release_ledger.cli.audit import audit
from release_ledger.ledger import Ledger
from tests.support.command_line import CommandLine, InProcess
from tests.support.histories import run

VERIFY_PY = Path(__file__).parents[2] / "docs" / "verify.py"


@pytest.fixture
def recorded(here: InProcess) -> InProcess:
    """Two projects, one of them with two environments."""
    for name in ("shop", "bank"):
        here.fine("project", "create", name, "--repo", f"acme/{name}")
    for name in ("production", "staging"):
        here.fine("environment", "create", "shop", name)
        here.fine("environment", "freeze", "shop", name, "--reason", "stock-taking")
    return here


@pytest.fixture
def key(tmp_path: Path) -> Path:
    """A signing key, made as the documentation says; the public one is beside it."""
    file = tmp_path / "key.pem"
    subprocess.run(["openssl", "genpkey", "-algorithm", "ed25519", "-out", str(file)], check=True, capture_output=True)
    subprocess.run(["openssl", "pkey", "-in", str(file), "-pubout", "-out", str(tmp_path / "public.pem")], check=True)
    return file


def test_a_checkpoint_that_was_carried_away_shows_what_was_cut_off(
    recorded: InProcess, ledger: Ledger, key: Path, tmp_path: Path
) -> None:
    """The whole way: key, checkpoint, a history that is cut off in every table, and the note that tells."""
    kept = tmp_path / "kept"
    made = recorded("audit", "checkpoint", RELEASE_LEDGER_SIGNING_KEY_FILE=str(key))
    assert (made.code, made.err) == (0, "")
    kept.write_text(made.out)
    fine = recorded("audit", "verify", "--against", str(kept), "--key", str(tmp_path / "public.pem"))
    assert fine.code == 0
    assert fine.out.startswith(
        "Verified 6 events in 4 streams, 1 checkpoint over 4 leaves: nothing is wrong.\n2 signatures"
    )

    stream = "environment/shop/staging"
    run(
        ledger.store,
        f"DELETE FROM events WHERE stream = '{stream}' AND version = 2",
        "UPDATE streams SET (version, digest, recorded_at) = (SELECT version, digest, recorded_at FROM events"
        f" WHERE stream = '{stream}') WHERE stream = '{stream}'",
        "DELETE FROM checkpoint_leaves",
        "DELETE FROM checkpoints",
    )

    assert recorded("audit", "verify").code == 0
    found = recorded("audit", "verify", "--against", str(kept), "--json")
    assert found.code == 1
    assert "cut off" in {each["word"] for each in found.json["found"]}


def test_the_first_bad_event_is_named_with_its_project_and_environment(recorded: InProcess, ledger: Ledger) -> None:
    """In the table and as JSON; others are left alone where a part is asked for."""
    run(ledger.store, "UPDATE events SET topic = 'x' WHERE stream = 'environment/shop/staging' AND version = 2")

    shown, told = recorded("audit", "verify"), recorded("audit", "verify", "shop", "staging", "--json")

    assert (shown.code, told.code) == (1, 1)
    assert "environment/shop/staging" in shown.out
    assert "its content is not the one that was recorded" in shown.out
    [found] = told.json["found"]
    where = (found["project"], found["environment"], found["version"], found["word"])
    assert where == ("shop", "staging", 2, "edited")
    assert told.json["streams"] == 1
    assert recorded("audit", "verify", "bank").code == 0
    assert recorded("audit", "verify", "shop", "production").code == 0
    assert recorded("audit", "verify", "shop").code == 1


@pytest.mark.parametrize("command", ["verify", "export"])
def test_a_part_that_is_not_there_is_refused(recorded: InProcess, command: str) -> None:
    """Not verified as if it were empty."""
    project = recorded("audit", command, "shopp")
    environment = recorded("audit", command, "shop", "productoin")

    assert (project.code, project.out, project.err) == (1, "", "Error: Release project not found\n")
    assert (environment.code, environment.out, environment.err) == (1, "", "Error: Release environment not found\n")


def test_several_processes_find_the_same(recorded: InProcess, ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each takes a part of the streams."""
    from release_ledger.proof import verification

    monkeypatch.setattr(verification, "STREAMS_AT_ONCE", 1)
    run(ledger.store, "UPDATE events SET topic = 'x' WHERE version = 2")

    one, several = (recorded("audit", "verify", "--json", "--jobs", jobs) for jobs in ("1", "3"))

    assert one.json == several.json
    assert len(one.json["found"]) == 2


def test_an_export_is_verified_elsewhere(recorded: InProcess, tmp_path: Path) -> None:
    """The project's own streams are in it, and the bytes are those of the database."""
    recorded("audit", "checkpoint")
    lines = recorded.fine("audit", "export", "shop")
    file = tmp_path / "shop.jsonl"
    file.write_text(lines)

    ran = subprocess.run(
        [sys.executable, "-S", "-I", str(VERIFY_PY), str(file)], capture_output=True, text=True, check=False
    )

    assert (ran.returncode, ran.stderr) == (0, "")
    found = [json.loads(line) for line in lines.splitlines()]
    assert {each["stream"] for each in found if each["line"] == "event"} == {
        "project/shop",
        "environment/shop/production",
        "environment/shop/staging",
    }
    assert found[-1] == {"line": "end", "leaves": 4, "streams": 3, "events": 5}


def test_what_cannot_be_used_is_said(recorded: InProcess, tmp_path: Path) -> None:
    """A note that is none, a key that is none, a key file that is not there."""
    nothing = tmp_path / "nothing"
    nothing.write_text("hello\n")

    note = recorded("audit", "verify", "--against", str(nothing))
    key = recorded("audit", "verify", "--key", str(nothing))
    signing = recorded("audit", "checkpoint", RELEASE_LEDGER_SIGNING_KEY_FILE=str(nothing))

    assert (note.code, key.code, signing.code) == (1, 1, 1)
    assert "is no checkpoint: " in note.err
    assert "holds no Ed25519 public key" in key.err
    assert "openssl genpkey -algorithm ed25519" in signing.err
    assert recorded("audit", "checkpoint", RELEASE_LEDGER_SIGNING_KEY_FILE=str(tmp_path / "gone")).code == 1


def test_nothing_recorded_is_nothing_to_sign(here: InProcess) -> None:
    """And nothing is wrong with it."""
    assert here("audit", "checkpoint").err == "Error: Nothing is recorded yet, so there is nothing to sign.\n"
    assert here.fine("audit", "verify").startswith(
        "Verified 0 events in 0 streams, 0 checkpoints over 0 leaves: nothing"
    )


def test_more_processes_are_taken_for_more_events(cli: CommandLine) -> None:
    """A process that starts costs as much as some ten thousand events."""
    assert audit_verify.EVENTS_A_PROCESS >= 10_000
    assert set(audit.list_commands(click.Context(audit))) >= {"verify", "checkpoint", "export"}
    assert "Verified 0 events" in cli.fine("audit", "verify", "--jobs", "2")
