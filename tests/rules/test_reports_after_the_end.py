"""Reports for a deployment that has finished: seen running again, resumed, or late (contract, section 3)."""

from typing import cast

import pytest

from release_ledger.deployment import TERMINAL, UNFINISHED
from release_ledger.events import DeploymentReported, EnvironmentEvent
from tests.rules.story import Story, at, given, success

EARLIER, FINISH, LATER = at(900), at(910), at(920)


def the_report(events: list[EnvironmentEvent]) -> DeploymentReported:
    assert len(events) == 1
    return cast(DeploymentReported, events[0])


def finished(status: str = "success") -> Story:
    """One deployment of A that CI reported finished at minute 910."""
    story = Story()
    story.deploy("A").reports(status, occurred_at=FINISH)
    return story


def given_up() -> Story:
    """One deployment of A that the ledger itself ended, after one report of it."""
    story = Story()
    story.deploy("A").reports("in_progress")
    story.give_up(1)
    return story


def canceled() -> Story:
    """A deployment of B that a rollback to A canceled, after one report of it."""
    story = given(success("A"))
    story.deploy("B").reports("in_progress")
    story.roll_back()
    return story


@pytest.mark.parametrize("status", ["pending", "in_progress"])
@pytest.mark.parametrize("end", TERMINAL)
@pytest.mark.parametrize("occurred_at", [LATER, None])
def test_a_finished_deployment_seen_running_again_is_a_new_deployment(
    status: str, end: str, occurred_at: str | None
) -> None:
    """Without an id and not older than the finish: the version is being deployed again, `observed`."""
    production = finished(end)

    production.report("A", status, occurred_at=occurred_at)

    assert [(row["kind"], row["status"]) for row in production.rows] == [("observed", status), ("deploy", end)]
    assert production.rows[0]["deploy_start_at"] == (occurred_at or at(production.minute - 1))


@pytest.mark.parametrize("status", ["pending", "in_progress"])
def test_a_report_older_than_the_finish_is_late(status: str) -> None:
    """It is of the deployment that has finished: kept, marked late, and the status stays."""
    production = finished()

    event = the_report(production.report("A", status, occurred_at=EARLIER))

    row = production.rows[0]
    assert (event.late, event.outcome) == (True, "success")
    assert (row["number"], row["status"], row["deploy_end_at"]) == (1, "success", FINISH)
    assert row["deploy_start_at"] == EARLIER


@pytest.mark.parametrize("status", ["pending", "in_progress"])
def test_a_report_of_the_very_moment_of_the_finish_is_late(status: str) -> None:
    """Of two reports of one moment the terminal one ranks last, so the other is the older: no new deployment."""
    production = finished()

    event = the_report(production.report("A", status, occurred_at=FINISH))

    assert (event.late, event.number) == (True, 1)


@pytest.mark.parametrize("status", UNFINISHED)
@pytest.mark.parametrize("occurred_at", [EARLIER, LATER, None])
def test_an_unfinished_report_that_names_a_finished_deployment_is_late(status: str, occurred_at: str | None) -> None:
    """With an id nothing new begins: the report is kept in the history, marked late, and changes nothing."""
    production = finished("failure")

    event = the_report(production.report("A", status, id="deployment-1", occurred_at=occurred_at))

    assert (event.late, event.outcome) == (True, "failure")
    assert [(row["status"], row["deploy_end_at"]) for row in production.rows] == [("failure", FINISH)]
    assert production.state.unfinished == ()


@pytest.mark.parametrize("status", ["canceling", "unknown"])
def test_canceling_and_unknown_never_begin_a_deployment_again(status: str) -> None:
    """Only `pending` and `in_progress` say that a version is being deployed."""
    production = finished()

    event = the_report(production.report("A", status, occurred_at=LATER))

    assert (event.late, event.number, len(production.rows)) == (True, 1, 1)


