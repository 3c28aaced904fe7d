"""A recorded deployment starts its workflow, once, whatever happens to the answer."""

from dataclasses import replace
from typing import Any

import pytest

from release_ledger.events import DeploymentTriggered, DeploymentTriggerFailed
from release_ledger.ledger import Ledger
from release_ledger.projection import environment_stream
from release_ledger.projection.folded import stored_events
from release_ledger.store.store import head_of
from tests.support.github_faults import (
    BAD_GATEWAY_AFTER,
    BROKEN,
    CUT_AFTER,
    CUT_BEFORE,
    GARBAGE_AFTER,
    LIMITED,
    LIMITED_AS_403,
    NOT_FOUND,
    UNAUTHORIZED,
    UNAVAILABLE,
    Fault,
)
from tests.support.github_stand_in import StandIn
from tests.support.working import API, HURRIED, REPO, Shop, commit, eventually, settings_for, working

PRODUCTION = environment_stream("shop", "production")


def events(ledger: Ledger, kind: type[Any]) -> list[Any]:
    found = stored_events(ledger.store, head_of(ledger.store, PRODUCTION))
    return [event for event in found if isinstance(event, kind)]


def test_a_deployment_starts_its_workflow(shop: Shop, github: StandIn, upgraded_url: str) -> None:
    """With the inputs that Aviator's workflows know, and the run is known at once."""
    deployment = shop.deploy()

    with working(shop.ledger, settings_for(upgraded_url, github)):
        assert eventually(lambda: events(shop.ledger, DeploymentTriggered))

    (triggered,) = events(shop.ledger, DeploymentTriggered)
    (run,) = github.runs.values()
    assert run.inputs == {
        "aviator_deployment_id": deployment,
        "aviator_release_cut_commit_hash": commit(1),
        "aviator_release_candidate_version": "1.1-rc1",
        "target": "production",
    }
    assert (triggered.run_id, triggered.how) == (str(run.id), "answered")
    assert shop.deployment(deployment)["external_url"] == f"https://github.com/{REPO}/actions/runs/{run.id}"


def test_what_was_deployed_before_a_workflow_was_configured_starts_nothing(
    ledger: Ledger, github: StandIn, upgraded_url: str
) -> None:
    """Nor does what CI reports by itself."""
    shop = Shop(ledger, "production", workflow={})
    ledger.configure_environment("shop", "production", _without_workflow(), by=API)
    shop.deploy()
    shop.report("success", number=2)

    with working(ledger, settings_for(upgraded_url, github)):
        pass

    assert ledger.wanted() == []
    assert not github.exchanges


def _without_workflow() -> Any:
    from release_ledger.environment import Settings

    return Settings()


@pytest.mark.parametrize("fault", [BROKEN, UNAVAILABLE, LIMITED, LIMITED_AS_403, UNAUTHORIZED, CUT_BEFORE])
def test_what_github_did_not_take_is_tried_again(fault: Fault, shop: Shop, github: StandIn, upgraded_url: str) -> None:
    """Each try is recorded with its reason, and none of them says the token."""
    shop.deploy(number=2)  # whose run shows that runs can be recognised
    with working(shop.ledger, settings_for(upgraded_url, github)):
        assert eventually(lambda: len(github.runs) == 1)
        shop.report("success", number=2)
        github.fail_next(fault, fault)
        deployment = shop.deploy()
        assert eventually(lambda: len(events(shop.ledger, DeploymentTriggered)) == 2)

    assert github.started[deployment] == 1
    failed = events(shop.ledger, DeploymentTriggerFailed)
    assert [event.attempt for event in failed] == list(range(1, len(failed) + 1))
    assert failed
    assert not any("ghs_" in event.error_message or event.final for event in failed)


