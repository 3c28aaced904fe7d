"""The form of an event's bytes and the digest chain over them; `docs/proof.md` specifies both, with test vectors.

This form is frozen: a ledger written today is verified by it for ever.
"""

from __future__ import annotations

import hashlib
from typing import Any, Final

import msgspec

FIRST_DIGEST: Final = bytes(32)
LARGEST_INTEGER: Final = 2**53 - 1
_DOMAIN: Final = b"release-ledger/1\n"
_ENCODER: Final = msgspec.json.Encoder(order="sorted")
_LEAVES: Final = frozenset((str, bool, type(None)))


class NotCanonical(ValueError):
    """The value has no place in an event: only strings, integers below 2^53, booleans, null, arrays and objects."""


def canonical(value: Any) -> bytes:
    """The one way to write a value: canonical JSON (RFC 8785) in UTF-8. Raises `NotCanonical`."""
    _check(value)
    try:
        return _ENCODER.encode(value)
    except UnicodeEncodeError as error:
        raise NotCanonical("a lone surrogate is not text") from error
    except TypeError as error:
        raise NotCanonical(str(error)) from error


def digest(previous: bytes, *, stream: str, version: int, topic: str, recorded_at: str, state: bytes) -> bytes:
    """The digest of an event: SHA-256 over its predecessor's digest and everything that is stored of the event."""
    entry = canonical([stream, version, topic, recorded_at, hashlib.sha256(state).hexdigest()])
    return hashlib.sha256(_DOMAIN + previous + entry).digest()


def _check(value: Any) -> None:
    if type(value) in _LEAVES or isinstance(value, str):
        return
    if isinstance(value, int):
        if not -LARGEST_INTEGER <= value <= LARGEST_INTEGER:
            raise NotCanonical("an integer of 2^53 or more")
    elif isinstance(value, (list, tuple)):
        for item in value:
            _check(item)
    elif isinstance(value, dict):
        for key, item in value.items():
            if not isinstance(key, str) or not key.isascii():
                raise NotCanonical("a key that is not ASCII text")
            if type(item) not in _LEAVES:
                _check(item)
    else:
        raise NotCanonical(f"a value of type {type(value).__name__}")