def test_a_late_report_repeated_is_kept_once() -> None:
    """It is in the history already: a repetition says nothing new."""
    production = finished()
    production.report("A", "in_progress", occurred_at=EARLIER)
    production.report("A", "unknown")

    assert production.report("A", "unknown") == []
    the_report(production.report("A", "in_progress", occurred_at=EARLIER))
    assert production.report("A", "in_progress", occurred_at=EARLIER) == []


def test_a_terminal_report_is_never_late() -> None:
    """It corrects, or it confirms."""
    production = finished()

    event = the_report(production.report("A", "failure"))

    assert (event.late, event.outcome) == (False, "failure")


@pytest.mark.parametrize("status", ["pending", "in_progress"])
@pytest.mark.parametrize("named", [None, "deployment-1"])
@pytest.mark.parametrize("occurred_at", [EARLIER, None])
def test_a_deployment_that_the_ledger_ended_is_resumed(status: str, named: str | None, occurred_at: str | None) -> None:
    """The watchdog was wrong: the deployment goes on as if it had not been given up."""
    production = given_up()
    assert (production.rows[0]["status"], production.state.unfinished) == ("error", ())

    event = the_report(production.report("A", status, id=named, occurred_at=occurred_at))

    row = production.rows[0]
    assert (event.late, event.number, event.outcome) == (False, 1, row["status"])
    assert row["status"] == (status if occurred_at is None else "in_progress")
    assert (row["finished"], row["deploy_end_at"], row["error_message"]) == (0, None, None)
    assert [ref.number for ref in production.state.unfinished] == [1]


@pytest.mark.parametrize("status", ["canceling", "unknown"])
def test_only_a_sign_of_life_resumes_a_deployment(status: str) -> None:
    """Every other unfinished report is late, also where the ledger had ended the deployment."""
    production = given_up()

    event = the_report(production.report("A", status))

    assert (event.late, event.outcome) == (True, "error")
    assert production.rows[0]["error_message"] == "Given up: nothing was heard of it."


@pytest.mark.parametrize("status", TERMINAL)
@pytest.mark.parametrize("occurred_at", [EARLIER, None])
def test_a_terminal_report_replaces_what_the_ledger_decided(status: str, occurred_at: str | None) -> None:
    """What really happened counts, whenever it happened; the ledger's own message goes with its decision."""
    for production, number in ((given_up(), 1), (canceled(), 2)):
        now = production.now

        production.report("AB"[number - 1], status, id=f"deployment-{number}", occurred_at=occurred_at)

        row = production.rows[-number]
        assert (row["status"], row["deploy_end_at"]) == (status, occurred_at or now)
        assert (row["ended_by"], row["error_message"]) == ("report", None)


def test_a_message_of_ci_outlives_the_decision_of_the_ledger() -> None:
    """What a report said is never lost to a message of the ledger's own, older or newer."""
    production = Story()
    production.deploy("A").reports("in_progress", error_message="slow")
    production.deploy("B")
    production.give_up(1)
    production.give_up(2)

    production.report("B", "failure", occurred_at=EARLIER, error_message="broken")

    assert [row["error_message"] for row in production.rows] == ["broken", "slow"]


@pytest.mark.parametrize("status", UNFINISHED)
def test_a_deployment_canceled_by_a_rollback_stays_canceled(status: str) -> None:
    """Its run may go on for a while: the report is kept and marked late, once, and nothing is resumed or begun."""
    production = canceled()

    event = the_report(production.report("B", status))

    assert (event.late, event.number, event.outcome) == (True, 2, "canceled")
    assert production.report("B", status) == []
    assert [row["status"] for row in production.rows] == ["pending", "canceled", "success"]


def test_after_a_terminal_report_a_canceled_deployment_may_begin_again() -> None:
    """Once CI has confirmed the end, the version seen running is being deployed again."""
    production = canceled()
    production.report("B", "canceled")

    production.report("B", "in_progress")

    row = production.rows[0]
    assert (row["kind"], row["status"]) == ("observed", "in_progress")
