"""Damage that no row shows: `verify` names it, `rebuild` mends it, and so does `upgrade`."""

from collections.abc import Sequence

import pytest

from release_ledger.environment import Settings
from release_ledger.ledger import Caller, Ledger
from release_ledger.projection import installed
from release_ledger.projection.upgrade import damaged_tables
from tests.cli.test_projections import execute
from tests.support.command_line import InProcess

API = Caller(recorded_by="ci")
TABLE = installed()["deployments"].table
INDEX = min(str(index.name) for index in TABLE.indexes)
DAMAGE = {
    "index": (f"drop index {INDEX}",),
    "trigger of sqlite": ("create trigger swallows before insert on deployments begin select raise(ignore); end",),
    "check of sqlite": ("alter table deployments add column more text check (more <> 'x')",),
    "trigger": (
        "create function swallows() returns trigger language plpgsql as $$ begin return null; end $$",
        "create trigger swallows before insert on deployments for each row execute function swallows()",
    ),
    "rule": ("create rule swallows as on insert to deployments do instead nothing",),
    "check": ("alter table deployments add constraint few check (number < 3)",),
    "security": ("alter table deployments enable row level security",),
    "key": ("alter table deployments drop constraint deployments_pkey",),
}


@pytest.fixture(autouse=True)
def _a_small_history(ledger: Ledger) -> None:
    ledger.configure_project("shop", repo="acme/shop", by=API)
    ledger.configure_environment("shop", "production", Settings(), by=API)
    ledger.cut_release_candidate("shop", "1.0-rc1", repo="acme/shop", commit="a" * 40, by=API)
    ledger.deploy("shop", "production", release_candidate_version="1.0-rc1", by=API)


@pytest.mark.parametrize(
    ("database_kind", "damage", "says"),
    [
        ("sqlite", "index", f"index {INDEX}"),
        ("sqlite", "trigger of sqlite", "trigger swallows"),
        ("sqlite", "check of sqlite", "column more, a constraint of deployments"),
        ("postgresql", "index", f"index {INDEX}"),
        ("postgresql", "key", "primary key"),
        ("postgresql", "trigger", "trigger swallows"),
        ("postgresql", "rule", "rule swallows"),
        ("postgresql", "check", "constraint few"),
        ("postgresql", "security", "row security of deployments"),
    ],
)
def test_a_damaged_table_is_named_and_mended(here: InProcess, ledger: Ledger, damage: str, says: str) -> None:
    """With exit status 1, as what it may do to rows. Nothing is left of it after a rebuild."""
    damaged(ledger, DAMAGE[damage])

    found, as_json = here("projections", "verify", "deployments"), here("projections", "verify", "--json")

    assert (found.code, as_json.code) == (1, 1)
    assert f"The table of deployments is not as it was made: {says}.\n" in found.out
    assert as_json.json["tables"] == {"deployments": says.split(", ")}
    assert here("projections", "verify", "projects").code == 0
    here.fine("projections", "rebuild")
    assert here.fine("projections", "verify").startswith("No differences in ")


@pytest.mark.parametrize(
    ("database_kind", "damage"), [("sqlite", "trigger of sqlite"), ("postgresql", "trigger"), ("postgresql", "rule")]
)
def test_upgrade_and_repair_mend_it_too(here: InProcess, ledger: Ledger, damage: str) -> None:
    """A table is made again without what somebody added."""
    for command in (("upgrade",), ("projections", "verify", "--repair")):
        damaged(ledger, DAMAGE[damage][-1:] if command[0] != "upgrade" else DAMAGE[damage])

        here.fine(*command)

        assert damaged_tables(ledger.store) == {}


def test_rows_of_a_history_that_is_not_there(here: InProcess, ledger: Ledger) -> None:
    """No stream's rebuild comes across them. Rows of a history that begins meanwhile are nobody's prey."""
    for mends in (("projections", "rebuild"), ("projections", "verify", "--repair")):
        copied(ledger, "environment/shop/nowhere")
        copied(ledger, "nothing")

        found = here("projections", "verify", "--json")

        assert (found.code, found.json["projections"]) == (1, {"deployments": 2})
        assert [(each["stream"], each["live"], each["folded"]) for each in found.json["first"]] == [
            ("environment/shop/nowhere", "rows", "no such history"),
            ("nothing", "rows", "no such history"),
        ]
        here.fine(*mends)
        assert here.fine("projections", "verify").startswith("No differences in ")
    assert len(ledger.deployments("shop", "production").items) == 1


def test_whoever_may_only_read_is_told(here: InProcess, ledger: Ledger) -> None:
    """On PostgreSQL a standby cannot compare tables; rows it can."""
    if ledger.store.database.is_postgresql:
        name = ledger.store.database.url.database
        execute(ledger, f"alter database {name} set default_transaction_read_only = on")
        ledger.store.database.forget_connections()

    ran = here("projections", "verify")

    says = "Whether the tables are as they were made cannot be seen by whoever may only read.\n"
    assert (ran.code, ran.out.startswith(says)) == (0, ledger.store.database.is_postgresql)
    assert "No differences in " in ran.out


def damaged(ledger: Ledger, statements: Sequence[str]) -> None:
    for statement in statements:
        execute(ledger, statement)
    ledger.store.database.forget_connections()


def copied(ledger: Ledger, stream: str) -> None:
    """The rows of production, as those of another stream."""
    names = ", ".join(f'"{column.name}"' for column in TABLE.columns if column.name != "stream")
    rows = f"select '{stream}', {names} from deployments where stream = 'environment/shop/production'"
    execute(ledger, f"insert into deployments (stream, {names}) {rows}")
