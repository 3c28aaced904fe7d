"""Where the exchange of one piece of work with PostgreSQL can be cut: between its messages, and inside them."""

import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from typing import Final, NamedTuple

from release_ledger.store import Store, open_store
from tests.support.histories import run
from tests.support.proxy import Direction, Proxy

CUT_OFF: Final = "cut-off"
DIRECTIONS: Final[tuple[Direction, ...]] = ("to_server", "to_client")
Point = tuple[Direction, int]


class Network(NamedTuple):
    """A database that is reached through a proxy, and directly."""

    proxy: Proxy
    url: str
    direct: Store

    def settle(self) -> None:
        """Return when no server process works for a connection that was lost or forgotten."""
        ours = f"datname = current_database() AND application_name = '{CUT_OFF}'"
        give_up_at = time.monotonic() + 20
        while run(self.direct, f"SELECT count(*) AS n FROM pg_stat_activity WHERE {ours}") != [{"n": 0}]:
            assert time.monotonic() < give_up_at, "a server process is still at work for nobody"
            time.sleep(0.002)


@contextmanager
def network(url: str) -> Iterator[Network]:
    """A proxy in front of this database."""
    with closing(open_store(url)) as direct, Proxy(direct.database.url.port or 0) as proxy:
        yield Network(proxy, f"{proxy.url(url)}?application_name={CUT_OFF}", direct)


def ends_of_messages(passed: bytes) -> list[int]:
    """The offsets at which the messages of an exchange begin, and that of its end."""
    ends = [0]
    while ends[-1] < len(passed):
        ends.append(ends[-1] + 1 + int.from_bytes(passed[ends[-1] + 1 : ends[-1] + 5], "big"))
    return ends


def points(proxy: Proxy, *, inside: int) -> list[Point]:
    """Each end of a message in what just passed, in both directions, and every so many bytes in between.

    The end of what went to the server: it has all that it needs, and works while nobody waits for the answer.
    The beginning of what came to the client: the work is done, and not a byte of the answer comes.
    """
    found: list[Point] = []
    for direction in DIRECTIONS:
        passed = bytes(proxy.passed[direction])
        offsets = {*ends_of_messages(passed), *range(1, len(passed), inside)}
        found += [(direction, offset) for offset in sorted(offsets)]
    return found


def every_byte(proxy: Proxy) -> list[Point]:
    """The offsets of what just passed, also where it is no sequence of messages: making a connection."""
    return [(direction, offset) for direction in DIRECTIONS for offset in range(len(proxy.passed[direction]) + 1)]


def spread(found: Sequence[Point], most: int, *, last: int = 1) -> list[Point]:
    """So many of them: the `last` of each direction, around the commit, and others evenly from the first on."""
    chosen: list[Point] = []
    for direction in DIRECTIONS:
        there = [point for point in found if point[0] == direction]
        if direction == "to_client":
            there.pop()  # all of the answer has come
        earlier, few = there[:-last], most // 2 - last
        chosen += [earlier[place * len(earlier) // few] for place in range(min(few, len(earlier)))] + there[-last:]
    return chosen
