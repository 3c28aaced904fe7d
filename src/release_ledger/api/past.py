"""As of when a question is asked."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..ledger.moments import Moment


def moment_of(query: Mapping[str, Any]) -> Moment | None:
    """The moment that a query names with `as_of` or `as_of_version`; None: now."""
    at, version = query.get("as_of"), query.get("as_of_version")
    return Moment(at=at, version=version) if at is not None or version is not None else None
