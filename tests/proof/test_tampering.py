"""Whatever somebody does to the tables with SQL is found, and named at the right event: there and on an export."""

from typing import Final

import pytest

from release_ledger.proof import make_checkpoint
from tests.support.histories import PRODUCTION, STAGING, run

from .ledgers import Ledger

AT: Final = f"WHERE stream = '{PRODUCTION}' AND version = {{}}"
OF: Final = f"WHERE stream = '{PRODUCTION}'"
UP: Final = "UPDATE events SET {} " + AT
# Version by version, because the key is checked at each row.
MOVE: Final = "UPDATE events SET version = {1} " + AT.format("{0}")


def moved(*steps: tuple[int, int]) -> list[str]:
    return [MOVE.format(before, after) for before, after in steps]


COLUMNS: Final = {
    "stream": "stream = 'environment/shop/elsewhere'",
    "version": "version = version + 1000",
    "topic": "topic = 'deployment-reported-twice'",
    "state": "state = x'7b7d'",
    "recorded_at": "recorded_at = '2020-01-01T00:00:00.000000+00:00'",
    "digest": "digest = x'" + "00" * 32 + "'",
}
WORDS: Final = {"stream": "missing", "version": "reordered"}


def test_what_nobody_touched_is_verified(ledger: Ledger) -> None:
    """No false alarm: by itself, against both checkpoints, and offline."""
    verified = ledger.verified()

    assert (verified.streams, verified.events, verified.leaves, verified.checkpoints) == (2, 10, 4, 2)
    assert verified.found == []
    assert ledger.found(ledger.early) == ledger.found(ledger.late) == set()
    assert ledger.offline() == ledger.offline(ledger.early) == ledger.offline(ledger.late) == set()


@pytest.mark.parametrize("version", [1, 2, 4, 6])
@pytest.mark.parametrize("column", COLUMNS)
def test_an_edited_column_of_any_event_is_found(ledger: Ledger, column: str, version: int) -> None:
    """The event is named, and of two that changed places in the stream the first."""
    ledger.tamper(UP.format(COLUMNS[column], version))

    expected = (PRODUCTION, version, WORDS.get(column, "edited"))
    assert expected in ledger.found()
    assert expected in ledger.offline()
    assert {each[1] for each in ledger.found() if each[0] == PRODUCTION} == {version}


@pytest.mark.parametrize("column", COLUMNS)
def test_an_edited_column_of_the_newest_event_is_found(ledger: Ledger, column: str) -> None:
    """Nothing follows it; the head and the leaf do not fit."""
    ledger.tamper(UP.format(COLUMNS[column], 7))

    expected = (PRODUCTION, 7, {"stream": "cut off", "version": "reordered"}.get(column, "edited"))
    assert expected in ledger.found()
    assert expected in ledger.offline()


def test_an_event_of_a_stream_without_a_head_is_found(ledger: Ledger) -> None:
    """Nobody recorded it there: neither a head nor a leaf knows the stream."""
    ledger.tamper(UP.format(COLUMNS["stream"], 3))

    expected = {(PRODUCTION, 3, "missing"), ("environment/shop/elsewhere", 3, "inserted")}
    assert ledger.found() == ledger.offline() == expected


@pytest.mark.parametrize("version", [2, 4, 6])
@pytest.mark.parametrize("position", [-5, 500_000])
def test_an_edited_position_is_found(ledger: Ledger, version: int, position: int) -> None:
    """Numbers rise within a stream. That of the newest event may be any larger one (docs/proof.md)."""
    ledger.tamper(UP.format(f"position = {position}", version))

    assert ledger.found() == ledger.offline() == {(PRODUCTION, version, "edited")}


DROP: Final = "DELETE FROM events " + AT
SWAP: Final = [*moved((3, -3), (4, 3)), MOVE.format(-3, 4)]
INSERT: Final = (
    "INSERT INTO events (stream, version, topic, state, recorded_at, digest) SELECT stream, {}, topic, state,"
    " recorded_at, digest FROM events " + AT.format(2)
)
AFTER_THREE: Final = moved((7, 8), (6, 7), (5, 6), (4, 5), (3, 4))
LAST_HEAD: Final = (
    f"UPDATE streams SET (version, digest, recorded_at) = (SELECT version, digest, recorded_at FROM events {OF}"
    f" ORDER BY version DESC LIMIT 1) {OF}"
)


