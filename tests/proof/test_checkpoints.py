"""Checkpoints are made one after the other, of one moment each, and only over what was signed before."""

import json
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import pytest

from release_ledger.proof import Checkpoint, NotSound, make_checkpoint, newest_note, parse
from release_ledger.proof.merkle import Tree
from release_ledger.proof.note import is_signed_by
from release_ledger.proof.verification import Part
from release_ledger.store import Conflict, Store, open_store
from tests.support.histories import PRODUCTION, STAGING, append, configured, requested, run, succeeded

from .ledgers import Ledger, offline_alone
from .test_note import KEY, OTHER


def test_of_nothing_there_is_no_checkpoint(store: Store) -> None:
    """Nothing is recorded, nothing is signed."""
    assert make_checkpoint(store, KEY) is None
    assert newest_note(store) is None


def test_each_stream_that_moved_gets_a_leaf(store: Store) -> None:
    """And the others none; where none moved, it is the same checkpoint again."""
    append(store, configured())
    append(store, configured(), stream=STAGING)
    first = make_checkpoint(store, None)
    append(store, requested(1), succeeded(1), stream=STAGING)
    second, again = make_checkpoint(store, None), make_checkpoint(store, None)

    assert first is not None
    assert second is not None
    assert again is not None
    assert (first.leaves, second.leaves, again.leaves) == (2, 1, 0)
    assert again.checkpoint == second.checkpoint != first.checkpoint
    leaves = run(store, "SELECT position, stream, version FROM checkpoint_leaves ORDER BY position")
    assert [tuple(leaf.values()) for leaf in leaves] == [(0, PRODUCTION, 1), (1, STAGING, 1), (2, STAGING, 3)]
    assert newest_note(store) == second.checkpoint.note
    assert len(run(store, "SELECT * FROM checkpoints")) == 2


def test_a_checkpoint_can_be_signed_later_and_by_another_key(ledger: Ledger) -> None:
    """The tree is the same: a signature is added, and none is lost."""
    later, other, again = (make_checkpoint(ledger.store, key) for key in (KEY, OTHER, KEY))

    assert later is not None
    assert other is not None
    assert again is not None
    assert later.checkpoint.text == ledger.late.text
    assert len(later.checkpoint.signatures) == 1
    assert len(other.checkpoint.signatures) == 2
    assert again == other
    assert [is_signed_by(parse(newest_note(ledger.store) or ""), key.public_key()) for key in (KEY, OTHER)] == [
        True
    ] * 2
    assert ledger.verified(key=KEY.public_key()).signatures == 1
    assert ledger.found() == set()


def test_a_wrong_signature_is_found(ledger: Ledger) -> None:
    """Of a stored note, and of one that was carried away; a note that the key did not sign counts as none."""
    made = make_checkpoint(ledger.store, KEY)
    assert made is not None
    wrong = (
        made.checkpoint.note[:-8]
        + ("AAAA" if made.checkpoint.note[-8:-4] != "AAAA" else "BBBB")
        + made.checkpoint.note[-4:]
    )

    assert [each.word for each in ledger.verified(against=parse(wrong), key=KEY.public_key()).found] == ["signature"]
    assert [each.word for each in ledger.verified(against=ledger.late, key=KEY.public_key()).found] == ["signature"]
    assert ledger.verified(against=made.checkpoint, key=KEY.public_key()).found == []
    ledger.tamper(f"UPDATE checkpoints SET note = '{wrong}' WHERE size = 4")
    assert [each.word for each in ledger.verified(key=KEY.public_key()).found] == ["signature"]


