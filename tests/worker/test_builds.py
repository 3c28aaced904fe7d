"""Builds: a candidate waits for its build, and goes on to an environment when it has succeeded."""

from dataclasses import replace
from typing import Any

import pytest

from release_ledger.environment import UNFINISHED_LIMIT, Settings
from release_ledger.errors import ReleaseCandidateNotReady
from release_ledger.events import DeployedAfterBuild, ReleaseCandidateChecked
from release_ledger.ledger import Ledger
from release_ledger.projection import project_stream
from release_ledger.projection.folded import stored_events
from release_ledger.store.store import head_of
from release_ledger.worker.leases import Leases, key_of
from tests.support.github_faults import BROKEN, NOT_FOUND
from tests.support.github_stand_in import StandIn
from tests.support.working import API, HURRIED, REPO, Shop, commit, eventually, settings_for, working

BUILD = {"kind": "github", "workflow": "build.yml", "ref": "main"}


def configure(ledger: Ledger, deploy_to: str | None = None) -> None:
    ledger.configure_project("shop", repo=REPO, build_workflow=BUILD, deploy_after_build=deploy_to, by=API)


def cut(ledger: Ledger, number: int = 9, **said: Any) -> dict[str, Any]:
    said = {"trigger_build_workflow": True} | said
    version = f"1.{number}-rc1"
    return ledger.cut_release_candidate("shop", version, repo=REPO, commit=commit(number), by=API, **said)[0]


def candidate(ledger: Ledger, number: int = 9) -> dict[str, Any]:
    return ledger.candidate("shop", f"1.{number}-rc1")[0]


def becomes(ledger: Ledger, status: str, number: int = 9) -> dict[str, Any]:
    eventually(lambda: candidate(ledger, number)["status"] == status)
    found = candidate(ledger, number)
    assert found["status"] == status, found
    return found


def recorded(ledger: Ledger, kind: type[Any]) -> list[Any]:
    found = stored_events(ledger.store, head_of(ledger.store, project_stream("shop")))
    return [event for event in found if isinstance(event, kind)]


@pytest.mark.parametrize(("conclusion", "status"), [("success", "ready"), ("failure", "failed")])
def test_a_candidate_waits_for_its_build(
    conclusion: str, status: str, shop: Shop, github: StandIn, upgraded_url: str
) -> None:
    """And cannot be deployed before it is ready."""
    configure(shop.ledger)
    assert cut(shop.ledger)["status"] == "pending"

    with working(shop.ledger, settings_for(upgraded_url, github)):
        assert eventually(lambda: github.runs)
        with pytest.raises(ReleaseCandidateNotReady):
            shop.deploy(number=9)
        github.finish(next(iter(github.runs)), conclusion)
        found = becomes(shop.ledger, status)

    assert github.started[found["build_id"]] == 1
    assert found["build_url"].endswith(f"/actions/runs/{next(iter(github.runs))}")


def test_a_build_that_failed_is_started_again_when_asked_for(shop: Shop, github: StandIn, upgraded_url: str) -> None:
    """The same candidate, another build; and what the old one still says is not heard."""
    configure(shop.ledger)
    first = cut(shop.ledger)["build_id"]
    github.fail_next(NOT_FOUND)
    with working(shop.ledger, settings_for(upgraded_url, github)):
        assert "A fault on demand" in becomes(shop.ledger, "failed")["error_message"]
        again = cut(shop.ledger)
        assert again["status"] == "pending"
        assert again["build_id"] != first
        shop.ledger.report_build("shop", "1.9-rc1", status="ready", build_id=first, by=API)
        assert candidate(shop.ledger)["status"] == "pending"
        assert eventually(lambda: github.runs)
        github.finish(next(iter(github.runs)))
        becomes(shop.ledger, "ready")


