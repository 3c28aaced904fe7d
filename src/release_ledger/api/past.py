"""As of when a question is asked."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, Final

from flask import request

from ..errors import InvalidRequest
from ..ledger.moments import Moment

MOMENTS: Final = ("as_of", "as_of_version")


def moment_of(query: Mapping[str, Any]) -> Moment | None:
    """The moment that a query names with `as_of` or `as_of_version`; None: now."""
    return Moment.named(query.get("as_of"), query.get("as_of_version"))


def check_moment(taken: Collection[str]) -> None:
    """Raise `InvalidRequest` where a GET is asked of the past in a way that would be answered with something else.

    `taken` are the names that it takes in its query. Others are ignored, but whoever asks for the past must not be
    answered the present.
    """
    if request.method not in ("GET", "HEAD"):
        return
    wrong: dict[str, list[str]] = {}
    for name in MOMENTS:
        given = request.args.getlist(name)
        if given and name not in taken:
            wrong[name] = ["This is answered as of now only."]
        elif len(given) > 1:
            wrong[name] = ["Must not be given twice."]
    if wrong:
        raise InvalidRequest(**wrong)
