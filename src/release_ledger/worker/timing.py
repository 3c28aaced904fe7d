"""How patient a worker is."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Timing:
    """How long the worker waits, in seconds; `cancel_holds_s`: how long a cancel holds back what follows it."""

    poll_s: float = 0.5
    settle_s: float = 20.0
    first_pause_s: float = 0.5
    longest_pause_s: float = 30.0
    late_pause_s: float = 300.0
    watch_s: float = 5.0
    silence_s: float = 30.0
    cancel_holds_s: float = 30.0
    cancel_within_s: float = 600.0
    lease_s: float = 5.0
