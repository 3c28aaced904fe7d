"""How many requests one token may make, and how many wrong tokens one address may try. Counted in each process.

Ours and not the library `limits`: its storage in memory starts a thread every 10 ms under load, and keeps every address
that ever came until its window ends, however many there are.
"""

from __future__ import annotations

import ipaddress
import math
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Final

from flask import current_app

from ..errors import TooManyRequests

WINDOW_S: Final = 10
WRONG_TOKENS_PER_S: Final = 100
KEYS: Final = 10_000
_ROUNDING_S: Final = 1e-6
_IPV6_BITS: Final = 64  # what one subscriber is given


class Buckets:
    """One bucket of requests for each key: `per_s` flow in every second, ten seconds' worth fit in. 0: no limit.

    The `KEYS` used last are kept; one that was forgotten begins again with a full bucket.
    """

    def __init__(self, per_s: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._per_s, self._clock = per_s, clock
        self._full_at: OrderedDict[str, float] = OrderedDict()
        self._turn = threading.Lock()

    def __len__(self) -> int:
        return len(self._full_at)

    def check(self, key: str) -> None:
        """Raise `TooManyRequests`, with the seconds until there is one again, where the bucket is empty."""
        if self._per_s:
            self._check(key, self._clock())

    def take(self, key: str) -> None:
        """Take one request out, also of an empty bucket: nobody waits longer for it than for a full window."""
        if self._per_s:
            with self._turn:
                self._take(key, self._clock())

    def check_and_take(self, key: str) -> None:
        """Take one request out. Raises `TooManyRequests`; what is refused takes nothing."""
        if self._per_s:
            with self._turn:
                now = self._clock()
                self._check(key, now)
                self._take(key, now)

    def _check(self, key: str, now: float) -> None:
        wait_s = self._full_at.get(key, now) - now + 1 / self._per_s - WINDOW_S
        if wait_s > _ROUNDING_S:
            raise TooManyRequests(retry_after_s=math.ceil(wait_s))

    def _take(self, key: str, now: float) -> None:
        full_at = max(self._full_at.pop(key, now), now) + 1 / self._per_s
        self._full_at[key] = min(full_at, now + WINDOW_S)
        if len(self._full_at) > KEYS:
            self._full_at.popitem(last=False)


class Rates:
    """The counts of one application. Tokens are known here by their digests, callers without one by their address."""

    def __init__(self, per_s: int, wrong_per_s: int | None = None, clock: Callable[[], float] = time.monotonic) -> None:
        """`per_s`: requests a second of one token; 0: nothing is limited. `wrong_per_s`: of one address."""
        self.of_tokens = Buckets(per_s, clock)
        self.of_strangers = Buckets((WRONG_TOKENS_PER_S if wrong_per_s is None else wrong_per_s) if per_s else 0, clock)
        self._good: OrderedDict[str, None] = OrderedDict()
        self._turn = threading.Lock()

    def before_lookup(self, token_sha256: str, address: str) -> None:
        """Spare the database another guess from an address that made too many. Raises `TooManyRequests`.

        A token that opened here before is looked up in any case: others behind the same address do not lock it out.
        """
        if token_sha256 not in self._good:
            self.of_strangers.check(network_of(address))

    def wrong(self, token_sha256: str, address: str) -> None:
        """The token opens nothing, or no more."""
        with self._turn:
            self._good.pop(token_sha256, None)
        self.of_strangers.take(network_of(address))

    def good(self, token_sha256: str) -> None:
        """The token opens; its request is counted. Raises `TooManyRequests`."""
        with self._turn:
            self._good[token_sha256] = None
            self._good.move_to_end(token_sha256)
            if len(self._good) > KEYS:
                self._good.popitem(last=False)
        self.of_tokens.check_and_take(token_sha256)


def rates() -> Rates:
    """The counts of this application."""
    found: Rates = current_app.extensions["rates"]
    return found


def network_of(address: str) -> str:
    """Whom an address stands for: itself, or the /64 of an IPv6 address, all of which one caller has."""
    if ":" not in address:
        return address
    try:
        parsed = ipaddress.IPv6Address(address.partition("%")[0])
    except ValueError:
        return address
    return str(parsed.ipv4_mapped or ipaddress.IPv6Network((parsed, _IPV6_BITS), strict=False))
