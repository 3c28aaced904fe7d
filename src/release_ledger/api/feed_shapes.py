"""The shapes of the feed: what it is asked, and what it answers."""

from __future__ import annotations

from typing import Any, Final

from marshmallow import fields, validate

from .parsing import Digits
from .past_shapes import HistoryEventSchema
from .shapes import or_null, text
from .workflow_schema import OpenSchema

FEED_LIMIT: Final = 1000
FEED_WAIT_S: Final = 30


class FeedSchema(OpenSchema):
    """Where to read on, and how long to wait for something."""

    after = fields.String(
        validate=validate.Length(0, 100),
        metadata={"description": "The `cursor` of the last answer; without it, from the first event on."},
    )
    limit = Digits(
        load_default=100,
        validate=validate.Range(1),
        metadata={"description": f"Of events; more than {FEED_LIMIT} means {FEED_LIMIT}."},
    )
    wait_s = Digits(
        load_default=0,
        validate=validate.Range(0),
        metadata={
            "description": "How long to wait where there is nothing yet, in seconds;"
            f" more than {FEED_WAIT_S} means {FEED_WAIT_S}."
        },
    )


class FeedEventSchema(HistoryEventSchema):
    """An event, as its stream's history shows it, and whose stream that is."""

    project_name = or_null(metadata={"description": "Null for what happened to tokens and people."})
    environment_name = or_null(metadata={"description": "Null for what happened to a project."})


class FeedAnswerSchema(OpenSchema):
    """A piece of the feed."""

    events = fields.List(fields.Nested(FeedEventSchema), required=True)
    cursor = text(metadata={"description": "Where the feed goes on: `after` of the next request."})


EXAMPLE: Final[dict[str, Any]] = {
    "cursor": "AQAAAAAAAAAHFzqJbFSmcTI",
    "events": [
        {
            "actor": "dev@example.com",
            "data": {"reason": "holidays", "until": "2999-01-02T06:00:00.000000+00:00"},
            "digest": "7c2f1f2a54a2b5f1b3f4f4be0a8cbb6d9c1e3a2a7d7f0c5f9be0d4c8a1e6b3d2",
            "environment_name": "production",
            "occurred_at": None,
            "project_name": "web",
            "recorded_at": "2026-12-23T16:30:51.406654+00:00",
            "recorded_by": "admin",
            "request_id": "5f0cf2cb-4d0a-4d2f-9c5c-3a4b5b0c6e5d",
            "type": "environment-frozen",
            "version": 6,
        }
    ],
}
