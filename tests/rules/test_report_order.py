"""Any order and any repetition of the same reports ends in the same deployment (contract, section 3)."""

from collections.abc import Sequence
from typing import NamedTuple

from hypothesis import given, settings
from hypothesis import strategies as st

from release_ledger.deployment import RANK, STATUSES, TERMINAL, Deployment
from tests.rules.story import Story, at


class Said(NamedTuple):
    """One report, as CI sends it."""

    occurred_at: str
    status: str
    error_message: str | None
    external_url: str | None


REPORTS = st.builds(
    Said,
    st.sampled_from([at(900), at(901), at(902)]),
    st.sampled_from(STATUSES),
    st.sampled_from([None, None, "out of memory", "timeout"]),
    st.sampled_from([None, None, "https://ci.example/1", "https://ci.example/2"]),
)
ARRIVALS = st.lists(REPORTS, min_size=1, max_size=6).flatmap(
    lambda reports: st.tuples(
        st.just(reports), st.permutations([*reports, *reports]), st.sampled_from(["cancel", "give up"])
    )
)
Arrivals = tuple[list[Said], list[Said], str]


def in_order(reports: Sequence[Said]) -> list[Said]:
    """By time, then by rank; what is left open between equals is settled by the texts."""
    return sorted(
        reports, key=lambda said: (said[0], RANK[said.status], said.error_message or "", said.external_url or "")
    )


def told(reports: Sequence[Said]) -> Deployment:
    """A deployment after these reports, which name it by its id, in the order in which they arrive."""
    story = Story()
    attempt = story.deploy("A")
    for said in reports:
        attempt.reports(**said._asdict())
    return attempt.row


def visible(row: Deployment) -> tuple[str | None, ...]:
    """What CI is answered of it."""
    return row["status"], row["deploy_start_at"], row["deploy_end_at"], row["error_message"], row["external_url"]


def by_the_letter(reports: Sequence[Said]) -> tuple[str | None, ...]:
    """The fold of the reports in their order, each part of it a sentence of the contract."""
    ordered = in_order(reports)
    terminal = [said for said in ordered if said.status in TERMINAL]
    deciding = terminal[-1] if terminal else ordered[-1]
    errors = [said.error_message for said in ordered if said.error_message is not None]
    urls = [said.external_url for said in sorted(ordered, key=_by_url) if said.external_url is not None]
    return (
        deciding.status,
        ordered[0].occurred_at,
        deciding.occurred_at if terminal else None,
        errors[-1] if errors else None,
        urls[-1] if urls else None,
    )


def _by_url(said: Said) -> tuple[str, int, str]:
    return said.occurred_at, RANK[said.status], said.external_url or ""


@settings(max_examples=200)
@given(ARRIVALS)
def test_every_order_and_repetition_of_the_same_reports_ends_in_the_same_state(arrivals: Arrivals) -> None:
    """Networks reorder and CI retries: status, start, end, message and URL are those of the sorted reports."""
    reports, arrived, _ = arrivals

    row = told(arrived)

    assert visible(row) == visible(told(in_order(reports))) == by_the_letter(reports)


@settings(max_examples=100)
@given(ARRIVALS, st.integers(0, 12))
def test_what_the_ledger_decided_meanwhile_leaves_no_trace_once_ci_has_told_the_end(
    arrivals: Arrivals, moment: int
) -> None:
    """A cancellation or a watchdog between any two reports changes nothing about what they add up to."""
    reports, arrived, decision = arrivals
    story = Story()
    story.deploy("B").succeeds()
    attempt = story.deploy("A")

    for position, said in enumerate(arrived):
        if position == moment and not attempt.row["finished"]:
            story.roll_back(to="B") if decision == "cancel" else story.give_up(attempt.number)
        attempt.reports(**said._asdict())

    if any(said.status in TERMINAL for said in reports) or attempt.row["ended_by"] is None:
        assert visible(attempt.row) == by_the_letter(reports)
    else:
        assert attempt.row["status"] in ("canceled", "error")


@settings(max_examples=100)
@given(st.lists(REPORTS, min_size=1, max_size=6))
def test_an_immediate_repetition_records_nothing(reports: list[Said]) -> None:
    """A retried request counts once, at whatever point of the story it is sent again."""
    attempt = Story().deploy("A")

    for said in reports:
        attempt.reports(**said._asdict())

        assert attempt.reports(**said._asdict()) == []


@settings(max_examples=100)
@given(st.lists(REPORTS, min_size=1, max_size=6), REPORTS)
def test_a_report_that_was_not_recorded_would_have_changed_nothing(reports: list[Said], last: Said) -> None:
    """What is only answered is not missed, whatever is reported afterwards."""
    attempt = Story().deploy("A")
    recorded = [said for said in reports if attempt.reports(**said._asdict())]

    assert visible(told([*recorded, last])) == visible(told([*reports, last])) == by_the_letter([*reports, last])
