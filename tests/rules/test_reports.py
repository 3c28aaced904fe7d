"""What a report does (contract, section 3), sentence by sentence."""

from typing import cast

import pytest

from release_ledger.deployment import STATUSES, UNFINISHED
from release_ledger.events import DeploymentReported, EnvironmentEvent
from tests.rules.story import FIRST_MINUTE, at, deployed, given

BEFORE = [at(minute) for minute in range(900, 910)]


def report_in(events: list[EnvironmentEvent]) -> DeploymentReported:
    """The one report among the events of a command."""
    return cast(DeploymentReported, events[-1])


def test_a_report_happened_when_ci_says_so() -> None:
    """`occurred_at` where given: the start is the first report's, the end the deciding one's."""
    production = given(deployed("A"))

    production.report("A", "in_progress", occurred_at=BEFORE[1])
    production.report("A", "success", occurred_at=BEFORE[4])

    row = production.rows[0]
    assert (row["deploy_start_at"], row["deploy_end_at"]) == (BEFORE[1], BEFORE[4])


def test_a_report_without_a_time_happened_when_it_arrived() -> None:
    """The ledger's clock, one moment for the start and one for the end."""
    production = given(deployed("A"))
    first, last = at(production.minute), at(production.minute + 1)

    production.report("A", "in_progress")
    production.report("A", "success")

    row = production.rows[0]
    assert (row["deploy_start_at"], row["deploy_end_at"]) == (first, last)


def test_a_report_from_the_future_happened_when_it_arrived() -> None:
    """A wrong clock in CI cannot end a deployment tomorrow, nor outlast a later correction."""
    production = given(deployed("A"))
    arrival = production.now

    production.report("A", "success", occurred_at=at(FIRST_MINUTE + 5_000))
    repeated = production.report("A", "success", occurred_at=at(FIRST_MINUTE + 5_000))
    row = production.rows[0]
    production.report("A", "failure")

    assert row["deploy_end_at"] == arrival
    assert repeated == []
    assert production.rows[0]["status"] == "failure"


def test_a_report_of_the_very_moment_of_its_arrival_is_taken_at_its_word() -> None:
    """Only a later time is doubted: a second success, at a time that CI gave, is when the deployment ended."""
    production = given(deployed("A"))
    production.report("A", "success")
    arrival = production.now

    production.report("A", "success", occurred_at=arrival)

    assert production.rows[0]["deploy_end_at"] == arrival


def test_a_report_that_arrives_late_does_not_turn_a_deployment_back() -> None:
    """The newest unfinished report by time decides, not the one that arrived last."""
    production = given(deployed("A"))

    production.report("A", "canceling", occurred_at=BEFORE[5])
    production.report("A", "in_progress", occurred_at=BEFORE[3])

    row = production.rows[0]
    assert (row["status"], row["deploy_start_at"]) == ("canceling", BEFORE[3])


def test_reports_of_one_moment_are_ordered_by_rank() -> None:
    """`pending` < `in_progress` < `canceling` < `unknown` < terminal, in whatever order they arrive."""
    for statuses in (UNFINISHED, UNFINISHED[::-1]):
        production = given(deployed("A"))

        for status in statuses:
            production.report("A", status, occurred_at=BEFORE[0])

        assert production.rows[0]["status"] == "unknown"
        production.report("A", "success", occurred_at=BEFORE[0])
        assert production.rows[0]["status"] == "success"


def test_a_later_terminal_status_is_a_correction_and_both_stay_in_the_history() -> None:
    """CI said success, then failure: the deployment failed, when the second report says; both events are kept."""
    production = given(deployed("A"))

    production.report("A", "success", occurred_at=BEFORE[1])
    production.report("A", "failure", occurred_at=BEFORE[2])

    row = production.rows[0]
    assert (row["status"], row["deploy_end_at"]) == ("failure", BEFORE[2])
    assert [event.status for event in production.events if isinstance(event, DeploymentReported)] == [
        "success",
        "failure",
    ]


