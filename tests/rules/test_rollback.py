"""Rollbacks beyond the table: refusals, `to`, freezes, what is recorded, and how the choice is explained."""

import pytest

from release_ledger.environment import UNFINISHED_LIMIT
from release_ledger.errors import EnvironmentFrozen, NoRollbackTarget
from release_ledger.events import DeploymentRequested
from tests.rules.story import FIRST_MINUTE, Attempt, at, failed, given, in_progress, rolled_back, success

A, B, C = success("A"), success("B"), success("C")


def requested(attempt: Attempt) -> DeploymentRequested:
    """The event that began a deployment."""
    events = [event for event in attempt.story.events if isinstance(event, DeploymentRequested)]
    return events[attempt.number - 1]


@pytest.mark.parametrize("strategy", ["previous", "walk_back"])
def test_a_rollback_without_a_target_records_nothing(strategy: str) -> None:
    """A refused rollback cancels and records nothing: 404, and everything is as it was."""
    production = given(failed("A"), in_progress("B"), in_progress("C"))
    events, rows, state = list(production.events), production.rows, production.state

    with pytest.raises(NoRollbackTarget) as refusal:
        production.roll_back(strategy)

    assert (refusal.value.status, refusal.value.code) == (404, "no_rollback_target")
    assert (production.events, production.rows, production.state) == (events, rows, state)


def test_a_rollback_to_a_version_that_never_succeeded_here_is_refused() -> None:
    """404 with the sentence about the target, also when it was deployed and failed, or is still under way."""
    production = given(A, B, failed("C"), in_progress("D"))
    events = list(production.events)

    for version in ("C", "D", "never deployed"):
        with pytest.raises(NoRollbackTarget):
            production.roll_back(to=version)

    assert production.events == events


def test_a_rollback_to_a_version_goes_there_whatever_the_strategy_would_choose() -> None:
    """`to` is a version instead of a strategy; it too cancels what is unfinished and leaves what was running."""
    production = given(A, B, C, in_progress("D"), strategy="walk_back")

    rollback = production.roll_back(to="A")

    assert rollback.row["kind"] == "rollback"
    assert (rollback.version, requested(rollback).strategy, requested(rollback).leaves) == ("A", "to", ["C", "D"])
    assert production.rows[1]["status"] == "canceled"


def test_a_rollback_to_the_running_version_is_allowed() -> None:
    """It deploys again what runs, and turns its back only on the newest deployment's version."""
    production = given(A, B, failed("C"))

    rollback = production.roll_back(to="B")

    assert (rollback.version, requested(rollback).leaves) == ("B", ["C"])


def test_a_rollback_to_a_version_uses_its_newest_success() -> None:
    """The preview names that deployment and no other."""
    production = given(A, A, failed("A"), B)

    preview = production.preview(to="A")

    assert [(one.id, one.verdict) for one in preview.considered] == [("deployment-2", "chosen")]
    assert preview.explanation == "A is the version that was asked for, and it was deployed here with success."


def test_a_version_that_a_rollback_to_another_left_is_not_returned_to() -> None:
    """`walk_back` counts every rollback that turned away from a version, whichever way it chose its target."""
    production = given(A, B, C, rolled_back(to="B"), strategy="walk_back")

    assert production.rollback_target() == "A"


def test_a_forward_success_makes_a_left_version_good_again() -> None:
    """Deployed forward or seen to be deployed; a rollback to it does not count, nor a forward failure."""
    left = given(A, B, rolled_back(), C, strategy="walk_back")
    assert left.rollback_target() == "A"
    by_rollback = given(A, B, rolled_back(), rolled_back(to="B"), C, strategy="walk_back")
    assert by_rollback.rollback_target() is None
    by_failure = given(A, B, rolled_back(), failed("B"), C, strategy="walk_back")
    assert by_failure.rollback_target() == "A"

    by_deploying = given(A, B, rolled_back(), B, C, strategy="walk_back")
    by_seeing = given(A, B, rolled_back(), strategy="walk_back")
    by_seeing.report("B", "in_progress")
    by_seeing.report("B", "success")
    C(by_seeing)

    assert by_deploying.rollback_target() == by_seeing.rollback_target() == "B"
    assert by_seeing.rows[1]["kind"] == "observed"


def test_a_frozen_environment_refuses_a_rollback() -> None:
    """400, with who froze it and until when; nothing is canceled or recorded."""
    production = given(A, B, in_progress("C"))
    production.freeze("holidays", until=at(FIRST_MINUTE + 500))
    events = list(production.events)

    with pytest.raises(EnvironmentFrozen) as refusal:
        production.roll_back()

    assert refusal.value.details["reason"] == "holidays"
    assert refusal.value.details["frozen_by"] == "ci"
    assert refusal.value.details["until"] == at(FIRST_MINUTE + 500)
    assert production.events == events