@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM checkpoint_leaves WHERE position = 3",
        "DELETE FROM checkpoint_leaves WHERE position = 0",
        "UPDATE checkpoint_leaves SET version = 2 WHERE position = 0",
        "DELETE FROM checkpoints WHERE size = 4",
        "UPDATE checkpoints SET root = x'00' WHERE size = 4",
        "UPDATE checkpoints SET note = 'junk' WHERE size = 4",
        "UPDATE checkpoints SET note = replace(note, '\n4\n', '\n5\n') WHERE size = 4",
        "UPDATE checkpoints SET note = replace(note, 'release-ledger/', 'another/') WHERE size = 4",
        "UPDATE checkpoints SET note = replace(note, '\n\n', '\nI owe you\n\n') WHERE size = 4",
        "UPDATE checkpoints SET note = (SELECT note FROM checkpoints WHERE size = 2) WHERE size = 4",
        f"UPDATE streams SET version = 6 WHERE stream = '{PRODUCTION}'",
        f"UPDATE streams SET digest = x'00' WHERE stream = '{PRODUCTION}'",
    ],
)
def test_nothing_is_signed_over_what_is_not_sound(ledger: Ledger, statement: str) -> None:
    """A key must not bless what was done to the tables: refused, and nothing is written."""
    ledger.tamper(statement)
    before = run(ledger.store, "SELECT * FROM checkpoints ORDER BY size")

    with pytest.raises(NotSound):
        make_checkpoint(ledger.store, KEY)

    assert run(ledger.store, "SELECT * FROM checkpoints ORDER BY size") == before


def test_nothing_is_signed_where_a_stream_is_gone(ledger: Ledger) -> None:
    """Events and head: no stream that is there could tell, and the older leaf does. Also where others moved since."""
    ledger.tamper(f"DELETE FROM events WHERE stream = '{STAGING}'", f"DELETE FROM streams WHERE stream = '{STAGING}'")

    with pytest.raises(NotSound, match="staging was signed before, and is not there"):
        make_checkpoint(ledger.store, KEY)
    append(ledger.store, requested(4))
    with pytest.raises(NotSound, match="staging was signed before, and is not there"):
        make_checkpoint(ledger.store, None)


@pytest.mark.parametrize("database_kind", ["sqlite"])
@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE checkpoints SET note = CAST(note AS BLOB) WHERE size = 4",
        "UPDATE checkpoints SET root = 'text' WHERE size = 4",
        "UPDATE checkpoint_leaves SET digest = 'text' WHERE position = 3",
        f"UPDATE streams SET digest = 'text' WHERE stream = '{PRODUCTION}'",
        f"UPDATE streams SET version = 'text' WHERE stream = '{PRODUCTION}'",
    ],
)
def test_a_value_of_another_type_is_not_sound(ledger: Ledger, statement: str) -> None:
    """SQLite keeps what it is given: nothing is signed, an export can be made, and both verifiers tell."""
    ledger.tamper(statement)

    with pytest.raises(NotSound):
        make_checkpoint(ledger.store, KEY)
    assert ledger.found() != set()
    assert "root" in statement or ledger.offline() != set()


def test_with_the_key_a_note_without_its_signature_is_found(ledger: Ledger) -> None:
    """The newest must be signed, and whatever follows a signed one; what was made before there was a key need not."""
    key = KEY.public_key()
    assert [each.word for each in ledger.verified(key=key).found] == ["signature"]
    make_checkpoint(ledger.store, KEY)
    assert ledger.verified(key=key).found == []

    append(ledger.store, requested(4))
    make_checkpoint(ledger.store, None)
    [newest] = ledger.verified(key=key).found
    append(ledger.store, succeeded(4))
    make_checkpoint(ledger.store, KEY)
    [between] = ledger.verified(key=key).found

    assert newest.what == between.what == "the checkpoint of 5 leaves is not signed with this key, and one before it is"
    assert ledger.verified().found == []


def test_a_stripped_signature_is_found_with_the_key(ledger: Ledger) -> None:
    """Somebody made a signed note an unsigned one."""
    made = make_checkpoint(ledger.store, KEY)
    assert made is not None
    ledger.tamper(f"UPDATE checkpoints SET note = '{made.checkpoint.text}\n' WHERE size = 4")

    found = ledger.verified(key=KEY.public_key()).found

    assert [each.word for each in found] == ["signature"]
    assert found[0].what == "the checkpoint of 4 leaves is the newest, and is not signed with this key"


