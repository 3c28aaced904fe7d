"""The ledger that laws are held against."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from release_ledger.ledger import Ledger


@pytest.fixture
def ledger(upgraded_url: str) -> Iterator[Ledger]:
    opened = Ledger.open(upgraded_url, pool_size=2)
    yield opened
    opened.close()
