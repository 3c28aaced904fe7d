"""The feed: all streams in one fixed order that keeps each stream's own, read from a place on.

A place is told by a cursor: a number of the feed and a mark of the event that has it, so that a cursor from before a
restore of a backup is found out where another event has its number by now (`docs/decisions/0014-feed.md`).
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import struct
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Final, NamedTuple

from ..errors import InvalidRequest, LedgerUnavailable
from ..events import Event
from ..projection import environment_stream, project_stream
from ..store import Row, feed
from ..store.codec import UnknownTopic, decode
from .answers import Answer
from .event_answers import history_event
from .people import emails_of
from .project_questions import ProjectQuestions

PIECE_ROWS: Final = 100
PIECES: Final = 20
ANSWER_BYTES: Final = 2 * 1024 * 1024
_CURSOR: Final = struct.Struct(">BQ8s")
_FORM: Final = 1
_LARGEST: Final = 2**63 - 1
# Of a token its digest, and whom it is of: nothing that a reader needs.
_HIDDEN: Final = frozenset({"token_sha256", "owner_person_id", "forgotten_person_id"})


class Place(NamedTuple):
    """The number of the last event that was read, and its mark; 0 and zeros before the first."""

    seq: int = 0
    mark: bytes = bytes(8)


@dataclass(frozen=True, kw_only=True)
class Feed:
    """A piece of the feed, and where it goes on."""

    events: list[Answer]
    cursor: str
    seq: int


class FeedQuestions(ProjectQuestions):
    """What happened in all streams."""

    def feed(self, after: str | None = None, *, limit: int = 100, projects: Collection[str] | None = None) -> Feed:
        """The next events, perhaps only those of some projects. Raises `InvalidRequest` for a cursor that is none.

        None are there with a cursor that has moved where a long stretch was of other projects.
        """
        place = _read_cursor(after) if after else Place()
        self._check_place(place)
        found: list[tuple[Event, Row]] = []
        size = 0
        for _ in range(PIECES):
            rows = self._next_rows(place.seq)
            for row in rows:
                event = self._visible_event(row, projects, is_first=not found)
                if event is _UNREADABLE:
                    return self._piece(found, place)
                place = _place_of(row)
                if event is not None:
                    found.append((event, row))
                    size += len(row["state"])
                if len(found) == limit or size > ANSWER_BYTES:
                    return self._piece(found, place)
            if len(rows) < PIECE_ROWS:
                break
        return self._piece(found, place)

    def feed_has_more(self, seq: int) -> bool:
        """Whether asking again is worth it."""
        try:
            return feed.has_after(self.store, seq)
        except LedgerUnavailable:
            return True

    def _next_rows(self, seq: int) -> list[Row]:
        """The next piece. What is in the feed is answered also where nothing can be written."""
        rows = feed.after(self.store, seq, PIECE_ROWS)
        if len(rows) == PIECE_ROWS or not feed.is_behind(self.store):
            return rows
        try:
            feed.fill(self.store)
        except LedgerUnavailable:
            if not rows:
                raise
            return rows
        return feed.after(self.store, seq, PIECE_ROWS)

    def _visible_event(self, row: Row, projects: Collection[str] | None, *, is_first: bool) -> Event | None:
        """The event of a row; None for one that is not shown. Raises `UnknownTopic` where nothing comes before it."""
        if row["topic"] is None or not _is_visible(row["stream"], projects):
            return None
        try:
            return decode(row["stream"], row)
        except UnknownTopic:
            if is_first:
                raise
            return _UNREADABLE

    def _check_place(self, place: Place) -> None:
        """Raise `InvalidRequest` for a place that this ledger has not, or has no more."""
        if place.seq == 0:
            return
        rows = feed.after(self.store, place.seq - 1, 1)
        if not rows or _place_of(rows[0]) != place:
            lost = "There is no such place: it is another ledger's, or of before a backup was restored. Begin anew."
            raise InvalidRequest(after=[lost])

    def _piece(self, found: Iterable[tuple[Event, Row]], place: Place) -> Feed:
        events = list(found)
        emails = emails_of(self.store, {event.person_id for event, _ in events})
        shown = [_shown(event, history_event(event, row["digest"], emails)) for event, row in events]
        return Feed(events=shown, cursor=_write_cursor(place), seq=place.seq)


_UNREADABLE: Final = Event()


def _shown(event: Event, answer: Answer) -> Answer:
    own = {name: value for name, value in answer["data"].items() if name not in _HIDDEN}
    names = {name: getattr(event, name, None) for name in ("project_name", "environment_name")}
    return answer | {"data": own} | names


def _is_visible(stream: str, projects: Collection[str] | None) -> bool:
    if projects is None:
        return True
    own = ((project_stream(name), environment_stream(name, "")) for name in projects)
    return any(stream == of_project or stream.startswith(of_environments) for of_project, of_environments in own)


def _place_of(row: Row) -> Place:
    """The mark is a digest of a digest: who reads it learns nothing of an event that is not shown."""
    mark = hashlib.sha256(b"feed\n" + bytes(row["digest"])).digest()[:8] if row["digest"] is not None else bytes(8)
    return Place(row["seq"], mark)


def _write_cursor(place: Place) -> str:
    return base64.urlsafe_b64encode(_CURSOR.pack(_FORM, *place)).rstrip(b"=").decode()


def _read_cursor(text: str) -> Place:
    try:
        form, seq, mark = _CURSOR.unpack(base64.b64decode(text + "=" * (-len(text) % 4), altchars="-_", validate=True))
    except (binascii.Error, ValueError, struct.error):
        form, seq, mark = 0, 0, b""
    place = Place(seq, mark)
    if form != _FORM or seq > _LARGEST or _write_cursor(place) != text:
        raise InvalidRequest(after=["Must be a cursor that the feed has answered."])
    return place
