"""Errands: one wish is carried out, and what came of it recorded.

A call whose answer was lost is never simply made again: its run is looked for, for a while, since GitHub's lists are a
little behind; where it cannot be recognised, the wish fails as "may have been triggered".
"""

from __future__ import annotations

import hashlib
import json
import time
from collections import Counter
from collections.abc import Callable
from functools import partial
from typing import Final, Literal

from ..deployment import TERMINAL
from ..errors import LedgerUnavailable, Refusal, TooManyUnfinished
from ..github import GitHub
from ..ledger import Ledger
from ..ledger.answers import Answer
from ..ledger.keeping import Idempotency, Replayed, Reply
from ..ledger.outbox_questions import Wish
from ..ledger.recording import Caller
from ..outgoing import Trouble
from .kinds import Kind, Started, kind_of
from .leases import Key, Leases, key_of
from .order import waited_s
from .timing import Timing

BY: Final = Caller(recorded_by="release-ledger")
MAY_HAVE: Final = "may have been triggered"
TELL_WITHIN_S: Final = 600.0
TELL_EVERY_S: Final = 0.5
LOOKED_FOR_S: Final = 3600.0
WAITS_FOR_ROOM_S: Final = 3600.0
BEGUN_OF_LEASE: Final = 0.8  # of its time: a call that did not begin then is not made by a worker that was held up
How = Literal["answered", "found", "told"]


