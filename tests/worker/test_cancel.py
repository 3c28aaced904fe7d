"""Canceling: a run that is known is asked to end, and the deployment says so until it has."""

from dataclasses import replace

from release_ledger.events import (
    DeploymentCancelAnswered,
    DeploymentCanceled,
    DeploymentCancelRequested,
    DeploymentTriggered,
    DeploymentTriggerFailed,
)
from release_ledger.triggering import UNASKED
from release_ledger.versions import read_moment
from tests.support.github_faults import BROKEN, CUT_AFTER, LIMITED, SLOW, UNAUTHORIZED
from tests.support.github_stand_in import StandIn
from tests.support.working import API, HURRIED, Shop, eventually, settings_for, working
from tests.worker.test_in_doubt import NOT_LIVE, damage
from tests.worker.test_triggering import events


def running(shop: Shop, github: StandIn, number: int = 1) -> str:
    """A deployment whose run goes on."""
    before = len(github.runs)
    deployment = shop.deploy(number=number)
    assert eventually(lambda: len(github.runs) > before and len(events(shop.ledger, DeploymentTriggered)) > before)
    return deployment


def test_a_deployment_without_a_run_is_canceled_at_once(shop: Shop) -> None:
    """Nothing was started, and nothing will be."""
    deployment = shop.deploy()

    answer, _ = shop.ledger.cancel("shop", "production", deployment, reason="wrong one", by=API)

    assert answer["status"] == "canceled"
    (canceled,) = events(shop.ledger, DeploymentCanceled)
    assert (canceled.reason, canceled.by_deployment_id) == ("wrong one", "")


def test_a_run_is_asked_to_end_and_says_when_it_has(shop: Shop, github: StandIn, upgraded_url: str) -> None:
    """Until then the deployment is `canceling`, whatever else it reports."""
    with working(shop.ledger, settings_for(upgraded_url, github)):
        deployment = running(shop, github)
        github.fail_next(*[BROKEN] * 3)
        answer, _ = shop.ledger.cancel("shop", "production", deployment, by=API)
        assert answer["status"] == "canceling"
        assert shop.report("in_progress", id=deployment)["status"] == "canceling"
        shop.becomes("canceled", deployment)

    answered = events(shop.ledger, DeploymentCancelAnswered)
    assert answered[-1].answer == "accepted"
    assert [each.answer for each in answered[:-1]] == ["failed"] * (len(answered) - 1)
    assert next(iter(github.runs.values())).conclusion == "cancelled"


def test_canceling_again_or_too_late_records_nothing(shop: Shop, github: StandIn, upgraded_url: str) -> None:
    """It is answered as it stands."""
    with working(shop.ledger, settings_for(upgraded_url, github)):
        deployment = running(shop, github)
    shop.ledger.cancel("shop", "production", deployment, by=API)
    version = shop.ledger.environment("shop", "production")[1]

    assert shop.ledger.cancel("shop", "production", deployment, by=API)[0]["status"] == "canceling"
    assert shop.ledger.environment("shop", "production")[1] == version
    shop.report("success", id=deployment)
    assert shop.ledger.cancel("shop", "production", deployment, by=API)[0]["status"] == "success"


def test_a_rollback_cancels_what_runs_and_starts_the_old_version(
    shop: Shop, github: StandIn, upgraded_url: str
) -> None:
    """In this order; and a second press is the same wish."""
    with working(shop.ledger, settings_for(upgraded_url, github)):
        github.finish(_run_of(github, running(shop, github)))
        shop.becomes("success", shop.ledger.deployments("shop", "production").items[0]["id"])
        second = running(shop, github, 2)
        rollback = shop.ledger.roll_back("shop", "production", by=API)[0]
        assert shop.deployment(second)["status"] in ("canceling", "canceled")
        shop.becomes("canceled", second)
        assert eventually(lambda: github.started[rollback["id"]] == 1)
        again = shop.ledger.roll_back("shop", "production", by=API)[0]
        assert eventually(lambda: github.started[again["id"]] == 1)

    assert rollback["release_candidate_version"] == again["release_candidate_version"] == "1.1-rc1"
    (asked, *_) = events(shop.ledger, DeploymentCancelRequested)
    assert (asked.deployment_id, asked.by_deployment_id) == (second, rollback["id"])
    assert len([each for each in events(shop.ledger, DeploymentCancelRequested) if each.deployment_id == second]) == 1