def test_a_note_of_no_leaves_must_have_the_root_of_none(ledger: Ledger) -> None:
    """Every tree begins with the empty one: such a note proves nothing, and must be right all the same."""
    nothing, lie = (Checkpoint(origin=ledger.early.origin, size=0, root=root) for root in (Tree().root, bytes(32)))

    assert ledger.found(nothing) == ledger.offline(nothing) == set()
    assert ledger.found(lie) == ledger.offline(lie) == {(None, None, "checkpoint")}


def test_many_at_once_are_one_after_the_other(store: Store, upgraded_url: str) -> None:
    """While others append: each is of one moment, no leaf twice, and the whole verifies."""
    streams = [PRODUCTION, STAGING, "environment/shop/canary"]
    for stream in streams:
        append(store, configured(), stream=stream)
    done = threading.Event()

    def writes(stream: str) -> int:
        number = 0
        with closing(open_store(upgraded_url)) as own:
            while not done.is_set() and number < 200:
                number += 1
                append(own, requested(number), succeeded(number), stream=stream)
        return number

    def checkpoints(_: int) -> list[int]:
        with closing(open_store(upgraded_url)) as own:
            made = [make_checkpoint(own, KEY) for _ in range(6)]
        return [each.checkpoint.size for each in made if each]

    with ThreadPoolExecutor() as pool:
        writers = [pool.submit(writes, stream) for stream in streams]
        sizes = [size for each in pool.map(checkpoints, range(4)) for size in each]
        done.set()
        assert all(each.result() > 0 for each in writers)

    ledger = Ledger(store, upgraded_url, *[parse(newest_note(store) or "")] * 2)  # type: ignore[arg-type] # no exports
    assert len(sizes) == 24
    assert ledger.verified(key=KEY.public_key()).found == []
    noted = {row["size"] for row in run(store, "SELECT size FROM checkpoints")}
    assert noted >= set(sizes)


def test_verifying_while_commands_go_on_finds_nothing(ledger: Ledger, upgraded_url: str) -> None:
    """No false alarm, by itself, against an older checkpoint, and of exports made meanwhile."""
    done = threading.Event()

    def writes(stream: str) -> None:
        number = 100
        with closing(open_store(upgraded_url)) as own:
            while not done.is_set():
                number += 1
                try:
                    append(own, requested(number), succeeded(number), stream=stream)
                    if number % 10 == 0:
                        make_checkpoint(own, None)
                except Conflict:
                    continue

    with ThreadPoolExecutor() as pool:
        writers = [pool.submit(writes, stream) for stream in (PRODUCTION, STAGING)]
        try:
            for _ in range(15):
                assert ledger.found(ledger.late) == set()
                assert ledger.offline(ledger.early) == set()
        finally:
            done.set()
        for each in writers:
            each.result()


@pytest.mark.parametrize("part", [Part(), Part(project="shop"), Part(project="shop", environment="staging")])
def test_an_export_verifies_with_the_standard_library_alone(ledger: Ledger, part: Part) -> None:
    """In a process without any package: all, a project, an environment."""
    file = str(ledger.export(part))
    assert offline_alone(file) == set()

    ledger.tamper(f"DELETE FROM events WHERE stream = '{STAGING}' AND version > 1")
    assert offline_alone(str(ledger.export(part))) == {(STAGING, 2, "cut off")}


def test_a_stream_that_was_taken_out_of_an_export_is_found(ledger: Ledger) -> None:
    """Its lines are gone and the counts at the end made to fit: the leaves still name it."""
    file = ledger.export()
    lines = [json.loads(line) for line in file.read_text().splitlines()]
    kept = [each for each in lines if each["line"] not in ("stream", "event") or each["stream"] != STAGING]
    kept[-1] |= {"streams": 1, "events": 7}
    file.write_text("".join(f"{json.dumps(each)}\n" for each in kept))

    assert offline_alone(str(file)) == {(STAGING, 1, "cut off")}
