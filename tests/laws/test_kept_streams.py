"""A stream that is kept and goes on is as one that is folded anew, however often somebody asks meanwhile."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import bindparam, select

from release_ledger.ledger import Caller, Ledger
from release_ledger.projection import FoldedSource, environment_stream, fold_now, project_stream, relevant
from release_ledger.projection.folded import fold_events, fold_streams, stored_events
from release_ledger.projection.live import sealed
from release_ledger.store import Statement, Store
from release_ledger.store.store import head_of
from release_ledger.testing.histories import ENVIRONMENTS, Step, begin, carry_out, histories

PROJECTS = itertools.count(1)
FEW = settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
BY = Caller(recorded_by="tests")


@FEW
@given(history=histories, splits=st.sets(st.integers(0, 25)), a_page=st.integers(2, 6), few=st.integers(1, 30))
def test_kept_and_gone_on_is_folded_anew(
    ledger: Ledger, history: list[Step], splits: set[int], a_page: int, few: int
) -> None:
    """After any history, asked for at any points of it and folded in pages of any length, every row is the same."""
    project = f"project-{next(PROJECTS)}"
    streams = [project_stream(project), *(environment_stream(project, name) for name in ENVIRONMENTS)]
    begin(ledger, project, BY)

    with pytest.MonkeyPatch.context() as patch:
        for name in ("store.store", "projection.kept", "projection.folded"):
            patch.setattr(f"release_ledger.{name}.EVENTS_PER_READ", a_page)
        patch.setattr("release_ledger.projection.kept.FEW_EVENTS", few)
        for number, step in enumerate(history):
            carry_out(ledger, project, step, BY)
            if number in splits:
                with fold_now(ledger.store, streams[number % 3 :]):
                    pass
        with fold_now(ledger.store, streams) as source:
            kept = {stream: rows_of(source, stream) for stream in streams}
        at_once = fold_streams(ledger.store, [head_of(ledger.store, stream) for stream in streams])

    assert kept == {stream: folded_at_once(ledger.store, stream) for stream in streams}
    assert kept == {stream: rows_of(at_once, stream) for stream in streams}
    at_once.close()


def rows_of(source: FoldedSource, stream: str) -> dict[str, list[dict[str, Any]]]:
    """Every row of a stream by projection, with its seal."""
    assert source.failed[stream] == {}
    found = {}
    for projection in relevant(stream):
        table = projection.table
        everything = Statement(select(table).where(table.c.stream == bindparam("of_stream")))
        found[projection.name] = in_order(source.read(everything, {"of_stream": stream}))
    return found


def folded_at_once(store: Store, stream: str) -> dict[str, list[dict[str, Any]]]:
    """The same, from rows that are held in memory from the first event to the last."""
    head = head_of(store, stream)
    rows, failed = fold_events(relevant(stream), stored_events(store, head))
    assert failed == {}
    place = {"stream": stream, "generation": head.generation}
    return {
        projection.name: in_order(
            place | (sealed(projection, stream, key, row) or {}) for key, row in rows[projection.name].items()
        )
        for projection in relevant(stream)
    }


def in_order(rows: Any) -> list[dict[str, Any]]:
    return sorted(rows, key=repr)
