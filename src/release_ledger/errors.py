"""What can be refused, and how it is said.

Every refusal is one class: its docstring is the sentence that a caller reads, `status` the HTTP status and `code`
the word that a program compares. The table is section 1 of the HTTP contract; nothing else may reach a caller.
"""

from __future__ import annotations

from typing import Any, ClassVar


class Refusal(Exception):
    """Invalid request"""

    status: ClassVar[int] = 400
    code: ClassVar[str] = "invalid_request"

    def __init__(self, **details: Any) -> None:
        """`details` says more than the sentence does: which field, which values are allowed, who froze it."""
        super().__init__(self.sentence)
        self.details = details

    @property
    def sentence(self) -> str:
        return type(self).__doc__ or ""


class InvalidRequest(Refusal):
    """Invalid request"""


class InvalidReleaseCandidateVersion(Refusal):
    """Invalid release candidate version"""

    code = "invalid_release_candidate_version"


class InvalidCommit(Refusal):
    """Invalid commit hash"""

    code = "invalid_commit"


class InvalidStatus(Refusal):
    """Invalid deployment status"""

    code = "invalid_status"


class EnvironmentFrozen(Refusal):
    """Environment is frozen"""

    code = "environment_frozen"


class Unauthorized(Refusal):
    """unauthorized"""

    status, code = 401, "unauthorized"


class Forbidden(Refusal):
    """forbidden"""

    status, code = 403, "forbidden"


class ProjectNotFound(Refusal):
    """Release project not found"""

    status, code = 404, "project_not_found"


class EnvironmentNotFound(Refusal):
    """Release environment not found"""

    status, code = 404, "environment_not_found"


class ReleaseNotFound(Refusal):
    """Release not found"""

    status, code = 404, "release_not_found"


class DeploymentNotFound(Refusal):
    """Deployment not found"""

    status, code = 404, "deployment_not_found"


class RepositoryNotFound(Refusal):
    """GitHub repository not found"""

    status, code = 404, "repository_not_found"


class NoRollbackTarget(Refusal):
    """No previous deployment to roll back from"""

    status, code = 404, "no_rollback_target"


class ReleaseCandidateExists(Refusal):
    """Release candidate already exists"""

    status, code = 409, "release_candidate_exists"


class ReleaseCandidateNotReady(Refusal):
    """Release candidate is not ready"""

    status, code = 409, "release_candidate_not_ready"


class TooManyUnfinished(Refusal):
    """Too many unfinished deployments"""

    status, code = 409, "too_many_unfinished"


class PreconditionFailed(Refusal):
    """The stream has moved"""

    status, code = 412, "precondition_failed"


class IdempotencyKeyReused(Refusal):
    """Idempotency key was used for another request"""

    status, code = 422, "idempotency_key_reused"


class TooManyRequests(Refusal):
    """Too many requests"""

    status, code = 429, "too_many_requests"

    def __init__(self, *, retry_after_s: int) -> None:
        super().__init__()
        self.retry_after_s = retry_after_s


class GithubUnavailable(Refusal):
    """GitHub did not answer"""

    status, code = 502, "github_unavailable"


class LedgerUnavailable(Refusal):
    """The ledger cannot be written"""

    status, code = 503, "ledger_unavailable"


class TokenExists(Refusal):
    """A token of this name exists"""

    status, code = 409, "token_exists"


class TokenNotFound(Refusal):
    """Token not found"""

    status, code = 404, "token_not_found"


class PersonNotFound(Refusal):
    """No person of this e-mail is known"""

    status, code = 404, "person_not_found"


class SchemaMismatch(Exception):
    """The database's schema is not the one that this release knows; the message says what to do."""


class ConfigurationError(Exception):
    """A setting cannot be used; the message names it."""
