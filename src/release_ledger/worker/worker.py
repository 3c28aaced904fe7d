"""The loop of a worker: it takes what is wanted, in the order of each environment, and carries it out side by side."""

from __future__ import annotations

import secrets
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from math import inf
from typing import Final

import structlog

from ..errors import LedgerUnavailable
from ..github import GitHub
from ..ledger import Ledger
from ..ledger.outbox_questions import Wish
from ..outgoing import Outgoing
from ..settings import Settings
from .errands import Errands
from .kinds import Means
from .leases import Key, Leases, key_of
from .order import Held, by_waiting, called_for, next_of, waited_s
from .registry import KINDS
from .timing import Timing
from .watch import Watch

AT_ONCE: Final = 16
AFTER_ERROR_S: Final = 30.0
_LOG = structlog.get_logger("release_ledger.worker")


class Worker:
    """Carries out the outbox of one ledger until it is told to stop."""

    def __init__(self, ledger: Ledger, settings: Settings, timing: Timing | None = None) -> None:
        self._ledger, self._timing = ledger, timing or Timing(cancel_holds_s=settings.cancel_holds_s)
        self._leases = Leases(ledger.store, f"worker-{secrets.token_hex(8)}", self._timing.lease_s)
        outgoing = Outgoing(allow_private=settings.allow_private_addresses, trusted=[settings.github_url])
        github = GitHub(settings.github_url, settings.github_token, outgoing) if settings.github_token else None
        means = Means(settings, outgoing, github, is_ours=lambda its_id: bool(ledger.wishes_of(its_id)))
        kinds = {name: kind(means) for name, kind in KINDS.items()}
        self._errands = Errands(ledger, self._leases, kinds, github, self._timing)
        self._watch = Watch(ledger, self._leases, kinds, github, self._timing)
        self._held: dict[Key, Held] = {}
        self._under_way: dict[Future[None], str | None] = {}  # and whom it calls
        self._elsewhere: list[Wish] = []
        self._looking: Future[None] | None = None
        self._look_at = self._elsewhere_at = 0.0

    def run(self, stop: threading.Event) -> None:
        """Work until `stop` is set; then what is under way is finished, and everything else given back."""
        pool = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="errand")
        while not stop.wait(self._timing.poll_s):
            self._guarded(lambda: self._turn(pool))
        pool.shutdown(wait=False, cancel_futures=True)
        while not all(future.done() for future in self._under_way):
            self._guarded(self._leases.renew)
            wait(self._under_way, timeout=self._timing.poll_s)
        self._guarded(self._leases.stop)

    def _guarded(self, do: Callable[[], object]) -> None:
        try:
            do()
        except LedgerUnavailable as error:
            _LOG.warning("the ledger cannot be read", reason=repr(error.__cause__ or error))
        except Exception:
            _LOG.exception("a turn of the worker failed")

    def _turn(self, pool: ThreadPoolExecutor) -> None:
        now = time.monotonic()
        self._under_way = {future: called for future, called in self._under_way.items() if not future.done()}
        if self._held:
            self._leases.renew()
        wanted = {key_of(wish): wish for wish in [*self._ledger.wanted(), *self._elsewhere]}
        for key in [key for key, held in self._held.items() if key not in wanted and held.due < inf]:
            self._forget(key)
        self._begin_what_is_due(pool, wanted.values(), now)
        if now >= self._look_at and (self._looking is None or self._looking.done()):
            self._look_at, self._looking = now + self._timing.watch_s, pool.submit(self._look)
            self._under_way[self._looking] = None

    def _begin_what_is_due(self, pool: ThreadPoolExecutor, wanted: Iterable[Wish], now: float) -> None:
        """Not more at once than there is time for, and of one origin only so many, since all of it may hang."""

        def due(wish: Wish) -> float:
            held = self._held.get(key_of(wish))
            return held.due if held is not None else now - waited_s(wish)

        free = [wish for wish in next_of(wanted, self._timing.cancel_holds_s, self._lets_pass) if due(wish) <= now]
        called = Counter(self._under_way.values())
        for wish in by_waiting(free, due):
            if len(self._under_way) >= 2 * AT_ONCE:
                break  # other workers have time, or this one has later
            origin = called_for(wish)
            if (origin is None or called[origin] < max(1, AT_ONCE * 3 // 8)) and self._begin(pool, wish, origin):
                called[origin] += 1

    def _begin(self, pool: ThreadPoolExecutor, wish: Wish, called: str | None) -> bool:
        key = key_of(wish)
        is_ours, calling_for = self._leases.take(key)
        if is_ours:
            self._held[key] = Held(wish=wish, in_doubt=calling_for is not None)
            self._under_way[pool.submit(self._carry_out, key, wish, calling_for)] = called
        return is_ours

    def _forget(self, key: Key) -> None:
        """Somebody else has settled it; or its stream's outbox is not live just now, and it is wanted as before."""
        held = self._held[key]
        if not held.is_done:
            still = self._ledger.again(held.wish)
            if still is not None:
                self._elsewhere.append(still)
                return
            self._leases.done(key)
        del self._held[key]

    def _lets_pass(self, wish: Wish) -> bool:
        """Whether what follows a trigger need not wait for it: its deployment has ended, by a rollback say."""
        held = self._held.get(key_of(wish))
        if held is None or held.due == inf or not self._errands.has_ended(wish, in_doubt=held.in_doubt):
            return False
        return not held.in_doubt or waited_s(wish) > self._timing.cancel_holds_s

    def _carry_out(self, key: Key, wish: Wish, calling_for: float | None) -> None:
        pause: float | None = AFTER_ERROR_S
        try:
            # As it stands now: it was read before the lease was taken, and another may have carried it out since.
            current = self._ledger.again(wish)
            pause = self._errands.carry_out(current, calling_for) if current is not None else None
            if pause is None:
                self._leases.done(key)
        except LedgerUnavailable as error:
            pause = self._timing.first_pause_s
            _LOG.warning("a wish waits for the ledger", kind=key.kind, reason=repr(error.__cause__ or error))
        except Exception:
            _LOG.exception("a wish could not be carried out", stream=key.stream, kind=key.kind, number=key.number)
        held = self._held[key]
        held.is_done, held.in_doubt = pause is None, pause is not None and held.in_doubt
        held.due = time.monotonic() + (pause if pause is not None else 2 * self._timing.poll_s)

    def _look(self) -> None:
        """Look at what is silent, and now and then for wishes in streams whose outbox is not live."""
        self._guarded(self._watch.look)
        now = time.monotonic()
        if now >= self._elsewhere_at:
            self._elsewhere_at = now + self._timing.elsewhere_s
            self._guarded(self._look_elsewhere)

    def _look_elsewhere(self) -> None:
        self._elsewhere = self._ledger.wanted_elsewhere()
        self._watch.look(elsewhere=True)