@pytest.mark.parametrize(
    ("statements", "version", "word"),
    [
        pytest.param([DROP.format(1)], 1, "missing", id="the first dropped"),
        pytest.param([DROP.format(3)], 3, "missing", id="one dropped"),
        pytest.param([DROP.format(3), DROP.format(4)], 3, "missing", id="two dropped"),
        pytest.param(
            [DROP.format(3), *moved((4, 3), (5, 4), (6, 5), (7, 6))], 3, "missing", id="dropped and closed up"
        ),
        pytest.param([DROP.format(7)], 7, "cut off", id="the end dropped"),
        pytest.param([f"DELETE FROM events {OF} AND version > 4"], 5, "cut off", id="the end cut off"),
        pytest.param([f"DELETE FROM events {OF}"], 1, "cut off", id="all dropped"),
        pytest.param(SWAP, 3, "reordered", id="two swapped"),
        pytest.param([*moved((2, -2), (6, 2)), MOVE.format(-2, 6)], 2, "reordered", id="two far apart swapped"),
        pytest.param([*AFTER_THREE, INSERT.format(3)], 3, "inserted", id="one inserted"),
        pytest.param([INSERT.format(0)], 0, "inserted", id="one inserted before the first"),
        pytest.param([INSERT.format(8)], 8, "inserted", id="one inserted after the newest"),
        pytest.param([*moved((7, 8)), INSERT.format(7)], 7, "inserted", id="one inserted before the newest"),
        pytest.param([f"UPDATE streams SET version = 9 {OF}"], 8, "cut off", id="the head ahead"),
        pytest.param([f"UPDATE streams SET version = 5 {OF}"], 6, "inserted", id="the head behind"),
        pytest.param([f"UPDATE streams SET digest = x'00' {OF}"], 7, "head", id="the head's digest"),
        pytest.param([f"UPDATE streams SET recorded_at = 'never' {OF}"], 7, "head", id="the head's moment"),
        pytest.param([f"DELETE FROM streams {OF}"], 7, "head", id="the head dropped"),
    ],
)
def test_dropping_inserting_and_swapping_is_found(
    ledger: Ledger, statements: list[str], version: int, word: str
) -> None:
    """Named at the event where the history ceases to be what was recorded; nothing is said of other streams."""
    ledger.tamper(*statements)

    assert ledger.found() == ledger.offline() == {(PRODUCTION, version, word)}


def test_a_truncated_stream_with_a_head_to_match_is_found_by_the_checkpoints(ledger: Ledger) -> None:
    """It is a valid chain: what was signed before tells."""
    ledger.tamper(f"DELETE FROM events {OF} AND version > 5", LAST_HEAD)

    assert ledger.found() == ledger.offline() == {(PRODUCTION, 6, "cut off")}


def test_a_truncation_with_its_checkpoint_is_found_by_one_that_was_carried_away(ledger: Ledger) -> None:
    """Somebody who removes the leaves and the checkpoint as well leaves a ledger that is whole: but for your note."""
    ledger.tamper(
        f"DELETE FROM events {OF} AND version > 5",
        LAST_HEAD,
        f"DELETE FROM checkpoint_leaves WHERE position >= {ledger.early.size}",
        f"DELETE FROM checkpoints WHERE size > {ledger.early.size}",
    )

    assert ledger.found() == ledger.offline() == ledger.found(ledger.early) == ledger.offline(ledger.early) == set()
    assert ledger.found(ledger.late) == ledger.offline(ledger.late) == {(None, None, "cut off")}


def test_a_rewritten_chain_is_found_by_the_checkpoints(ledger: Ledger) -> None:
    """Every digest made anew after an edit: the chain holds, and is not the one that was signed."""
    ledger.tamper(UP.format("state = x'7b7d'", 2))
    ledger.rewrite()

    assert ledger.found() == ledger.offline() == {(PRODUCTION, 4, "rewritten")}


def test_a_rewritten_ledger_is_found_by_a_checkpoint_that_was_carried_away(ledger: Ledger) -> None:
    """Chain, head, leaves and roots all made anew: only what left the machine tells."""
    ledger.tamper(UP.format("state = x'7b7d'", 2))
    ledger.rewrite()
    ledger.tamper("DELETE FROM checkpoint_leaves", "DELETE FROM checkpoints")
    make_checkpoint(ledger.store, None)

    assert ledger.found() == ledger.offline() == set()
    assert (None, None, "checkpoint") in ledger.found(ledger.early)
    assert (None, None, "checkpoint") in ledger.offline(ledger.early)


