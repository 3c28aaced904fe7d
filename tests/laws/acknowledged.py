"""What a ledger owes to those whom it answered: every acknowledged write is there, once, and nothing else is."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Final

from sqlalchemy import select

from release_ledger.events import DeploymentReported, DeploymentRequested, Event, ReleaseCandidateCut
from release_ledger.store import Statement, open_store
from release_ledger.store.schema import PROJECTION_FAULTS
from tests.laws.stored import assert_whole, by_request
from tests.support.command_line import CommandLine
from tests.support.pipelines import Acknowledged

THE_FIRST_WRITES: Final = {"project-configured", "environment-configured", "token-created"}


def assert_nothing_is_lost(url: str, acknowledged: list[Acknowledged], folder: Path) -> None:
    """Each acknowledged write has its one event, at the version of its answer; chains and read models are right."""
    with closing(open_store(url, pool_size=1)) as store:
        found = by_request(store)
        assert_whole(store)
        assert store.read(Statement(select(PROJECTION_FAULTS)), {}) == []
    for each in acknowledged:
        [event] = found.pop(each.key)
        assert each.etag == f'"{event.originator_version}"'
        assert_says_the_same(event, each)
    assert {event.TOPIC for events in found.values() for event in events} <= THE_FIRST_WRITES
    ran = CommandLine(folder, url)("projections", "verify")
    assert ran.code == 0, ran
    if url.startswith("sqlite"):
        with closing(sqlite3.connect(url.removeprefix("sqlite:///"))) as connection:
            assert connection.execute("pragma integrity_check").fetchall() == [("ok",)]


def assert_says_the_same(event: Event, told: Acknowledged) -> None:
    """The event is the one that the answer was about."""
    assert getattr(event, "release_candidate_version", None) == told.body["release_candidate_version"]
    if told.path.startswith("/releases/"):
        assert isinstance(event, ReleaseCandidateCut)
    else:
        assert isinstance(event, DeploymentReported if told.method == "PATCH" else DeploymentRequested)
        assert event.deployment_id == told.body["id"]
