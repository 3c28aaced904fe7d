"""What is installed: a projection that does not load, or would get into the way of others, is left out and said."""

import importlib
from importlib.metadata import EntryPoint, entry_points
from typing import Any

import pytest
from sqlalchemy import BigInteger, Column, Index, MetaData, Table, Text

from release_ledger.events import DeploymentRequested
from release_ledger.projection import Projection, Rows, on, read_model
from release_ledger.projection.installed import GROUP, LeftOut
from release_ledger.projections.deployments import Deployments
from release_ledger.store import Store
from tests.support.histories import run

module = importlib.import_module("release_ledger.projection.installed")


class Totals(Projection):
    """How many deployments were requested here?"""

    name = "totals"
    table = read_model("totals", Column("requested", BigInteger, nullable=False))

    @on(DeploymentRequested)
    def requested(self, _event: DeploymentRequested, rows: Rows) -> None:
        rows[()] = {"requested": (rows.get(()) or {"requested": 0})["requested"] + 1}


def of_table(name: str, *indexes: str) -> Any:
    return read_model(name, Column("requested", BigInteger), indexes=[Index(index, "requested") for index in indexes])


class TableOfTheLedger(Totals):
    name = "events"
    table = of_table("events")


class TableInCapitals(Totals):
    name = "EVENTS"
    table = of_table("EVENTS")


class TableOfOurs(Totals):
    name = "deploy"
    table = of_table("deployments")


class IndexOfOurs(Totals):
    name = "deploy"
    table = of_table("deploy", sorted(str(index.name) for index in Deployments.table.indexes)[0])


class TableOfAnotherName(Totals):
    table = of_table("sums")


class IndexOfAnotherName(Totals):
    table = of_table("totals", "by_requested")


class NameOfOurs(Totals):
    name = "deployments"
    table = of_table("deployments_again")


class NameOfTwoWords(Totals):
    name = "totals of"
    table = of_table("totals of")


class DefinitionWithASign(Totals):
    definition = "1=2"


class NoDefinition(Totals):
    definition = ""


class TooLong(Totals):
    table = of_table(f"totals{'s' * 60}")


class TableWithoutGeneration(Totals):
    table = Table("totals", MetaData(), Column("stream", Text, primary_key=True), Column("requested", BigInteger))


class TableWithoutSeal(Totals):
    table = Table(
        "totals",
        MetaData(),
        Column("stream", Text, primary_key=True),
        Column("generation", BigInteger, primary_key=True),
        Column("requested", BigInteger),
    )


class KeyThatIsNoColumn(Totals):
    key = ("day",)


class KeyThatIsTheLedgers(Totals):
    key = ("generation",)


class KeyOfTheClassOnly(Totals):
    key = ("requested",)


class KeyOfTheTableOnly(Totals):
    table = read_model("totals", Column("requested", BigInteger), key=("requested",))


class Exits(Totals):
    def __init__(self) -> None:
        raise SystemExit(3)


def found_with(monkeypatch: pytest.MonkeyPatch, *plugins: str) -> tuple[dict[str, Projection], list[LeftOut]]:
    """What is installed and what is left out when these are installed, too."""
    real = list(entry_points(group=GROUP))
    entries = [EntryPoint(plugin, plugin if ":" in plugin else f"{__name__}:{plugin}", GROUP) for plugin in plugins]
    monkeypatch.setattr(module, "entry_points", lambda group: [*entries, *real])
    found: tuple[dict[str, Projection], list[LeftOut]] = module._found.__wrapped__()
    return found


@pytest.mark.parametrize(
    ("plugin", "says"),
    [
        ("TableOfTheLedger", "its table or index events is the ledger's, or another projection's"),
        ("TableInCapitals", "its table or index EVENTS is the ledger's"),
        ("TableOfOurs", "its table or index deployments is the ledger's, or another projection's"),
        ("IndexOfOurs", "is the ledger's, or another projection's"),
        ("TableOfAnotherName", "its table or index sums does not begin with its name, totals"),
        ("IndexOfAnotherName", "its table or index by_requested does not begin with its name, totals"),
        ("NameOfOurs", "there is another projection of the name deployments"),
        ("NameOfTwoWords", "its name 'totals of' is empty, or has white space"),
        ("DefinitionWithASign", "its definition '1=2' is empty, or has white space or `=` in it"),
        ("NoDefinition", "its definition '' is empty"),
        ("TooLong", "is longer than 63 bytes"),
        ("TableWithoutGeneration", "its table has no column generation: `read_model` makes one"),
        ("TableWithoutSeal", "its table has no column seal: `read_model` makes one"),
        ("KeyThatIsNoColumn", "its key day is no column of its own"),
        ("KeyThatIsTheLedgers", "its key generation is no column of its own"),
        ("KeyOfTheClassOnly", "its table is keyed by generation, stream, and not by stream, generation and its key"),
        ("KeyOfTheTableOnly", "its table is keyed by generation, requested, stream, and not by stream, generation and"),
        ("Exits", "it does not load (SystemExit: 3)"),
        ("nowhere.at_all:Totals", "it does not load (ModuleNotFoundError: No module named 'nowhere')"),
        ("NoSuchClass", "it does not load (AttributeError: "),
    ],
)
def test_what_would_get_into_the_way_is_left_out(monkeypatch: pytest.MonkeyPatch, plugin: str, says: str) -> None:
    """With the reason; everything else is installed as ever, ours before all others of the same name."""
    before = found_with(monkeypatch)[0]

    found, [(entry, reason)] = found_with(monkeypatch, plugin)

    assert {name: type(each) for name, each in found.items()} == {name: type(each) for name, each in before.items()}
    assert entry.endswith(plugin)
    assert says in reason


def test_of_two_that_claim_a_name_one_is_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    """And the other one is named: neither replaces the other silently."""
    found, out = found_with(monkeypatch, "Totals", "TableOfAnotherName", f"{__name__}:Totals")

    assert isinstance(found["totals"], Totals)
    assert list(found) == sorted(found)
    assert len(out) == 2


def test_no_table_of_the_ledger_is_to_be_had(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the migrations make: a plug-in of any of these names is left out."""
    installed = found_with(monkeypatch)[0]
    own = {name for each in installed.values() for name in module._made_by(each.table)}
    names = "SELECT relname AS name FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'i')"
    if not store.database.is_postgresql:
        names = "SELECT name FROM sqlite_master WHERE name NOT LIKE 'sqlite_%'"
    made = {row["name"] for row in run(store, names)} - own
    assert {"events", "streams", "alembic_version"} <= made

    for name in made:
        monkeypatch.setattr(Totals, "name", name)
        monkeypatch.setattr(Totals, "table", of_table(name))
        assert [left.reason for left in found_with(monkeypatch, "Totals")[1]], name
