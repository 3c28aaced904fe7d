"""What is asked of every projection, for one history: rows folded, live and rebuilt are the same, and more."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final

from ..events import Event
from ..projection import Projection, Rows, installed
from ..projection.installed import Unusable, check_usable
from ..projection.live import as_columns
from ..projection.projection import Key
from ..store.chain import NotCanonical
from ..store.codec import encode
from .databases import check_in_database, lasting_sqlite
from .purity import watched

TOUCHED: Final = 8
_LARGEST: Final = 2**63

# What CI sends, and what else it could as well have sent; legal after a legal history, and in the same order.
_SENT: Final[dict[str, Callable[[str], str]]] = {
    "release_candidate_version": lambda text: f"7{text}",
    "from_release_candidate_version": lambda text: f"7{text}",
    "release_version": lambda text: f"7{text}",
    "commit": lambda text: text[::-1],
    "from_commit": lambda text: text[::-1],
    "occurred_at": lambda text: f"1{text[1:]}",
    "repo": lambda text: f"{text}-7",
    "reason": lambda text: f"{text}.",
    "error_message": lambda text: f"{text}.",
    "external_url": lambda text: f"{text}/7",
}


def check_projection(
    projection: Projection, events: Iterable[Event], *, url: str | None = None, touched: int = TOUCHED
) -> None:
    """Raise AssertionError, saying what is wrong, unless the projection keeps its promises over these events.

    They may be of several streams, the events of each in order (`release_ledger.testing.histories` makes some). It is
    run on SQLite, and also in the database at `url`, an empty one or that of an earlier call. No event may look at
    more than `touched` rows, however long the history is.
    """
    _check_usable(projection)
    streams = by_stream(events)
    for of_stream in streams.values():
        folded = _folded(projection, of_stream)
        _check_plain(projection, folded)
        _check_against_one_by_one(projection, of_stream, folded, touched)
        _check_keys(projection, of_stream, folded)
    for database_url in (lasting_sqlite(), url):
        if database_url is not None:
            check_in_database(projection, streams, database_url)


def _check_usable(projection: Projection) -> None:
    """Or it would be left out wherever it is installed."""
    others = [each for name, each in installed().items() if name != projection.name]
    try:
        check_usable(projection, others)
    except Unusable as error:
        raise AssertionError(str(error)) from None


def by_stream(events: Iterable[Event]) -> dict[str, list[Event]]:
    """The events of each stream, in their order."""
    streams: dict[str, list[Event]] = {}
    for event in events:
        streams.setdefault(str(event.originator_id), []).append(event)
    return streams


def _folded(projection: Projection, events: Sequence[Event]) -> dict[Key, dict[str, Any]]:
    """The rows after these events, as columns, folded in memory at one go."""
    rows = Rows()
    for event in events:
        before = _stored(event)
        projection.fold(event, rows)
        assert _stored(event) == before, f"the fold changes the event {type(event).__name__}"
    return {key: _as_columns(projection, key, row) for key, row in rows.all().items()}


def _stored(event: Event) -> object:
    """As it would be recorded, with all that is in it; None for what could not be."""
    try:
        return encode(event)
    except NotCanonical:
        return None


def _as_columns(projection: Projection, key: Key, row: Any) -> dict[str, Any]:
    assert len(key) == len(projection.key), f"the key {key!r} is not of the columns {projection.key}"
    try:
        columns = as_columns(projection, key, row)
    except KeyError as error:
        raise AssertionError(f"`dump` gives no value for the column {error}") from None
    assert columns is not None
    return columns


def _check_plain(projection: Projection, folded: Mapping[Key, Mapping[str, Any]]) -> None:
    for row in folded.values():
        for name, value in row.items():
            plain = value is None or type(value) is str or (type(value) is int and -_LARGEST <= value < _LARGEST)
            assert plain, f"the column {name} is {value!r}: values are text, integers and null"
            optional = projection.table.columns[name].nullable
            assert optional or value is not None, f"the column {name} is null, and may not be"


def _check_against_one_by_one(
    projection: Projection, events: Sequence[Event], folded: Mapping[Key, Any], touched: int
) -> None:
    """Folded again as it is live: each event finds no more than the columns of rows that earlier ones wrote."""
    stored: dict[Key, dict[str, Any]] = {}

    def load(key: Key) -> Any:
        return projection.load(stored[key]) if key in stored else None

    for event in events:
        looked_at: dict[Key, Any] = {}
        rows = Rows(looked_at, load)
        with watched():
            projection.fold(event, rows)
        says = f"{type(event).__name__} looks at {len(looked_at)} rows, more than {touched}"
        assert len(looked_at) <= touched, f"{says}: the cost of an event may not grow with the history"
        for key, row in rows.changes().items():
            if row is None:
                stored.pop(key, None)
            else:
                stored[key] = _as_columns(projection, key, row)
    same = "folded again, event by event from what was stored, the rows are others"
    assert stored == folded, f"{same} (a row changed without being set, a clock, or `load` and `dump` that differ)"


def _check_keys(projection: Projection, events: Sequence[Event], folded: Mapping[Key, Any]) -> None:
    """CI may send anything, twice, and wrong: a row that is found by it could be wedged by it."""
    keys = set(_folded(projection, [_sent_otherwise(event) for event in events]))
    assert keys == set(folded), "the keys depend on what CI sends: key rows by what the ledger hands out"


def _sent_otherwise(event: Event) -> Event:
    """The same event, had CI sent other words and other (earlier) times in the same order."""
    made = object.__new__(type(event))
    fields = dict(vars(event))
    for name, other in _SENT.items():
        if isinstance(fields.get(name), str):
            fields[name] = other(fields[name])
    vars(made).update(fields)
    return made
