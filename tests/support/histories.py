"""Short histories of one environment, appended through the engine alone: no rules, no API. And what is stored then."""

from typing import Any, Final

from release_ledger.events import (
    DeploymentReported,
    DeploymentRequested,
    EnvironmentConfigured,
    EnvironmentEvent,
    stamp,
)
from release_ledger.projection import environment_stream, fold_live, relevant
from release_ledger.projection.installed import tag
from release_ledger.store import Append, Head, Row, Store
from release_ledger.store.append import chained, next_moment
from release_ledger.store.codec import encode
from release_ledger.store.store import head_of

PRODUCTION: Final = environment_stream("shop", "production")
STAGING: Final = environment_stream("shop", "staging")
TABLES: Final = ("streams", "events", "projection_faults", *(p.table.name for p in relevant(PRODUCTION)))


def live_but(*names: str) -> str:
    """What the head of an environment lists when all read models are live but these."""
    return " ".join(tag(projection) for projection in relevant(PRODUCTION) if projection.name not in names)


ALL_LIVE: Final = live_but()


def configured() -> EnvironmentConfigured:
    return EnvironmentConfigured(
        tier="production", deploy_workflow=None, rollback_strategy="last_success", stuck_after_s=None
    )


def requested(number: int, *, reason: str | None = None) -> DeploymentRequested:
    return DeploymentRequested(
        number=number,
        deployment_id=f"deployment-{number}",
        release_candidate_version=f"1.{number}.0-rc1",
        release_version=f"1.{number}.0",
        commit=f"{number:040x}",
        candidate_cut_at="2026-01-01T00:00:00.000000+00:00",
        kind="deploy",
        from_release_candidate_version=None,
        from_commit=None,
        reason=reason,
    )


def succeeded(number: int) -> DeploymentReported:
    return DeploymentReported(
        number=number,
        deployment_id=f"deployment-{number}",
        release_candidate_version=f"1.{number}.0-rc1",
        commit=f"{number:040x}",
        kind="deploy",
        status="success",
        outcome="success",
    )


def append_of(store: Store, *events: EnvironmentEvent, head: Head | None = None, stream: str = PRODUCTION) -> Append:
    """What a command that decided on these events would append, to the stream as it is or as `head` says."""
    head = head or head_of(store, stream)
    _, project_name, environment_name = stream.split("/")
    stamped = stamp(
        events,
        stream,
        head.version,
        recorded_at=next_moment(head),
        recorded_by="ci",
        project_name=project_name,
        environment_name=environment_name,
    )
    folded = fold_live(head, stamped, {}, store)
    return Append(
        head=head,
        events=chained(head, [encode(event) for event in stamped], stamped[-1].recorded_at),
        folded=folded.folded,
        changes=folded.changes,
        faults=folded.faults,
    )


def append(store: Store, *events: EnvironmentEvent, stream: str = PRODUCTION) -> list[int]:
    return store.append(append_of(store, *events, stream=stream))


def run(store: Store, *statements: str) -> list[Row]:
    """The rows of the last statement, each its own transaction."""
    with store.database.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)
        names = [column[0] for column in cursor.description or ()]
        return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()] if names else []


def stored(store: Store) -> dict[str, list[Any]]:
    """Everything that an append writes, table by table."""
    tables = {table: run(store, f"SELECT * FROM {table}") for table in TABLES}
    return {table: sorted((sorted(row.items()) for row in rows), key=repr) for table, rows in tables.items()}


def versions(store: Store, stream: str = PRODUCTION) -> list[int]:
    """The versions of a stream's events, as they are stored."""
    rows = run(store, f"SELECT version FROM events WHERE stream = '{stream}' ORDER BY version")
    return [row["version"] for row in rows]


def statuses(store: Store, stream: str = PRODUCTION) -> dict[int, str]:
    """The live rows of `deployments`: number and status."""
    generation = head_of(store, stream).generation
    where = f"stream = '{stream}' AND generation = {generation}"
    return {
        row["number"]: row["status"] for row in run(store, f"SELECT * FROM deployments WHERE {where} ORDER BY number")
    }


def faults(store: Store) -> list[tuple[str, str, int]]:
    """Projection, stream and version of everything that is set aside."""
    rows = run(store, "SELECT * FROM projection_faults ORDER BY stream, projection")
    return [(row["projection"], row["stream"], row["version"]) for row in rows]
