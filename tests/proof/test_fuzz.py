"""Each bit of each event of a small ledger, flipped once: every flip is found, there and on an export."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, Final

import psycopg
import pytest
from sqlalchemy.engine import make_url

from release_ledger.proof.chains import Chain
from release_ledger.proof.rows import Reader
from release_ledger.proof.streams import check_stream
from release_ledger.store import FIRST_DIGEST, Store, digest, open_store
from tests.support.histories import PRODUCTION, STAGING, append, configured, requested

from .ledgers import offline

COLUMNS: Final = ("stream", "version", "topic", "state", "recorded_at", "digest")


@pytest.fixture
def database_kind() -> str:
    """SQLite takes any bits; what PostgreSQL takes of them is a part of that."""
    return "sqlite"


@pytest.fixture
def small(upgraded_url: str) -> Iterator[Store]:
    with closing(open_store(upgraded_url)) as store:
        append(store, configured())
        append(store, requested(1, reason="ü"))
        append(store, configured(), stream=STAGING)
        yield store


def flips(value: Any) -> Iterator[Any]:
    """The value with one bit flipped, for each of its bits: as bytes for text, which need not be UTF-8 then."""
    if isinstance(value, int):
        for bit in range(64):
            flipped = (value ^ (1 << bit)) & (2**64 - 1)
            yield flipped - 2**64 if flipped >= 2**63 else flipped
        return
    raw = value if isinstance(value, bytes) else value.encode()
    for bit in range(8 * len(raw)):
        flipped_bytes = bytearray(raw)
        flipped_bytes[bit // 8] ^= 1 << bit % 8
        yield bytes(flipped_bytes)


def test_every_flipped_bit_is_found(small: Store, upgraded_url: str, tmp_path: Path) -> None:
    """In every column that the digest covers, and in the digest; the event, and no other, is named.

    One that went to another stream is named in both: where it is not, and where nobody recorded it.
    """
    found = exported = 0
    with (
        closing(Reader(small.database)) as reader,
        closing(sqlite3.connect(str(make_url(upgraded_url).database), isolation_level=None)) as connection,
    ):
        rows = connection.execute("SELECT position, stream, version, topic, state, recorded_at, digest FROM events")
        for position, *values in rows.fetchall():
            event = (values[0], values[1])
            for column, value in zip(COLUMNS, values, strict=True):
                for number, flipped in enumerate(flips(value)):
                    mark = "CAST(? AS TEXT)" if isinstance(value, str) else "?"
                    change = f"UPDATE events SET {column} = {mark} WHERE position = ?"
                    connection.execute(change, (flipped, position))
                    expected = {event, (_shown(flipped), event[1])} if column == "stream" else {event}
                    if column == "version" and flipped < 1 < value:
                        expected = {(event[0], flipped)}  # it stands before all others
                    assert named(reader) == expected, (column, value, flipped)
                    found += 1
                    if number % 97 == 0:
                        exported += 1
                        assert expected <= {each[:2] for each in offline(str(export(small, tmp_path)))}, column
                    back = f"UPDATE events SET {column} = ? WHERE position = ?"
                    connection.execute(back, (value, position))
    assert found > 8 * 1_000
    assert exported > 50


def named(reader: Reader) -> set[tuple[Any, int | None]]:
    """Stream and version of everything that is found."""
    names = [name for name, _ in reader.streams()]
    return {(name, each.version) for name in names for each in check_stream(reader, name, int).wrong}


def export(store: Store, folder: Path) -> Path:
    from release_ledger.proof.export import exported
    from release_ledger.proof.verification import Part

    file = folder / "export.jsonl"
    file.write_bytes(b"".join(exported(store.database, Part())))
    return file


def _shown(name: Any) -> Any:
    return name.decode("utf-8", "surrogateescape")


@pytest.mark.parametrize("column", ["topic", "state", "recorded_at", "digest", "stream", "version"])
@pytest.mark.parametrize("value", ["x'00'", "'7'", "2.5", "x'ff'"])
def test_a_value_of_another_type_is_found(small: Store, tmp_path: Path, column: str, value: str) -> None:
    """SQLite keeps what it is given, whatever the column was declared as."""
    with closing(Reader(small.database)) as reader, small.database.cursor() as cursor:
        cursor.execute(f"UPDATE events SET {column} = {value} WHERE stream = '{PRODUCTION}' AND version = 2")

        assert (PRODUCTION, 2) in named(reader)
    assert (PRODUCTION, 2) in {each[:2] for each in offline(str(export(small, tmp_path)))}


def test_text_in_the_place_of_bytes_is_found(small: Store, tmp_path: Path) -> None:
    """The same letters, and not what was recorded: nobody could read it."""
    with closing(Reader(small.database)) as reader, small.database.cursor() as cursor:
        cursor.execute(f"UPDATE events SET state = CAST(state AS TEXT) WHERE stream = '{PRODUCTION}' AND version = 2")

        assert [wrong[:2] for wrong in check_stream(reader, PRODUCTION, int).wrong] == [(2, "edited")]
    assert offline(str(export(small, tmp_path))) == {(PRODUCTION, 2, "edited")}


def test_bytes_are_no_text_that_looks_like_them() -> None:
    """A digest made for the base64 of a topic is none for the topic's bytes; nor one for a moment's."""
    shown = {"version": 1, "topic": "YWJj", "recorded_at": "YWJj", "state": b"{}"}
    made = digest(FIRST_DIGEST, stream="s", **shown)  # type: ignore[arg-type] # of its values' types

    assert Chain("s", 1).follow([(1, "YWJj", b"{}", "YWJj", made, 1)]) == 1
    assert Chain("s", 1).follow([(1, b"abc", b"{}", "YWJj", made, 1)]) == 0
    assert Chain("s", 1).follow([(1, "YWJj", b"{}", b"abc", made, 1)]) == 0


def test_a_chain_needs_no_text_to_be_utf8() -> None:
    """What cannot be hashed is no digest's, and no crash."""
    chain = Chain("s\udcff", None)

    assert chain.follow([(1, "t", b"{}", "r", bytes(32), 1)]) == 0
    assert chain.wrong([(1, "t", b"{}", "r", bytes(32), 1)]).word == "edited"