def test_an_earlier_terminal_status_that_arrives_later_corrects_nothing() -> None:
    """The newest by its own time decides."""
    production = given(deployed("A"))

    production.report("A", "failure", occurred_at=BEFORE[2])
    production.report("A", "success", occurred_at=BEFORE[1])

    row = production.rows[0]
    assert (row["status"], row["deploy_end_at"], row["deploy_start_at"]) == ("failure", BEFORE[2], BEFORE[1])


@pytest.mark.parametrize("status", STATUSES)
def test_the_first_report_of_a_requested_deployment_is_always_recorded(status: str) -> None:
    """`pending` too: it says that CI has taken the deployment up, and when."""
    production = given(deployed("A"))
    now = production.now

    events = production.report("A", status)

    assert len(events) == 1
    assert production.rows[0]["deploy_start_at"] == now


@pytest.mark.parametrize("status", STATUSES)
def test_a_status_repeated_without_a_time_records_nothing(status: str) -> None:
    """A heartbeat is answered and nothing else; with an id and without."""
    production = given(deployed("A"))
    production.report("A", status)
    before = production.rows

    assert production.report("A", status, id="deployment-1") == []
    assert status in UNFINISHED or production.report("A", status) == []

    assert production.rows == before


@pytest.mark.parametrize("status", STATUSES)
def test_an_exact_repetition_with_a_time_records_nothing(status: str) -> None:
    """A retried request counts once, whether or not CI sends a message and a URL."""
    production = given(deployed("A"))
    said = {"occurred_at": BEFORE[1], "error_message": "m", "external_url": "https://ci.example/1"}
    production.report("A", status, **said)

    assert production.report("A", status, **said) == []
    assert production.report("A", status, occurred_at=BEFORE[1]) == []


def test_an_older_report_that_changes_nothing_records_nothing() -> None:
    """It is neither newer than what is known nor the first, and the deployment goes on."""
    production = given(deployed("A"))
    production.report("A", "in_progress", occurred_at=BEFORE[1])
    production.report("A", "canceling", occurred_at=BEFORE[3])

    assert production.report("A", "in_progress", occurred_at=BEFORE[2]) == []


@pytest.mark.parametrize("brought", [{"error_message": "new"}, {"external_url": "https://ci.example/2"}])
@pytest.mark.parametrize("status", STATUSES)
def test_a_repeated_status_that_brings_something_new_is_recorded(status: str, brought: dict[str, str]) -> None:
    """A message or a URL that was not known is never lost; brought again, it is known."""
    production = given(deployed("A"))
    production.report("A", status, error_message="old", external_url="https://ci.example/1")

    events = production.report("A", status, id="deployment-1", **brought)

    assert len(events) == 1
    assert production.rows[0].items() >= brought.items()
    assert production.report("A", status, id="deployment-1", **brought) == []


def test_a_report_without_a_message_does_not_take_a_message_away() -> None:
    """Nothing said is nothing new."""
    production = given(deployed("A"))
    production.report("A", "in_progress", error_message="warned", external_url="https://ci.example/1")

    production.report("A", "success")

    row = production.rows[0]
    assert (row["error_message"], row["external_url"]) == ("warned", "https://ci.example/1")


def test_a_message_of_an_older_report_does_not_replace_a_newer_one() -> None:
    """Messages and URLs are ordered like the statuses that they came with."""
    production = given(deployed("A"))
    production.report("A", "in_progress", occurred_at=BEFORE[3], error_message="newer")

    production.report(
        "A", "in_progress", occurred_at=BEFORE[1], error_message="older", external_url="https://a.example"
    )

    row = production.rows[0]
    assert (row["error_message"], row["external_url"]) == ("newer", "https://a.example")


def test_the_event_says_what_became_of_the_deployment() -> None:
    """`status` is what CI said, `outcome` what the deployment is after it."""
    production = given(deployed("A"))
    production.report("A", "failure", occurred_at=BEFORE[3])

    event = report_in(production.report("A", "success", occurred_at=BEFORE[1]))

    assert (event.status, event.outcome, event.late) == ("success", "failure", False)
    assert (event.deployment_id, event.kind, event.commit) == ("deployment-1", "deploy", production.rows[0]["commit"])
