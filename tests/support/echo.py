"""A WSGI application that says how it was called, answers late, and streams; as such and behind our front.

For granian's command line: `tests.support.echo:application` (wsgi), `tests.support.echo:front` (asgi). The front's
limits are short here.
"""

import json
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from release_ledger.cli import limits
from release_ledger.cli.front import Front

PIECE = b"x" * 65_536
WAITING_S = 2
COUNTS = {"waiting": 0, "pieces": 0, "closed": 0}

limits.BODY_WITHIN_S, limits.TURN_WITHIN_S = 0.5, 0.5  # type: ignore[misc] # Final elsewhere


def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    """/stream without end, /wait for two seconds, /counts of these; on any other path what is in the environ."""
    environ["wsgi.input"] = environ["wsgi.input"].read().decode("latin-1")
    path = environ["PATH_INFO"]
    if path == "/stream":
        start_response("200 OK", [("Content-Type", "text/plain")])
        return Stream()
    if path == "/wait":
        COUNTS["waiting"] += 1
        time.sleep(WAITING_S)
    said = COUNTS if path == "/counts" else {name: value for name, value in environ.items() if isinstance(value, str)}
    body = json.dumps(said).encode()
    start_response("200 OK", [("Content-Type", "application/json"), ("Content-Length", str(len(body)))])
    return iter([body])


class Stream:
    """Without end; its generator would be closed with the last reference to it, this only by who calls `close`."""

    def __iter__(self) -> Iterator[bytes]:
        while True:
            COUNTS["pieces"] += 1
            yield PIECE

    def close(self) -> None:
        COUNTS["closed"] += 1


front = Front(application)