def test_a_run_that_turns_up_after_its_deployment_was_canceled_is_canceled(
    shop: Shop, github: StandIn, upgraded_url: str
) -> None:
    """The call was under way when the rollback came."""
    shop.deploy()
    shop.report("success")
    github.fail_next(replace(SLOW, late_s=0.5))
    with working(shop.ledger, settings_for(upgraded_url, github)):
        late = shop.deploy(number=2)
        assert eventually(lambda: github.started[late] == 1)
        shop.ledger.roll_back("shop", "production", by=API)
        assert shop.deployment(late)["status"] == "canceled"
        run = github.runs[int(_run_of(github, late))]
        assert eventually(lambda: run.conclusion == "cancelled")


def test_a_cancel_holds_others_back_for_a_while_only(shop: Shop, github: StandIn, upgraded_url: str) -> None:
    """A rollback does not wait for GitHub to answer a cancel."""
    timing = replace(HURRIED, cancel_holds_s=0.3)
    with working(shop.ledger, settings_for(upgraded_url, github), timing):
        shop.report("success", number=3)
        first = running(shop, github)
        github.fault_for = lambda asked: BROKEN if asked.path[-1] == "cancel" else None
        rollback = shop.ledger.roll_back("shop", "production", by=API)[0]["id"]
        assert eventually(lambda: github.started[rollback] == 1)

    assert shop.deployment(first)["status"] in ("canceling", "canceled")
    (asked,) = events(shop.ledger, DeploymentCancelRequested)
    began = next(run.created_at for run in github.runs.values() if run.deployment == rollback)
    assert (began - read_moment(asked.recorded_at)).total_seconds() >= 0.3


def test_a_cancel_goes_on_while_the_outbox_is_not_live(shop: Shop, github: StandIn, upgraded_url: str) -> None:
    """Its wish is folded then, and its time counts from when it was wished."""
    settings, timing = settings_for(upgraded_url, github), replace(HURRIED, cancel_within_s=60.0)
    with working(shop.ledger, settings, timing):
        deployment = running(shop, github)
    github.fault_for = lambda asked: BROKEN if asked.path[-1] == "cancel" else None
    damage(shop.ledger, NOT_LIVE)
    shop.ledger.cancel("shop", "production", deployment, by=API)
    with working(shop.ledger, settings, timing):
        assert eventually(lambda: len(events(shop.ledger, DeploymentCancelAnswered)) > 4)
        assert shop.deployment(deployment)["status"] == "canceling"
        github.fault_for = lambda _: None
        shop.becomes("canceled", deployment)

    assert next(iter(github.runs.values())).conclusion == "cancelled"


def test_a_run_that_its_start_did_not_tell_is_found_and_canceled(
    shop: Shop, github: StandIn, upgraded_url: str
) -> None:
    """As of an older GitHub Enterprise Server: a rollback ends the deployment at once, and its run soon after."""
    github.returns_details = False
    shop.report("success", number=3)
    with working(shop.ledger, settings_for(upgraded_url, github), replace(HURRIED, silence_s=30.0)):
        bad = running(shop, github)
        shop.ledger.roll_back("shop", "production", by=API)
        assert shop.deployment(bad)["status"] == "canceled"
        assert eventually(lambda: github.runs[int(_run_of(github, bad))].conclusion == "cancelled")


