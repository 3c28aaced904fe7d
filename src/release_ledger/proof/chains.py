"""The digest chain of one stream, recomputed over its stored bytes; and what is wrong with the first bad event.

Specified in `docs/proof.md`, "The digest". `docs/verify.py` does the same for an export, in its own words.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any, Final, NamedTuple

import msgspec

from ..store import FIRST_DIGEST

DOMAIN: Final = b"release-ledger/1\n"
_ENCODE: Final = msgspec.json.Encoder().encode
FIRST_POSITION: Final = -(2**63)
_UNHASHABLE: Final = (TypeError, ValueError, OverflowError)
Row = Sequence[Any]  # version, topic, state, recorded_at, digest, position
VERSION, TOPIC, STATE, RECORDED_AT, DIGEST, POSITION = range(6)


class Wrong(NamedTuple):
    """What is wrong, and at which event of the stream: a word to count by, and a sentence."""

    version: int | None
    word: str
    what: str


class Chain:
    """How far a stream was followed. `expected` is the version that comes next; None: it may begin anywhere."""

    def __init__(self, stream: str, expected: int | None) -> None:
        self.stream, self.expected = stream, expected
        self.digest, self.recorded_at, self.version = FIRST_DIGEST, "", 0
        self.events = 0
        self._positions = (FIRST_POSITION, FIRST_POSITION)

    def follow(self, rows: Sequence[Row]) -> int:
        """Go on over these events; how many of them are as they were recorded. The first that is not ends it."""
        sha256, stream, domain = hashlib.sha256, self.stream, DOMAIN
        previous, (before, last) = self.digest, self._positions
        expected = rows[0][VERSION] if self.expected is None and rows else self.expected
        good = 0
        try:
            for version, topic, state, recorded_at, digest, position in rows:
                if version != expected or type(topic) is not str or type(recorded_at) is not str or position <= last:
                    break
                entry = _ENCODE([stream, version, topic, recorded_at, sha256(state).hexdigest()])
                computed = sha256(domain + previous + entry).digest()
                if computed != digest:
                    break
                previous, before, last = computed, last, position
                expected += 1
                good += 1
        except _UNHASHABLE:
            pass
        if good:
            self.digest, self._positions, self.expected = previous, (before, last), expected
            self.version, self.recorded_at = rows[good - 1][VERSION], rows[good - 1][RECORDED_AT]
            self.events += good
        return good

    def wrong(self, rows: Sequence[Row]) -> Wrong:
        """What is wrong with the first of these events, the next that was not followed; the others tell."""
        version = rows[0][VERSION]
        if type(version) is not int:
            return Wrong(self.expected, "edited", f"its version is {version!r}, which is no number")
        expected = version if self.expected is None else self.expected
        found = next((n for n, row in enumerate(rows) if self._fits(self.digest, expected, row)), None)
        if found == 0 and version == expected:
            return self._wrong_position(rows)
        if found is not None:
            return self._moved(rows, expected, found)
        if version < expected:
            return Wrong(version, "inserted", "the stream has no event of this version")
        if version > expected:
            return _missing(expected, version - 1, "")
        return self._edited(rows, version)

    def _moved(self, rows: Sequence[Row], expected: int, found: int) -> Wrong:
        """The event that belongs here was found at another version."""
        there = rows[found]
        if rows[0][VERSION] < expected == there[VERSION]:
            return Wrong(rows[0][VERSION], "inserted", "the stream has no event of this version")
        if rows[0][VERSION] == expected:
            after = rows[found + 1] if found + 1 < len(rows) else None
            goes_on = after is not None and self._fits(there[DIGEST], expected + 1, after)
            if goes_on or (found == 1 and after is None and not self._fits(there[DIGEST], expected + 1, rows[0])):
                what = "it is" if found == 1 else f"and the {found - 1} after it are"
                return Wrong(expected, "inserted", f"{what} of no event that was recorded; the later ones were moved")
        return Wrong(expected, "reordered", f"the event of this version is stored as version {there[VERSION]}")

    def _edited(self, rows: Sequence[Row], version: int) -> Wrong:
        """There is an event of this version, and no digest that fits it: the one after it tells which part is wrong."""
        row, after = rows[0], rows[1] if len(rows) > 1 else None
        if after is not None and after[VERSION] == version + 1:
            computed = self._computed(self.digest, version, row)
            if computed is not None and self._fits(computed, version + 1, after):
                return Wrong(version, "edited", "its digest is not the one that was recorded; its content is")
            if not self._fits(row[DIGEST], version + 1, after):
                left_out = next((n for n in range(1, 1001) if self._fits(row[DIGEST], version + 1 + n, after)), 0)
                if left_out:
                    return _missing(version, version + left_out - 1, "; the later ones were moved")
        return Wrong(version, "edited", "its content is not the one that was recorded: its digest differs")

    def _wrong_position(self, rows: Sequence[Row]) -> Wrong:
        """The event is right, and yet was numbered before its predecessor by the database."""
        version, position, last = rows[0][VERSION], rows[0][POSITION], self._positions[1]
        what = "its `position` is not between those of its neighbours"
        if not isinstance(position, int):
            return Wrong(version, "edited", what)
        after = next((row[POSITION] for row in rows[1:2] if isinstance(row[POSITION], int)), None)
        is_before = self.events and position > self._positions[0] and (after is None or after <= last)
        return Wrong(version - 1 if is_before else version, "edited", what)

    def _fits(self, previous: Any, version: int, row: Row) -> bool:
        computed = self._computed(previous, version, row)
        return computed is not None and computed == row[DIGEST]

    def _computed(self, previous: Any, version: int, row: Row) -> bytes | None:
        """The digest that the row's content has as this version; None of what can have none."""
        if type(row[TOPIC]) is not str or type(row[RECORDED_AT]) is not str or type(previous) is not bytes:
            return None
        try:
            state_sha256 = hashlib.sha256(row[STATE]).hexdigest()
            entry = _ENCODE([self.stream, version, row[TOPIC], row[RECORDED_AT], state_sha256])
        except _UNHASHABLE:
            return None
        return hashlib.sha256(DOMAIN + previous + entry).digest()


def _missing(first: int, last: int, and_: str) -> Wrong:
    what = "it is not there" if first == last else f"the events {first} to {last} are not there"
    return Wrong(first, "missing", what + and_)
