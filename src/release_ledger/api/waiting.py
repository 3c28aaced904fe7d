"""A request that waits: it is answered, with nothing, and asked again once there may be something.

Between the tries it holds no thread, no transaction and no connection to the database: the server's front waits for it
(`cli/front.py`). Where another server is in the front, nobody waits.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final, NamedTuple

from flask import request

WAIT: Final = "release_ledger.wait"
UNTIL: Final = "release_ledger.wait_until"


class Wait(NamedTuple):
    """Until when (monotonic) an answer may wait, and whether it is worth asking again; that is asked in a thread."""

    until_s: float
    is_over: Callable[[], bool]


def waits() -> bool:
    """Whether this request is asked again, and what it is answered now is for nobody."""
    return UNTIL in request.environ and WAIT in request.environ


def wait(wait_s: float, is_over: Callable[[], bool]) -> None:
    """Let this answer wait, counted from the first try of the request."""
    until_s = request.environ.get(UNTIL) or time.monotonic() + wait_s
    if time.monotonic() < until_s:
        request.environ[WAIT] = Wait(until_s, is_over)
