"""The shapes of answers, for OpenAPI; handlers write the answers themselves."""

from __future__ import annotations

from typing import Any

from marshmallow import Schema, fields, validate

from ..deployment import STATUSES
from .schemas import EnvironmentSettingsSchema, WorkflowSchema


def text(**kwargs: Any) -> fields.String:
    return fields.String(required=True, **kwargs)


def or_null() -> fields.String:
    return fields.String(required=True, allow_none=True)


class ErrorSchema(Schema):
    """Every error."""

    error = text(metadata={"description": "A sentence for people."})
    code = text(metadata={"description": "A word for programs."})
    details = fields.Dict(metadata={"description": "Which field, which values are allowed, who froze it."})


class ProjectSchema(Schema):
    """A project."""

    name = text()
    repo = text()
    build_workflow = fields.Nested(WorkflowSchema, allow_none=True, required=True)
    created_at = text()


class CandidateSchema(Schema):
    """A release candidate."""

    release_candidate_version = text()
    release_version = text()
    commit = text()
    repo = text()
    status = text(validate=validate.OneOf(("pending", "ready", "failed")))
    created_at = text()
    actor = or_null()
    build_url = or_null()


class DeploymentSchema(Schema):
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
    deploy_start_at = or_null()
    deploy_end_at = or_null()
    requested_at = text()
    error_message = or_null()
    external_url = or_null()
    reason = or_null()
    actor = or_null()
    recorded_by = text()
    details = fields.Dict()


class FreezeAnswerSchema(Schema):
    """A freeze in force."""

    reason = text()
    until = or_null()
    frozen_by = text()
    frozen_at = text()


class EnvironmentSchema(EnvironmentSettingsSchema):
    """An environment: its settings, and how it stands."""

    name = text()
    project_name = text()
    created_at = text()
    running = fields.Nested(DeploymentSchema, allow_none=True, required=True)
    latest = fields.Nested(DeploymentSchema, allow_none=True, required=True)
    frozen = fields.Boolean(required=True)
    freeze = fields.Nested(FreezeAnswerSchema, allow_none=True, required=True)
    unfinished = fields.Integer(required=True)
    version = fields.Integer(required=True)


class ConsideredSchema(Schema):
    """A deployment that the rollback rule looked at."""

    release_candidate_version = text()
    id = text()
    verdict = text(validate=validate.OneOf(("chosen", "skipped")))
    why = text()


class RollbackPreviewSchema(Schema):
    """What a rollback would do now."""

    target = or_null()
    strategy = text()
    explanation = text()
    would_cancel = fields.List(fields.String(), required=True)
    frozen = fields.Boolean(required=True)
    considered = fields.List(fields.Nested(ConsideredSchema), required=True)