def test_force_rolls_back_a_frozen_environment_and_is_recorded() -> None:
    """The event says that it was forced and that it broke a freeze; the freeze stays."""
    production = given(A, B)
    production.freeze()

    rollback = production.roll_back(force=True)

    assert (requested(rollback).force, requested(rollback).broke_freeze) == (True, True)
    assert production.state.freeze is not None


def test_force_without_a_freeze_breaks_none() -> None:
    """`broke_freeze` tells what happened, not what was asked for."""
    production = given(A, B)

    rollback = production.roll_back(force=True)

    assert (requested(rollback).force, requested(rollback).broke_freeze) == (True, False)


def test_force_does_not_invent_a_target() -> None:
    """It overrides a freeze, no other rule."""
    production = given(A)

    with pytest.raises(NoRollbackTarget):
        production.roll_back(force=True)


def test_a_rollback_deploys_the_commit_that_succeeded_and_says_where_it_came_from() -> None:
    """Everything of the target is taken from its own success: version, release, commit, when it was cut."""
    production = given(A, B)

    rollback = production.roll_back()

    old = production.rows[-1]
    for name in ("release_candidate_version", "release_version", "commit", "candidate_cut_at"):
        assert rollback.row[name] == old[name]
    assert (rollback.row["from_release_candidate_version"], requested(rollback).from_commit) == (
        "B",
        production.rows[1]["commit"],
    )
    assert (rollback.row["status"], rollback.row["deploy_start_at"]) == ("pending", None)


def test_a_rollback_makes_room_where_there_was_none() -> None:
    """A hundred unfinished deployments do not stand in the way of going back: they are canceled."""
    production = given(A)
    for _ in range(UNFINISHED_LIMIT):
        production.deploy("B")

    production.roll_back()

    assert len(production.state.unfinished) == 1


def test_a_deployment_that_succeeds_after_it_was_canceled_counts_as_a_success() -> None:
    """The report tells what really happened; the newest success by creation is what runs."""
    production = given(A, B)
    late = production.deploy("C")
    production.roll_back().fails()

    late.succeeds()

    assert (late.row["status"], production.running) == ("success", "C")


def test_the_choice_of_previous_is_explained_deployment_by_deployment() -> None:
    """Everything newer than the chosen one is named with the reason why it was passed over."""
    production = given(A, B, B, failed("C"))
    production.roll_back()
    production.deploy("B")

    preview = production.preview("previous")

    assert preview.explanation == "B is the newest success, and the newest deployment is not one."
    assert [(one.release_candidate_version, one.verdict, one.why) for one in preview.considered] == [
        ("B", "skipped", "It is unfinished and wishes the same: it is left out of the choice."),
        ("B", "skipped", "It is unfinished and wishes the same: it is left out of the choice."),
        ("C", "skipped", "Its status is failure."),
        ("B", "chosen", "It is the newest success, and the newest deployment is not one."),
    ]


def test_previous_says_which_successes_are_of_the_newest_version() -> None:
    """And that something unfinished would be canceled."""
    production = given(A, B, in_progress("C"), B)

    preview = production.preview("previous")

    assert preview.explanation == "A is the newest earlier success of another version."
    assert [one.why for one in preview.considered] == [
        "It is the version of the newest deployment, which is a success.",
        "Its status is in_progress, and a rollback cancels it.",
        "It is the version of the newest deployment, which is a success.",
        "It is the newest earlier success of another version.",
    ]


def test_the_choice_of_walk_back_is_explained_deployment_by_deployment() -> None:
    """Left versions are told apart from the running one."""
    production = given(A, B, C, rolled_back("walk_back"))

    preview = production.preview("walk_back")

    assert preview.explanation == "A is the newest success of a version that is neither running nor was left."
    assert [one.why for one in preview.considered] == [
        "It is the running version.",
        "The environment was asked to leave this version, and it was not deployed forward since.",
        "It is the running version.",
        "It is the newest success of a version that is neither running nor was left.",
    ]
    after_a_failure = given(A, failed("B"), C).preview("walk_back")
    assert [one.why for one in after_a_failure.considered][:2] == [
        "It is the running version.",
        "Its status is failure.",
    ]
    failing = given(A, B, failed("C"))
    assert failing.preview("walk_back").explanation == (
        "B is the running version, and the newest deployment is not a success."
    )


def test_a_404_is_explained_truthfully() -> None:
    """There may be successes, and yet nowhere to go; the preview says which sort is missing."""
    production = given(A, B, rolled_back("walk_back"))

    assert production.preview("walk_back").explanation == (
        "There is no success of a version that is neither running nor was left."
    )
    assert production.preview(to="C").explanation == "The version that was asked for never succeeded here."
    assert given(A).preview("previous").explanation == "There is no earlier success of another version."
    assert given(failed("A")).preview("previous").explanation == "There is no earlier success of another version."
