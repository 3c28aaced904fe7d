"""The library's own way to keep a read model on PostgreSQL: `ProjectionRunner`, a transaction for each event."""

from __future__ import annotations

import time
from typing import Any, Final

from eventsourcing.application import Application
from eventsourcing.domain import Aggregate, event
from eventsourcing.persistence import Tracking
from eventsourcing.postgres import PostgresDatastore, PostgresTrackingRecorder
from eventsourcing.projection import Projection, ProjectionRunner
from psycopg.sql import SQL
from sqlalchemy.engine import make_url

WITHIN_S: Final = 60.0
_ROW: Final = SQL(
    "INSERT INTO stock_rows VALUES (%s, %s, %s) ON CONFLICT (number) DO UPDATE SET commit = excluded.commit,"
    " status = excluded.status"
)


class Environment(Aggregate):
    """Deployments, each of them an event of some 600 bytes."""

    @event("Deployed")
    def deploy(self, number: int, commit: str, status: str) -> None:
        self.number, self.commit, self.status = number, commit, status


class Ledger(Application[Any]):
    """The library's application, with its own recorder."""


class View(PostgresTrackingRecorder):
    """One narrow row for each deployment."""

    def __init__(self, datastore: PostgresDatastore, **kwargs: Any) -> None:
        super().__init__(datastore, **kwargs)
        self.sql_create_statements.append(
            SQL("CREATE TABLE IF NOT EXISTS stock_rows (number bigint PRIMARY KEY, commit text, status text)").format()
        )

    def put(self, row: tuple[Any, ...], tracking: Tracking) -> None:
        with self.datastore.transaction(commit=True) as cursor:
            cursor.execute(_ROW, row, prepare=True)
            self._insert_tracking(cursor, tracking)


class Deployments(Projection[View]):
    """The read model."""

    name = "stock"

    def process_event(self, domain_event: Any, tracking: Tracking) -> None:
        number = getattr(domain_event, "number", 0)
        self.view.put((number, getattr(domain_event, "commit", ""), getattr(domain_event, "status", "")), tracking)


def stock_events_a_second(url: str, events: int) -> float:
    """How many events a second the stock runner folds into one read model of one narrow row each."""
    where = make_url(url)
    env = {
        "PERSISTENCE_MODULE": "eventsourcing.postgres",
        "POSTGRES_DBNAME": str(where.database),
        "POSTGRES_HOST": str(where.host),
        "POSTGRES_PORT": str(where.port or 5432),
        "POSTGRES_USER": str(where.username),
        "POSTGRES_PASSWORD": where.password or "",
    }
    with Ledger(env) as application:
        environment = Environment()
        for number in range(events - 1):
            environment.deploy(number, commit="0" * 500, status="success")
        newest = application.save(environment)[-1].notification.id
    began = time.perf_counter()
    with ProjectionRunner(application_class=Ledger, projection_class=Deployments, view_class=View, env=env) as runner:
        runner.wait(newest, timeout=WITHIN_S)
        return events / (time.perf_counter() - began)