@pytest.mark.parametrize("database_kind", ["postgresql"])
def test_every_flipped_bit_that_postgresql_takes_is_found(upgraded_url: str) -> None:
    """A sample: text must be text there, without NUL."""
    with closing(open_store(upgraded_url)) as store, closing(Reader(store.database)) as reader:
        append(store, configured())
        append(store, requested(1, reason="ü"))
        with store.database.cursor() as cursor:
            cursor.execute(f"SELECT {', '.join(COLUMNS)} FROM events WHERE version = 2")
            [values] = cursor.fetchall()
            taken = 0
            for column, value in zip(COLUMNS, values, strict=True):
                for flipped in list(flips(value))[::7]:
                    given = flipped.decode("utf-8", "replace") if isinstance(value, str) else flipped
                    try:
                        cursor.execute(f"UPDATE events SET {column} = $1 WHERE topic = $2 OR version = 2", [given, "-"])
                    except psycopg.Error:
                        continue
                    taken += 1
                    wrong = check_stream(reader, PRODUCTION, int).wrong
                    is_first = column == "version" and flipped < 1  # it stands before all others
                    assert [each.version for each in wrong] == [flipped if is_first else 2], (column, flipped)
                    cursor.execute("DELETE FROM events WHERE position = (SELECT max(position) FROM events)")
                    cursor.execute(
                        f"INSERT INTO events ({', '.join(COLUMNS)}) VALUES ($1, $2, $3, $4, $5, $6)", list(values)
                    )
    assert taken > 100
