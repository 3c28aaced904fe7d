"""Which deployment a report means (contract, section 3)."""

import pytest

from release_ledger.deployment import STATUSES, TERMINAL
from tests.rules.story import Story, at, deployed, given, success

EARLIER = at(900)


def numbers_and_statuses(story: Story) -> list[tuple[int, str, str]]:
    return [(row["number"], row["kind"], row["status"]) for row in story.rows]


def test_a_report_that_names_an_id_means_that_deployment() -> None:
    """Also an older and finished one, where a newer one of the version is unfinished."""
    production = given(success("A"), deployed("A"))

    production.report("A", "failure", id="deployment-1")

    assert numbers_and_statuses(production) == [(2, "deploy", "pending"), (1, "deploy", "failure")]


def test_a_report_without_an_id_means_the_newest_unfinished_deployment_of_the_version() -> None:
    """Not a newer finished one, nor a newer one of another version."""
    production = given(deployed("A"), deployed("A"), deployed("A"), deployed("B"))
    production.report("A", "success", id="deployment-3")

    production.report("A", "in_progress")

    assert [row["status"] for row in production.rows] == ["pending", "success", "in_progress", "pending"]


def test_a_report_without_an_id_means_the_newest_of_the_version_when_all_are_finished() -> None:
    """A correction goes to what was deployed last."""
    production = given(success("A"), success("A"), success("B"))

    production.report("A", "failure")

    assert [row["status"] for row in production.rows] == ["success", "failure", "success"]


@pytest.mark.parametrize("status", STATUSES)
def test_a_report_of_a_version_never_deployed_here_makes_a_new_deployment(status: str) -> None:
    """`observed`, in whatever state it is seen first; it says what the environment was running."""
    production = given(success("A"))

    production.report("B", status, occurred_at=EARLIER, error_message="m", external_url="https://ci.example/1")

    row = production.rows[0]
    assert numbers_and_statuses(production)[0] == (2, "observed", status)
    assert row["from_release_candidate_version"] == "A"
    assert (row["deploy_start_at"], row["deploy_end_at"]) == (EARLIER, EARLIER if status in TERMINAL else None)
    assert (row["error_message"], row["external_url"]) == ("m", "https://ci.example/1")
    assert production.running == ("B" if status == "success" else "A")


def test_a_report_of_a_candidate_that_is_not_ready_is_recorded_too() -> None:
    """It reports what happened; only a command to deploy is refused. And the same while frozen."""
    production = given(success("A"))
    production.freeze()

    production.report("B", "success")

    assert production.running == "B"
