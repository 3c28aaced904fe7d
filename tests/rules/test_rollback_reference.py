"""Both strategies beside the slow rule of `by_the_letter`, over random histories with few versions."""

import json
from collections.abc import Iterator

from hypothesis import given as given_any
from hypothesis import settings
from hypothesis import strategies as st

from release_ledger.deployment import STATUSES, TERMINAL, Deployment
from release_ledger.rollback import CONSIDERED_LIMIT, choose
from tests.rules import by_the_letter
from tests.rules.story import given as given_story
from tests.rules.story import in_progress, success

VERSIONS = ("A", "B", "C", "D")
_ROW = given_story(in_progress("A")).rows[0]


@st.composite
def histories(draw: st.DrawFn, longest: int = 12) -> list[Deployment]:
    """Any deployments of few versions, newest first; rollbacks left any versions but their own."""
    kinds = st.sampled_from(["deploy", "rollback", "rollback", "observed"])
    statuses = st.sampled_from(["success", "success", "success", *STATUSES])
    rows = []
    for number in range(draw(st.integers(0, longest)), 0, -1):
        version, kind, status = draw(st.sampled_from(VERSIONS)), draw(kinds), draw(statuses)
        left = draw(st.sets(st.sampled_from(VERSIONS), max_size=2)) - {version}
        row = _row(number, version, status)
        row["kind"], row["leaves"] = kind, json.dumps(sorted(left)) if kind == "rollback" else None
        rows.append(row)
    return rows


def _row(number: int, version: str, status: str) -> Deployment:
    row = _ROW.copy()
    row["number"], row["id"], row["release_candidate_version"] = number, f"deployment-{number}", version
    row["status"], row["finished"] = status, int(status in TERMINAL)
    return row


class Reading:
    """A history that knows how far it was read."""

    def __init__(self, rows: list[Deployment]) -> None:
        self.rows, self.read = rows, 0

    def __iter__(self) -> Iterator[Deployment]:
        for row in self.rows:
            self.read += 1
            yield row


@settings(max_examples=150)
@given_any(histories())
def test_previous_is_the_documented_rule_word_for_word(rows: list[Deployment]) -> None:
    """Whatever happened, `previous` goes where the contract's sentence about it goes."""
    chosen = choose(rows, "previous", by_the_letter.running_version(rows))

    assert chosen.target == by_the_letter.previous(rows)


@settings(max_examples=250)
@given_any(histories())
def test_walk_back_is_the_contract_word_for_word(rows: list[Deployment]) -> None:
    """Whatever happened, `walk_back` goes where the contract's sentences about it go."""
    chosen = choose(rows, "walk_back", by_the_letter.running_version(rows))

    assert chosen.target == by_the_letter.walk_back(rows, by_the_letter.asked_as_recorded(rows))


@settings(max_examples=60)
@given_any(histories(), st.sampled_from(["previous", "walk_back"]))
def test_a_rollback_leaves_what_runs_and_what_is_newest_but_never_its_target(
    rows: list[Deployment], strategy: str
) -> None:
    """Recorded with every rollback, so that later presses know where not to return."""
    chosen = choose(rows, strategy, by_the_letter.running_version(rows))

    if chosen.target is None:
        assert chosen.leaves == ()
    else:
        asked = by_the_letter.asked_by(rows, 99, chosen.target["release_candidate_version"])
        assert list(chosen.leaves) == sorted({version for _, version in asked})


@settings(max_examples=60)
@given_any(histories(), st.sampled_from(["previous", "walk_back"]))
def test_what_was_considered_is_every_newer_deployment_and_the_chosen_one(
    rows: list[Deployment], strategy: str
) -> None:
    """Newest first, each with a reason, the chosen one last; all of them when nothing was chosen."""
    chosen = choose(rows, strategy, by_the_letter.running_version(rows))

    upto = chosen.target["number"] if chosen.target else 0
    assert [one.id for one in chosen.considered] == [row["id"] for row in rows if row["number"] >= upto]
    verdicts = [one.verdict for one in chosen.considered]
    assert verdicts == ["skipped" if row != chosen.target else "chosen" for row in rows if row["number"] >= upto]
    assert all(one.why[0].isupper() and one.why.endswith(".") for one in chosen.considered)


@settings(max_examples=60)
@given_any(histories())
def test_previous_reads_no_further_than_its_target(rows: list[Deployment]) -> None:
    """The cost of a press does not grow with the history."""
    reading = Reading(rows)

    chosen = choose(reading, "previous", by_the_letter.running_version(rows))

    assert reading.read == (rows.index(chosen.target) + 1 if chosen.target else len(rows))


@settings(max_examples=60)
@given_any(histories())
def test_walk_back_reads_no_further_than_what_settles_it(rows: list[Deployment]) -> None:
    """It stops where the target was deployed forward: no rollback older than that can have asked to leave it."""
    reading = Reading(rows)

    chosen = choose(reading, "walk_back", by_the_letter.running_version(rows))

    enough = (upto for upto in range(len(rows) + 1) if _settles(rows[:upto], chosen.target))
    assert reading.read == (next(enough, len(rows)) if chosen.target else len(rows))


def _version(row: Deployment) -> str:
    return row["release_candidate_version"]


def _settles(rows: list[Deployment], target: Deployment | None) -> bool:
    """Whether these rows alone lead to the target, with the forward success that keeps it from having been left."""
    forward = [_version(row) for row in rows if row["kind"] != "rollback" and row["status"] == "success"]
    asked = by_the_letter.asked_as_recorded(rows)
    return target is not None and _version(target) in forward and by_the_letter.walk_back(rows, asked) == target


def test_at_most_a_hundred_are_named_as_considered() -> None:
    """A long row of failures makes a long search, not a long answer; the chosen one is always in it."""
    story = given_story(success("A"))
    failures = [_row(number, "B", "failure") for number in range(400, 1, -1)]

    for strategy in ("previous", "walk_back"):
        found, nothing = choose(failures + story.rows, strategy, "A"), choose(failures, strategy, None)

        assert [one.id for one in found.considered[:2]] == ["deployment-400", "deployment-399"]
        assert len(found.considered) == len(nothing.considered) == CONSIDERED_LIMIT == 100
        assert found.considered[-1].id == "deployment-1"
        assert [one.verdict for one in found.considered] == ["skipped"] * 99 + ["chosen"]
