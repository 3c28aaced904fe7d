"""How patient a worker is: pauses grow, differ, and end; what somebody asks for is obeyed."""

from dataclasses import fields
from typing import Any

from release_ledger.ledger.outbox_questions import Wish
from release_ledger.worker import Timing
from release_ledger.worker.order import by_waiting, waited_s

PATIENT = Timing()


def pauses(attempt: int, asked_s: float | None = None) -> list[float]:
    return [PATIENT.pause_s(attempt, asked_s) for _ in range(200)]


def test_pauses_grow_and_are_never_long_at_first() -> None:
    """The first tries are within seconds, none is more than 30 s after the one before in the first ten minutes."""
    assert max(pauses(1)) <= 0.5
    assert 8 <= min(pauses(6)) <= max(pauses(6)) <= 16
    assert max(max(pauses(attempt)) for attempt in range(1, 20)) <= 30
    assert 30 < min(pauses(20)) <= max(pauses(20)) <= 300
    assert max(pauses(10_000)) <= 300


def test_pauses_differ() -> None:
    """So that what failed at once is not tried again at once; by a half at most."""
    assert len(set(pauses(8))) > 100
    assert 15 <= min(pauses(8)) < 18
    assert 27 < max(pauses(8)) <= 30


def test_a_pause_that_was_asked_for_is_kept_however_long() -> None:
    """`Retry-After`: 30 s are our own limit, not theirs. A shorter one changes nothing."""
    assert min(pauses(1, 3600.0)) == max(pauses(1, 3600.0)) == 3600
    assert 15 <= min(pauses(8, 1.0)) <= max(pauses(8, 1.0)) <= 30


def test_a_run_is_looked_at_more_seldom_the_longer_it_goes_on() -> None:
    """GitHub counts calls; but four times at least in the time after which silence is stuck."""
    assert [PATIENT.look_s(age_s) for age_s in (0, 600, 1200, 2400, 100_000)] == [30, 30, 60, 120, 120]
    assert PATIENT.look_s(100_000, stuck_after_s=60) == 15

    looks, age_s = 0, 0.0
    while age_s < 3600:
        looks, age_s = looks + 1, age_s + PATIENT.look_s(age_s)
    assert looks < 60


def wish(kind: str, wanted_at: str, **more: Any) -> Wish:
    nothing: dict[str, Any] = dict.fromkeys(each.name for each in fields(Wish))
    said = {"stream": "environment/shop/production", "kind": kind, "number": 1, "wanted_version": 1}
    return Wish(**nothing | said | {"wanted_at": wanted_at} | more)


def test_what_was_due_first_goes_first_but_cancels_before_it() -> None:
    """So nothing that is tried again and again keeps a new one waiting."""
    tried_again, new = wish("trigger", "2026-01-01T00:00:00Z"), wish("trigger", "2026-01-01T00:09:00Z")
    cancel = wish("cancel", "2026-01-01T00:10:00Z")
    due = {"2026-01-01T00:00:00Z": 20.0, "2026-01-01T00:09:00Z": 10.0, "2026-01-01T00:10:00Z": 30.0}

    assert by_waiting([tried_again, new, cancel], lambda each: due[each.wanted_at]) == [cancel, new, tried_again]


def test_a_wish_of_a_clock_that_is_ahead_is_due_at_once() -> None:
    """Servers and workers need not agree on the time."""
    assert waited_s(wish("trigger", "2999-01-01T00:00:00Z")) == 0