def test_a_candidate_is_deployed_after_its_build_once(shop: Shop, github: StandIn, upgraded_url: str) -> None:
    """However often the build is reported."""
    configure(shop.ledger, "production")
    cut(shop.ledger)
    with working(shop.ledger, settings_for(upgraded_url, github)):
        assert eventually(lambda: github.runs)
        github.finish(next(iter(github.runs)))
        becomes(shop.ledger, "ready")
        assert eventually(lambda: recorded(shop.ledger, DeployedAfterBuild))
        shop.ledger.report_build("shop", "1.9-rc1", status="failed", by=API)
        shop.ledger.report_build("shop", "1.9-rc1", status="ready", by=API)
        assert eventually(lambda: len(recorded(shop.ledger, DeployedAfterBuild)) == 2)

    (deployment,) = shop.ledger.deployments("shop", "production").items
    assert {event.deployment_id for event in recorded(shop.ledger, DeployedAfterBuild)} == {deployment["id"]}
    assert deployment["recorded_by"] == "release-ledger"


def test_why_nothing_was_deployed_after_a_build_is_recorded(shop: Shop, github: StandIn, upgraded_url: str) -> None:
    """The environment is frozen, say."""
    configure(shop.ledger, "production")
    shop.ledger.freeze("shop", "production", reason="the holidays", by=API)
    cut(shop.ledger)
    shop.ledger.report_build("shop", "1.9-rc1", status="ready", by=API)

    with working(shop.ledger, settings_for(upgraded_url, github)):
        assert eventually(lambda: recorded(shop.ledger, DeployedAfterBuild))

    (refused,) = recorded(shop.ledger, DeployedAfterBuild)
    assert (refused.deployment_id, refused.error_message) == (None, "Environment is frozen")
    assert candidate(shop.ledger)["error_message"] == "Not deployed to production: Environment is frozen."


@pytest.mark.parametrize("is_known", [True, False])
def test_a_commit_that_could_not_be_checked_is_checked_later(
    is_known: bool, shop: Shop, github: StandIn, upgraded_url: str
) -> None:
    """One that GitHub does not know fails its candidate, for good."""
    github.add_repository(REPO, commits=[commit(9)] if is_known else [])
    github.fail_next(BROKEN, BROKEN)
    assert cut(shop.ledger, trigger_build_workflow=False, checked=False)["commit_check"] == "unchecked"

    with working(shop.ledger, settings_for(upgraded_url, github)):
        assert eventually(lambda: recorded(shop.ledger, ReleaseCandidateChecked))

    found = candidate(shop.ledger)
    assert (found["status"], found["commit_check"]) == (("ready", None) if is_known else ("failed", "unknown"))
    if not is_known:
        assert commit(9) in found["error_message"]
        assert shop.ledger.report_build("shop", "1.9-rc1", status="ready", by=API)[0]["status"] == "failed"


def test_two_workers_start_a_build_once(shop: Shop, github: StandIn, upgraded_url: str) -> None:
    """What one has read as wanted, the other may have carried out."""
    configure(shop.ledger)
    settings, timing = settings_for(upgraded_url, github), replace(HURRIED, poll_s=0.005)
    with working(shop.ledger, settings, timing), working(Ledger.open(upgraded_url), settings, timing):
        made = [cut(shop.ledger, number)["build_id"] for number in range(10, 40)]
        assert eventually(lambda: len(github.started) == len(made) and not shop.ledger.wanted())

    assert github.started == dict.fromkeys(made, 1)


def test_a_lost_call_of_a_former_build_says_nothing_of_the_next(shop: Shop, github: StandIn, upgraded_url: str) -> None:
    """CI said that it had failed, while the worker that had begun to start it was dead."""
    shop.ledger.configure_project("shop", repo=REPO, build_workflow=BUILD | {"workflow": "blind.yml"}, by=API)
    github.add_workflow(REPO, "blind.yml", shows_id=False)
    cut(shop.ledger)
    (wish,) = shop.ledger.wanted()
    dead = Leases(shop.ledger.store, "dead", 0.1)
    assert dead.take(key_of(wish)) == (True, None)
    assert dead.calling(key_of(wish))
    shop.ledger.report_build("shop", "1.9-rc1", status="failed", by=API)

    again = cut(shop.ledger)["build_id"]
    with working(shop.ledger, settings_for(upgraded_url, github)):
        assert eventually(lambda: not shop.ledger.wanted())

    assert (github.started[again], candidate(shop.ledger)["status"]) == (1, "pending")


