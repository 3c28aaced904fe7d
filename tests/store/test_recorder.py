"""The library's own test cases, run on our recorders over SQLite and PostgreSQL.

All of them apply; `optional_test_insert_subscribe`, which the library leaves to each recorder, is run too. A stream's
name is text, so originators' ids are strings here; a UUID is accepted and read back as its text.
"""

from collections.abc import Iterator
from itertools import count
from unittest import SkipTest
from uuid import uuid4

import pytest
from eventsourcing.persistence import IntegrityError, OperationalError, StoredEvent
from eventsourcing.tests.persistence import AggregateRecorderTestCase, ApplicationRecorderTestCase, RecorderTestCase

from release_ledger.projection.upgrade import incomplete
from release_ledger.store import FIRST_DIGEST, Store, digest, open_store
from release_ledger.store.recorder import LedgerAggregateRecorder, LedgerApplicationRecorder
from release_ledger.store.store import events_after, head_of


@pytest.fixture
def store(upgraded_url: str) -> Iterator[Store]:
    store = open_store(upgraded_url, pool_size=20)
    yield store
    store.close()


class OnBothDatabases(RecorderTestCase):
    """Lends the library's test cases, which are unittest's, a store of ours."""

    store: Store

    @pytest.fixture(autouse=True)
    def _lend(self, store: Store) -> None:
        self.store = store

    def new_originator_id(self) -> str:
        return str(uuid4())
