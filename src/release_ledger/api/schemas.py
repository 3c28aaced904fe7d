"""The shapes of bodies and queries. Requests are checked by them, and OpenAPI is made from them."""

from __future__ import annotations

import re
from typing import Any, Final

from marshmallow import ValidationError, fields, validate, validates_schema

from ..builds import STATUSES
from ..environment import STUCK_AFTER_S, TIERS
from ..errors import InvalidRequest
from ..rollback import STRATEGIES
from ..versions import is_environment_name, is_repo
from .parsing import Digits, Flag, Read, candidate_version, commit, moment, shortened, status
from .workflow_schema import OpenSchema, WorkflowSchema

REASON_LIMIT = 2000
ERROR_MESSAGE_LIMIT = 10_000
STUCK_LIMIT_S = 366 * 24 * 3600
PAGE_LIMIT = 10**9
ENVIRONMENT_PATTERN = "^[A-Za-z0-9_-]{1,100}$"
REPO_PATTERN = "^[A-Za-z0-9._-]{1,100}/[A-Za-z0-9._-]{1,100}$"
RUN_ID_PATTERN: Final = "^[1-9][0-9]{0,19}$"


def _repo(text: str) -> None:
    if not is_repo(text):
        raise ValidationError("Must be org/repo_name.")


def _environment_name(text: str) -> None:
    if not is_environment_name(text):
        raise ValidationError("No environment can have this name.")


class ProjectSettingsSchema(OpenSchema):
    """A project's settings. A PUT replaces them: absent keys take their defaults."""

    repo = fields.String(required=True, validate=_repo, metadata={"pattern": REPO_PATTERN})
    build_workflow = fields.Nested(WorkflowSchema, allow_none=True)
    deploy_after_build = fields.String(
        allow_none=True,
        validate=_environment_name,
        metadata={
            "pattern": ENVIRONMENT_PATTERN,
            "description": "The environment that a candidate is deployed to when its build has succeeded.",
        },
    )


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


class BuildReportSchema(OpenSchema):
    """How a candidate's build stands."""

    status = fields.String(required=True, validate=validate.OneOf(STATUSES))
    build_url = fields.String()
    error_message = shortened(ERROR_MESSAGE_LIMIT)
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


class CancelSchema(OpenSchema):
    """Why a deployment is canceled."""

    reason = shortened(REASON_LIMIT)


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


class AsOfSchema(OpenSchema):
    """As of when: now, unless one of both is given."""

    as_of = moment(
        metadata={
            "description": "As the ledger knew it at this moment: as of the newest version recorded at or before it."
            " Before the first event 404, later than now 400.",
        }
    )
    as_of_version = Digits(
        validate=validate.Range(1),
        metadata={"description": "As the ledger knew it at this version of the environment's stream."},
    )

    @validates_schema
    def one_moment(self, query: dict[str, Any], **_: Any) -> None:
        """One says all."""
        if "as_of" in query and "as_of_version" in query:
            raise InvalidRequest(as_of=["Cannot be given together with as_of_version."])


class PreviewSchema(AsOfSchema):
    """Which rollback to preview."""

    strategy = fields.String(validate=validate.OneOf(STRATEGIES))
    to = candidate_version()

    one_of_both = RollbackSchema.one_of_both


class PageSchema(OpenSchema):
    """Which page of a list."""

    page = Digits(load_default=1, validate=validate.Range(1))
    per_page = Digits(load_default=10, validate=validate.Range(1), metadata={"description": "More than 100 means 100."})


class PeriodPageSchema(PageSchema, AsOfSchema):
    """Which page of the periods in which range of reported time."""

    from_ = moment(data_key="from")
    to = moment()

    @validates_schema
    def a_range(self, query: dict[str, Any], **_: Any) -> None:
        """A range begins before it ends."""
        if "from_" in query and "to" in query and query["from_"] >= query["to"]:
            raise InvalidRequest(**{"from": ["Must be before to."]})


class DeploymentPageSchema(PageSchema, AsOfSchema):
    """Which page of which deployments."""

    status = status()
    release_candidate_version = candidate_version()


def _run_id(value: object) -> str:
    """The id of a run, which is a number, also as text."""
    text = str(value) if isinstance(value, str | int) and not isinstance(value, bool) else ""
    if not re.fullmatch(RUN_ID_PATTERN.strip("^$"), text):
        raise ValueError
    return text


def run_id() -> Read:
    """`github.run_id`, as a number or as text."""
    return Read(_run_id, expected="Must be the number of a run.", required=True)


class SyncDeploySchema(OpenSchema):
    """Which run deploys."""

    deployment_id = fields.String(required=True, validate=validate.Length(1, 100))
    workflow_run_id = run_id()


class SyncBuildSchema(OpenSchema):
    """Which run builds."""

    release_cut_id = fields.String(required=True, validate=validate.Length(1, 100))
    workflow_run_id = run_id()


class WebhookSchema(OpenSchema):
    """What GitHub sends; of other events than `workflow_run` nothing is read."""

    workflow_run = fields.Dict()
    repository = fields.Dict()
