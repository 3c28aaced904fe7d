"""Watching a fold: it may ask neither a clock, nor chance, nor anything outside."""

from __future__ import annotations

import gc
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any, Final

_MODULES: Final = frozenset({"time", "io", "_io", "posix", "nt", "_sqlite3", "sqlite3", "_socket", "_random"})
_CALLS: Final = frozenset(
    {
        "datetime.now",
        "datetime.utcnow",
        "datetime.today",
        "date.today",
        "Random.random",
        "Random.getrandbits",
        "socket.connect",
        "Connection.execute",
        "Cursor.execute",
    }
)


class Impure(AssertionError):
    """A fold that asks the world would make other rows at every rebuild."""


@contextmanager
def watched() -> Iterator[None]:
    """Raise `Impure` where, in this thread, the interpreter's own functions for time, chance, files or sockets are
    called meanwhile. Everything else comes to these in the end.

    No garbage is collected meanwhile: what others do at a collection (hypothesis asks the clock) is not the fold's.
    """
    before, collects = sys.getprofile(), gc.isenabled()
    gc.disable()
    sys.setprofile(_refuse)
    try:
        yield
    finally:
        sys.setprofile(before)
        if collects:
            gc.enable()


def _refuse(_frame: FrameType, happens: str, called: Any) -> None:
    if happens != "c_call":
        return
    name = getattr(called, "__qualname__", "")
    if getattr(called, "__module__", None) in _MODULES or name in _CALLS:
        raise Impure(f"the fold calls {name}: it may ask neither a clock, nor chance, nor anything outside")
