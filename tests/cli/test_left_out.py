"""A plug-in that does not load, or claims what is not its own: said wherever somebody looks, and left out."""

from pathlib import Path
from typing import Final

import pytest

from release_ledger.environment import Settings
from release_ledger.ledger import Caller, Ledger
from tests.support.command_line import CommandLine
from tests.support.server import LiveServer, wait_for

API = Caller(recorded_by="ci")
MODULE: Final = """
from sqlalchemy import BigInteger, Column
from release_ledger.projection import Projection, read_model

class Greedy(Projection):
    name = "events"
    table = read_model("events", Column("requested", BigInteger))
"""
SAID: Final = """\
The projection strange:Greedy is left out: its table or index events is the ledger's, or another projection's.
The projection nowhere:Projection is left out: it does not load (ModuleNotFoundError: No module named 'nowhere').
"""


@pytest.fixture
def site(tmp_path: Path) -> str:
    """A folder into which two distributions were installed."""
    site = tmp_path / "site"
    (site / "strange-1.0.dist-info").mkdir(parents=True)
    (site / "strange.py").write_text(MODULE)
    (site / "strange-1.0.dist-info" / "METADATA").write_text("Metadata-Version: 2.1\nName: strange\nVersion: 1.0\n")
    (site / "strange-1.0.dist-info" / "entry_points.txt").write_text(
        "[release_ledger.projections]\na = strange:Greedy\nb = nowhere:Projection\n"
    )
    return str(site)


def test_it_is_said_and_nothing_is_lost(cli: CommandLine, ledger: Ledger, site: str) -> None:
    """`upgrade` made the tables of plug-ins in the place of whatever had their names: the events, here."""
    ledger.configure_project("shop", repo="acme/shop", by=API)
    ledger.configure_environment("shop", "production", Settings(), by=API)

    upgraded = cli("upgrade", PYTHONPATH=site)
    status, json = (cli("projections", "status", *more, PYTHONPATH=site) for more in ((), ("--json",)))
    verified = cli("projections", "verify", PYTHONPATH=site)

    assert (upgraded.code, upgraded.err, upgraded.out) == (0, SAID, "The tables are up to date.\n")
    assert (status.code, status.err, json.code, json.err) == (1, SAID, 1, SAID)
    assert {each["state"] for each in json.json} == {"live"}
    assert (verified.code, verified.err) == (0, "")
    assert ledger.environment("shop", "production") is not None
    assert cli("projections", "status").code == 0


@pytest.mark.parametrize("database_kind", ["sqlite"])
def test_a_server_says_it_and_serves(
    upgraded_url: str, ledger: Ledger, site: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At its start, and in the log, with which whoever looks for errors looks."""
    monkeypatch.setenv("PYTHONPATH", site)
    ledger.create_token("first", by=API)

    with LiveServer(upgraded_url) as server:
        wait_for(lambda: "listens on" in server.output)

        assert server.errors.startswith(SAID)
        assert '"entry": "strange:Greedy"' in server.errors
        assert '"event": "projection left out"' in server.errors
