"""The seal of a read model's row: a digest of its stream and values, by which damage shows where the row is read.

It tells an edited value, one that comes back as another type, and a row of another stream or of nobody. It is no
signature: who can write to the database can seal a row as well. See `docs/decisions/0011-sealed-rows.md`.
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import blake2b
from typing import Any, Final

import msgspec

SEAL: Final = "seal"
# A UUID, which a column of another type gives back, is not the text that was sealed.
_ENCODE = msgspec.msgpack.Encoder(uuid_format="bytes").encode


def seal(stream: str, values: Sequence[Any]) -> int:
    """The seal of a row: of its own columns' values in the order of the columns. Raises for what is no plain value."""
    return int.from_bytes(blake2b(_ENCODE((stream, *values)), digest_size=8).digest()) >> 1


def is_sealed(stream: str, values: Sequence[Any], found: object) -> bool:
    """Whether this seal, of a row as it was read, is the right one."""
    try:
        return seal(stream, values) == found
    except (TypeError, ValueError, OverflowError):  # what no row was ever sealed with
        return False
