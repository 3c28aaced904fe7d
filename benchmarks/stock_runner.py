"""The library's own way to keep read models on PostgreSQL: `ProjectionRunner`, a transaction for each event."""

from __future__ import annotations

import time
from contextlib import closing
from typing import Any, ClassVar, Final

from eventsourcing.application import Application
from eventsourcing.domain import Aggregate, event
from eventsourcing.persistence import Tracking
from eventsourcing.postgres import PostgresTrackingRecorder
from eventsourcing.projection import Projection, ProjectionRunner
from psycopg import RawCursor
from psycopg.rows import tuple_row
from sqlalchemy.engine import make_url

from release_ledger.projection import environment_stream, installed
from release_ledger.projection.alone import alone
from release_ledger.projection.live import fold_live
from release_ledger.projection.staging import remove
from release_ledger.store import Head, open_store
from release_ledger.store.codec import event_of
from release_ledger.store.statement import POSTGRESQL
from release_ledger.store.store import CursorSource, events_after
from release_ledger.store.transaction import write_rows

WITHIN_S: Final = 120.0
STREAM: Final = environment_stream("stock", "production")  # its rows lie beside those of histories


class History(Aggregate):
    """A stream of ours: what was recorded, as it was."""

    class Recorded(Aggregate.Event):
        """One event of ours."""

        topic: str
        state: str

    @event(Recorded)
    def record(self, topic: str, state: str) -> None:
        self.topic, self.state = topic, state


class Ledger(Application[Any]):
    """The library's application, with its own recorder."""


class AllReadModels(PostgresTrackingRecorder):
    """All read models of this project, as their folds keep them."""

    dialect: ClassVar = POSTGRESQL
    head: Head | None = None

    def put(self, version: int, topic: str, state: str, tracking: Tracking) -> None:
        with self.datastore.transaction(commit=True) as cursor:
            event = event_of(STREAM, version, topic, state.encode())
            rows: Any = RawCursor(cursor.connection, row_factory=tuple_row)
            head = self.head or Head(stream=STREAM)
            database: Any = self  # whose dialect is all that is used
            folded = fold_live(head, [event], {}, CursorSource(database, rows))
            for change in folded.changes:
                write_rows(database, rows, STREAM, head.generation, change)
            self._insert_tracking(cursor, tracking)
        self.head = Head(stream=STREAM, version=version, folded=folded.folded)


class Folds(Projection[AllReadModels]):
    """Folds each event into all of them."""

    name = "folds"

    def process_event(self, domain_event: Any, tracking: Tracking) -> None:
        if isinstance(domain_event, History.Recorded):
            version = domain_event.originator_version - 1  # the first event is that of the aggregate
            self.view.put(version, domain_event.topic, domain_event.state, tracking)


def stock_events_a_second(url: str, stream: str, events: int) -> float:
    """How many events a second the stock runner folds into our read models: the first ones of a stream of ours."""
    where = make_url(url)
    env = {
        "PERSISTENCE_MODULE": "eventsourcing.postgres",
        "POSTGRES_DBNAME": str(where.database),
        "POSTGRES_HOST": str(where.host),
        "POSTGRES_PORT": str(where.port or 5432),
        "POSTGRES_USER": str(where.username),
        "POSTGRES_PASSWORD": where.password or "",
    }
    with closing(open_store(url, pool_size=1)) as store:
        first = list(events_after(store, stream, upto=events))
        with Ledger(env) as application:
            history = History()
            for row in first:
                history.record(row["topic"], bytes(row["state"]).decode())
            newest = application.save(history)[-1].notification.id
        began = time.perf_counter()
        try:
            with ProjectionRunner(
                application_class=Ledger, projection_class=Folds, view_class=AllReadModels, env=env
            ) as runner:
                runner.wait(newest, timeout=WITHIN_S)
                return len(first) / (time.perf_counter() - began)
        finally:
            with alone(store.database, wait=False) as seat:
                for projection in installed().values():
                    remove(seat, projection.table, STREAM, None)
