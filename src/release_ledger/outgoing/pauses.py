"""How long an answer asks us to wait before the next call."""

from __future__ import annotations

import time
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Final

LONGEST_PAUSE_S: Final = 3_600.0


def pause_s(headers: Mapping[str, str]) -> float | None:
    """The seconds, 0 to 3,600; None where it asks for none. `Retry-After` may be seconds or a date."""
    after, left, reset = (headers.get(name) for name in ("retry-after", "x-ratelimit-remaining", "x-ratelimit-reset"))
    try:
        if after is not None:
            asked_s = float(int(after)) if after.strip().lstrip("-").isdigit() else _until_s(after)
        elif left == "0" and reset is not None:
            asked_s = int(reset) - time.time()
        else:
            return None
    except (ValueError, OverflowError):
        return None
    return min(max(asked_s, 0.0), LONGEST_PAUSE_S)


def _until_s(date: str) -> float:
    moment = parsedate_to_datetime(date)
    return (moment.astimezone(UTC) - datetime.now(UTC)).total_seconds()
