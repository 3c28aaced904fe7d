"""The loop of a worker: it takes what is wanted, in the order of each environment, and carries it out side by side."""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from datetime import UTC, datetime
from itertools import groupby
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
from .github_actions import GitHubActions
from .kinds import Kind
from .leases import Key, Leases
from .signed_http import SignedHttp
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
        kinds: dict[str, Kind] = {
            "github": GitHubActions(github, lambda its_id: bool(ledger.wishes_of(its_id))),
            "http": SignedHttp(outgoing, settings.http_secret),
        }
        self._errands = Errands(ledger, self._leases, kinds, github, self._timing)
        self._watch = Watch(ledger, self._leases, kinds, github, self._timing)
        # What this worker holds: by wish, when it is to be tried (again); infinite while it is being carried out.
        self._due: dict[Key, float] = {}
        self._looking: Future[None] | None = None
        self._look_at = self._elsewhere_at = 0.0

    def run(self, stop: threading.Event) -> None:
        """Work until `stop` is set; then what is under way is finished, and everything else given back."""
        with ThreadPoolExecutor(AT_ONCE, thread_name_prefix="errand") as pool:
            while not stop.wait(self._timing.poll_s):
                try:
                    self._turn(pool)
                except LedgerUnavailable as error:
                    _LOG.warning("the ledger cannot be read", reason=repr(error.__cause__ or error))
                except Exception:
                    _LOG.exception("a turn of the worker failed")
        with suppress(LedgerUnavailable):
            self._leases.stop()

    def _turn(self, pool: ThreadPoolExecutor) -> None:
        now = time.monotonic()
        if self._due:
            self._leases.renew()
        wanted = {Key(wish.stream, wish.kind, wish.number): wish for wish in self._wanted(now)}
        for key in [key for key, due in self._due.items() if key not in wanted and due < float("inf")]:
            del self._due[key]  # somebody else has settled it
            self._leases.give_back(key)
        for wish in self._next(wanted.values()):
            key = Key(wish.stream, wish.kind, wish.number)
            if self._due.get(key, now) <= now:
                held, calling_for = self._leases.take(key)
                if held:
                    self._due[key] = float("inf")
                    pool.submit(self._carry_out, key, wish, calling_for)
        if now >= self._look_at and (self._looking is None or self._looking.done()):
            self._look_at, self._looking = now + self._timing.watch_s, pool.submit(self._look)

    def _wanted(self, now: float) -> list[Wish]:
        wanted = self._ledger.wanted()
        if now >= self._elsewhere_at:
            self._elsewhere_at = now + ELSEWHERE_S
            wanted += self._ledger.wanted_elsewhere()
        return wanted

    def _next(self, wanted: Iterable[Wish]) -> Iterator[Wish]:
        """What may be carried out now: an environment's wishes in their order, but a cancel holds others back briefly.

        Wishes of a project are about one candidate each, and wait for none.
        """
        ordered = sorted(wanted, key=lambda wish: (wish.stream, wish.wanted_version))
        for _, wishes in groupby(ordered, key=lambda wish: wish.stream):
            for wish in wishes:
                yield wish
                if wish.environment_name and not self._lets_pass(wish):
                    break

    def _lets_pass(self, wish: Wish) -> bool:
        waited = (datetime.now(UTC) - read_moment(wish.wanted_at)).total_seconds()
        return wish.kind == "cancel" and waited > self._timing.cancel_holds_s

    def _carry_out(self, key: Key, wish: Wish, calling_for: float | None) -> None:
        pause: float | None = AFTER_ERROR_S
        try:
            pause = self._errands.carry_out(wish, calling_for)
            if pause is None:
                self._leases.give_back(key)
        except LedgerUnavailable as error:
            pause = self._timing.first_pause_s
            _LOG.warning("a wish waits for the ledger", kind=key.kind, reason=repr(error.__cause__ or error))
        except Exception:
            _LOG.exception("a wish could not be carried out", stream=key.stream, kind=key.kind, number=key.number)
        # One that is done is kept for a moment, so that an older list of what is wanted does not begin it again.
        self._due[key] = time.monotonic() + (pause if pause is not None else 2 * self._timing.poll_s)

    def _look(self) -> None:
        try:
            self._watch.look()
        except LedgerUnavailable:
            pass
        except Exception:
            _LOG.exception("the watch failed")
