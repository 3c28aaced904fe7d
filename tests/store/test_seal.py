"""The seal of a row: whatever was changed by hand shows, and what was only read back does not."""

import uuid
from typing import Any

import pytest

from release_ledger.projection import installed
from release_ledger.store import Store
from release_ledger.store.chain import NotCanonical
from release_ledger.store.codec import encode
from release_ledger.store.seal import SEAL, is_sealed, seal
from tests.support.histories import append, configured, requested, run, succeeded

VALUES = (7, "1.4.0-rc2", None, "x", 0)
DEPLOYMENT = "6f1c1a34-5f0c-4f4b-9f43-7f0f6f1c1a34"


def test_a_seal_is_for_ever() -> None:
    """Rows of an earlier release are read by the next one: another seal would make them all strangers."""
    assert seal("environment/shop/production", VALUES) == 4153408272955069079


@pytest.mark.parametrize(
    ("stream", "values"),
    [
        ("s/2", VALUES),
        ("s", (8, *VALUES[1:])),
        ("s", ("7", *VALUES[1:])),
        ("s", (7.0, *VALUES[1:])),
        ("s", (True, *VALUES[1:])),
        ("s", (7, b"1.4.0-rc2", *VALUES[2:])),
        ("s", (7, "1.4.0-rc2", "", "x", 0)),
        ("s", (7, "1.4.0-rc2", "x", None, 0)),
        ("s", (7, "1.4.0-rc2", None, "x", False)),
        ("s", (7, "1.4.0-rc2", None, "x", object())),
        ("s", (7, "1.4.0-rc2", None, "x", 1 << 70)),
        ("s", (7, "1.4.0-rc2", None, "x")),
        ("s", (7, "1.4.0-rc2", None, "x", 0, None)),
    ],
)
def test_another_value_or_type(stream: str, values: tuple[Any, ...]) -> None:
    """Another stream, value, type, place or number of values: none of them is what was sealed."""
    assert is_sealed("s", VALUES, seal("s", VALUES))
    assert not is_sealed(stream, values, seal("s", VALUES))


def test_what_a_column_of_another_type_gives_back() -> None:
    """A UUID is not its text, and a seal that came back as text is none."""
    assert not is_sealed("s", (uuid.UUID(DEPLOYMENT),), seal("s", (DEPLOYMENT,)))
    assert not is_sealed("s", VALUES, str(seal("s", VALUES)))
    assert not is_sealed("s", VALUES, None)


def test_every_row_that_is_written_is_sealed(store: Store) -> None:
    """Each table has the column, and a row in it matches."""
    append(store, configured(), requested(1), succeeded(1), requested(2))

    for projection in installed().values():
        columns = [column.name for column in projection.table.columns]
        own = [name for name in columns if name not in ("stream", "generation", SEAL)]
        for row in run(store, f'SELECT * FROM "{projection.table.name}"'):
            assert is_sealed(row["stream"], [row[name] for name in own], row[SEAL])


@pytest.mark.parametrize(("field", "value"), [("number", "1"), ("number", True), ("force", 1), ("reason", 7)])
def test_an_event_with_a_field_of_another_type(field: str, value: object) -> None:
    """It is refused before it is appended, wherever the value came from."""
    event = requested(1)
    encode(event)
    vars(event)[field] = value

    with pytest.raises(NotCanonical, match=field):
        encode(event)
