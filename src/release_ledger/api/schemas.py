"""The shapes of bodies and queries. Requests are checked by them, and OpenAPI is made from them."""

from __future__ import annotations

from typing import Any, Final

from marshmallow import EXCLUDE, Schema, ValidationError, fields, validate, validates_schema

from ..environment import STUCK_AFTER_S, TIERS
from ..errors import InvalidRequest
from ..rollback import STRATEGIES
from ..versions import is_repo
from .parsing import Digits, Flag, candidate_version, commit, moment, shortened, status

REASON_LIMIT = 2000
ERROR_MESSAGE_LIMIT = 10_000
EXTERNAL_URL_LIMIT = 2000
STUCK_LIMIT_S = 366 * 24 * 3600
PAGE_LIMIT = 10**9
REPO_PATTERN = "^[A-Za-z0-9._-]{1,100}/[A-Za-z0-9._-]{1,100}$"
# What a workflow of each kind must name.
WORKFLOW_KEYS: Final = {"github": ("workflow", "ref"), "buildkite": ("organization", "pipeline"), "http": ("url",)}


def _repo(text: str) -> None:
    if not is_repo(text):
        raise ValidationError("Must be org/repo_name.")


class OpenSchema(Schema):
    """A shape that may come with more keys than are known here."""

    class Meta:
        unknown = EXCLUDE


class WorkflowSchema(OpenSchema):
    """A workflow to trigger: of GitHub Actions, of Buildkite, or a signed HTTP request."""

    kind = fields.String(required=True, validate=validate.OneOf(tuple(WORKFLOW_KEYS)))
    workflow = fields.String(validate=validate.Length(1, 200))
    ref = fields.String(validate=validate.Length(1, 250))
    parameters = fields.Dict(
        keys=fields.String(validate=validate.Length(1, 100)),
        values=fields.String(validate=validate.Length(max=1000)),
        validate=validate.Length(max=50),
    )
    organization = fields.String(validate=validate.Length(1, 100))
    pipeline = fields.String(validate=validate.Length(1, 100))
    url = fields.Url(schemes={"http", "https"}, require_tld=False, validate=validate.Length(max=2000))

    @validates_schema
    def complete(self, workflow: dict[str, Any], **_: Any) -> None:
        """Each kind needs its own keys."""
        missing = [name for name in WORKFLOW_KEYS.get(workflow.get("kind", ""), ()) if name not in workflow]
        if missing:
            raise ValidationError({name: ["Missing data for required field."] for name in missing})
        if not all(name.isascii() for name in workflow.get("parameters", {})):
            raise ValidationError({"parameters": ["Names must be ASCII."]})


class ProjectSettingsSchema(OpenSchema):
    """A project's settings. A PUT replaces them: absent keys take their defaults."""

    repo = fields.String(required=True, validate=_repo, metadata={"pattern": REPO_PATTERN})
    build_workflow = fields.Nested(WorkflowSchema, allow_none=True)


class EnvironmentSettingsSchema(OpenSchema):
    """An environment's settings. A PUT replaces them: absent keys take their defaults."""

    tier = fields.String(load_default="development", validate=validate.OneOf(TIERS))
    deploy_workflow = fields.Nested(WorkflowSchema, allow_none=True, load_default=None)
    rollback_strategy = fields.String(load_default="previous", validate=validate.OneOf(STRATEGIES))
    stuck_after_s = fields.Integer(
        strict=True,
        allow_none=True,
        validate=validate.Range(1, STUCK_LIMIT_S),
        metadata={"description": f"Default: {STUCK_AFTER_S} where a deploy_workflow is set, else null (never)."},
    )


class FreezeSchema(OpenSchema):
    """Why, and until when."""

    reason = shortened(REASON_LIMIT, required=True, validate=validate.Regexp(r"\s*\S", error="Must not be blank."))
    until = moment()


class CutSchema(OpenSchema):
    """A release candidate to create."""

    commit = commit(required=True)
    repo = fields.String(required=True)
    trigger_build_workflow = Flag(load_default=False)
    occurred_at = moment()


class DeploySchema(OpenSchema):
    """A deployment to create."""

    release_candidate_version = candidate_version(required=True)
    force = Flag(load_default=False)
    reason = shortened(REASON_LIMIT)
    occurred_at = moment()


class ReportSchema(OpenSchema):
    """How a deployment stands."""

    release_candidate_version = candidate_version(required=True)
    status = status(required=True)
    id = fields.String()
    error_message = shortened(ERROR_MESSAGE_LIMIT)
    external_url = fields.String()
    occurred_at = moment()


class RollbackSchema(OpenSchema):
    """How to go back: by a strategy, or to a version."""

    force = Flag(load_default=False)
    reason = shortened(REASON_LIMIT)
    strategy = fields.String(validate=validate.OneOf(STRATEGIES))
    to = candidate_version()

    @validates_schema
    def one_of_both(self, body: dict[str, Any], **_: Any) -> None:
        """`to` stands instead of a strategy."""
        if "to" in body and "strategy" in body:
            raise InvalidRequest(to=["Cannot be given together with strategy."])


class PreviewSchema(OpenSchema):
    """Which rollback to preview."""

    strategy = fields.String(validate=validate.OneOf(STRATEGIES))
    to = candidate_version()

    one_of_both = RollbackSchema.one_of_both


class PageSchema(OpenSchema):
    """Which page of a list."""

    page = Digits(load_default=1, validate=validate.Range(1))
    per_page = Digits(load_default=10, validate=validate.Range(1), metadata={"description": "More than 100 means 100."})


class PeriodPageSchema(PageSchema):
    """Which page of the periods in which range of reported time."""

    from_ = moment(data_key="from")
    to = moment()

    @validates_schema
    def a_range(self, query: dict[str, Any], **_: Any) -> None:
        """A range begins before it ends."""
        if "from_" in query and "to" in query and query["from_"] >= query["to"]:
            raise InvalidRequest(**{"from": ["Must be before to."]})


class DeploymentPageSchema(PageSchema):
    """Which page of which deployments."""

    status = status()
    release_candidate_version = candidate_version()
