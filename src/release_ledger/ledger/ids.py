"""Ids that the ledger hands out."""

from __future__ import annotations

import secrets
import time
import uuid


def new_id() -> str:
    """An id in the order of time: UUID version 7 (RFC 9562)."""
    milliseconds, chance = time.time_ns() // 1_000_000, secrets.randbits(74)
    number = milliseconds << 80 | 0x7 << 76 | chance >> 62 << 64 | 0b10 << 62 | chance & (1 << 62) - 1
    return str(uuid.UUID(int=number))
