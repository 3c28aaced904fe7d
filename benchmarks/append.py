"""Commands through the whole application, beside the bare append of the library's own recorder and plain INSERTs.

A command is what a caller of the library does: look, decide, append events, head and read models, commit, answer.
The others write one row of the same size and decide nothing.
"""

from __future__ import annotations

import importlib.util
import itertools
import sqlite3
from collections.abc import Iterator
from typing import Any, Final

import click
import psycopg
from eventsourcing.persistence import ApplicationRecorder, StoredEvent
from eventsourcing.sqlite import SQLiteApplicationRecorder, SQLiteDatastore
from psycopg import sql
from sqlalchemy.engine import make_url

from release_ledger.environment import Settings
from release_ledger.ledger import Ledger
from release_ledger.ledger.recording import Caller

from .bulk import plain_url
from .crew import Crew, Once, Worker, interleaved, repeating
from .result import Result, compared, show, spread

PROCESSES: Final = 8
CANDIDATES: Final = 50
PROJECT: Final = "append"
COMMAND: Final = "command, whole application"
STOCK: Final = "stock recorder, bare append"
PLAIN: Final = "plain INSERT"
BY: Final = Caller(recorded_by="ci", request_id="5f0c1c5e-5a0f-4f4e-9a53-1f6f6f3b7a52")
# As large as the events of the commands.
TOPIC, STATE = "deployment-requested", b'{"commit":"' + b"0" * 580 + b'"}'
MOMENT, DIGEST = "2026-01-01T00:00:00.000000+00:00", bytes(32)
_PLAIN_TABLE: Final = "plain_rows"
_COLUMNS: Final = "(stream, version, topic, state, recorded_at, digest)"


def measure(url: str, *, processes: int, rounds: int, seconds: float) -> list[Result]:
    """Commands and appends a second, all contestants in the same rounds on the same database (upgraded)."""
    postgresql = make_url(url).get_backend_name() == "postgresql"
    names = [COMMAND, STOCK, PLAIN] if _has_stock(postgresql) else [COMMAND, PLAIN]
    _prepare(url, processes)
    with Crew(make_worker, url, processes) as crew:
        speeds = interleaved(crew, names, rounds=rounds, seconds=seconds)
    kind = "PostgreSQL" if postgresql else "SQLite"
    part = f"append, {kind}, {processes} process{'es' if processes > 1 else ''}"
    return compared(part, "/s", speeds, COMMAND, {name: spread(values) for name, values in speeds.items()})


def make_worker(url: str, number: int) -> Worker:
    """What one process does for each contestant."""
    postgresql = make_url(url).get_backend_name() == "postgresql"
    known = {COMMAND: _command(url, number), PLAIN: _plain(url, number)}
    return repeating({**known, STOCK: _stock(url, number)} if _has_stock(postgresql) else known)


def _has_stock(postgresql: bool) -> bool:
    """The library needs psycopg-pool for PostgreSQL, which nothing else here does."""
    return not postgresql or importlib.util.find_spec("psycopg_pool") is not None


def _version(number: int) -> str:
    return f"1.{number % CANDIDATES}.0-rc1"


def _prepare(url: str, processes: int) -> None:
    """A project, its candidates, an environment for each process; the others' tables."""
    ledger = Ledger.open(url, pool_size=1)
    ledger.configure_project(PROJECT, repo="acme/append", by=BY)
    for number in range(CANDIDATES):
        ledger.cut_release_candidate(PROJECT, _version(number), repo="acme/append", commit=f"{number:040x}", by=BY)
    for number in range(processes):
        ledger.configure_environment(PROJECT, f"environment-{number}", Settings(), by=BY)
    ledger.close()
    if make_url(url).get_backend_name() == "postgresql":
        with psycopg.connect(plain_url(url), autocommit=True) as connection:
            like = sql.SQL("CREATE TABLE IF NOT EXISTS {} (LIKE events INCLUDING ALL)")
            connection.execute(like.format(sql.Identifier(_PLAIN_TABLE)))
    if _has_stock(make_url(url).get_backend_name() == "postgresql"):
        recorder = _recorder(url)
        recorder.create_table()
        recorder.datastore.close()


def _command(url: str, number: int) -> Once:
    """By turns, a deployment is requested and reported to have succeeded: one event each."""
    ledger, environment_name = Ledger.open(url, pool_size=1), f"environment-{number}"

    def steps() -> Iterator[None]:
        for turn in itertools.count():
            version = _version(turn)
            ledger.deploy(PROJECT, environment_name, release_candidate_version=version, by=BY)
            yield
            ledger.report(PROJECT, environment_name, release_candidate_version=version, status="success", by=BY)
            yield

    going = steps()
    return lambda: next(going)


def _recorder(url: str) -> Any:
    where = make_url(url)
    if where.get_backend_name() == "sqlite":
        return SQLiteApplicationRecorder(SQLiteDatastore(f"{where.database}-stock", originator_id_type="text"))
    from eventsourcing.postgres import PostgresApplicationRecorder, PostgresDatastore

    datastore = PostgresDatastore(
        dbname=str(where.database),
        host=str(where.host),
        port=str(where.port or 5432),
        user=str(where.username),
        password=where.password or "",
        originator_id_type="text",
    )
    return PostgresApplicationRecorder(datastore)


def _stock(url: str, number: int) -> Once:
    recorder: ApplicationRecorder = _recorder(url)
    versions = itertools.count(1)

    def once() -> None:
        event = StoredEvent(
            originator_id=f"environment/append/{number}", originator_version=next(versions), topic=TOPIC, state=STATE
        )
        recorder.insert_events([event])

    return once


def _plain(url: str, number: int) -> Once:
    """One row of the events' size, each in a transaction of its own, by the driver alone."""
    where, stream, versions = make_url(url), f"environment/append/{number}", itertools.count(1)
    if where.get_backend_name() == "postgresql":
        postgresql = psycopg.connect(plain_url(url), autocommit=True).cursor()
        insert = f"INSERT INTO {_PLAIN_TABLE} {_COLUMNS} VALUES (%s, %s, %s, %s, %s, %s)"  # noqa: S608 - our own names
        return lambda: postgresql.execute(insert.encode(), (stream, next(versions), TOPIC, STATE, MOMENT, DIGEST))
    sqlite = sqlite3.connect(f"{where.database}-plain", isolation_level=None)
    sqlite.executescript(
        "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; CREATE TABLE IF NOT EXISTS plain_rows (stream TEXT,"
        " version INTEGER, topic TEXT, state BLOB, recorded_at TEXT, digest BLOB, PRIMARY KEY (stream, version))"
    )
    insert = f"INSERT INTO {_PLAIN_TABLE} {_COLUMNS} VALUES (?, ?, ?, ?, ?, ?)"  # noqa: S608 - our own names
    return lambda: sqlite.execute(insert, (stream, next(versions), TOPIC, STATE, MOMENT, DIGEST))


@click.command()
@click.option("--database", "url", required=True, help="An upgraded ledger without a project named append.")
@click.option("--processes", type=click.IntRange(1, 64), default=None, help="8, or 1 on SQLite.")
@click.option("--rounds", type=click.IntRange(1, 100), default=5, show_default=True)
@click.option("--seconds", type=click.FloatRange(0.05, 60), default=3.0, show_default=True, help="Of one round.")
def main(url: str, processes: int | None, rounds: int, seconds: float) -> None:
    """Commands a second, beside what bounds them."""
    usual = PROCESSES if make_url(url).get_backend_name() == "postgresql" else 1
    show(measure(url, processes=processes or usual, rounds=rounds, seconds=seconds))


if __name__ == "__main__":
    main()
