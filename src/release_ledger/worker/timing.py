"""How patient a worker is."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Final

FIRST_MINUTES_S: Final = 600.0
LOOKS_OF_AN_AGE: Final = 20


@dataclass(frozen=True, kw_only=True)
class Timing:
    """How long the worker waits, in seconds; `cancel_holds_s`: how long a cancel holds back what follows it.

    `refused_for_s`: how long what is refused (401, 403) is tried again, since somebody may mend it.
    """

    poll_s: float = 0.5
    settle_s: float = 20.0
    first_pause_s: float = 0.5
    longest_pause_s: float = 30.0
    late_pause_s: float = 300.0
    watch_s: float = 5.0
    silence_s: float = 30.0
    longest_silence_s: float = 120.0
    elsewhere_s: float = 10.0
    cancel_holds_s: float = 30.0
    cancel_within_s: float = 600.0
    lease_s: float = 5.0
    refused_for_s: float = 3600.0

    def pause_s(self, attempt: int, asked_s: float | None = None) -> float:
        """The seconds before the next try: longer each time, never long at first, but as long as was asked for."""
        is_early = attempt * self.longest_pause_s < FIRST_MINUTES_S
        longest = self.longest_pause_s if is_early else self.late_pause_s
        grown = min(self.first_pause_s * 2.0 ** min(attempt - 1, 20), longest)
        return max(grown * random.uniform(0.5, 1.0), asked_s or 0.0)  # noqa: S311 - no secret

    def look_s(self, age_s: float, stuck_after_s: int | None = None) -> float:
        """The seconds between two looks at a run: more of them the longer it goes on, for GitHub counts calls."""
        pause = max(self.silence_s, min(age_s / LOOKS_OF_AN_AGE, self.longest_silence_s))
        return pause if stuck_after_s is None else min(pause, stuck_after_s / 4)
