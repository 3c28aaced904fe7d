"""A call whose answer is not known stays in doubt until a result is recorded, whatever happens meanwhile."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import text

from release_ledger.events import DeploymentTriggered, DeploymentTriggerFailed
from release_ledger.ledger import Ledger
from tests.support.github_faults import (
    BROKEN,
    CUT_AFTER,
    LIMITED,
    LIMITED_AS_403,
    UNAUTHORIZED,
    UNAVAILABLE,
    Fault,
    moved,
)
from tests.support.github_stand_in import StandIn
from tests.support.working import HURRIED, REPO, Shop, eventually, settings_for, working
from tests.worker.test_triggering import events

NOT_LIVE = "UPDATE streams SET folded = replace(folded, 'outbox', 'outbux') WHERE stream LIKE 'environment/%'"
RUNS_SHOWN_FOR = timedelta(days=3)


def recognised(shop: Shop, github: StandIn, url: str) -> None:
    """A run of days ago shows that runs can be recognised."""
    with working(shop.ledger, settings_for(url, github)):
        shop.deploy(number=2)
        assert eventually(lambda: events(shop.ledger, DeploymentTriggered))
    for run in github.runs.values():
        run.created_at = datetime.now(UTC) - RUNS_SHOWN_FOR
    shop.report("success", number=2)


def damage(ledger: Ledger, sql: str) -> None:
    with ledger.store.database.engine.connect() as connection:
        connection.execute(text(sql))
        if connection.in_transaction():
            connection.commit()


def found(ledger: Ledger) -> bool:
    return bool(events(ledger, DeploymentTriggered)[-1].how == "found")


@pytest.mark.parametrize("sql", [NOT_LIVE, "DROP TABLE outbox"])
def test_a_call_is_in_doubt_also_while_the_outbox_is_not_live(
    sql: str, shop: Shop, github: StandIn, upgraded_url: str
) -> None:
    """It is wanted as before, by the worker that holds it; and its run is found in the end, not started anew."""
    recognised(shop, github, upgraded_url)
    github.fault_for = lambda asked: UNAVAILABLE if asked.path[-1] == "runs" else None
    with working(shop.ledger, settings_for(upgraded_url, github), replace(HURRIED, settle_s=2.0)):
        github.fail_next(CUT_AFTER)
        deployment = shop.deploy()
        assert eventually(lambda: len(events(shop.ledger, DeploymentTriggerFailed)) > 1)

        damage(shop.ledger, sql)
        tried = len(events(shop.ledger, DeploymentTriggerFailed))
        assert eventually(lambda: len(events(shop.ledger, DeploymentTriggerFailed)) > tried + 2)
        github.fault_for = lambda _: None
        assert eventually(lambda: found(shop.ledger))

    assert github.started[deployment] == 1


@pytest.mark.parametrize("fault", [UNAVAILABLE, LIMITED, LIMITED_AS_403, UNAUTHORIZED])
def test_what_was_not_taken_is_tried_again_also_the_first_time(
    fault: Fault, shop: Shop, github: StandIn, upgraded_url: str
) -> None:
    """There is nothing in doubt, so nothing has to be recognised."""
    github.fail_next(fault)
    deployment = shop.deploy()

    with working(shop.ledger, settings_for(upgraded_url, github)):
        assert eventually(lambda: events(shop.ledger, DeploymentTriggered))

    assert github.started[deployment] == 1
    assert len(events(shop.ledger, DeploymentTriggerFailed)) == 1


def test_runs_of_long_ago_show_that_a_run_would_be_recognised(shop: Shop, github: StandIn, upgraded_url: str) -> None:
    """The first deployment for days meets a 500, which may be of a call that was taken: GitHub is looked at, then it is
    started again."""
    recognised(shop, github, upgraded_url)
    github.fail_next(BROKEN)
    with working(shop.ledger, settings_for(upgraded_url, github)):
        deployment = shop.deploy()
        assert eventually(lambda: len(events(shop.ledger, DeploymentTriggered)) == 2)

    assert github.started[deployment] == 1


def test_a_run_that_is_listed_late_is_waited_for(shop: Shop, github: StandIn, upgraded_url: str) -> None:
    """GitHub's lists are a little behind: nothing is started again before they must show it."""
    recognised(shop, github, upgraded_url)
    github.listed_after_s = 0.6
    with working(shop.ledger, settings_for(upgraded_url, github), replace(HURRIED, settle_s=1.2)):
        github.fail_next(CUT_AFTER)
        deployment = shop.deploy()
        assert eventually(lambda: len(events(shop.ledger, DeploymentTriggered)) == 2)

    assert found(shop.ledger)
    assert github.started[deployment] == 1


def test_a_call_that_was_held_up_is_not_made(shop: Shop, github: StandIn, upgraded_url: str) -> None:
    """Another worker may have the lease by then: the redirect is followed only by the next try."""
    path = f"{github.url}/repos/{REPO}/actions/workflows/deploy.yml/dispatches"
    github.fail_next(replace(moved(307, path), late_s=HURRIED.lease_s))
    deployment = shop.deploy()

    with working(shop.ledger, settings_for(upgraded_url, github)):
        assert eventually(lambda: events(shop.ledger, DeploymentTriggered))

    (failed,) = events(shop.ledger, DeploymentTriggerFailed)
    assert "held up" in failed.error_message
    assert github.started[deployment] == 1
