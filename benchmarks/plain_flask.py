"""What somebody would write by hand: two Flask endpoints, one INSERT and one SELECT, no checks, no history.

Served by granian with the settings of `release-ledger serve`: `python -m benchmarks.plain_flask --help`.
"""

from __future__ import annotations

import multiprocessing
import os
import sqlite3
import threading
import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Final, cast

import click
import psycopg
from flask import Flask, Response, jsonify, request
from granian.server import Server
from sqlalchemy.engine import make_url

from release_ledger.cli.front import Front
from release_ledger.cli.server import HTTP

from .bulk import plain_url

DATABASE: Final = "PLAIN_FLASK_DATABASE"
PAGE: Final = 10
# The keys of the contract's answer.
COLUMNS: Final = (
    "id",
    "kind",
    "status",
    "environment_name",
    "release_candidate_version",
    "release_version",
    "commit_hash",
    "from_release_candidate_version",
    "from_release_version",
    "deploy_start_at",
    "deploy_end_at",
    "requested_at",
    "error_message",
    "external_url",
    "reason",
    "actor",
    "recorded_by",
)
_NUMBER: Final = {"postgresql": "bigint GENERATED ALWAYS AS IDENTITY", "sqlite": "INTEGER"}
Execute = Callable[[str, tuple[Any, ...]], list[tuple[Any, ...]]]


def make_table(url: str) -> None:
    """The one table, its rows in the order of insertion."""
    number = _NUMBER[make_url(url).get_backend_name()]
    columns = ", ".join(f"{name} text" for name in COLUMNS)
    execute = _executor(url)
    execute(f"CREATE TABLE IF NOT EXISTS plain_deployments (number {number} PRIMARY KEY, {columns})", ())
    execute("CREATE INDEX IF NOT EXISTS plain_newest ON plain_deployments (environment_name, number)", ())


def create_app() -> Flask:
    """The application over the database that the environment variable names."""
    url, threads, app = os.environ[DATABASE], threading.local(), Flask(__name__)
    marks = ", ".join("%s" for _ in COLUMNS)
    insert = f"INSERT INTO plain_deployments ({', '.join(COLUMNS)}) VALUES ({marks}) RETURNING number"  # noqa: S608 - our own names
    select = (
        f"SELECT number, {', '.join(COLUMNS)} FROM plain_deployments"  # noqa: S608 - our own names
        f" WHERE environment_name = %s ORDER BY number DESC LIMIT {PAGE}"
    )

    def execute(statement: str, values: tuple[Any, ...]) -> list[tuple[Any, ...]]:
        if not hasattr(threads, "execute"):
            threads.execute = _executor(url)
        return cast(Execute, threads.execute)(statement, values)

    @app.get("/healthz")
    def health() -> Response:
        return jsonify(status="ok")

    @app.post("/<environment_name>/deployments")
    def create(environment_name: str) -> tuple[Response, int]:
        row = _new_row(environment_name, request.get_json()["release_candidate_version"])
        [(number,)] = execute(insert, tuple(row.values()))
        return jsonify(number=number, **row), 201

    @app.get("/<environment_name>/deployments")
    def newest(environment_name: str) -> Response:
        rows = execute(select, (environment_name,))
        return jsonify([dict(zip(("number", *COLUMNS), row, strict=True)) for row in rows])

    return app


def create_front() -> Front:
    """The application behind what stands before ours in every process."""
    return Front(create_app())


def _new_row(environment_name: str, version: str) -> dict[str, Any]:
    release_version = version.rpartition("-rc")[0]
    return dict.fromkeys(COLUMNS) | {
        "id": str(uuid.uuid4()),
        "kind": "deploy",
        "status": "pending",
        "environment_name": environment_name,
        "release_candidate_version": version,
        "release_version": release_version,
        "commit_hash": "0123456789abcdef0123456789abcdef01234567",
        "from_release_candidate_version": version,
        "from_release_version": release_version,
        "requested_at": datetime.now(UTC).isoformat(),
        "actor": "person@example.com",
        "recorded_by": "ci",
    }


def _executor(url: str) -> Execute:
    """One connection, and how to execute a statement on it in a transaction of its own."""
    where = make_url(url)
    if where.get_backend_name() == "postgresql":
        postgresql = psycopg.connect(plain_url(url), autocommit=True)

        def of_postgresql(statement: str, values: tuple[Any, ...]) -> list[tuple[Any, ...]]:
            cursor = postgresql.execute(statement.encode(), values)
            return cursor.fetchall() if cursor.description else []

        return of_postgresql
    sqlite = sqlite3.connect(str(where.database), timeout=30, isolation_level=None, check_same_thread=False)
    sqlite.execute("PRAGMA journal_mode=WAL")
    sqlite.execute("PRAGMA synchronous=FULL")
    return lambda statement, values: sqlite.execute(statement.replace("%s", "?"), values).fetchall()


@click.command()
@click.option("--database", "url", required=True)
@click.option("--port", type=click.IntRange(1, 65535), required=True)
@click.option("--workers", type=click.IntRange(1, 64), default=2, show_default=True)
def main(url: str, port: int, workers: int) -> None:
    """Serve it on 127.0.0.1 until SIGTERM."""
    os.environ[DATABASE] = url
    make_table(url)
    multiprocessing.set_start_method("spawn", force=True)
    Server("benchmarks.plain_flask:create_front", address="127.0.0.1", port=port, workers=workers, **HTTP).serve()


if __name__ == "__main__":
    main()
