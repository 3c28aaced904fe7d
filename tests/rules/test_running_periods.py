"""What ran from when to when: stories, and what holds after every history."""

from __future__ import annotations

from itertools import pairwise
from operator import itemgetter
from typing import Any

from hypothesis import given as given_any
from hypothesis import settings
from hypothesis import strategies as st

from release_ledger.environment import Environment, apply
from release_ledger.projection.folded import fold_events
from release_ledger.projection.projection import Rows
from release_ledger.projections.running_periods import NEWEST, Period, RunningPeriods
from tests.rules.periods import best_known, stretches
from tests.rules.story import Story, at, failed, given, in_progress, success
from tests.rules.test_laws import COMMANDS, Command, lived

A, B, C = success("A"), success("B"), success("C")


def periods(story: Story) -> list[Period]:
    """The rows of a story, oldest first."""
    rows, failures = fold_events([RunningPeriods()], story.events)
    assert failures == {}
    found: list[Period] = sorted(rows["running_periods"].values(), key=lambda row: row["number"])
    assert [row["slot"] for row in found] == [*range(1, len(found)), NEWEST][: len(found)]
    assert [row["number"] for row in found] == list(range(1, len(found) + 1))
    return found


def minute(moment: str | None) -> int | None:
    """The minute of a story that a moment is."""
    return None if moment is None else next(number for number in range(3000) if at(number) == moment)


def told(story: Story) -> list[tuple[Any, ...]]:
    """Version, and the minutes: reported from, to; recorded from, to."""
    moments = ("reported_from", "reported_to", "recorded_from", "recorded_to")
    return [(row["release_candidate_version"], *map(minute, itemgetter(*moments)(row))) for row in periods(story)]


def test_one_after_the_other() -> None:
    """Each runs until the next one does. A minute each: settings, A asked for, A succeeds, B asked for, B succeeds."""
    assert told(given(A, B)) == [("A", 1002, 1004, 1002, 1004), ("B", 1004, None, 1004, None)]


def test_nothing_ran_yet() -> None:
    """What only began, or failed, or was never deployed, has no period."""
    assert told(given(in_progress("A"), failed("B"))) == []


def test_reported_time_is_what_ci_says() -> None:
    """`occurred_at` where it is given; the ledger came to know it when the report arrived."""
    story = given(A)
    story.deploy("B").reports("success", occurred_at=at(1003))

    assert told(story) == [("A", 1002, 1003, 1002, 1004), ("B", 1003, None, 1004, None)]


def test_a_success_taken_back_ran_for_no_time() -> None:
    """What the environment falls back to has run since then; the ledger's answers are kept as they were."""
    story = given(A, B)
    story.report("B", "failure")

    assert told(story) == [
        ("A", 1002, 1004, 1002, 1004),
        ("B", 1004, 1004, 1004, 1005),
        ("A", 1004, None, 1005, None),
    ]
    assert [row["taken_back"] for row in periods(story)] == [0, 1, 0]


def test_a_success_taken_back_with_nothing_to_fall_back_to() -> None:
    """Then nothing ran, until something does."""
    story = given(A)
    story.report("A", "failure")
    assert told(story) == [("A", 1002, 1002, 1002, 1003)]

    B(story)

    assert told(story) == [("A", 1002, 1002, 1002, 1003), ("B", 1005, None, 1005, None)]


def test_a_correction_of_a_correction() -> None:
    """The last word counts, from its own time on."""
    story = given(A, B)
    story.report("B", "failure")
    story.report("B", "success")

    assert told(story)[2:] == [("A", 1004, 1006, 1005, 1006), ("B", 1006, None, 1006, None)]


def test_a_late_success_of_an_older_deployment_does_not_run() -> None:
    """Newest is by creation."""
    story = given(in_progress("A"), B)
    story.report("A", "success")

    assert [version for version, *_ in told(story)] == ["B"]


def test_a_fall_back_to_what_never_ran() -> None:
    """It has run since what is taken back was said to begin."""
    story = given(A, in_progress("B"), C)
    story.report("B", "success")
    story.report("C", "error")

    assert told(story)[1:] == [("C", 1006, 1006, 1006, 1008), ("B", 1006, None, 1008, None)]


def test_a_newer_success_of_an_earlier_time() -> None:
    """It never begins before what it follows, which then ran for no time: periods stay in one order."""
    story = given(A, B)
    story.deploy("C").reports("success", occurred_at=at(1003))

    assert told(story)[1:] == [("B", 1004, 1004, 1004, 1006), ("C", 1004, None, 1006, None)]


