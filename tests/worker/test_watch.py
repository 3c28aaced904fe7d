"""Runs are looked at when nothing is heard of them, and what is silent for too long is given up."""

from dataclasses import replace

from release_ledger.environment import Settings
from release_ledger.events import DeploymentGivenUp, DeploymentReported, DeploymentTriggered
from release_ledger.ledger import Ledger
from release_ledger.versions import read_moment
from tests.support.github_faults import BROKEN, CUT_AFTER, LIMITED, NOT_FOUND, UNAUTHORIZED
from tests.support.github_stand_in import StandIn
from tests.support.working import API, HURRIED, REPO, Shop, eventually, settings_for, working
from tests.worker.test_cancel import running
from tests.worker.test_triggering import events


def test_a_run_is_followed_to_its_end(shop: Shop, github: StandIn, upgraded_url: str) -> None:
    """Without any webhook: pending, in progress, and how it ended."""
    github.takes_s = 1.2
    github.concludes = lambda _: "failure"

    with working(shop.ledger, settings_for(upgraded_url, github)):
        deployment = shop.deploy()
        shop.becomes("in_progress", deployment)
        shop.becomes("failure", deployment)

    told = [event.status for event in events(shop.ledger, DeploymentReported)]
    assert told[-2:] == ["in_progress", "failure"]


def test_a_run_that_is_alive_is_not_stuck(ledger: Ledger, github: StandIn, upgraded_url: str) -> None:
    """It waits for an approval, say; signs of life are recorded, four at most in the time that counts as stuck."""
    shop = Shop(ledger, "production", stuck_after_s=1)
    with working(ledger, settings_for(upgraded_url, github)):
        deployment = running(shop, github)
        assert eventually(lambda: len(events(ledger, DeploymentReported)) >= 6)

    assert shop.deployment(deployment)["status"] == "pending"
    moments = [event.recorded_at for event in events(ledger, DeploymentReported)]
    assert len({moment[:19] for moment in moments}) >= 2
    assert not events(ledger, DeploymentGivenUp)


def test_a_deployment_that_nobody_reports_is_given_up(ledger: Ledger, github: StandIn, upgraded_url: str) -> None:
    """The watchdog says why, and a later report resumes it."""
    shop = Shop(ledger, "production")
    ledger.configure_environment("shop", "production", Settings(stuck_after_s=1), by=API)
    deployment = shop.deploy()

    with working(ledger, settings_for(upgraded_url, github)):
        ended = shop.becomes("error", deployment)

    assert "No report for 1 s" in ended["error_message"]
    assert shop.report("in_progress", id=deployment)["status"] == "in_progress"


def test_without_a_limit_nothing_is_ever_stuck(ledger: Ledger, github: StandIn, upgraded_url: str) -> None:
    """`stuck_after_s` null."""
    shop = Shop(ledger, "production")
    ledger.configure_environment("shop", "production", Settings(), by=API)
    deployment = shop.deploy()

    with working(ledger, settings_for(upgraded_url, github)) as _:
        eventually(lambda: False, within_s=1)

    assert shop.deployment(deployment)["status"] == "pending"


def test_a_run_that_is_gone_is_given_up_once_it_is_stuck(ledger: Ledger, github: StandIn, upgraded_url: str) -> None:
    """One 404 may be a mistake; silence is not."""
    shop = Shop(ledger, "production", stuck_after_s=1)
    with working(ledger, settings_for(upgraded_url, github)):
        deployment = running(shop, github)
        github.fault_for = lambda _: NOT_FOUND
        ended = shop.becomes("error", deployment)

    assert "does not know" in ended["error_message"]


def test_nothing_with_a_run_is_given_up_while_github_is_down(
    ledger: Ledger, github: StandIn, upgraded_url: str
) -> None:
    """It is asked again, and goes on where it was."""
    shop = Shop(ledger, "production", stuck_after_s=1)
    with working(ledger, settings_for(upgraded_url, github)):
        deployment = running(shop, github)
        github.fault_for = lambda _: BROKEN
        eventually(lambda: False, within_s=1.5)
        assert shop.deployment(deployment)["status"] == "pending"
        github.fault_for = lambda _: None
        github.finish(next(iter(github.runs)))
        shop.becomes("success", deployment)


