"""What is left to chance in a history: when, who, which id, and what CI says next. Everything follows from a seed."""

from __future__ import annotations

import random
import uuid
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from release_ledger.versions import read_moment, write_moment

TOKENS: Final = ("ci", "ci", "ci", "deploy-bot", "on-call")
# What CI says next of a deployment that stands so, and how often.
NEXT: Final[dict[str, dict[str, int]]] = {
    "pending": {"in_progress": 85, "success": 11, "error": 3, "canceled": 1},
    "in_progress": {"success": 80, "failure": 10, "error": 3, "canceled": 2, "canceling": 3, "unknown": 2},
    "canceling": {"canceled": 80, "success": 20},
    "unknown": {"success": 50, "in_progress": 30, "error": 20},
}


def seeded(*parts: object) -> random.Random:
    """The same chances for the same parts, whatever else was made before."""
    return random.Random("/".join(map(str, parts)))  # noqa: S311 - histories, not secrets


class Clock:
    """Moments that only go forward, spread evenly enough over a stretch of years."""

    def __init__(self, rng: random.Random, first: str, last: str, ticks: int) -> None:
        self._rng, self._now = rng, read_moment(first)
        self._step_s = max((read_moment(last) - self._now).total_seconds() / max(ticks, 1), 0.001)

    def tick(self) -> str:
        self._now += timedelta(seconds=self._rng.uniform(0.1, 1.9) * self._step_s, microseconds=1)
        return write_moment(self._now)


def earlier(moment: str, seconds: float) -> str:
    return write_moment(read_moment(moment) - timedelta(seconds=seconds))


def id_at(rng: random.Random, moment: str) -> str:
    """An id as the ledger hands them out (UUID version 7), of that moment."""
    since = read_moment(moment) - datetime(1970, 1, 1, tzinfo=UTC)
    milliseconds = since // timedelta(milliseconds=1)
    number = milliseconds << 80 | 0x7 << 76 | rng.getrandbits(12) << 64 | 0b10 << 62 | rng.getrandbits(62)
    return str(uuid.UUID(int=number))


def caller(rng: random.Random, people: Sequence[str]) -> dict[str, Any]:
    """Who makes a request: what each of its events carries."""
    return {
        "recorded_by": rng.choice(TOKENS),
        "person_id": rng.choice(people) if rng.random() < 0.8 else None,
        "request_id": str(uuid.UUID(int=rng.getrandbits(128), version=4)),
    }
