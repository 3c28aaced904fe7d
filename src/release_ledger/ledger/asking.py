"""Asking: live rows where they can be trusted, else the streams folded in memory, by the same statements."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import cache
from operator import itemgetter
from typing import Any, NamedTuple, TypeVar

from sqlalchemy import ColumnElement, and_, bindparam, case, func, literal, literal_column, select
from sqlalchemy.sql.elements import Label
from sqlalchemy.sql.selectable import FromClause

from ..projection import ACCESS, FoldedSource, fold_now, installed, kept_beside, listed
from ..projection.folded import not_answerable
from ..store import Head, ReadModelBroken, Row, Source, Store
from ..store.schema import STREAMS, mark_of
from ..store.seal import SEAL, is_sealed

T = TypeVar("T")
HEAD_COLUMNS = ("version", "digest", "recorded_at", "generation", "folded")
# How the tokens stand: every question and every look asks for it, so that none is answered to one that was revoked.
ACCESS_MARK: Label[Any] = mark_of(ACCESS).label("access_mark")


class NotLive(Exception):
    """The rows that a question needs are not live for this stream."""

    def __init__(self, stream: str, name: str) -> None:
        super().__init__(stream, name)
        self.stream, self.name = stream, name


def ask(store: Store, streams: Iterable[str], question: Callable[[Source], T]) -> T:
    """The answer from the live rows; where they are set aside, broken or incomplete, from folding `streams`.

    What was folded is kept, so this is slow for a long stream's first question only. Raises `StillFolding` where enough
    threads wait for that.
    """
    try:
        answer = question(store)
    except (NotLive, ReadModelBroken):
        pass
    else:
        kept_beside(store).close_unused()
        return answer
    with fold_now(store, streams) as source:
        try:
            return question(source)
        except NotLive as still:
            raise not_answerable(still.stream, [still.name]) from still


def require(source: Source, head: Head, *names: str) -> None:
    """Raise `NotLive` unless the source answers for these projections on the head's stream."""
    for name in names:
        if head.version and not answers_for(source, head, name):
            raise NotLive(head.stream, name)


def require_row(source: Source, head: Head, name: str, row: object) -> None:
    """Raise `NotLive` where a stream that exists has lost the one row that it must have."""
    require(source, head, name)
    if head.version and row is None and not isinstance(source, FoldedSource):
        raise NotLive(head.stream, name)


def state_in(source: Source, head: Head, row: Row, name: str, prefix: str) -> Any:
    """The state of a stream from the one row that it must have; None for a stream that is not there."""
    require(source, head, name)
    found = picked(row, prefix)
    require_row(source, head, name, found["state"])
    return installed()[name].load(found) if found["state"] is not None else None


def require_newest(source: Source, head: Head, running: int | None, newest: Row | None) -> None:
    """Raise `NotLive` where the newest running period is not of the deployment that runs: a row was lost."""
    runs = newest["deployment_number"] if newest is not None and newest["recorded_to"] is None else None
    if runs != running and not isinstance(source, FoldedSource):
        raise NotLive(head.stream, "running_periods")


def require_numbers(head: Head, name: str, numbers: Sequence[int], before: int) -> None:
    """Raise `NotLive` unless these are the next numbers below `before`: rows are numbered densely, a gap is a loss."""
    if not numbers or any(number != before - place for place, number in enumerate(numbers, 1)):
        raise NotLive(head.stream, name)


def require_page(head: Head, name: str, rows: int, total: int, page: int, per_page: int) -> None:
    """Raise `NotLive` unless a page of densely numbered rows has all that it must have."""
    if rows != max(0, min(per_page, total - (page - 1) * per_page)):
        raise NotLive(head.stream, name)


def answers_for(source: Source, head: Head, name: str) -> bool:
    """Whether the rows of this projection and stream are all there."""
    if isinstance(source, FoldedSource):
        return name not in source.failed.get(head.stream, {name})
    return listed(head.folded, name)


def anchor() -> FromClause:
    """One row to join everything else to, so that a question about what is not there has an answer as well."""
    return select(literal(1).label("one")).subquery("anchor")


def unindexed(column: ColumnElement[Any]) -> ColumnElement[Any]:
    """A text that no index serves: of a version there are few deployments, of a status nearly all."""
    return column.concat(literal_column("''"))


def whole(table: FromClause) -> list[ColumnElement[Any]]:
    """What has to be read of a read model's row so that its seal can be compared: all of it."""
    own = [column for column in table.c if column.name not in ("stream", "generation", SEAL)]
    return [table.c.stream, *own, table.c[SEAL]]


def labelled(table: FromClause, prefix: str, *names: str) -> list[Label[Any]]:
    """Columns of a table under a prefix, to be picked out of a joined row again; of a read model whole rows."""
    columns = whole(table) if SEAL in table.c else [table.c[name] for name in names or table.c.keys()]
    return [column.label(f"{prefix}_{column.name}") for column in columns]


def once(labels: Iterable[Label[Any]], of: ColumnElement[Any], *per: ColumnElement[Any]) -> list[Label[Any]]:
    """The same, and in all but the first row (of each `per`) null: what each row has to be joined to, is read once."""
    first = func.row_number().over(partition_by=per or None, order_by=of.desc()) == literal_column("1")
    return [case((first, label.element)).label(label.name) for label in labels]


def picked(row: Row, prefix: str) -> Row:
    """The columns that `labelled` put under this prefix.

    Raises `NotLive` for a read model's row that is not as it was written: nothing is decided or answered by it.
    """
    picks = _picks(tuple(row), prefix)
    values = picks.values(row)
    if picks.seal is not None:
        stream, seal = row[picks.stream], row[picks.seal]
        if (seal is not None or stream is not None) and not is_sealed(stream, values, seal):
            raise NotLive(stream, prefix)
    return dict(zip(picks.names, values, strict=True))


class _Picks(NamedTuple):
    """What to pick under a prefix: the names, how to get the values, and where stream and seal of the row are."""

    names: tuple[str, ...]
    values: Callable[[Row], tuple[Any, ...]]
    stream: str
    seal: str | None


@cache
def _picks(labels: tuple[str, ...], prefix: str) -> _Picks:
    found = {label[len(prefix) + 1 :]: label for label in labels if label.startswith(f"{prefix}_")}
    seal = found.pop(SEAL, None)
    stream = found.pop("stream", "") if seal is not None else ""
    return _Picks(tuple(found), _getter(tuple(found.values())), stream, seal)


def _getter(labels: tuple[str, ...]) -> Callable[[Row], tuple[Any, ...]]:
    return itemgetter(*labels) if len(labels) > 1 else lambda row: tuple(row[label] for label in labels)


def here(table: FromClause, stream: str) -> tuple[ColumnElement[bool], ColumnElement[bool]]:
    """The conditions that rows are of the stream in the parameter of this name, and of its live generation.

    The generation is looked up before the rows are, so that a page is read from its index in its order, whatever the
    database believes of the table.
    """
    generation = select(STREAMS.c.generation).where(STREAMS.c.stream == bindparam(stream)).scalar_subquery()
    return table.c.stream == bindparam(stream), table.c.generation == generation


def belongs(table: FromClause, head: FromClause) -> ColumnElement[bool]:
    """The condition that rows are of this stream and of its live generation."""
    return and_(table.c.stream == head.c.stream, table.c.generation == head.c.generation)
