"""The loop of a worker: it takes what is wanted, in the order of each environment, and carries it out side by side."""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from datetime import UTC, datetime
from itertools import groupby
from math import inf
from typing import Final

import structlog

from ..errors import LedgerUnavailable
from ..github import GitHub
from ..ledger import Ledger
from ..ledger.outbox_questions import Wish
from ..outgoing import Outgoing
from ..settings import Settings
from ..versions import read_moment
from .errands import Errands
from .kinds import Means
from .leases import Key, Leases
from .registry import KINDS
from .timing import Timing
from .watch import Watch

AT_ONCE: Final = 16
ELSEWHERE_S: Final = 10.0
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
        # What this worker holds: by wish, when it is to be tried (again); infinite while it is being carried out.
        self._due: dict[Key, float] = {}
        self._in_doubt: dict[Key, bool] = {}
        self._under_way: set[Future[None]] = set()
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
        self._under_way = {future for future in self._under_way if not future.done()}
        if self._due:
            self._leases.renew()
        wanted = {_key(wish): wish for wish in [*self._ledger.wanted(), *self._elsewhere]}
        for key in [key for key, due in self._due.items() if key not in wanted and due < inf]:
            self._forget(key)  # somebody else has settled it
        for wish in self._next(wanted.values()):
            if len(self._under_way) >= 2 * AT_ONCE:
                break  # other workers have time, or this one has later
            if self._due.get(_key(wish), now) <= now:
                self._begin(pool, wish)
        if now >= self._look_at and (self._looking is None or self._looking.done()):
            self._look_at, self._looking = now + self._timing.watch_s, pool.submit(self._look)
            self._under_way.add(self._looking)

    def _begin(self, pool: ThreadPoolExecutor, wish: Wish) -> None:
        key = _key(wish)
        held, calling_for = self._leases.take(key)
        if held:
            self._due[key] = inf
            self._in_doubt[key] = calling_for is not None
            self._under_way.add(pool.submit(self._carry_out, key, wish, calling_for))

    def _forget(self, key: Key) -> None:
        del self._due[key]
        self._in_doubt.pop(key, None)
        self._leases.give_back(key)

    def _next(self, wanted: Iterable[Wish]) -> Iterator[Wish]:
        """What may be carried out now: cancels first, the rest of an environment in order, after its cancels.

        But a cancel holds others back for a while only, and so does a call in doubt for a deployment that has ended:
        an incident's rollback waits for neither. Wishes of a project are about one candidate each, and wait for none.
        """
        ordered = sorted(wanted, key=lambda wish: (wish.stream, wish.kind != "cancel", wish.wanted_version))
        for _, of_stream in groupby(ordered, key=lambda wish: wish.stream):
            wishes = list(of_stream)
            cancels = [wish for wish in wishes if wish.kind == "cancel"]
            yield from cancels
            held_from = min((wish.wanted_version for wish in cancels if not self._waited(wish)), default=None)
            for wish in wishes[len(cancels) :]:
                if wish.environment_name and held_from is not None and wish.wanted_version > held_from:
                    break
                yield wish
                if wish.environment_name and not self._lets_pass(wish, is_last=wish is wishes[-1]):
                    break

    def _lets_pass(self, wish: Wish, *, is_last: bool) -> bool:
        """Whether what follows a trigger need not wait for it: its deployment has ended, by a rollback say."""
        key = _key(wish)
        due = self._due.get(key)
        if is_last or due is None or due == inf:
            return False
        in_doubt = self._in_doubt.get(key, False)
        if not self._errands.has_ended(wish, in_doubt=in_doubt):
            return False
        return not in_doubt or self._waited(wish)

    def _waited(self, wish: Wish) -> bool:
        waited = (datetime.now(UTC) - read_moment(wish.wanted_at)).total_seconds()
        return waited > self._timing.cancel_holds_s

    def _carry_out(self, key: Key, wish: Wish, calling_for: float | None) -> None:
        pause: float | None = AFTER_ERROR_S
        try:
            # As it stands now: it was read before the lease was taken, and another may have carried it out since.
            current = self._ledger.again(wish)
            pause = self._errands.carry_out(current, calling_for) if current is not None else None
            if pause is None:
                self._leases.give_back(key)
        except LedgerUnavailable as error:
            pause = self._timing.first_pause_s
            _LOG.warning("a wish waits for the ledger", kind=key.kind, reason=repr(error.__cause__ or error))
        except Exception:
            _LOG.exception("a wish could not be carried out", stream=key.stream, kind=key.kind, number=key.number)
        self._in_doubt[key] = pause is not None and self._in_doubt.get(key, False)
        # One that is done is kept for a moment, so that an older list of what is wanted does not begin it again.
        self._due[key] = time.monotonic() + (pause if pause is not None else 2 * self._timing.poll_s)

    def _look(self) -> None:
        """Look at what is silent, and now and then for wishes in streams whose outbox is not live."""
        self._guarded(self._watch.look)
        now = time.monotonic()
        if now >= self._elsewhere_at:
            self._elsewhere_at = now + ELSEWHERE_S
            self._guarded(self._look_elsewhere)

    def _look_elsewhere(self) -> None:
        self._elsewhere = self._ledger.wanted_elsewhere()
        self._watch.look(elsewhere=True)


def _key(wish: Wish) -> Key:
    return Key(wish.stream, wish.kind, wish.number)
