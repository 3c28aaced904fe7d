"""The shapes of questions and answers about the past: history, and what changed between two moments."""

from __future__ import annotations

from typing import Any, Final

from marshmallow import fields, validate, validates_schema

from ..errors import InvalidRequest
from ..ledger.comparison import SHOWN
from ..ledger.history_questions import HISTORY_LIMIT
from .parsing import Digits
from .parsing import moment as given_moment
from .shapes import DeploymentSchema, PeriodSchema, moment, moment_or_null, or_null, text
from .workflow_schema import OpenSchema

VERSION_LIMIT: Final = 2**53
_SHOWN: Final = {"description": f"The newest {SHOWN}, newest first, as known at `to`."}


class HistorySchema(OpenSchema):
    """Which events of a history."""

    after = Digits(
        load_default=0, validate=validate.Range(0, VERSION_LIMIT), metadata={"description": "Those after this version."}
    )
    limit = Digits(load_default=HISTORY_LIMIT, validate=validate.Range(1, HISTORY_LIMIT))


class CompareSchema(OpenSchema):
    """Two moments."""

    from_ = given_moment(data_key="from", required=True)
    to = given_moment(metadata={"description": "Default: now."})

    @validates_schema
    def in_their_order(self, query: dict[str, Any], **_: Any) -> None:
        """The first is not after the second."""
        if "to" in query and query["from_"] > query["to"]:
            raise InvalidRequest(**{"from": ["Must not be after to."]})


class HistoryEventSchema(OpenSchema):
    """An event."""

    version = fields.Integer(required=True)
    type = text()
    data = fields.Dict(required=True, metadata={"description": "What it says, by its type."})
    actor = or_null(metadata={"description": "Whose token it was; null for a machine's, or a person since forgotten."})
    recorded_by = text()
    recorded_at = moment()
    occurred_at = moment_or_null()
    request_id = text()
    digest = text(validate=validate.Length(64, 64), metadata={"description": "Its link in the chain (docs/proof.md)."})


class StandingSchema(OpenSchema):
    """How an environment stood at a moment."""

    at = moment()
    version = fields.Integer(required=True, metadata={"description": "Of its stream; 0 before its first event."})
    running = fields.Nested(DeploymentSchema, allow_none=True, required=True)


class ComparisonSchema(OpenSchema):
    """What changed between two moments."""

    from_ = fields.Nested(StandingSchema, required=True, data_key="from")
    to = fields.Nested(StandingSchema, required=True)
    requested = fields.List(fields.Nested(DeploymentSchema), required=True, metadata=_SHOWN)
    requested_total = fields.Integer(required=True)
    ended = fields.List(fields.Nested(DeploymentSchema), required=True, metadata=_SHOWN)
    ended_total = fields.Integer(required=True)
    ran = fields.List(fields.Nested(PeriodSchema), required=True, metadata=_SHOWN)
    ran_more = fields.Boolean(required=True)
    compare_url = or_null(
        metadata={
            "description": "On github.com, what lies between the commits that ran at `from` and at `to`; null where one"
            " of both is not there, and for repositories of another server."
        }
    )