@pytest.mark.parametrize("fault", [CUT_AFTER, GARBAGE_AFTER, BAD_GATEWAY_AFTER])
def test_a_run_whose_start_was_not_answered_is_found(
    fault: Fault, shop: Shop, github: StandIn, upgraded_url: str
) -> None:
    """By its name, and started once."""
    github.fail_next(fault)
    deployment = shop.deploy()

    with working(shop.ledger, settings_for(upgraded_url, github)):
        assert eventually(lambda: events(shop.ledger, DeploymentTriggered))

    (triggered,) = events(shop.ledger, DeploymentTriggered)
    assert (triggered.how, triggered.run_id) == ("found", str(next(iter(github.runs))))
    assert github.started[deployment] == 1


def test_a_start_that_may_have_been_taken_is_not_made_again(ledger: Ledger, github: StandIn, upgraded_url: str) -> None:
    """Where names do not tell runs apart, nobody can know: the deployment is an error that says so."""
    github.add_workflow(REPO, "deploy.yml", shows_id=False)
    shop = Shop(ledger, "production")
    github.fail_next(CUT_AFTER)
    deployment = shop.deploy()

    with working(ledger, settings_for(upgraded_url, github)):
        ended = shop.becomes("error", deployment)

    assert "may have been triggered" in ended["error_message"]
    assert github.started[deployment] == 1


def test_what_nobody_mends_is_given_up_in_its_words(shop: Shop, github: StandIn, upgraded_url: str) -> None:
    """A token without the right to it: tried for an hour. Until then each try can be read in the deployment."""
    github.fault_for = lambda _: UNAUTHORIZED
    settings, patient = settings_for(upgraded_url, github), replace(HURRIED, refused_for_s=0.5)
    deployment = shop.deploy()
    with working(shop.ledger, settings):
        assert eventually(lambda: len(events(shop.ledger, DeploymentTriggerFailed)) > 1)
    told, _ = shop.ledger.deployment_with_events("shop", "production", deployment)
    assert (told["status"], "answered 401" in str(told["events"])) == ("pending", True)

    with working(shop.ledger, settings, patient):
        ended = shop.becomes("error", deployment)

    assert "GitHub answered 401" in ended["error_message"]


def test_a_limit_of_github_holds_for_everything_that_is_asked(
    ledger: Ledger, github: StandIn, upgraded_url: str
) -> None:
    """What waits for one deployment's sake waits for all: a token has one limit."""
    names = ["e1", "e2", "e3", "e4"]
    shop = Shop(ledger, *names)
    with working(ledger, settings_for(upgraded_url, github)):
        github.fault_for = lambda _: replace(LIMITED, headers={"Retry-After": "2"})
        shop.deploy("e1")
        assert eventually(lambda: github.exchanges)
        github.fault_for = lambda _: None
        asked = len(github.exchanges)
        deployments = [shop.deploy(name) for name in names[1:]]
        eventually(lambda: False, within_s=0.8)
        assert len(github.exchanges) == asked
        assert eventually(lambda: all(github.started[each] for each in deployments))


def test_what_one_branch_shows_does_not_tell_of_another(shop: Shop, github: StandIn, upgraded_url: str) -> None:
    """Runs of the workflow on main show ids; those of a branch, whose file is older, do not."""
    with working(shop.ledger, settings_for(upgraded_url, github)):
        shop.deploy(number=2)
        assert eventually(lambda: github.runs)
        shop.report("success", number=2)
    old = {"kind": "github", "workflow": "deploy.yml", "ref": "old"}
    shop = Shop(shop.ledger, "production", workflow=old)
    github.fail_next(CUT_BEFORE)
    deployment = shop.deploy()

    with working(shop.ledger, settings_for(upgraded_url, github)):
        ended = shop.becomes("error", deployment)

    assert "may have been triggered" in ended["error_message"]