def test_a_rewritten_end_is_found_by_a_checkpoint_that_was_carried_away(ledger: Ledger) -> None:
    """The tree has the same beginning and as many leaves; its root is another."""
    ledger.tamper(UP.format("state = x'7b7d'", 6))
    ledger.rewrite(from_version=6)
    ledger.tamper("DELETE FROM checkpoint_leaves WHERE position > 1", "DELETE FROM checkpoints WHERE size > 2")
    make_checkpoint(ledger.store, None)

    assert ledger.found() == ledger.offline() == ledger.found(ledger.early) == ledger.offline(ledger.early) == set()
    assert ledger.found(ledger.late) == ledger.offline(ledger.late) == {(None, None, "checkpoint")}


def test_a_stream_that_begins_late_is_found(ledger: Ledger) -> None:
    """Its first events dropped and the chain made anew from the third on: the ledger's streams begin at 1."""
    ledger.tamper(f"DELETE FROM events {OF} AND version < 3")
    ledger.rewrite()

    assert (PRODUCTION, 1, "missing") in ledger.found()
    assert (PRODUCTION, 1, "missing") in ledger.offline()


@pytest.mark.parametrize(
    ("statement", "expected"),
    [
        ("UPDATE checkpoint_leaves SET digest = x'" + "00" * 32 + "' WHERE position = 0", "checkpoint"),
        ("UPDATE checkpoint_leaves SET version = 3 WHERE position = 0", "checkpoint"),
        (f"UPDATE checkpoint_leaves SET stream = '{STAGING}' WHERE position = 0", "checkpoint"),
        ("UPDATE checkpoint_leaves SET digest = x'" + "00" * 32 + "' WHERE position = 1", "checkpoint"),
        ("UPDATE checkpoint_leaves SET digest = x'" + "00" * 32 + "' WHERE position = 2", "checkpoint"),
        ("UPDATE checkpoint_leaves SET version = 9 WHERE position = 2", "checkpoint"),
        ("UPDATE checkpoint_leaves SET position = 9 WHERE position = 1", "leaf"),
        ("DELETE FROM checkpoint_leaves WHERE position = 1", "leaf"),
        ("DELETE FROM checkpoint_leaves WHERE position = 3", "cut off"),
        ("UPDATE checkpoints SET root = x'" + "00" * 32 + "' WHERE size = 4", "checkpoint"),
        ("UPDATE checkpoints SET size = 3 WHERE size = 2", "checkpoint"),
        ("UPDATE checkpoints SET note = 'none' WHERE size = 4", "checkpoint"),
        ("UPDATE checkpoints SET note = replace(note, '\n\n', '\nI owe you\n\n') WHERE size = 4", "checkpoint"),
        ("UPDATE checkpoints SET note = replace(note, 'release', 'another') WHERE size = 4", "checkpoint"),
    ],
)
def test_edited_leaves_and_checkpoints_are_found(ledger: Ledger, statement: str, expected: str) -> None:
    """Leaves by the roots over them, roots by the leaves, notes by both."""
    ledger.tamper(statement)

    assert (None, None, expected) in ledger.found()
    if "leaves" in statement:
        assert None in {stream for stream, _, _ in ledger.offline()}


def test_each_stream_is_named_once(ledger: Ledger) -> None:
    """The first bad event of each stream, however many there are."""
    ledger.tamper("UPDATE events SET state = x'7b7d' WHERE version >= 2")

    assert ledger.found() == ledger.offline() == {(PRODUCTION, 2, "edited"), (STAGING, 2, "edited")}


def test_a_stream_that_is_gone_is_found_by_its_leaf(ledger: Ledger) -> None:
    """Events and head: nothing is left of it but what was signed."""
    ledger.tamper(f"DELETE FROM events WHERE stream = '{STAGING}'", f"DELETE FROM streams WHERE stream = '{STAGING}'")

    assert {each[:2] for each in ledger.found()} == {each[:2] for each in ledger.offline()} == {(STAGING, 1)}
    assert run(ledger.store, f"SELECT * FROM events WHERE stream = '{STAGING}'") == []
