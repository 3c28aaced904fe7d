"""What of a report is left out rather than refused: an address that cannot be shown as a link."""

from __future__ import annotations

from typing import Any

from ..ledger.run_reports import URL_LIMIT, shown


def without_bad_url(body: dict[str, Any], name: str) -> dict[str, Any]:
    """Leave out an address of this name that cannot be shown; what to say of it in the answer."""
    if body.get(name) is None or shown(body[name]) is not None:
        return {}
    del body[name]
    return {"details": {name: f"left out: not an http(s) URL of at most {URL_LIMIT} characters"}}