def test_what_github_refuses_for_good_is_an_error_in_its_words(shop: Shop, github: StandIn, upgraded_url: str) -> None:
    """A later report resumes it, as any that the ledger itself gave up."""
    github.fail_next(NOT_FOUND)
    deployment = shop.deploy()

    with working(shop.ledger, settings_for(upgraded_url, github)):
        ended = shop.becomes("error", deployment)

    assert "A fault on demand" in ended["error_message"]
    assert not github.runs
    assert shop.report("in_progress", id=deployment)["status"] == "in_progress"


def test_without_a_token_nothing_is_triggered(shop: Shop, github: StandIn, upgraded_url: str) -> None:
    """GitHub is never asked, and the deployment says why."""
    deployment = shop.deploy()
    settings = replace(settings_for(upgraded_url, github), github_token=None)

    with working(shop.ledger, settings):
        ended = shop.becomes("error", deployment)

    assert "RELEASE_LEDGER_GITHUB_TOKEN" in ended["error_message"]
    assert not github.exchanges


def test_a_deployment_that_ended_before_is_not_triggered(shop: Shop, github: StandIn, upgraded_url: str) -> None:
    """Neither one that CI reported, nor one that a rollback canceled; the rollback is."""
    shop.deploy()
    shop.report("success")
    shop.deploy(number=2)
    rollback = shop.ledger.roll_back("shop", "production", by=API)[0]["id"]

    with working(shop.ledger, settings_for(upgraded_url, github)):
        assert eventually(lambda: github.started[rollback] == 1 and not shop.ledger.wanted())

    assert sum(github.started.values()) == 1


def test_an_environments_wishes_are_carried_out_in_their_order(shop: Shop, github: StandIn, upgraded_url: str) -> None:
    """The second deployment waits as long as the first is tried."""
    github.fail_next(*[LIMITED] * 2)
    deployments = [shop.deploy(number=number) for number in (1, 2, 3)]

    with working(shop.ledger, settings_for(upgraded_url, github)):
        assert eventually(lambda: len(github.runs) == 3)

    assert [run.deployment for run in github.runs.values()] == deployments


def test_a_wish_that_was_damaged_is_carried_out_as_it_was_recorded(
    shop: Shop, github: StandIn, upgraded_url: str
) -> None:
    """Its row says another workflow, which nobody wished."""
    from sqlalchemy import text

    deployment = shop.deploy()
    with shop.ledger.store.database.engine.connect() as connection:
        connection.execute(text("UPDATE outbox SET workflow = replace(workflow, 'deploy', 'destroy')"))
        if connection.in_transaction():
            connection.commit()

    with working(shop.ledger, settings_for(upgraded_url, github)):
        assert eventually(lambda: github.started[deployment] == 1)

    assert {run.workflow for run in github.runs.values()} == {"deploy.yml"}


def test_two_workers_start_a_workflow_once(shop: Shop, github: StandIn, upgraded_url: str) -> None:
    """Whoever has the lease does it."""
    settings = settings_for(upgraded_url, github)
    with working(shop.ledger, settings), working(Ledger.open(upgraded_url), settings):
        deployments = [shop.deploy(number=1 + number % 3) for number in range(12)]
        assert eventually(lambda: len(events(shop.ledger, DeploymentTriggered)) == 12)

    assert github.started == dict.fromkeys(deployments, 1)


def test_a_rebuild_of_the_outbox_triggers_nothing(shop: Shop, github: StandIn, upgraded_url: str) -> None:
    """What was done stays done; what is still wanted stays wanted, once."""
    from release_ledger.projection import mend

    settings = settings_for(upgraded_url, github)
    first = shop.deploy()
    with working(shop.ledger, settings):
        assert eventually(lambda: events(shop.ledger, DeploymentTriggered))
    second = shop.deploy(number=2)

    assert mend(shop.ledger.store, PRODUCTION)
    with working(shop.ledger, settings):
        assert eventually(lambda: len(events(shop.ledger, DeploymentTriggered)) == 2)

    assert github.started == {first: 1, second: 1}
