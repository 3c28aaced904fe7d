"""What the ledger asks of every read model, and what this one is for."""

from __future__ import annotations

from hypothesis import given, settings
from release_ledger_deployments_per_day import DeploymentsPerDay

from release_ledger.events import DeploymentRequested, Event
from release_ledger.projection import Rows
from release_ledger.testing import check_projection
from release_ledger.testing.histories import legal_histories

PROJECTION = DeploymentsPerDay()


@settings(max_examples=10, deadline=None)
@given(events=legal_histories())
def test_it_is_a_projection(events: list[Event]) -> None:
    """Live, rebuilt and folded rows are the same; pure, bounded, plain, and not keyed by what CI sends."""
    check_projection(PROJECTION, events)


@settings(max_examples=10, deadline=None)
@given(events=legal_histories())
def test_every_deployment_is_counted_once(events: list[Event]) -> None:
    """Over all days, as what it was."""
    rows = Rows()
    for event in events:
        if event.originator_id == "environment/shop/production":
            PROJECTION.fold(event, rows)

    asked = [event for event in events if isinstance(event, DeploymentRequested)]
    here = [event for event in asked if event.environment_name == "production"]
    assert sum(row["deployments"] + row["rollbacks"] for row in rows.all().values()) == len(here)
