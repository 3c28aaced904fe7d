"""The way of one command: look, decide, append; again from the start when the stream has moved meanwhile."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from ..errors import LedgerUnavailable
from ..events import Event, stamp
from ..projection import Rows, fold_live
from ..projection.live import Known
from ..store import Append, Conflict, Head, Source, Store
from ..store.append import chained, next_moment
from ..store.codec import encode
from .asking import ask
from .views import View

DECIDE_AGAIN_S: Final = 5.0


@dataclass(frozen=True, kw_only=True)
class Caller:
    """Who asks: the token's name, its owner, and the id of the request."""

    recorded_by: str
    person_id: str | None = None
    email: str | None = None
    request_id: str = ""


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What came of a command: what it saw, what was recorded (nothing, for a repetition), the rows after it."""

    view: View
    events: Sequence[Event]
    rows: dict[str, Rows]
    version: int
    now: str

    def row(self, name: str, key: Any) -> Any:
        """The row just written; None where its projection is set aside."""
        rows = self.rows.get(name)
        return rows.get(key) if rows is not None else None


@dataclass(frozen=True, kw_only=True)
class Command:
    """One command: the streams it looks at, how it looks, what it decides, and what its events carry."""

    streams: Sequence[str]
    look: Callable[[Source], View]
    decide: Callable[[View, str], Iterable[Event]]
    by: Caller
    occurred_at: str | None = None
    names: dict[str, str]
    people: Sequence[tuple[str, str]] = ()


def carry_out(store: Store, command: Command) -> Outcome:
    """Record what the command decides. Raises a refusal, or `LedgerUnavailable` after 5 s of conflicts."""
    deadline = time.monotonic() + DECIDE_AGAIN_S
    tries = 0
    while True:
        view = ask(store, command.streams, command.look)
        now = next_moment(view.head)
        decided = tuple(command.decide(view, now))
        if not decided:
            return Outcome(view=view, events=(), rows={}, version=view.head.version, now=now)
        events = stamp(
            decided,
            view.head.stream,
            view.head.version,
            recorded_at=now,
            occurred_at=command.occurred_at,
            recorded_by=command.by.recorded_by,
            person_id=command.by.person_id,
            request_id=command.by.request_id,
            **command.names,
        )
        try:
            rows = record(store, view.head, events, view.known, command.people)
        except Conflict:
            if time.monotonic() > deadline:
                raise LedgerUnavailable() from None
            tries += 1
            time.sleep(random.uniform(0, min(0.002 * tries, 0.05)))  # noqa: S311 - jitter, not a secret
            continue
        return Outcome(view=view, events=events, rows=rows, version=events[-1].originator_version, now=now)


def record(
    store: Store, head: Head, events: Sequence[Event], known: Known, people: Sequence[tuple[str, str]] = ()
) -> dict[str, Rows]:
    """Append stamped events with the rows that they change; the folded rows. Raises `Conflict`."""
    folded = fold_live(head, events, known, store)
    append = Append(
        head=head,
        events=chained(head, [encode(event) for event in events], events[-1].recorded_at),
        folded=folded.folded,
        changes=folded.changes,
        faults=folded.faults,
        people=people,
    )
    store.append(append)
    return folded.rows