class Errands:
    """What one worker does for a wish. Each returns the seconds after which it is to be tried again, or None: done."""

    def __init__(self, ledger: Ledger, leases: Leases, kinds: dict[str, Kind], github: GitHub | None, timing: Timing):
        self._ledger, self._leases, self._kinds, self._github, self._timing = ledger, leases, kinds, github, timing
        self._asked: Counter[Key] = Counter()  # in vain, for what is not recorded
        self._refused_since: dict[Key, float] = {}

    def carry_out(self, wish: Wish, calling_for: float | None) -> float | None:
        """`calling_for`: for how many seconds a call has been without a known result, or None."""
        match wish.kind:
            case "trigger" | "build":
                return self._start(wish, calling_for)
            case "cancel":
                return self._cancel(wish)
            case "check":
                return self._check(wish)
            case "deploy":
                return self._deploy(wish)
        return None

    def _start(self, wish: Wish, calling_for: float | None) -> float | None:
        key = key_of(wish)
        try:
            kind = kind_of(self._kinds, wish)
        except Trouble as trouble:
            return self._failed(wish, trouble)
        if calling_for is not None:
            pause = self._look_for(wish, kind, calling_for)
            if pause is not None:
                return pause if pause > 0 else None
            self._leases.settled(key)
        if wish.kind == "trigger" and self._ledger.dropped(wish, by=BY):
            return None
        begin_by = time.monotonic() + BEGUN_OF_LEASE * self._timing.lease_s
        if not self._leases.calling(key):
            return None
        try:
            started = kind.start(wish, begin_by)
        except Trouble as trouble:
            if not trouble.maybe_done:
                self._leases.settled(key)
            return self._failed(wish, trouble)
        self._started(wish, started, "answered")
        return None

    def _look_for(self, wish: Wish, kind: Kind, calling_for: float) -> float | None:
        """Look for the run of a lost call: 0 where it is settled, a pause, or None where it may be started again."""
        try:
            found = kind.find(wish)
        except Trouble as trouble:
            for_good = calling_for > LOOKED_FOR_S
            return self._failed(wish, _lost(trouble.message) if for_good else _again(trouble)) or 0
        if found.run is not None:
            self._started(wish, Started(found.run.run_id, found.run.url), "found")
            return 0
        if calling_for < self._timing.settle_s:
            return min(self._timing.settle_s - calling_for, self._timing.longest_pause_s / 10) + 0.1
        if found.recognisable:
            return None
        return self._failed(wish, _lost("its run cannot be recognised")) or 0

    def _started(self, wish: Wish, started: Started, how: How) -> None:
        record = self._ledger.build_triggered if wish.kind == "build" else self._ledger.triggered
        self._refused_since.pop(key_of(wish), None)
        self._tell(partial(record, wish, run_id=started.run_id, run_url=started.url, how=how, by=BY))

    def _failed(self, wish: Wish, trouble: Trouble) -> float | None:
        """Record a try that came to nothing; when to try again."""
        attempt, final = wish.attempts + 1, self._is_final(wish, trouble)
        record = self._ledger.build_trigger_failed if wish.kind == "build" else self._ledger.trigger_failed
        self._tell(partial(record, wish, attempt=attempt, error_message=trouble.message, final=final, by=BY))
        return None if final else self._timing.pause_s(attempt, trouble.retry_after_s)

    def _is_final(self, wish: Wish, trouble: Trouble) -> bool:
        """Whether it is not tried again. What is refused (401, 403) is tried for a while: somebody may mend that."""
        key = key_of(wish)
        if not trouble.refused:
            self._refused_since.pop(key, None)
            return trouble.final
        since = self._refused_since.setdefault(key, time.monotonic())
        return trouble.final or time.monotonic() - since > self._timing.refused_for_s

    def _tell(self, record: Callable[[], object]) -> None:
        """Record what is known, however long the ledger cannot be written; if the worker ends first, it is lost."""
        give_up_at = time.monotonic() + TELL_WITHIN_S
        while True:
            try:
                record()
                return
            except LedgerUnavailable:
                if time.monotonic() > give_up_at:
                    raise
                time.sleep(TELL_EVERY_S)

    def _cancel(self, wish: Wish) -> float | None:
        attempt = wish.attempts + 1
        try:
            accepted = kind_of(self._kinds, wish).cancel(wish)
        except Trouble as trouble:
            final = self._is_final(wish, trouble)
            self._ledger.cancel_answered(
                wish, attempt=attempt, answer="failed", error_message=trouble.message, final=final, by=BY
            )
            return None if final else self._timing.pause_s(attempt, trouble.retry_after_s)
        self._ledger.cancel_answered(wish, attempt=attempt, answer="accepted" if accepted else "ended", by=BY)
        return None

    def has_ended(self, wish: Wish, *, in_doubt: bool) -> bool:
        """Whether the deployment has ended that was to be triggered; then the wish is dropped, unless in doubt."""
        if wish.kind != "trigger":
            return False
        if not in_doubt:
            return self._ledger.dropped(wish, by=BY)
        known = self._ledger.deployment(wish.project_name, wish.environment_name, wish.subject)[0]
        return known["status"] in TERMINAL

    def _check(self, wish: Wish) -> float | None:
        """Ask GitHub for the commit of a candidate that was cut while it did not answer."""
        if self._github is None:
            return self._timing.late_pause_s
        repo, commit = wish.repo or "", wish.commit or ""
        try:
            found = self._github.has_repository(repo) and self._github.has_commit(repo, commit)
        except Trouble as trouble:
            return self._asked_in_vain(wish, trouble)
        message = None if found else f"GitHub does not know the commit {commit} in {repo}."
        self._ledger.checked(wish, found=found, error_message=message, by=BY)
        return None

    def _deploy(self, wish: Wish) -> float | None:
        """Deploy a candidate whose build has succeeded: once, however often this is tried."""
        deployment_id, refused = None, None
        try:
            answer, _ = self._ledger.deploy(
                wish.project_name,
                wish.target or "",
                release_candidate_version=wish.release_candidate_version,
                reason="Its build has succeeded.",
                by=_once(wish),
            )
            deployment_id = answer["id"]
        except Replayed as replayed:
            deployment_id = json.loads(replayed.reply.body)["id"]
        except LedgerUnavailable:
            raise
        except TooManyUnfinished as refusal:
            if waited_s(wish) < WAITS_FOR_ROOM_S:
                return self._asked_in_vain(wish, Trouble(refusal.sentence))
            refused = refusal.sentence
        except Refusal as refusal:
            refused = refusal.sentence
        self._ledger.deployed_after_build(wish, deployment_id=deployment_id, error_message=refused, by=BY)
        return None

    def _asked_in_vain(self, wish: Wish, trouble: Trouble) -> float:
        key = key_of(wish)
        self._asked[key] += 1
        return self._timing.pause_s(self._asked[key], trouble.retry_after_s)


def _once(wish: Wish) -> Caller:
    """The worker, on behalf of one build: whoever asks again is answered as the first was."""

    def reply(answer: Answer, _: int) -> Reply:
        return Reply(status=201, headers={}, body=json.dumps(answer).encode())

    digest = hashlib.sha256(f"{wish.subject} {wish.target}".encode()).digest()
    return Caller(
        recorded_by=BY.recorded_by,
        idempotency=Idempotency(
            scope="release-ledger worker",
            key=f"deploy {wish.stream} {wish.number} {wish.subject} {wish.target}",
            request_digest=digest,
            reply=reply,
        ),
    )


def _again(trouble: Trouble) -> Trouble:
    """To look for a run is tried again also where GitHub says that there is nothing to be found."""
    return Trouble(trouble.message, maybe_done=True, retry_after_s=trouble.retry_after_s)


def _lost(why: str) -> Trouble:
    return Trouble(f"The answer was lost, and {why}: the workflow {MAY_HAVE}. It is not started again.", final=True)
