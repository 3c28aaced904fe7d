"""Mending one stream: the rebuild of this stream alone. It waits for one of the whole database."""

from __future__ import annotations

from ..store import Store
from .alone import alone
from .rebuild import rebuild_stream


def mend(store: Store, stream: str) -> bool:
    """Make every projection of this stream live again; whether all are.

    One whose code fails on the stream, or whose rows are refused, stays set aside, and the fault says why. A
    stream with an event that cannot be read here is left as it was.
    """
    with alone(store.database, wait=True) as seat:
        rebuilt = rebuild_stream(seat, stream)
    return not rebuilt.faults and not rebuilt.left
