"""The way of one command: look, decide, append; again from the start when the stream has moved meanwhile."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from ..errors import LedgerUnavailable, Refusal
from ..events import Event, stamp
from ..projection import FoldedSource, Rows, fold_live
from ..store import Append, Conflict, KeptAnswer, ReadModelBroken, Source, Store
from ..store.append import chained, next_moment
from ..store.codec import encode
from .answers import Answer
from .asking import NotLive, ask
from .keeping import NO_KEY, Idempotency, forget_now_and_then, keep, read_kept, replay, to_keep
from .remembered import Remembered, unmoved
from .views import View

DECIDE_AGAIN_S: Final = 5.0
Answered = tuple[Answer, int]


@dataclass(frozen=True, kw_only=True)
class Caller:
    """Who asks (the token's name, its owner, the id of the request), and on what conditions."""

    recorded_by: str
    person_id: str | None = None
    email: str | None = None
    request_id: str = ""
    idempotency: Idempotency | None = None
    if_match: str | None = None

    @property
    def key(self) -> Mapping[str, Any]:
        """The binds by which a view finds the answer that is kept for this request."""
        return self.idempotency.binds if self.idempotency else NO_KEY


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What comes of a command: what it saw, what is recorded (nothing, for a repetition), the rows after it."""

    view: View
    events: Sequence[Event] = ()
    rows: Mapping[str, Rows] = field(default_factory=dict)

    @property
    def version(self) -> int:
        """The stream's version after the command."""
        return self.events[-1].originator_version if self.events else self.view.head.version

    def row(self, name: str, key: Any) -> Any:
        """The row as it is written; None where its projection is set aside and nothing more is known of it."""
        rows = self.rows.get(name)
        return rows.get(key) if rows is not None else None


@dataclass(frozen=True, kw_only=True)
class Command:
    """One command: the streams it looks at, how it looks, what it decides, and what its events carry.

    `answer` makes the answer from what is about to be recorded, so that it can be kept with it under the request's key;
    None where the rows do not tell. `recall` is what this process remembers of what `look` would see, if it is enough.
    """

    streams: Sequence[str]
    look: Callable[[Source], View]
    decide: Callable[[View, str], Iterable[Event]]
    by: Caller
    remembered: Remembered
    answer: Callable[[Outcome], Answered | None] = lambda outcome: None
    occurred_at: str | None = None
    names: Mapping[str, str] = field(default_factory=dict)
    people: Sequence[tuple[str, str]] = ()
    forgotten: Sequence[str] = ()
    recall: Callable[[], View | None] = lambda: None


def carry_out(store: Store, command: Command) -> Outcome:
    """Record what the command decides. Raises a refusal, `Replayed`, or `LedgerUnavailable` after 5 s of conflicts.

    They count from the first one: the try before it may have waited for a long stream to be folded.
    """
    deadline: float | None = None
    tries = 0
    outcome = _from_memory(store, command)
    while True:
        try:
            outcome = outcome or _try(store, command)
            forget_now_and_then(store, command.by.idempotency)
            return outcome
        except Conflict:
            deadline = deadline or time.monotonic() + DECIDE_AGAIN_S
            if time.monotonic() > deadline:
                raise LedgerUnavailable() from None
        tries += 1
        time.sleep(random.uniform(0, min(0.002 * tries, 0.05)))  # noqa: S311 - jitter, not a secret


def _from_memory(store: Store, command: Command) -> Outcome | None:
    """What comes of the command by what is remembered; None where it must look: refused, a repetition, a conflict."""
    view = command.recall()
    if view is None:
        return None
    try:
        view, now, decided = _decide(store, command, view)
    except (Refusal, NotLive, ReadModelBroken):
        return None
    if not decided:
        return None
    try:
        return _record(store, command, view, now, decided, unmoved(view))
    except Conflict:
        command.remembered.doubt(view.head.stream)
        return None
    except LedgerUnavailable:
        _replay_if_kept(store, command)
        raise


def _try(store: Store, command: Command) -> Outcome:
    # Looking and deciding are pure, so both are done again on folded streams where the rows are not live.
    try:
        view, now, decided = ask(store, command.streams, lambda source: _decide(store, command, command.look(source)))
    except LedgerUnavailable:
        _replay_if_kept(store, command)
        raise
    if not decided:
        outcome = Outcome(view=view)
        for kept in _kept(command, outcome, now):
            keep(store, kept)
        return outcome
    return _record(store, command, view, now, decided)


def _replay_if_kept(store: Store, command: Command) -> None:
    """A retry is answered as its first try was, also when nothing new can be decided or written."""
    if command.by.idempotency is not None:
        replay(read_kept(store, command.by.idempotency), command.by.idempotency)


def _record(
    store: Store,
    command: Command,
    view: View,
    now: str,
    decided: Sequence[Event],
    others: Sequence[tuple[str, str]] = (),
) -> Outcome:
    events = _stamped(command, view, decided, now)
    entries = [encode(event) for event in events]  # before any fold, which is perhaps somebody else's code, has them
    folded = fold_live(view.head, events, view.known, store)
    outcome = Outcome(view=view, events=events, rows=folded.rows)
    append = Append(
        head=view.head,
        events=chained(view.head, entries, now),
        folded=folded.folded,
        changes=folded.changes,
        faults=folded.faults,
        people=command.people,
        forgotten=command.forgotten,
        keys=_kept(command, outcome, now),
        unmoved=others,
    )
    store.append(append)
    command.remembered.note(view, append, folded.rows, command.by.email)
    return outcome


def _decide(store: Store, command: Command, view: View) -> tuple[View, str, tuple[Event, ...]]:
    """What the command sees, and what it decides; raises `Replayed` where the request was answered before."""
    view.if_match = command.by.if_match
    asked = command.by.idempotency
    if asked is not None:
        replay(read_kept(store, asked) if isinstance(view.source, FoldedSource) else view.kept, asked)
    now = next_moment(view.head)
    return view, now, tuple(command.decide(view, now))


def _stamped(command: Command, view: View, decided: Sequence[Event], now: str) -> Sequence[Event]:
    by = command.by
    return stamp(
        decided,
        view.head.stream,
        view.head.version,
        recorded_at=now,
        occurred_at=command.occurred_at,
        recorded_by=by.recorded_by,
        person_id=by.person_id,
        request_id=by.request_id,
        **command.names,
    )


def _kept(command: Command, outcome: Outcome, now: str) -> list[KeptAnswer]:
    """What is kept of the answer to a request with a key."""
    asked = command.by.idempotency
    answered = command.answer(outcome) if asked is not None else None
    return [to_keep(asked, *answered, now)] if asked is not None and answered is not None else []
