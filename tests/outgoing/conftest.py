"""A GitHub that knows one repository, and judges every request to it by GitHub's own description."""

from collections.abc import Iterator

import pytest

from tests.support.github_contract import complaints
from tests.support.github_stand_in import StandIn

SHA = "3484a3fb816e0859fd6e1cea078d76385ff50625"
TOKEN = "ghp_0123456789secret"


@pytest.fixture
def stand_in() -> Iterator[StandIn]:
    with StandIn(token=TOKEN) as github:
        github.add_repository("acme/shop", commits=[SHA])
        github.add_workflow("acme/shop", "deploy.yml", shows_id=True)
        yield github
        found = [each for exchange in github.exchanges for each in complaints(exchange, TOKEN)]
    assert not found, "\n".join(found)
