"""A store with the ledger's tables and nothing in them."""

from collections.abc import Iterator
from contextlib import closing

import pytest

from release_ledger.store import Store, open_store


@pytest.fixture
def store(upgraded_url: str) -> Iterator[Store]:
    with closing(open_store(upgraded_url)) as store:
        yield store


@pytest.fixture
def other_store(upgraded_url: str) -> Iterator[Store]:
    """The same database, as another process sees it."""
    with closing(open_store(upgraded_url)) as store:
        yield store
