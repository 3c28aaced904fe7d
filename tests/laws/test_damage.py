"""No damage of a read model ever reaches an event: what is recorded after it is what a sound ledger records."""

from __future__ import annotations

import itertools
import json
from dataclasses import dataclass
from typing import Any, Final

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Integer, SmallInteger, Table, bindparam, delete, select, update

from release_ledger.environment import Settings
from release_ledger.ledger import Caller, Ledger
from release_ledger.ledger.remembered import Remembered
from release_ledger.projection import installed, mend, own_columns, project_stream
from release_ledger.store import Statement
from release_ledger.store.store import events_after
from release_ledger.testing.histories import (
    ENVIRONMENTS,
    REPO,
    VERSIONS,
    Step,
    begin,
    carry_out,
    commit_of,
    histories,
    said,
)
from tests.laws.test_live_equals_folded import alike, streams_of

NUMBERS: Final = itertools.count(1)
CI: Final = Caller(recorded_by="ci", request_id="r")
OF_PROJECTS: Final = sorted(set(installed()) - {"tokens"})
SAID: Final = ("topic", "number", "release_candidate_version", "commit", "kind", "status", "outcome", "late", "leaves")
WORKFLOW: Final = {"kind": "github", "workflow": "deploy.yml", "ref": "main"}
FEW: Final = settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])


@dataclass(frozen=True)
class Damage:
    """Of one read model: rows that go, or a column in which rows have another value. `which`: of the rows in order."""

    table: str
    column: int | None
    which: int | None


damages = st.builds(
    Damage,
    table=st.sampled_from(OF_PROJECTS),
    column=st.none() | st.integers(0, 30),
    which=st.none() | st.integers(0, 5),
)
cuts = st.sampled_from([(version, commit) for version in VERSIONS for commit in (commit_of(version), "f" * 40)])


@FEW
@given(history=histories, damage=damages, later=histories.map(lambda steps: steps[:3]), cut=cuts)
def test_after_any_damage_the_same_is_recorded(
    ledger: Ledger, history: list[Step], damage: Damage, later: list[Step], cut: tuple[str, str]
) -> None:
    """Rows deleted or edited, one or all, of any read model: commands of a process that remembers nothing are answered
    and recorded as without; and when the rows are mended, too."""
    numbers = next(NUMBERS), next(NUMBERS)
    sound, damaged = (f"project-{number}" for number in numbers)
    for project in (sound, damaged):
        begin(ledger, project, CI)
        for step in history:
            carry_out(ledger, project, step, CI)
        ledger.configure_environment(project, "production", Settings(deploy_workflow=WORKFLOW), by=CI)
        ledger.deploy(project, "production", release_candidate_version=VERSIONS[0], force=True, reason="law", by=CI)
    done(ledger, damaged, damage)
    assert answered(ledger, damaged) == answered(ledger, sound)

    for step in later:
        ledger.remembered = Remembered()
        assert alike(carry_out(ledger, damaged, step, CI)) == alike(carry_out(ledger, sound, step, CI))
    ledger.remembered = Remembered()
    assert alike(cut_again(ledger, damaged, *cut)) == alike(cut_again(ledger, sound, *cut))

    assert recorded(ledger, damaged) == recorded(ledger, sound)
    for stream in streams_of(damaged):
        mend(ledger.store, stream)
    assert alike(ledger.candidates(damaged).items) == alike(ledger.candidates(sound).items)
    for name in ENVIRONMENTS:
        assert alike(ledger.deployments(damaged, name)) == alike(ledger.deployments(sound, name))


def answered(ledger: Ledger, project: str) -> Any:
    """What is asked of live rows; not lists of a status, nor what ran where nothing runs, which have no witness."""
    ledger.remembered = Remembered()
    found: list[Any] = [ledger.candidates(project).items, ledger.project(project)]
    for name in ENVIRONMENTS:
        listed = ledger.deployments(project, name, per_page=100)
        environment, _ = ledger.environment(project, name)
        found += [environment, listed.items]
        found += [ledger.deployments(project, name, version=version).items for version in VERSIONS]
        found += [said(ledger.rollback_preview, project, name, to=version) for version in (None, *VERSIONS)]
        found += [said(ledger.running, project, name)] if environment["running"] is not None else []
    return alike(found)


def cut_again(ledger: Ledger, project: str, version: str, commit: str) -> Any:
    return said(ledger.cut_release_candidate, project, version, repo=REPO, commit=commit, by=CI)


def recorded(ledger: Ledger, project: str) -> list[list[tuple[Any, ...]]]:
    """The events of each stream of a project, by what does not differ from one project to another."""
    found = []
    for stream in streams_of(project):
        events = [
            json.loads(bytes(row["state"])) | {"topic": row["topic"]} for row in events_after(ledger.store, stream)
        ]
        found.append([tuple(alike(event.get(name)) for name in SAID) for event in events])
    return found


def done(ledger: Ledger, project: str, damage: Damage) -> None:
    """Do the damage to the rows of a project; there are some."""
    damaged = 0
    table = installed()[damage.table].table
    for stream in streams_of(project):
        keys = [column for column in table.primary_key.columns if column.name not in ("stream", "generation")]
        place = {"of_stream": stream}
        rows = ledger.store.read(Statement(_of(select(table), table).order_by(*keys)), place)
        for number, row in enumerate(rows):
            if damage.which is None or number == damage.which % len(rows):
                chosen = place | {f"of_{column.name}": row[column.name] for column in keys}
                ledger.store.write(Statement(_damaging(table, damage, row, keys)), chosen | _value(table, damage, row))
                damaged += 1
    assert damaged


def _of(statement: Any, table: Table, keys: Any = ()) -> Any:
    conditions = [column == bindparam(f"of_{column.name}") for column in keys]
    return statement.where(table.c.stream == bindparam("of_stream"), *conditions)


def _damaging(table: Table, damage: Damage, row: dict[str, Any], keys: Any) -> Any:
    value = _value(table, damage, row)
    if not value:
        return _of(delete(table), table, keys)
    (name,) = value
    column = own_columns(table)[(damage.column or 0) % len(own_columns(table))]
    return _of(update(table).values({column: bindparam(name)}), table, keys)


def _value(table: Table, damage: Damage, row: dict[str, Any]) -> dict[str, Any]:
    """The value that a row gets; nothing where it goes."""
    if damage.column is None:
        return {}
    name = own_columns(table)[damage.column % len(own_columns(table))]
    if isinstance(table.c[name].type, Integer | SmallInteger):
        return {"new": (row[name] or 0) + 100}
    return {"new": f"{row[name] or ''}7"}


def test_every_read_model_of_a_project_is_damaged() -> None:
    """The law would hold of tables that nobody writes to."""
    assert "known_versions" in OF_PROJECTS
    assert project_stream("p") in streams_of("p")