def test_a_run_that_never_says_that_it_has_ended_counts_as_canceled(
    shop: Shop, github: StandIn, upgraded_url: str
) -> None:
    """After a deadline, which is later where GitHub cannot even be asked. What the run says later is what counts."""
    timing = replace(HURRIED, cancel_within_s=0.3)
    with working(shop.ledger, settings_for(upgraded_url, github), timing):
        deployment = running(shop, github)
        github.fault_for = lambda _: BROKEN
        shop.ledger.cancel("shop", "production", deployment, by=API)
        ended = shop.becomes("canceled", deployment)

    assert ended["error_message"] == UNASKED.format("GitHub")
    (asked,), (canceled,) = events(shop.ledger, DeploymentCancelRequested), events(shop.ledger, DeploymentCanceled)
    waited = read_moment(canceled.recorded_at) - read_moment(asked.recorded_at)
    assert waited.total_seconds() >= 6 * timing.cancel_within_s
    assert shop.report("success", id=deployment)["status"] == "success"


def _run_of(github: StandIn, deployment: str) -> str:
    return str(next(run.id for run in github.runs.values() if run.deployment == deployment))


def test_a_rollback_does_not_wait_for_what_it_canceled(shop: Shop, github: StandIn, upgraded_url: str) -> None:
    """The trigger of before waits for a long time to be tried again; its deployment has ended."""
    shop.report("success", number=3)
    timing = replace(HURRIED, first_pause_s=60.0, longest_pause_s=60.0)
    with working(shop.ledger, settings_for(upgraded_url, github), timing):
        github.fail_next(UNAUTHORIZED)
        dead = shop.deploy()
        assert eventually(lambda: events(shop.ledger, DeploymentTriggerFailed))
        rollback = shop.ledger.roll_back("shop", "production", by=API)[0]["id"]
        assert eventually(lambda: github.started[rollback] == 1)

    assert github.started[dead] == 0


def test_a_rollback_does_not_wait_for_a_run_that_is_looked_for(shop: Shop, github: StandIn, upgraded_url: str) -> None:
    """The call was lost, and GitHub does not say what became of it."""
    shop.report("success", number=3)
    timing = replace(HURRIED, cancel_holds_s=0.3)
    github.fault_for = lambda asked: UNAUTHORIZED if asked.path[-1] == "runs" else None
    with working(shop.ledger, settings_for(upgraded_url, github), timing):
        github.fail_next(CUT_AFTER)
        shop.deploy()
        assert eventually(lambda: events(shop.ledger, DeploymentTriggerFailed))
        rollback = shop.ledger.roll_back("shop", "production", by=API)[0]["id"]
        assert eventually(lambda: github.started[rollback] == 1)


def test_a_cancel_overtakes_a_trigger_that_fails(shop: Shop, github: StandIn, upgraded_url: str) -> None:
    """Nobody would ask GitHub to end the run while it does not start another."""
    with working(shop.ledger, settings_for(upgraded_url, github)):
        bad = running(shop, github)
        github.fault_for = lambda asked: LIMITED if asked.path[-1] == "dispatches" else None
        shop.deploy(number=2)
        assert eventually(lambda: events(shop.ledger, DeploymentTriggerFailed))
        shop.ledger.cancel("shop", "production", bad, by=API)
        shop.becomes("canceled", bad)

    assert github.runs[int(_run_of(github, bad))].conclusion == "cancelled"


def test_a_run_is_canceled_where_it_was_started(shop: Shop, github: StandIn, upgraded_url: str) -> None:
    """The project has moved to another repository since."""
    with working(shop.ledger, settings_for(upgraded_url, github)):
        deployment = running(shop, github)
        shop.ledger.configure_project("shop", repo="acme/shop-next", by=API)
        shop.ledger.cancel("shop", "production", deployment, by=API)
        shop.becomes("canceled", deployment)

    assert events(shop.ledger, DeploymentCancelAnswered)[-1].answer == "accepted"
