"""What a projection is: a table, and for each kind of event what becomes of the rows that it touches.

A fold is pure: no I/O, no clock, never an exception on a legal history. A row belongs to one stream; what spans
streams is computed by the query.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, MutableMapping
from typing import Any, ClassVar, TypeVar

from sqlalchemy import BigInteger, Column, Index, MetaData, Table, Text

from ..events import Event
from ..store.seal import SEAL

Key = tuple[Any, ...]
RowValues = Mapping[str, Any]
# As in the table `streams`: of another collation, no index could be used in a join with the heads.
STREAM_NAME = Text().with_variant(Text(collation="C"), "postgresql")
F = TypeVar("F", bound=Callable[..., None])


class Rows:
    """The rows of one stream that a fold touches, by key: backed by the table when live, by memory otherwise.

    A key is the value of the one key column, or a tuple of several, or `()` for a read model of one row a stream.
    """

    def __init__(self, known: MutableMapping[Key, Any] | None = None, load: Callable[[Key], Any] | None = None) -> None:
        self._rows: MutableMapping[Key, Any] = {} if known is None else known
        self._load = load
        self.changed: set[Key] = set()

    def get(self, key: Any) -> Any:
        """The row of a key, or None."""
        key = key if isinstance(key, tuple) else (key,)
        if key not in self._rows and self._load is not None:
            self._rows[key] = self._load(key)
        return self._rows.get(key)

    def __getitem__(self, key: Any) -> Any:
        row = self.get(key)
        if row is None:
            raise KeyError(key)
        return row

    def __setitem__(self, key: Any, row: Any) -> None:
        key = key if isinstance(key, tuple) else (key,)
        self._rows[key] = row
        self.changed.add(key)

    def __delitem__(self, key: Any) -> None:
        self[key] = None

    def changes(self) -> dict[Key, Any]:
        """What to write: by key the whole row, or None for one that goes."""
        return {key: self._rows[key] for key in self.changed}

    def all(self) -> dict[Key, Any]:
        """Every row there is; complete only when folded in memory from the first event."""
        return {key: row for key, row in self._rows.items() if row is not None}


class Projection:
    """A read model: the docstring of each is the question that it answers.

    `name` is for ever. `definition` changes whenever the fold or the table does: rows of another one are not live.
    """

    name: ClassVar[str]
    definition: ClassVar[str] = "1"
    table: ClassVar[Table]
    key: ClassVar[tuple[str, ...]] = ()
    events: ClassVar[dict[type[Event], str]]

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        own = {event: name for name, member in vars(cls).items() for event in getattr(member, "folds", ())}
        cls.events = {**getattr(cls, "events", {}), **own}

    def fold(self, event: Event, rows: Rows) -> None:
        """Apply one event to the rows; an event that the projection does not name changes nothing."""
        name = self.events.get(type(event))
        if name is not None:
            getattr(self, name)(event, rows)

    def fold_all(self, events: Iterable[Event], rows: Rows) -> None:
        """Apply events to the rows, as `fold` does one by one."""
        if type(self).fold is not Projection.fold or "fold" in vars(self):
            for event in events:
                self.fold(event, rows)
            return
        functions = {kind: getattr(self, name) for kind, name in self.events.items()}
        for event in events:
            function = functions.get(type(event))
            if function is not None:
                function(event, rows)

    def load(self, row: RowValues) -> Any:
        """A row as the fold holds it, from the columns of the table."""
        return dict(row)

    def dump(self, row: Any) -> dict[str, Any]:
        """The columns of the table, from a row as the fold holds it."""
        return dict(row)


def on(*events: type[Event]) -> Callable[[F], F]:
    """Names the events that a fold function is for."""

    def mark(function: F) -> F:
        function.folds = events  # type: ignore[attr-defined] # for `__init_subclass__`
        return function

    return mark


def read_model(name: str, *columns: Column[Any], key: Iterable[str] = (), indexes: Iterable[Index] = ()) -> Table:
    """The table of a read model: `stream`, `generation`, then its own columns, then the row's `seal`.

    Values are text, integers and null. The key is one that the ledger hands out, never one that CI sends.
    """
    keys = set(key)
    for column in columns:
        column.primary_key = column.name in keys
        column.nullable = column.name not in keys and column.nullable
    return Table(
        name,
        MetaData(),
        Column("stream", STREAM_NAME, primary_key=True),
        Column("generation", BigInteger, primary_key=True),
        *columns,
        Column(SEAL, BigInteger, nullable=False),
        *indexes,
    )
