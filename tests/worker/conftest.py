"""A shop whose production is deployed to by a workflow, and a stand-in for GitHub."""

from collections.abc import Iterator

import pytest

from release_ledger.ledger import Ledger
from tests.support.github_contract import complaints
from tests.support.github_stand_in import StandIn
from tests.support.working import REPO, TOKEN, Shop


@pytest.fixture
def ledger(upgraded_url: str) -> Iterator[Ledger]:
    opened = Ledger.open(upgraded_url)
    yield opened
    opened.close()


@pytest.fixture
def github() -> Iterator[StandIn]:
    with StandIn(token=TOKEN) as stand_in:
        stand_in.add_workflow(REPO, "deploy.yml", shows_id=True)
        stand_in.add_workflow(REPO, "build.yml", shows_id=True)
        yield stand_in
    # Whatever the worker asked, and was answered, is as GitHub's own description says.
    assert [each for exchange in stand_in.exchanges for each in complaints(exchange, TOKEN)] == []


@pytest.fixture
def shop(ledger: Ledger) -> Shop:
    return Shop(ledger, "production")
