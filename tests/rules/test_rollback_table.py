"""The table of presses of rollback, row by row (contract, section 3)."""

from typing import NamedTuple

import pytest

from release_ledger.errors import NoRollbackTarget
from tests.rules.story import Step, Story, failed, given, in_progress, rolled_back, success

NOWHERE = "—"


class Row(NamedTuple):
    """A row of the table: letters are versions; `ends` is how each press ends, `success` where nothing is said."""

    history: tuple[Step, ...]
    previous: str
    walk_back: str
    ends: tuple[str, ...] = ()


A, B, C = success("A"), success("B"), success("C")
TABLE = {
    "A B C ok; press ×3": Row((A, B, C), "BCB", "BA—"),
    "A B ok, C failed; press ×2": Row((A, B, failed("C")), "BA", "BA"),
    "A ok": Row((A,), "—", "—"),
    "A, B, B again ok": Row((A, B, B), "A", "A"),
    "A B ok; first rollback fails; press again": Row((A, B), "AB", "AA", ends=("failure",)),
    "A ok, B ok, rolled back to A, C ok; press ×2": Row((A, B, rolled_back(), C), "AC", "A—"),
    "A ok, B failed, C failed": Row((A, failed("B"), failed("C")), "A", "A"),
    "A ok, B in progress": Row((A, in_progress("B")), "A", "A"),
    "A B ok; rollback still in progress; press again": Row((A, B), "AA", "AA", ends=("in_progress",)),
    "A B ok, B again in progress": Row((A, B, in_progress("B")), "A", "A"),
    "A B ok, C in progress": Row((A, B, in_progress("C")), "B", "B"),
    "A in progress": Row((in_progress("A"),), "—", "—"),
}


def pressed(story: Story, ends: list[str]) -> str:
    """Press once for each way to end: the versions that were deployed."""
    went_to = ""
    for end in ends:
        try:
            attempt = story.roll_back()
        except NoRollbackTarget:
            went_to += NOWHERE
        else:
            attempt.reports(end)
            went_to += attempt.version
    return went_to


@pytest.mark.parametrize("strategy", ["previous", "walk_back"])
@pytest.mark.parametrize("row", TABLE.values(), ids=TABLE.keys())
def test_a_press_goes_where_the_table_says(row: Row, strategy: str) -> None:
    """Each row of the contract's table, for the strategy that the environment is set to."""
    expected = row.previous if strategy == "previous" else row.walk_back
    production = given(*row.history, strategy=strategy)

    went_to = pressed(production, [*row.ends, *["success"] * (len(expected) - len(row.ends))])

    assert went_to == expected


@pytest.mark.parametrize("strategy", ["previous", "walk_back"])
@pytest.mark.parametrize("row", TABLE.values(), ids=TABLE.keys())
def test_a_strategy_asked_for_at_each_press_is_the_same_as_one_set_for_the_environment(row: Row, strategy: str) -> None:
    """A request's own strategy wins over the environment's, with the same outcome."""
    expected = row.previous if strategy == "previous" else row.walk_back
    production = given(*row.history, strategy="walk_back" if strategy == "previous" else "previous")

    first = production.rollback_target(strategy)

    assert (first or NOWHERE) == expected[0]


def test_what_was_in_progress_is_canceled_by_a_press_that_finds_a_target() -> None:
    """`A ok, B in progress`: B is canceled at once, as no run of it is known."""
    production = given(A, in_progress("B"))

    rollback = production.roll_back()

    assert [(row["release_candidate_version"], row["status"]) for row in production.rows] == [
        ("A", "pending"),
        ("B", "canceled"),
        ("A", "success"),
    ]
    assert [ref.number for ref in production.state.unfinished] == [rollback.number]


def test_what_was_in_progress_goes_on_when_there_is_no_target() -> None:
    """`A in progress`: the press is refused, so it cancels nothing."""
    production = given(in_progress("A"))

    with pytest.raises(NoRollbackTarget):
        production.roll_back()

    assert production.rows[0]["status"] == "in_progress"


def test_every_unfinished_deployment_is_canceled_in_whatever_state() -> None:
    """Pending, in progress, canceling and unknown ones all, and each says which rollback ended it."""
    production = given(A, B)
    waiting = [production.deploy(version) for version in ("B", "C", "D", "E")]
    for attempt, status in zip(waiting[1:], ("in_progress", "canceling", "unknown"), strict=True):
        attempt.reports(status)

    before = len(production.events)
    rollback = production.roll_back()

    canceled = production.events[before:-1]
    assert [vars(event)["number"] for event in canceled] == [attempt.number for attempt in waiting]
    assert {vars(event)["by_deployment_id"] for event in canceled} == {rollback.id}
    assert {attempt.row["status"] for attempt in waiting} == {"canceled"}
