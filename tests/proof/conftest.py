"""A small ledger of two environments and a stranger's stream, with a checkpoint in the middle and one at the end."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from release_ledger.proof import make_checkpoint
from release_ledger.store import Store, open_store
from tests.support.histories import PRODUCTION, STAGING, append, configured, requested, succeeded

from .ledgers import Ledger


@pytest.fixture
def store(upgraded_url: str) -> Iterator[Store]:
    with closing(open_store(upgraded_url)) as store:
        yield store


@pytest.fixture
def ledger(store: Store, tmp_path: Path) -> Ledger:
    """Seven events in production (a checkpoint after the fourth), three in staging."""
    append(store, configured())
    append(store, configured(), stream=STAGING)
    append(store, requested(1), succeeded(1))
    append(store, requested(2, reason="Größe"))
    early = make_checkpoint(store, None)
    append(store, succeeded(2))
    append(store, requested(3))
    append(store, succeeded(3))
    append(store, requested(1), succeeded(1), stream=STAGING)
    late = make_checkpoint(store, None)
    assert early is not None
    assert late is not None
    assert PRODUCTION < STAGING
    return Ledger(store, tmp_path, early=early.checkpoint, late=late.checkpoint)
