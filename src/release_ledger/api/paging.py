"""Which page was asked for, within what a ledger could have."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from flask import Response

from ..ledger.project_questions import Page
from .answer import page_response
from .schemas import PAGE_LIMIT

PER_PAGE_LIMIT: Final = 100


def paged(query: Mapping[str, Any], question: Callable[..., Page]) -> Response:
    """The answer to a question that takes `page` and `per_page`."""
    number = min(int(query["page"]), PAGE_LIMIT)  # beyond any ledger's end all are as empty
    per_page = min(int(query["per_page"]), PER_PAGE_LIMIT)
    return page_response(question(page=number, per_page=per_page), number=number, per_page=per_page)
