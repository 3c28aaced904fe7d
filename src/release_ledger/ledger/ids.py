"""Ids that the ledger hands out."""

from __future__ import annotations

import secrets
import time
import uuid


def new_id() -> str:
    """An id in the order of time: UUID version 7 (RFC 9562)."""
    milliseconds = time.time_ns() // 1_000_000
    number = milliseconds << 80 | 0x7 << 76 | secrets.randbits(12) << 64 | 0b10 << 62 | secrets.randbits(62)
    return str(uuid.UUID(int=number))
