"""The HTTP API against a plain model of the contract, on SQLite and on PostgreSQL."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test

from release_ledger.api import create_app
from release_ledger.ledger import Caller, Ledger
from release_ledger.projection import verify
from tests.laws.api_calls import EMAIL, TOKEN_NAME
from tests.laws.api_machine import ApiMachine
from tests.laws.compared_api import ComparedApi
from tests.laws.environment_model import UNFINISHED_LIMIT

FEW, STEPS = 45, 40
QUICK = settings(max_examples=FEW, stateful_step_count=STEPS, suppress_health_check=list(HealthCheck))


@contextmanager
def api(url: str) -> Iterator[tuple[Ledger, str]]:
    """A ledger on a fresh database, with an admin's token."""
    ledger = Ledger.open(url, pool_size=2)
    try:
        yield ledger, ledger.create_token(TOKEN_NAME, role="admin", email=EMAIL, by=Caller(recorded_by="tests"))
    finally:
        ledger.close()


def run_machine(url: str, chosen: settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the machine loose, then fold everything again."""
    allow_few_unfinished(monkeypatch)
    with api(url) as (ledger, token):
        app = create_app(ledger=ledger)

        class Machine(ApiMachine):
            def open_project(self, name: str) -> ComparedApi:
                return ComparedApi(app.test_client(), ledger.store, token, name)

        run_state_machine_as_test(Machine, settings=chosen)

        found = {stream: differences for stream, differences in verify(ledger.store) if differences}
        assert found == {}


def allow_few_unfinished(monkeypatch: pytest.MonkeyPatch) -> None:
    """In all modules that know the limit: 100 would never be reached by a few steps."""
    knowing = [module for module in sys.modules.values() if module.__name__.startswith("release_ledger.")]
    for module in knowing:
        if hasattr(module, "UNFINISHED_LIMIT"):
            monkeypatch.setattr(module, "UNFINISHED_LIMIT", UNFINISHED_LIMIT)


def test_every_answer_is_the_contracts(upgraded_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever is called in whichever order, each answer, list, version and refusal is what the contract says, and
    the live rows are those that the history folds into."""
    run_machine(upgraded_url, QUICK, monkeypatch)


@pytest.mark.soak
def test_every_answer_is_the_contracts_for_long(upgraded_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same, for minutes and along longer histories."""
    chosen = settings(QUICK, max_examples=settings().max_examples // 10, stateful_step_count=3 * STEPS)

    run_machine(upgraded_url, chosen, monkeypatch)