def test_the_same_version_again_is_a_period_of_its_own() -> None:
    """Another deployment, so another period."""
    assert [version for version, *_ in told(given(A, A))] == ["A", "A"]


def test_a_success_said_twice_moves_nothing() -> None:
    """It has run since the first; a nightly report of what runs does not make it younger."""
    story = given(A, B)
    before = told(story)
    story.report("B", "success", occurred_at=at(1004.5))
    story.report("A", "success", occurred_at=at(1004.5))

    assert told(story) == before


def test_a_rollback_runs_when_it_succeeds() -> None:
    """Not when it is asked for."""
    story = given(A, B)
    pressed = story.roll_back()
    assert told(story)[-1][0] == "B"

    pressed.succeeds()

    assert told(story)[1:] == [("B", 1004, 1006, 1004, 1006), ("A", 1006, None, 1006, None)]


@settings(max_examples=100)
@given_any(COMMANDS)
def test_recorded_periods_are_what_the_ledger_answered(commands: list[Command]) -> None:
    """After any history: disjoint, without a gap but where nothing ran, and at every version what ran then."""
    story = lived(commands)
    found = periods(story)

    for one, following in pairwise(found):
        assert one["recorded_from"] < (one["recorded_to"] or "") <= following["recorded_from"]
    state: Environment | None = None
    for position, event in enumerate(story.events):
        state = apply(state, event)
        if position + 1 < len(story.events) and story.events[position + 1].recorded_at == event.recorded_at:
            continue  # of one command: nobody was answered in between
        covering = [
            row["deployment_number"]
            for row in found
            if row["recorded_from"] <= event.recorded_at < (row["recorded_to"] or "~")
        ]
        assert covering == ([state.running.number] if state.running else [])


@settings(max_examples=100)
@given_any(COMMANDS)
def test_reported_periods_are_what_the_decision_says(commands: list[Command]) -> None:
    """After any history they are those of the slow second implementation; in order, and none over another."""
    story = lived(commands)
    found = periods(story)

    names = ("deployment_number", "recorded_from", "recorded_to", "reported_from", "reported_to")
    assert [itemgetter(*names)(row) for row in found] == [
        (each.number, each.recorded_from, each.recorded_to, each.reported_from, each.reported_to)
        for each in stretches(story.events)
    ]
    for one, following in pairwise(found):
        assert one["reported_from"] <= (one["reported_to"] or "") <= following["reported_from"]
        assert one["reported_from"] <= one["recorded_from"]


STEADY = st.lists(
    st.tuples(st.sampled_from("ABC"), st.sampled_from(["success", "success", "failure", "corrected", "rollback"])),
    max_size=8,
)


@settings(max_examples=60)
@given_any(STEADY, st.booleans())
def test_where_reports_come_in_order_periods_are_best_known(deeds: list[tuple[str, str]], timed: bool) -> None:
    """One deployment after the other, a success taken back at once or never: at each moment the period is of the newest
    deployment by creation whose success had been reached, as is known now."""
    story = Story()
    for version, ending in deeds:
        attempt = story.deploy(version)
        if ending == "rollback":
            if story.rollback_target() is None:
                continue
            attempt, ending = story.roll_back(), "success"
        occurred_at = at(story.minute - 0.5) if timed else None
        attempt.reports("success" if ending == "corrected" else ending, occurred_at=occurred_at)
        if ending == "corrected":
            attempt.reports("failure")

    found = periods(story)
    standing = {row["number"] for row in story.rows if row["status"] == "success"}
    for half in range(2 * 995, 2 * story.minute + 2):
        moment = at(half / 2)
        ran = [
            row["deployment_number"]
            for row in found
            if row["reported_from"] <= moment < (row["reported_to"] or "~") and row["deployment_number"] in standing
        ]
        best = best_known(story.rows, moment)
        assert ran == ([best] if best is not None else [])


@settings(max_examples=60)
@given_any(COMMANDS)
def test_no_event_reads_more_than_a_row_or_writes_more_than_two(commands: list[Command]) -> None:
    """However long the history: the newest is read; it is written, and the one that follows it."""
    known: dict[tuple[Any, ...], Any] = {}
    read: list[Any] = []

    def load(key: tuple[Any, ...]) -> Any:
        read.append(key)
        return known.get(key)

    story = lived(commands)
    for event in story.events:
        read.clear()
        rows = Rows({}, load)
        RunningPeriods().fold(event, rows)
        assert read in ([], [(NEWEST,)])
        assert len(rows.changes()) <= 2
        known |= rows.changes()

    folded, _ = fold_events([RunningPeriods()], story.events)
    assert known == folded["running_periods"]
