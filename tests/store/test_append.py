"""Appending at an expected version: events, head and rows together, or nothing."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
from sqlalchemy import BigInteger, Column

from release_ledger.projection import read_model, verify
from release_ledger.store import Append, Change, Conflict, Head, Store, postgresql, transaction
from release_ledger.store.append import chained
from release_ledger.store.store import events_after, head_of
from tests.support.histories import (
    ALL_LIVE,
    PRODUCTION,
    STAGING,
    append,
    append_of,
    configured,
    requested,
    run,
    statuses,
    stored,
    succeeded,
    versions,
)


def test_an_append_is_seen_by_the_next_read_everywhere(store: Store, other_store: Store) -> None:
    """Events, head and rows are there when the append returns, for every process."""
    append(store, configured())

    positions = append(store, requested(1), succeeded(1))

    head = head_of(other_store, PRODUCTION)
    assert (head.version, head.folded, head.is_new) == (3, ALL_LIVE, False)
    assert versions(other_store) == [1, 2, 3]
    assert statuses(other_store) == {1: "success"}
    assert positions == [row["position"] for row in run(store, "SELECT position FROM events WHERE version > 1")]
    assert list(verify(other_store)) == [(PRODUCTION, [])]


def test_the_stored_bytes_are_the_appended_ones(store: Store) -> None:
    """What was digested is what is read, byte for byte."""
    made = append_of(store, configured(), requested(1, reason="für \U0001f680 \0 \u2028"))

    store.append(made)

    found = [(row["topic"], bytes(row["state"]), row["digest"]) for row in events_after(store, PRODUCTION)]
    assert found == [(event.topic, event.state, event.digest) for event in made.events]


def test_an_append_at_an_older_version_is_a_conflict(store: Store) -> None:
    """Somebody decided on a state that is no more: nothing is written, and it is for the caller to decide again."""
    append(store, configured())
    first, second = append_of(store, requested(1)), append_of(store, requested(1, reason="another's"))
    store.append(first)
    before = stored(store)

    with pytest.raises(Conflict):
        store.append(second)

    assert stored(store) == before


def test_two_that_begin_the_same_stream_conflict(store: Store) -> None:
    """Of two first events one is kept."""
    first, second = append_of(store, configured()), append_of(store, configured())
    store.append(first)

    with pytest.raises(Conflict):
        store.append(second)

    assert versions(store) == [1]


@pytest.mark.parametrize(
    "tampering",
    ["UPDATE streams SET version = version - 1", "DELETE FROM streams"],
    ids=["the head set back", "the head deleted"],
)
def test_the_key_of_the_events_guards_a_version_where_the_head_does_not(store: Store, tampering: str) -> None:
    """A head that somebody changed by hand does not let a version be recorded twice."""
    append(store, configured())
    append(store, requested(1))
    run(store, tampering)
    events = run(store, "SELECT * FROM events")

    with pytest.raises(Conflict):
        append(store, configured())

    assert run(store, "SELECT * FROM events") == events


@pytest.mark.parametrize("changed", ["generation = generation + 1", "folded = ''"])
def test_rows_folded_onto_others_than_the_live_ones_are_a_conflict(store: Store, changed: str) -> None:
    """A stream mended since the read, or rows of another definition: what was folded does not fit any more."""
    append(store, configured())
    made = append_of(store, requested(1))
    run(store, f"UPDATE streams SET {changed}")
    before = stored(store)

    with pytest.raises(Conflict):
        store.append(made)

    assert stored(store) == before


def test_several_streams_are_appended_to_together_or_not_at_all(store: Store) -> None:
    """A conflict in the second stream leaves the first one as it was."""
    append(store, configured())
    production, staging = append_of(store, requested(1)), append_of(store, configured(), stream=STAGING)
    outdated = append_of(store, configured(), stream=STAGING)

    positions = store.append_all([production, staging])
    before = stored(store)
    with pytest.raises(Conflict):
        store.append_all([append_of(store, succeeded(1)), outdated])

    assert len(set(positions)) == 2
    assert stored(store) == before
    assert list(verify(store)) == [(PRODUCTION, []), (STAGING, [])]


def test_of_many_writers_at_one_version_one_wins(store: Store) -> None:
    """The expected version is the whole concurrency story."""
    append(store, configured())
    made = [append_of(store, requested(1, reason=f"writer {number}")) for number in range(8)]

    def won(append: Append) -> bool:
        try:
            store.append(append)
        except Conflict:
            return False
        return True

    with ThreadPoolExecutor(8) as threads:
        results = list(threads.map(won, made))

    assert results.count(True) == 1
    assert versions(store) == [1, 2]
    assert head_of(store, PRODUCTION).digest == made[results.index(True)].last.digest


def test_a_row_that_a_projection_takes_away_is_gone(store: Store) -> None:
    """A change is the whole row, or none."""
    append(store, configured(), requested(1), requested(2))
    made = append_of(store, succeeded(2))
    [deployments] = [change for change in made.changes if change.projection == "deployments"]
    without_first = Change(
        projection="deployments", table=deployments.table, key=deployments.key, rows={**deployments.rows, (1,): None}
    )

    store.append(Append(head=made.head, events=made.events, folded=made.folded, changes=[without_first]))

    assert statuses(store) == {2: "success"}


def test_a_read_model_may_have_no_columns_but_its_key(store: Store) -> None:
    """A set is a read model too, and a row of it that is there already stays."""
    table = read_model("numbers", Column("number", BigInteger), key=("number",))
    with store.database.engine.begin() as connection:
        table.create(connection)
    head = Head(stream="s")
    for version in (1, 2):
        events = chained(head, [(version, "t", b"{}")], f"moment {version}")
        change = Change(projection="numbers", table=table, key=("number",), rows={(7,): {"number": 7}})
        made = Append(head=head, events=events, folded="", changes=[change])
        if store.database.is_postgresql:
            postgresql.write(store.database, made)
        else:
            transaction.write(store.database, [made], careful=False)
        head = head_of(store, "s")

    assert run(store, "SELECT number FROM numbers") == [{"number": 7}]


@pytest.mark.parametrize("is_new", [False, True])
def test_an_append_on_the_condition_that_another_stream_stands(store: Store, is_new: bool) -> None:
    """It is in while the other stream stands as it did; when that has moved, it is a conflict and writes nothing."""
    if not is_new:
        append(store, configured())
    append(store, configured(), stream=STAGING)
    then = head_of(store, STAGING).mark
    made = replace(append_of(store, *([configured()] if is_new else [requested(1)])), unmoved=[(STAGING, then)])
    append(store, requested(1), stream=STAGING)
    before = stored(store)

    with pytest.raises(Conflict):
        store.append(made)

    assert stored(store) == before
    assert store.append(replace(made, unmoved=[(STAGING, head_of(store, STAGING).mark), ("nowhere", "")]))


def test_an_append_on_the_condition_that_another_stream_is_not_there(store: Store) -> None:
    """A stream that has begun meanwhile has moved."""
    append(store, configured())
    made = replace(append_of(store, requested(1)), unmoved=[(STAGING, "")])
    append(store, configured(), stream=STAGING)

    with pytest.raises(Conflict):
        store.append(made)

    assert versions(store) == [1]