def test_what_is_still_being_triggered_is_not_stuck(ledger: Ledger, github: StandIn, upgraded_url: str) -> None:
    """GitHub is down for longer than a deployment may be silent."""
    shop = Shop(ledger, "production", stuck_after_s=1)
    github.fault_for = lambda _: LIMITED
    with working(ledger, settings_for(upgraded_url, github)):
        deployment = shop.deploy()
        eventually(lambda: False, within_s=2)
        assert shop.deployment(deployment)["status"] == "pending"
        github.fault_for = lambda _: None
        assert eventually(lambda: github.started[deployment] == 1)


def test_a_run_that_its_start_did_not_tell_is_followed(ledger: Ledger, github: StandIn, upgraded_url: str) -> None:
    """As by an older GitHub Enterprise Server: found by its name, without a webhook, long before it would be stuck."""
    shop = Shop(ledger, "production", stuck_after_s=3600)
    github.returns_details, github.takes_s = False, 0.3
    deployment = shop.deploy()

    with working(ledger, settings_for(upgraded_url, github)):
        shop.becomes("success", deployment)

    assert [event.how for event in events(ledger, DeploymentTriggered)] == ["answered", "found"]


def test_silence_counts_from_when_the_workflow_was_started(ledger: Ledger, github: StandIn, upgraded_url: str) -> None:
    """What was tried for longer than a deployment may be silent is not given up the moment it starts."""
    github.add_workflow(REPO, "deploy.yml", shows_id=False)
    github.returns_details = False
    shop = Shop(ledger, "production", stuck_after_s=1)
    github.fault_for = lambda _: UNAUTHORIZED
    with working(ledger, settings_for(upgraded_url, github)):
        deployment = shop.deploy()
        eventually(lambda: False, within_s=1.2)
        github.fault_for = lambda _: None
        shop.becomes("error", deployment)

    (started,), (ended,) = events(ledger, DeploymentTriggered), events(ledger, DeploymentGivenUp)
    assert (read_moment(ended.recorded_at) - read_moment(started.recorded_at)).total_seconds() >= 1


def test_of_all_workers_one_looks_at_a_run(shop: Shop, github: StandIn, upgraded_url: str) -> None:
    """However many there are, and however often they wake."""
    settings, timing = settings_for(upgraded_url, github), replace(HURRIED, silence_s=0.5)
    with working(shop.ledger, settings, timing), working(Ledger.open(upgraded_url), settings, timing):
        running(shop, github)
        eventually(lambda: False, within_s=1.8)
        looked = [each for each in github.exchanges if each.asked.path[-2] == "runs"]

    assert 2 <= len(looked) <= 4


def test_what_a_dead_worker_had_begun_is_taken_up(shop: Shop, github: StandIn, upgraded_url: str) -> None:
    """It died with the call under way: the next one looks for the run first."""
    from release_ledger.worker.leases import Leases, key_of

    deployment = shop.deploy()
    (wish,) = shop.ledger.wanted()
    dead = Leases(shop.ledger.store, "dead", 0.5)
    key = key_of(wish)
    assert dead.take(key) == (True, None)
    assert dead.calling(key)
    github.fail_next(CUT_AFTER)
    _dispatched_by_the_dead(github, deployment)

    with working(shop.ledger, settings_for(upgraded_url, github), replace(HURRIED, settle_s=2.0)):
        shop_is_triggered = eventually(lambda: not shop.ledger.wanted())

    assert shop_is_triggered
    assert github.started[deployment] == 1
    assert not dead.calling(key), "it came back to life, and must not call"


def _dispatched_by_the_dead(github: StandIn, deployment: str) -> None:
    from contextlib import suppress

    from release_ledger.github import GitHub
    from release_ledger.outgoing import Outgoing, Trouble
    from tests.support.working import TOKEN

    with suppress(Trouble):
        client = GitHub(github.url, TOKEN, Outgoing(trusted=[github.url]))
        client.dispatch(REPO, "deploy.yml", "main", {"aviator_deployment_id": deployment})
