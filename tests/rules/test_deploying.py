"""Requests to deploy, and the bound of a hundred unfinished deployments (contract, section 2)."""

import pytest

from release_ledger.environment import UNFINISHED_LIMIT
from release_ledger.errors import EnvironmentFrozen, ReleaseCandidateNotReady, TooManyUnfinished
from release_ledger.events import DeploymentGivenUp, DeploymentReported, DeploymentRequested
from tests.rules.story import FIRST_MINUTE, Story, at, given, success


def full() -> Story:
    """An environment with as many unfinished deployments as it may have, of A except for the oldest, of OLD."""
    story = given(success("OK"))
    story.deploy("OLD").reports("in_progress")
    for _ in range(UNFINISHED_LIMIT - 1):
        story.deploy("A")
    return story


def test_a_request_is_a_pending_deployment_of_the_candidate() -> None:
    """It says what the environment was running, and nothing has started yet."""
    production = given(success("A"))

    row = production.deploy("B").row

    assert (row["number"], row["kind"], row["status"], row["finished"]) == (2, "deploy", "pending", 0)
    assert (row["from_release_candidate_version"], row["deploy_start_at"], row["deploy_end_at"]) == ("A", None, None)
    assert (row["requested_at"], row["candidate_cut_at"]) == (at(production.minute - 1), at(0))


def test_a_candidate_that_is_not_ready_is_not_deployed() -> None:
    """409, with its status; `force` does not help."""
    production = given()

    for status in ("pending", "failed"):
        with pytest.raises(ReleaseCandidateNotReady) as refusal:
            production.deploy("A", candidate_status=status, force=True)

        assert (refusal.value.status, refusal.value.details["status"]) == (409, status)
    assert production.rows == []


def test_a_frozen_environment_refuses_a_deployment_unless_forced() -> None:
    """The forced one says so, and that it broke a freeze; without a freeze, force breaks none."""
    production = given()
    production.deploy("A", force=True)
    production.freeze("audit")

    with pytest.raises(EnvironmentFrozen) as refusal:
        production.deploy("B")
    production.deploy("B", force=True)

    assert refusal.value.details["reason"] == "audit"
    requested = [event for event in production.events if isinstance(event, DeploymentRequested)]
    assert [(event.force, event.broke_freeze) for event in requested] == [(True, False), (True, True)]


def test_a_freeze_past_its_end_refuses_nothing() -> None:
    """`until` is the first moment that is free again."""
    production = given()
    production.freeze(until=at(production.minute + 2))

    with pytest.raises(EnvironmentFrozen):
        production.deploy("A")
    deployed = production.deploy("A")

    assert deployed.row["requested_at"] == at(FIRST_MINUTE + 3)


def test_a_hundred_unfinished_deployments_are_enough() -> None:
    """409, `force` or not; one that ends makes room."""
    production = full()

    for force in (False, True):
        with pytest.raises(TooManyUnfinished) as refusal:
            production.deploy("B", force=force)
        assert (refusal.value.status, refusal.value.details) == (409, {"limit": 100})
    production.report("OLD", "success")
    production.deploy("B")

    assert len(production.state.unfinished) == UNFINISHED_LIMIT == 100


def test_a_report_is_recorded_where_there_is_no_room_and_the_oldest_is_given_up() -> None:
    """PATCH is never refused: the oldest unfinished deployment makes room, and its row says why."""
    production = full()

    given_up, requested, reported = production.report("B", "in_progress")

    assert isinstance(given_up, DeploymentGivenUp)
    assert isinstance(requested, DeploymentRequested)
    old = production.rows[-2]
    assert (given_up.number, old["status"], old["ended_by"]) == (old["number"], "error", "ledger")
    assert old["error_message"] == "Given up: 100 newer deployments are unfinished. A report resumes it."
    assert isinstance(reported, DeploymentReported)
    assert len(production.state.unfinished) == UNFINISHED_LIMIT


def test_a_finished_deployment_seen_for_the_first_time_needs_no_room() -> None:
    """Nothing is given up for it."""
    production = full()

    production.report("B", "success")

    assert production.running == "B"
    assert production.rows[-2]["status"] == "in_progress"


def test_what_was_given_up_is_resumed_by_a_later_report_and_the_next_oldest_makes_room() -> None:
    """The state stays bounded, whoever reports."""
    production = full()
    production.report("B", "in_progress")

    production.report("OLD", "in_progress")

    statuses = {row["number"]: row["status"] for row in production.rows}
    assert (statuses[2], statuses[3]) == ("in_progress", "error")
    assert len(production.state.unfinished) == UNFINISHED_LIMIT
    assert [ref.number for ref in production.state.unfinished] == [2, *range(4, 103)]


def test_a_report_of_what_is_unfinished_or_late_gives_nothing_up() -> None:
    """Only one that needs a place does: what goes on has its own, what has ended needs none."""
    production = full()

    production.report("A", "in_progress")
    production.report("OLD", "success")
    production.deploy("A")
    production.report("OLD", "unknown")

    assert not [event for event in production.events if isinstance(event, DeploymentGivenUp)]
    assert len(production.state.unfinished) == UNFINISHED_LIMIT
