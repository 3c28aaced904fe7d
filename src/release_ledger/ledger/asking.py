"""Asking: live rows where they can be trusted, else the streams folded in memory, by the same statements."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import closing
from functools import cache
from typing import Any, TypeVar

from sqlalchemy import ColumnElement, and_, bindparam, literal, select
from sqlalchemy.sql.elements import Label
from sqlalchemy.sql.selectable import FromClause

from ..projection import ACCESS, FoldedSource, fold_streams, listed
from ..projection.folded import not_answerable
from ..store import Head, ReadModelBroken, Row, Source, Store
from ..store.schema import STREAMS, mark_of

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
    """The answer from the live rows; where they are set aside, broken or incomplete, from folding `streams`."""
    try:
        return question(store)
    except (NotLive, ReadModelBroken):
        folded = fold_streams(store, streams)
    with closing(folded):
        try:
            return question(folded)
        except NotLive as still:
            raise not_answerable(still.stream, [still.name]) from still


def require(source: Source, head: Head, *names: str) -> None:
    """Raise `NotLive` unless the source answers for these projections on the head's stream."""
    for name in names:
        if head.version and not _answers(source, head, name):
            raise NotLive(head.stream, name)


def require_row(source: Source, head: Head, name: str, row: object) -> None:
    """Raise `NotLive` where a stream that exists has lost the one row that it must have."""
    require(source, head, name)
    if head.version and row is None and not isinstance(source, FoldedSource):
        raise NotLive(head.stream, name)


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


def _answers(source: Source, head: Head, name: str) -> bool:
    if isinstance(source, FoldedSource):
        return name not in source.failed.get(head.stream, {name})
    return listed(head.folded, name)


def anchor() -> FromClause:
    """One row to join everything else to, so that a question about what is not there has an answer as well."""
    return select(literal(1).label("one")).subquery("anchor")


def labelled(table: FromClause, prefix: str, *names: str) -> list[Label[object]]:
    """Columns of a table under a prefix, to be picked out of a joined row again."""
    return [table.c[name].label(f"{prefix}_{name}") for name in names or table.c.keys()]


def picked(row: Row, prefix: str) -> Row:
    """The columns that `labelled` put under this prefix."""
    return {name: row[label] for label, name in _picks(tuple(row), prefix)}


@cache
def _picks(labels: tuple[str, ...], prefix: str) -> list[tuple[str, str]]:
    start = len(prefix) + 1
    return [(label, label[start:]) for label in labels if label.startswith(f"{prefix}_")]


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
