"""Damage of every kind, done by SQL: rebuild mends it, and every question is answered as before."""

import hashlib
import re
from typing import Any

import pytest

from release_ledger.ledger import Ledger
from release_ledger.projection import verify
from tests.cli.test_projections import execute
from tests.cli.test_rebuild import (
    API,
    _a_small_history,  # noqa: F401 - a fixture
)
from tests.support.command_line import InProcess


@pytest.mark.parametrize(
    "damage",
    [
        "update deployments set status = 'failure'",
        "delete from deployments",
        "drop table deployments",
        "alter table deployments drop column reason",
        "alter table release_candidates rename to candidates",
        "update release_candidates set release_candidate_version = '9.9-rc9' where number = 3",
        "drop table running_periods",
        "delete from environments",
        "delete from tokens",
    ],
)
def test_damage_of_every_kind_is_mended(here: InProcess, ledger: Ledger, damage: str) -> None:
    """It is found, rebuild mends it, nothing is left to find, and every question is answered as before."""
    token = ledger.create_token("ci", role="deploy", by=API)
    before = answers(ledger, token)
    execute(ledger, damage)
    ledger.store.database.forget_connections()
    assert [found for _, found in verify(ledger.store) if found]

    ran = here.fine("projections", "rebuild")

    assert re.fullmatch(
        r"Rebuilt 4 streams: 19 events, \d+ rows in \d+\.\d s \([\d,]+ events/s\). Writers waited at most \d+ ms.\n",
        ran,
    )
    ledger.store.database.forget_connections()
    assert [found for _, found in verify(ledger.store) if found] == []
    assert answers(ledger, token) == before


def answers(ledger: Ledger, token: str) -> list[Any]:
    """Of every read model that a question reads; as one that remembers nothing answers."""
    opened = Ledger.open(ledger.store.database.url.render_as_string(hide_password=False), pool_size=1)
    place = "shop", "production"
    try:
        deployments = opened.deployments(*place, page=1, per_page=50)
        known = opened.token(hashlib.sha256(token.encode()).hexdigest())
        return [
            deployments,
            opened.environment(*place),
            opened.environments("shop"),
            opened.project("shop"),
            opened.candidates("shop"),
            opened.candidate("shop", "1.3-rc1"),
            opened.deployments(*place, status="success", version="1.2-rc1"),
            opened.deployment(*place, deployments.items[1]["id"]),
            opened.running(*place, now="2999-01-01T00:00:00.000000+00:00"),
            opened.rollback_preview(*place),
            known and known.token,
            opened.tokens(),
        ]
    finally:
        opened.close()
