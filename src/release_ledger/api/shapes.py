"""The shapes of answers, for OpenAPI; handlers write the answers themselves."""

from __future__ import annotations

from typing import Any, Final

from marshmallow import Schema, fields, validate

from ..deployment import STATUSES
from ..environment import TIERS
from .schemas import EnvironmentSettingsSchema
from .workflow_schema import OpenSchema, WorkflowSchema

_MOMENT: Final = {"format": "date-time"}


def text(**kwargs: Any) -> fields.String:
    return fields.String(required=True, **kwargs)


def or_null(**kwargs: Any) -> fields.String:
    return fields.String(required=True, allow_none=True, **kwargs)


def moment() -> fields.String:
    return text(metadata=_MOMENT)


def moment_or_null() -> fields.String:
    return or_null(metadata=_MOMENT)


class ErrorSchema(Schema):
    """Every error."""

    error = text(metadata={"description": "A sentence for people."})
    code = text(metadata={"description": "A word for programs."})
    details = fields.Dict(metadata={"description": "Which field, which values are allowed, who froze it."})


class ProjectSchema(OpenSchema):
    """A project."""

    name = text()
    repo = text()
    build_workflow = fields.Nested(WorkflowSchema, allow_none=True, required=True)
    deploy_after_build = or_null()
    created_at = moment()


class CandidateSchema(OpenSchema):
    """A release candidate."""

    release_candidate_version = text()
    release_version = text()
    commit = text()
    repo = text()
    status = text(validate=validate.OneOf(("pending", "ready", "failed")))
    created_at = moment()
    actor = or_null()
    build_id = or_null(metadata={"description": "The newest build's: what its workflow is told as `release_cut_id`."})
    build_url = or_null()
    error_message = or_null()
    commit_check = or_null(metadata={"description": "`unchecked` or `unknown` where GitHub did not know, else null."})
    details = fields.Dict()


class DeploymentSchema(OpenSchema):
    """A deployment."""

    id = text()
    number = fields.Integer(required=True)
    kind = text(validate=validate.OneOf(("deploy", "rollback", "observed")))
    status = text(validate=validate.OneOf(STATUSES))
    environment_name = text()
    release_candidate_version = text()
    release_version = text()
    commit = text()
    from_release_candidate_version = or_null()
    from_release_version = or_null()
    deploy_start_at = moment_or_null()
    deploy_end_at = moment_or_null()
    requested_at = moment()
    error_message = or_null()
    external_url = or_null()
    reason = or_null()
    actor = or_null()
    recorded_by = text()
    details = fields.Dict()


class DeploymentEventSchema(OpenSchema):
    """An attempt, an answer, a report or a decision."""

    version = fields.Integer(required=True)
    type = text()
    at = text(metadata=_MOMENT | {"description": "When it was recorded."})
    occurred_at = moment_or_null()
    actor = or_null()
    recorded_by = text()
    data = fields.Dict(required=True, metadata={"description": "What it says, by its type."})


class DeploymentWithEventsSchema(DeploymentSchema):
    """A deployment, and what led to how it stands."""

    events = fields.List(
        fields.Nested(DeploymentEventSchema), required=True, metadata={"description": "The newest 200, oldest first."}
    )
    events_total = fields.Integer(required=True)


class WebhookAnswerSchema(OpenSchema):
    """What the run is for, or why nothing was recorded."""

    deployment_id = fields.String()
    release_cut_id = fields.String()
    ignored = fields.String()


class PeriodSchema(OpenSchema):
    """A stretch in which one deployment ran."""

    release_candidate_version = text()
    release_version = text()
    commit = text()
    deployment_id = text()
    from_ = text(data_key="from", metadata=_MOMENT | {"description": "By reported time; `to` null: it still runs."})
    to = moment_or_null()
    recorded_from = text(metadata=_MOMENT | {"description": "When the ledger came to answer so, and until when."})
    recorded_to = moment_or_null()
    corrected = fields.Boolean(
        required=True, metadata={"description": "The success was corrected: what is known now is that it did not run."}
    )
    actor = or_null()


class ExposedSchema(OpenSchema):
    """An environment in which a commit has run."""

    name = text()
    tier = text(validate=validate.OneOf(TIERS))
    running = fields.Boolean(required=True)
    total_seconds = fields.Float(required=True)
    periods = fields.List(fields.Nested(PeriodSchema), required=True)


class ExposureSchema(OpenSchema):
    """Where and for how long a commit has been running."""

    commit = text()
    running = fields.Boolean(required=True)
    total_seconds = fields.Float(required=True, metadata={"description": "Of all environments together."})
    environments = fields.List(fields.Nested(ExposedSchema), required=True)


class FreezeAnswerSchema(OpenSchema):
    """A freeze in force."""

    reason = text()
    until = moment_or_null()
    frozen_by = text()
    frozen_at = moment()


class EnvironmentSchema(EnvironmentSettingsSchema):
    """An environment: its settings, and how it stands."""

    name = text()
    project_name = text()
    created_at = moment()
    running = fields.Nested(DeploymentSchema, allow_none=True, required=True)
    latest = fields.Nested(DeploymentSchema, allow_none=True, required=True)
    frozen = fields.Boolean(required=True)
    freeze = fields.Nested(FreezeAnswerSchema, allow_none=True, required=True)
    unfinished = fields.Integer(required=True)
    version = fields.Integer(required=True)


class ConsideredSchema(OpenSchema):
    """A deployment that the rollback rule looked at."""

    release_candidate_version = text()
    id = text()
    verdict = text(validate=validate.OneOf(("chosen", "skipped")))
    why = text()


class RollbackPreviewSchema(OpenSchema):
    """What a rollback would do now."""

    target = or_null()
    strategy = text()
    explanation = text()
    would_cancel = fields.List(fields.String(), required=True)
    frozen = fields.Boolean(required=True)
    considered = fields.List(fields.Nested(ConsideredSchema), required=True)
