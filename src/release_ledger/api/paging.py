"""Which page was asked for, within what a ledger could have."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from .schemas import PAGE_LIMIT

PER_PAGE_LIMIT: Final = 100


def number_of(query: Mapping[str, Any]) -> int:
    """The page; one beyond any ledger's end is as empty as the last that could be."""
    return min(int(query["page"]), PAGE_LIMIT)


def per_page_of(query: Mapping[str, Any]) -> int:
    """How many on a page; more than 100 means 100."""
    return min(int(query["per_page"]), PER_PAGE_LIMIT)
