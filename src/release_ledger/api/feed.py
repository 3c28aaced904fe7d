"""The feed of all events."""

from __future__ import annotations

from functools import partial
from typing import Any, cast

from flask import Response, current_app

from ..ledger import Ledger
from ..ledger.feed_questions import Feed
from .access import ledger, requires, visible_projects
from .answer import json_response
from .blueprint import LedgerBlueprint
from .feed_shapes import FEED_LIMIT, FEED_WAIT_S, FeedAnswerSchema, FeedSchema
from .waiting import wait

blueprint = LedgerBlueprint("feed", __name__, url_prefix="/api/feed", description="All events in one order")


@blueprint.on("GET", "", "readFeed")
@requires("read")
@blueprint.takes(FeedSchema, location="query")
@blueprint.answers(200, FeedAnswerSchema)
def read_feed(query: dict[str, Any]) -> Response:
    """What happened, in all streams that the token may see, in one fixed order that keeps each stream's own.

    Read on with the `cursor` of the answer: no event is left out and none comes twice, whoever writes meanwhile. No
    events and a `cursor` that has moved: read on at once.
    """
    limit = min(query["limit"], FEED_LIMIT)
    found = ledger().feed(query.get("after"), limit=limit, projects=visible_projects())
    if not found.events:
        _wait(query, found)
    return json_response({"events": found.events, "cursor": found.cursor})


def _wait(query: dict[str, Any], found: Feed) -> None:
    known = cast(Ledger, current_app.extensions["ledger"])  # not this request's, which ends before
    wait(min(query["wait_s"], FEED_WAIT_S), partial(known.feed_has_more, found.seq))
