"""What an environment runs: the newest success, also after a correction took one away."""

from hypothesis import given as given_any
from hypothesis import settings
from hypothesis import strategies as st

from release_ledger.environment import ref_of
from release_ledger.errors import NoRollbackTarget
from tests.rules.story import Story, at, failed, given, in_progress, success

A, B, C = success("A"), success("B"), success("C")


def test_the_newest_success_by_creation_runs() -> None:
    """A success that is reported later, of a deployment created earlier, does not take its place."""
    production = given(in_progress("A"), B)

    production.report("A", "success")

    assert production.running == "B"
    assert production.state.latest is not None
    assert production.state.latest.release_candidate_version == "B"


def test_a_correction_of_what_runs_falls_back_to_the_newest_earlier_success() -> None:
    """Past failures, unfinished ones and successes that were corrected themselves."""
    production = given(A, B, failed("A"), in_progress("D"), C)

    production.report("C", "failure")
    assert production.running == "B"
    production.report("B", "error")
    assert production.running == "A"
    production.report("A", "canceled", id="deployment-1")
    assert production.running is None


def test_a_correction_says_in_its_event_what_the_environment_falls_back_to() -> None:
    """So that the state can be folded from the events alone."""
    production = given(A, B)

    production.report("B", "failure")

    assert vars(production.events[-1])["falls_back_to"] == {
        "number": 1,
        "id": "deployment-1",
        "release_candidate_version": "A",
        "commit": production.rows[1]["commit"],
        "kind": "deploy",
    }


def test_a_report_that_leaves_the_success_standing_falls_back_to_nothing() -> None:
    """A later success, a late report, or a correction of something else than what runs."""
    production = given(C, A, B)

    production.report("B", "success", occurred_at=at(999))
    production.report("B", "unknown")
    production.report("A", "failure")

    assert production.running == "B"
    assert {vars(event).get("falls_back_to") for event in production.events} == {None}


def test_a_correction_of_a_correction_runs_again() -> None:
    """Success, failure, success: the last word counts."""
    production = given(A, B)

    production.report("B", "failure")
    production.report("B", "success")

    assert production.running == "B"


def test_a_success_between_two_takes_its_place_by_creation() -> None:
    """After a fall back, an older deployment that turns out to be a success is newer than the one fallen back to."""
    production = given(A, failed("B"), C)
    production.report("C", "failure")

    production.report("B", "success")

    assert production.running == "B"


def test_a_rollback_after_a_correction_goes_by_what_runs_now() -> None:
    """The corrected deployment is the newest and not a success: back to the running version."""
    production = given(A, B, C)

    production.report("C", "failure")

    assert production.rollback_target("previous") == production.rollback_target("walk_back") == "B"


REPORTS = st.tuples(
    st.sampled_from(["A", "B", "C"]),
    st.sampled_from(["success", "success", "failure", "in_progress", "error"]),
    st.sampled_from([None, None, at(900), at(901)]),
    st.integers(0, 9),
)


@settings(max_examples=150)
@given_any(st.lists(st.one_of(REPORTS, st.sampled_from(["deploy A", "deploy B", "roll back"])), max_size=20))
def test_what_runs_is_always_the_newest_success(moves: list[tuple[str, str, str | None, int] | str]) -> None:
    """Whatever is deployed, reported, corrected or rolled back, in whatever order."""
    story = Story()

    for move in moves:
        _carry_out(story, move)

        newest = next((row for row in story.rows if row["status"] == "success"), None)
        assert story.state.running == (ref_of(newest) if newest else None)


def _carry_out(story: Story, move: tuple[str, str, str | None, int] | str) -> None:
    """Reports go to the deployment of a number where there is one, else to the one that the version means."""
    if isinstance(move, tuple):
        version, status, occurred_at, number = move
        named = story.rows[-number] if 0 < number <= len(story.rows) else None
        version = named["release_candidate_version"] if named else version
        story.report(version, status, id=named["id"] if named else None, occurred_at=occurred_at)
    elif move == "roll back":
        try:
            story.roll_back()
        except NoRollbackTarget:
            return
    else:
        story.deploy(move[-1])