def test_builds_that_are_ready_are_deployed_in_their_order(shop: Shop, github: StandIn, upgraded_url: str) -> None:
    """By however many workers: what was ready last runs in the end."""
    configure(shop.ledger, "production")
    numbers = range(10, 18)
    for number in numbers:
        cut(shop.ledger, number)
    for number in numbers:
        shop.ledger.report_build("shop", f"1.{number}-rc1", status="ready", by=API)
    settings = settings_for(upgraded_url, github)

    with working(shop.ledger, settings), working(Ledger.open(upgraded_url), settings):
        assert eventually(lambda: len(recorded(shop.ledger, DeployedAfterBuild)) == len(numbers))

    deployed = [each["release_candidate_version"] for each in shop.ledger.deployments("shop", "production").items]
    assert deployed[::-1] == [f"1.{number}-rc1" for number in numbers]


def test_a_deployment_after_a_build_waits_for_room(shop: Shop, github: StandIn, upgraded_url: str) -> None:
    """It is not lost where too many are unfinished for the moment."""
    shop.ledger.configure_environment("shop", "production", Settings(), by=API)
    deployments = [shop.deploy() for _ in range(UNFINISHED_LIMIT)]
    configure(shop.ledger, "production")
    cut(shop.ledger)
    shop.ledger.report_build("shop", "1.9-rc1", status="ready", by=API)
    with working(shop.ledger, settings_for(upgraded_url, github)):
        eventually(lambda: recorded(shop.ledger, DeployedAfterBuild), within_s=0.5)
        shop.report("success", id=deployments[0])
        assert eventually(lambda: recorded(shop.ledger, DeployedAfterBuild))

    assert recorded(shop.ledger, DeployedAfterBuild)[0].error_message is None


def test_a_build_whose_start_told_no_run_is_followed(shop: Shop, github: StandIn, upgraded_url: str) -> None:
    """As by an older GitHub Enterprise Server, without a webhook."""
    configure(shop.ledger)
    github.returns_details, github.takes_s = False, 0.3
    cut(shop.ledger)
    with working(shop.ledger, settings_for(upgraded_url, github)):
        becomes(shop.ledger, "ready")


def test_candidates_without_a_build_are_each_deployed_when_they_are_ready(
    shop: Shop, github: StandIn, upgraded_url: str
) -> None:
    """None has a build's id, and none is taken for another."""
    configure(shop.ledger, "production")
    for number in (10, 11):
        cut(shop.ledger, number, trigger_build_workflow=False)
        shop.ledger.report_build("shop", f"1.{number}-rc1", status="failed", by=API)
        shop.ledger.report_build("shop", f"1.{number}-rc1", status="ready", by=API)

    with working(shop.ledger, settings_for(upgraded_url, github)):
        assert eventually(lambda: len(recorded(shop.ledger, DeployedAfterBuild)) == 2)

    deployed = [each["release_candidate_version"] for each in shop.ledger.deployments("shop", "production").items]
    assert sorted(deployed) == ["1.10-rc1", "1.11-rc1"]


def test_commits_that_cannot_be_checked_hide_nothing(shop: Shop, github: StandIn, upgraded_url: str) -> None:
    """Many of them wait for GitHub, asked ever more seldom; a deployment goes on."""
    for number in range(10, 50):
        cut(shop.ledger, number, trigger_build_workflow=False, checked=False)
    github.fault_for = lambda asked: BROKEN if "commits" in asked.path or len(asked.path) == 3 else None
    with working(shop.ledger, settings_for(upgraded_url, github)):
        deployment = shop.deploy()
        assert eventually(lambda: github.started[deployment] == 1)


def test_a_build_without_a_workflow_is_nobodys_to_watch(shop: Shop, github: StandIn, upgraded_url: str) -> None:
    """CI builds by itself and tells a run; another build is followed to its end all the same."""
    shop.ledger.configure_project("shop", repo=REPO, by=API)
    cut(shop.ledger, 10)
    (wish,) = shop.ledger.wishes_of(candidate(shop.ledger, 10)["build_id"])
    shop.ledger.build_triggered(wish, run_id="5", run_url=None, how="told", by=API)
    configure(shop.ledger)
    cut(shop.ledger, 11)
    github.takes_s = 0.2
    with working(shop.ledger, settings_for(upgraded_url, github)):
        becomes(shop.ledger, "ready", 11)
    assert candidate(shop.ledger, 10)["status"] == "pending"
